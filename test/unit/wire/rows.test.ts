import { deepEqual, equal, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import type { RowBatch } from "../../../src/core/result.ts"
import { dataRow, rowDescription } from "../../../src/wire/backend-messages.ts"
import {
  changeFormats,
  columnCount,
  readRowDescription,
  splitRows,
} from "../../../src/wire/rows.ts"
import { golden, readGoldens } from "./goldens.ts"

const rows = ["a", "", "ccc", null].map((value) =>
  dataRow([value === null ? null : Buffer.from(value)]),
)
const batch: RowBatch = { bytes: Buffer.concat(rows), rowCount: rows.length }

describe("splitRows", () => {
  for (let count = -1; count <= rows.length + 1; count += 1) {
    it(`cuts four rows behind ${count}`, () => {
      const [front, back] = splitRows(batch, count)
      const cut = Math.min(Math.max(count, 0), rows.length)
      deepEqual([front.rowCount, back.rowCount], [cut, rows.length - cut])
      deepEqual(front.bytes, Buffer.concat(rows.slice(0, cut)))
      deepEqual(back.bytes, Buffer.concat(rows.slice(cut)))
    })
  }

  it("copies nothing", () => {
    const [front, back] = splitRows(batch, 2)
    equal(front.bytes.buffer, batch.bytes.buffer)
    equal(back.bytes.buffer, batch.bytes.buffer)
  })

  it("calls a batch with fewer rows than it says a bug of ours", () => {
    throws(() => splitRows({ bytes: batch.bytes, rowCount: 9 }, 6), { name: "InvariantViolation" })
    throws(() => splitRows({ bytes: batch.bytes.subarray(0, 7), rowCount: 4 }, 1), {
      name: "InvariantViolation",
    })
  })
})

describe("changeFormats", () => {
  const goldens = readGoldens<readonly string[]>("backend-messages")
  const [text, binary, mixed] = golden(
    goldens,
    "Describe of a portal with formats none, 1, and 0 1 1",
  )
    .filter((hex) => hex.startsWith("54"))
    .map((hex) => Buffer.from(hex, "hex"))
  const description = text ?? Buffer.alloc(0)

  it("gives the RowDescription that PostgreSQL gives for the portal", () => {
    deepEqual(changeFormats(description, []), text)
    deepEqual(changeFormats(description, [0]), text)
    deepEqual(changeFormats(description, [1]), binary)
    deepEqual(changeFormats(description, [0, 1, 1]), mixed)
    deepEqual(changeFormats(binary ?? description, []), text)
  })

  it("leaves the original as it was, and returns it when nothing changes", () => {
    const before = Buffer.from(description)
    changeFormats(description, [1])
    deepEqual(description, before)
    equal(changeFormats(description, [0, 0, 0]), description)
  })

  it("refuses a count that fits no column list, with PostgreSQL's text", () => {
    for (const formats of [[1, 1] as const, [1, 1, 1, 1] as const]) {
      throws(() => changeFormats(description, formats), {
        sqlState: "08P01",
        severity: "ERROR",
        message: `bind message has ${formats.length} result formats but query has 3 columns`,
      })
    }
  })
})

describe("readRowDescription", () => {
  const column = {
    name: "ü b",
    tableOid: 4_294_967_295,
    columnNumber: -1,
    typeOid: 25,
    typeSize: -1,
    typeModifier: -1,
    format: 1,
  } as const
  const whole = rowDescription([column, { ...column, name: "" }])

  it("reads what the encoder wrote", () => {
    deepEqual(readRowDescription(whole), [column, { ...column, name: "" }])
    deepEqual(readRowDescription(rowDescription([])), [])
    equal(columnCount(whole), 2)
  })

  const broken: readonly (readonly [string, Buffer])[] = [
    ["nothing", Buffer.alloc(0)],
    ["another message", dataRow([])],
    ["a cut message", whole.subarray(0, -1)],
    ["a message with bytes behind", Buffer.concat([whole, Buffer.alloc(1)])],
    ["one column more than there is", withCount(whole, 3)],
    ["one column fewer than there is", withCount(whole, 1)],
    ["a name without NUL", Buffer.from("540000000a000161626364", "hex")],
    ["format 2", rowDescription([{ ...column, format: 2 as 1 }])],
  ]
  for (const [name, bytes] of broken) {
    it(`refuses ${name} as the warehouse's fault`, () => {
      throws(() => readRowDescription(bytes), { reason: "warehouse_protocol", severity: "ERROR" })
    })
  }
})

function withCount(bytes: Buffer, count: number): Buffer {
  const out = Buffer.from(bytes)
  out.writeInt16BE(count, 5)
  return out
}
