import { deepEqual, equal, rejects, throws } from "node:assert/strict"
import type { Socket } from "node:net"
import { PassThrough } from "node:stream"
import { describe, it } from "node:test"
import * as fc from "fast-check"
import { GatewayError } from "../../../src/core/errors.ts"
import { Relay } from "../../../src/warehouse/postgres/relay.ts"
import { commandComplete, dataRow, readyForQuery } from "../../../src/wire/backend-messages.ts"

/** A relay over a stream in memory: it needs no more of a socket than a Duplex has. */
function setUp(): { relay: Relay; stream: PassThrough; lost: GatewayError[] } {
  const stream = new PassThrough()
  const lost: GatewayError[] = []
  const relay = new Relay(stream as unknown as Socket, (error) => lost.push(error))
  return { relay, stream, lost }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

type Seen = { rows: Buffer[]; rowCount: number; others: string[] }

/** Reads until ReadyForQuery. */
async function readThrough(relay: Relay): Promise<Seen> {
  const seen: Seen = { rows: [], rowCount: 0, others: [] }
  for (;;) {
    const type = relay.peek()
    if (type === 0) {
      await relay.more()
    } else if (type === 0x44) {
      const batch = relay.takeRows(2)
      seen.rows.push(batch.bytes)
      seen.rowCount += batch.rowCount
    } else {
      seen.others.push(String.fromCharCode(relay.take()[0] ?? 0))
      if (type === 0x5a) return seen
    }
  }
}

describe("the relay", () => {
  it("hands on the same bytes and counts the same rows, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 }),
        async (values, cuts) => {
          const { relay, stream } = setUp()
          const rows = Buffer.concat(values.map((value) => dataRow([Buffer.from(value), null])))
          const whole = Buffer.concat([rows, commandComplete("SELECT 1"), readyForQuery("I")])
          const reading = readThrough(relay)
          for (let at = 0, turn = 0; at < whole.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1
            stream.write(whole.subarray(at, at + size))
            at += size
          }
          const seen = await reading
          deepEqual(Buffer.concat(seen.rows), rows)
          deepEqual([seen.rowCount, seen.others], [values.length, ["C", "Z"]])
        },
      ),
      { numRuns: 200 },
    )
  })

  it("gives a chunk of whole rows on as one batch, without a copy", async () => {
    const { relay, stream } = setUp()
    const chunk = Buffer.concat([1, 2, 3].map((g) => dataRow([Buffer.from(String(g))])))
    const waiting = relay.more()
    stream.write(chunk)
    await waiting
    relay.peek()
    const batch = relay.takeRows(1)
    deepEqual([batch.rowCount, batch.bytes.buffer === chunk.buffer], [3, true])
    equal(relay.peek(), 0)
  })

  it("refuses a row whose columns are not those of its description", async () => {
    for (const rows of [[["a", "b"]], [["a"], ["a", "b"]], [[]]]) {
      const { relay, stream } = setUp()
      const waiting = relay.more()
      stream.write(
        Buffer.concat(rows.map((row) => dataRow(row.map((value) => Buffer.from(value))))),
      )
      await waiting
      relay.peek()
      throws(() => relay.takeRows(1), /has not the 1 columns/)
    }
  })

  it("pauses the socket when a chunk comes that nobody asked for", async () => {
    const { relay, stream } = setUp()
    const row = dataRow([Buffer.alloc(1_000)])
    stream.write(row)
    await nextTurn()
    equal(stream.isPaused(), true)
    stream.write(row)
    await nextTurn()
    equal(stream.readableLength, row.length)
    equal(relay.more(), undefined)
    equal(stream.isPaused(), true)
    relay.peek()
    equal(relay.takeRows(1).rowCount, 1)
    await relay.more()
    equal(stream.isPaused(), false)
  })

  it("tells whoever waits, and whoever comes later, that the connection is lost", async () => {
    const { relay, stream, lost } = setUp()
    const waiting = relay.more()
    stream.destroy()
    await rejects(Promise.resolve(waiting), GatewayError)
    throws(() => relay.more(), GatewayError)
    equal(lost.length, 1)
  })

  it("still gives what had come before the connection was lost", async () => {
    const { relay, stream } = setUp()
    stream.write(commandComplete("SELECT 0"))
    await nextTurn()
    stream.destroy()
    await nextTurn()
    equal(relay.more(), undefined)
    equal(relay.peek(), 0x43)
  })

  for (const length of [3, 0, -1, 0x7f_ff_ff_ff]) {
    it(`refuses a message that says it has ${length} bytes`, async () => {
      const { relay, stream } = setUp()
      const bytes = Buffer.from("D\0\0\0\0")
      bytes.writeInt32BE(length, 1)
      const waiting = relay.more()
      stream.write(bytes)
      await waiting
      throws(() => relay.peek(), /broke the protocol/)
    })
  }
})
