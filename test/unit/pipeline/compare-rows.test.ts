import { equal, rejects } from "node:assert/strict"
import { describe, it } from "node:test"
import type { RowBatch, RowStream, StoredResult } from "../../../src/core/result.ts"
import { hasSameRows } from "../../../src/pipeline/verify/compare-rows.ts"

function row(text: string): Buffer {
  const value = Buffer.from(text)
  const head = Buffer.alloc(11)
  head.write("D")
  head.writeInt32BE(10 + value.length, 1)
  head.writeInt16BE(1, 5)
  head.writeInt32BE(value.length, 7)
  return Buffer.concat([head, value])
}

const batch = (texts: readonly string[]): RowBatch => ({
  bytes: Buffer.concat(texts.map(row)),
  rowCount: texts.length,
})

function stored(batches: readonly (readonly string[])[]): StoredResult {
  const rowCount = batches.flat().length
  return { description: undefined, batches: batches.map(batch), rowCount, byteCount: 0, tag: "" }
}

/** How many batches were asked for stands in `read`. */
function stream(batches: readonly RowBatch[]): RowStream & { read: number } {
  return {
    description: undefined,
    completion: { tag: "", notices: [] },
    read: 0,
    next() {
      this.read += 1
      return Promise.resolve(batches[this.read - 1])
    },
    [Symbol.dispose]: () => undefined,
  }
}

const cases: readonly (readonly [left: string[][], right: string[][], isSame: boolean])[] = [
  [[], [], true],
  [[["a", "b"], ["c"]], [["a"], ["b", "c"]], true],
  [[["a", "b", "b"]], [["b", "a", "b"]], true],
  [[["a", "b", "b"]], [["b", "a", "a"]], false],
  [[["a"]], [["a", "a"]], false],
  [[["a", "a"]], [["a"]], false],
  [[["a"]], [], false],
  [[], [["a"]], false],
  [[["1"]], [["1 "]], false],
  [[["é"]], [["é"]], true],
]

describe("rows compared with stored ones", () => {
  for (const [left, right, isSame] of cases)
    it(`${JSON.stringify(left)} and ${JSON.stringify(right)} are ${isSame ? "the same" : "not the same"}`, async () => {
      equal(await hasSameRows(stored(left), stream(right.map(batch))), isSame)
    })

  it("stops at the first row too many", async () => {
    const rows = stream([batch(["x"]), batch(["y"]), batch(["z"])])
    equal(await hasSameRows(stored([["a"]]), rows), false)
    equal(rows.read, 1)
  })

  it("does not take half a row for one", async () => {
    const torn = { bytes: row("abc").subarray(0, 4), rowCount: 1 }
    await rejects(hasSameRows(stored([]), stream([torn])), /ends within a row/)
  })
})
