import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { type Ack, overlapsOf, type Read, violationsOf } from "./history.ts"

function ack(counter: number, commitOrder: number, order: number): Ack {
  return { relation: "t", counter, commitOrder, commitMs: commitOrder, order, atMs: order }
}

function read(seen: number, startOrder: number, endOrder: number): Read {
  return {
    reader: 1,
    shape: "plain",
    startOrder,
    startMs: startOrder,
    endOrder,
    endMs: endOrder,
    seen: new Map([["t", seen]]),
    outcome: "hit_l1",
  }
}

const acks = [ack(1, 1, 3), ack(2, 10, 14)]

describe("the freshness checker", () => {
  const cases = [
    { title: "accepts the acknowledged value", read: read(2, 15, 16), violations: 0 },
    {
      title: "accepts a newer value than the acknowledged one",
      read: read(3, 15, 16),
      violations: 0,
    },
    {
      title: "accepts the old value while the change is not acknowledged",
      read: read(1, 13, 20),
      violations: 0,
    },
    {
      title: "accepts the new value before its acknowledgement",
      read: read(2, 11, 12),
      violations: 0,
    },
    {
      title: "reports an old value in a read that starts after the acknowledgement",
      read: read(1, 15, 16),
      violations: 1,
    },
    {
      title: "reports a value older than every acknowledgement",
      read: read(0, 4, 5),
      violations: 1,
    },
    {
      title: "accepts anything before the first acknowledgement",
      read: read(0, 2, 9),
      violations: 0,
    },
  ]
  for (const item of cases)
    it(item.title, () => {
      assert.equal(violationsOf({ acks, reads: [item.read] }).length, item.violations)
    })

  const softCases = [
    {
      title: "accepts an old value within a soft one's time",
      read: read(2, 118, 120),
      violations: 0,
    },
    { title: "reports it after that time", read: read(2, 131, 140), violations: 1 },
    { title: "reports within it what a hard one has ended", read: read(1, 25, 26), violations: 1 },
  ]
  for (const item of softCases)
    it(item.title, () => {
      const soft = { ...ack(3, 20, 24), maxStaleMs: 100 }
      const found = violationsOf({ acks: [...acks, soft], reads: [item.read] })
      assert.equal(found.length, item.violations)
    })

  it("names the acknowledgement that the read missed", () => {
    const [violation] = violationsOf({ acks, reads: [read(1, 15, 16)] })
    assert.deepEqual(violation?.required, acks[1])
    assert.equal(violation?.seen, 1)
  })

  it("counts reads that an acknowledgement overtakes, and no others", () => {
    const reads = [read(1, 13, 20), read(1, 5, 9), read(2, 15, 16)]
    assert.deepEqual(overlapsOf({ acks, reads }), [reads[0]])
  })
})
