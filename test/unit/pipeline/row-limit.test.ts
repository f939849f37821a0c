import { deepEqual, equal, rejects } from "node:assert/strict"
import { describe, it } from "node:test"
import type { Remark } from "../../../src/core/remark.ts"
import type { RowBatch, RowStream } from "../../../src/core/result.ts"
import { LimitedRows } from "../../../src/pipeline/row-limit.ts"
import { dataRow } from "../../../src/wire/backend-messages.ts"

const row = (value: number): Buffer => dataRow([Buffer.from(String(value))])

/** Rows 0 to n-1 in batches of three. */
function streamOf(rowCount: number): RowStream & { disposals: number } {
  let next = 0
  return {
    disposals: 0,
    description: undefined,
    completion: { tag: `SELECT ${rowCount}`, notices: [] },
    async next(): Promise<RowBatch | undefined> {
      if (next >= rowCount) return undefined
      const rows: Buffer[] = []
      while (rows.length < 3 && next < rowCount) {
        rows.push(row(next))
        next += 1
      }
      return { bytes: Buffer.concat(rows), rowCount: rows.length }
    },
    [Symbol.dispose](): void {
      this.disposals += 1
    },
  }
}

async function readAll(rows: RowStream): Promise<{ bytes: Buffer; rowCount: number }> {
  const parts: Buffer[] = []
  let rowCount = 0
  for (let batch = await rows.next(); batch !== undefined; batch = await rows.next()) {
    parts.push(batch.bytes)
    rowCount += batch.rowCount
  }
  return { bytes: Buffer.concat(parts), rowCount }
}

const numbers = (count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, value) => row(value)))

describe("the row limit on a stream", () => {
  for (const rowLimit of [1, 2, 3, 4, 6, 7])
    it(`cuts 8 rows after ${rowLimit}, says so, and gives the source up`, async () => {
      const remarks: Remark[] = []
      const source = streamOf(8)
      const limited = new LimitedRows(source, { rowLimit, onExceed: "cut" }, remarks)
      deepEqual(await readAll(limited), { bytes: numbers(rowLimit), rowCount: rowLimit })
      equal(limited.isCut, true)
      equal(limited.completion.tag, `SELECT ${rowLimit}`)
      equal(source.disposals, 1)
      equal(remarks.length, 1)
      equal(remarks[0]?.message, `result was cut at the row limit of ${rowLimit}`)
    })

  for (const rowLimit of [8, 9, 100])
    it(`passes 8 rows whole below a limit of ${rowLimit}`, async () => {
      const remarks: Remark[] = []
      const limited = new LimitedRows(streamOf(8), { rowLimit, onExceed: "cut" }, remarks)
      deepEqual(await readAll(limited), { bytes: numbers(8), rowCount: 8 })
      equal(limited.isCut, false)
      deepEqual(remarks, [])
    })

  it("ends the statement instead where the role says error", async () => {
    const limited = new LimitedRows(streamOf(8), { rowLimit: 4, onExceed: "error" }, [])
    await rejects(readAll(limited), { sqlState: "54000", reason: "row_limit_exceeded" })
  })
})

/** One row of one digit: type, length, column count, length of the value, the value. */
const rowBytes = 1 + 4 + 2 + 4 + 1

describe("the byte limit on a stream", () => {
  for (const [resultBytesMax, rowCount] of [
    [rowBytes - 1, 0],
    [rowBytes, 1],
    [2 * rowBytes - 1, 1],
    [3 * rowBytes, 3],
    [4 * rowBytes + 1, 4],
    [8 * rowBytes - 1, 7],
  ] as const)
    it(`of ${resultBytesMax} cuts 8 rows after ${rowCount} whole ones`, async () => {
      const remarks: Remark[] = []
      const source = streamOf(8)
      const limited = new LimitedRows(source, { resultBytesMax, onExceed: "cut" }, remarks)
      deepEqual(await readAll(limited), { bytes: numbers(rowCount), rowCount })
      equal(limited.isCut, true)
      equal(limited.completion.tag, `SELECT ${rowCount}`)
      equal(source.disposals, 1)
      equal(remarks[0]?.message, `result was cut at the limit of ${resultBytesMax} bytes`)
    })

  it("passes what fits exactly", async () => {
    const limited = new LimitedRows(
      streamOf(8),
      { resultBytesMax: 8 * rowBytes, onExceed: "cut" },
      [],
    )
    deepEqual(await readAll(limited), { bytes: numbers(8), rowCount: 8 })
    equal(limited.isCut, false)
  })

  for (const [rule, message] of [
    [{ rowLimit: 2, resultBytesMax: 3 * rowBytes }, "result was cut at the row limit of 2"],
    [
      { rowLimit: 3, resultBytesMax: 2 * rowBytes },
      `result was cut at the limit of ${2 * rowBytes} bytes`,
    ],
  ] as const)
    it(`the smaller of both limits is named: ${message}`, async () => {
      const remarks: Remark[] = []
      const limited = new LimitedRows(streamOf(8), { ...rule, onExceed: "cut" }, remarks)
      equal((await readAll(limited)).rowCount, 2)
      equal(remarks[0]?.message, message)
    })

  it("ends the statement instead where the role says error", async () => {
    const rule = { resultBytesMax: 5 * rowBytes, onExceed: "error" } as const
    const limited = new LimitedRows(streamOf(8), rule, [])
    await rejects(readAll(limited), { sqlState: "54000", reason: "result_bytes_exceeded" })
  })
})
