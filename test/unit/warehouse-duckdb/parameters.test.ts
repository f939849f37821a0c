import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import type { FormatCode, Parameters } from "../../../src/core/parameters.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { ask, memoryOptions, never, prepared } from "./harness.ts"

let adapter: DuckdbAdapter
let connection: WarehouseConnection

before(async () => {
  await loadParser()
  adapter = new DuckdbAdapter(memoryOptions)
  connection = await adapter.connect(never)
})
after(async () => {
  connection.close()
  await adapter.close()
})

function one(oid: number, format: FormatCode, value: Buffer | null): Parameters {
  return { types: [oid], formats: [format], values: [value] }
}

const text = (oid: number, value: string): Parameters => one(oid, 0, Buffer.from(value))
const binary = (oid: number, hex: string): Parameters => one(oid, 1, Buffer.from(hex, "hex"))

/** Statement, parameter, answer. Binary values are what PostgreSQL's send functions give for the answer. */
const answered: readonly (readonly [string, Parameters, string | null])[] = [
  ["select $1", text(0, "a'b\\c"), "a'b\\c"],
  ["select $1", text(25, "'; drop table t; --"), "'; drop table t; --"],
  ["select $1 + 1", text(0, "41"), "42"],
  ["select $1 + 1", text(23, "41"), "42"],
  ["select 1 where 5 = $1", text(0, "5"), "1"],
  ["select count(*) from (values (1),(2)) t(x) where x = any($1)", text(1007, "{1,2,3}"), "2"],
  ["select count(*) from (values (1),(2)) t(x) where x = any($1)", text(0, "{1,2,3}"), "2"],
  ["select count(*) from (values ('a')) t(x) where x = any($1)", text(1009, '{"a","b c"}'), "1"],
  ["select x from (values (1),(2)) t(x) order by 1 limit $1", text(20, "1"), "1"],
  ["select x from (values (1),(2)) t(x) order by 1 limit $1", text(0, "1"), "1"],
  ["select x from (values (7)) t(x) where x between $1 and 8", text(0, "6"), "7"],
  ["select sum(x * $1) from (values (2)) t(x)", text(0, "1.5"), "3.0"],
  ["select left('abc', $1)", text(0, "2"), "ab"],
  ["select date '2024-01-01' < $1", text(0, "2024-01-02"), "t"],
  ["select date '2024-01-01' < $1", text(1082, "2023-01-02"), "f"],
  ["select $1::text", one(0, 0, null), null],
  ["select $1", one(23, 0, null), null],
  ["select $1 is null", one(1007, 1, null), "t"],
  ["select $1", binary(21, "fffe"), "-2"],
  ["select $1", binary(23, "0000002a"), "42"],
  ["select $1", binary(20, "8000000000000000"), "-9223372036854775808"],
  ["select $1", binary(26, "ffffffff"), "4294967295"],
  ["select $1", binary(700, "3fc00000"), "1.5"],
  ["select $1", binary(701, "c002000000000000"), "-2.25"],
  ["select $1", binary(16, "01"), "t"],
  ["select $1", binary(25, "c3bc"), "ü"],
  ["select $1", binary(1700, "0003000100000003000109291a7c"), "12345.678"],
  ["select $1", binary(1700, "0001ffff400000040001"), "-0.0001"],
  ["select $1", binary(1700, "00010001000000000001"), "10000"],
  ["select $1", binary(1082, "00002279"), "2024-02-29"],
  ["select $1", binary(1082, "fff49d7b"), "0044-03-15 BC"],
  ["select $1", binary(1114, "0002b0d5d4eb2240"), "2024-01-01 00:00:00.123456"],
  ["select $1", binary(1184, "0002b0d427c1f800"), "2023-12-31 22:00:00+00"],
  ["select $1", binary(1083, "0000000889d9f120"), "10:11:12.5"],
  [
    "select $1",
    binary(1186, "000000036c9361a0000000030000000e"),
    "1 year 2 mons 3 days 04:05:06.5",
  ],
  [
    "select $1",
    binary(2950, "0e37df36f69811e68dd4cb9ced3df976"),
    "0e37df36-f698-11e6-8dd4-cb9ced3df976",
  ],
  ["select $1", binary(17, "00ff10"), "\\x00ff10"],
  ["select $1", binary(3802, "017b7d"), "{}"],
  [
    "select $1",
    binary(
      1007,
      "00000001000000010000001700000003000000010000000400000001ffffffff0000000400000003",
    ),
    "{1,NULL,3}",
  ],
  ["select $1", binary(1007, "000000000000000000000017"), "{}"],
]

describe("a bound parameter becomes a literal of its type", () => {
  for (const [sql, parameters, expected] of answered) {
    it(`${sql} ${parameters.types.join()} ${String(parameters.values[0])}`, async () => {
      const { rows } = await ask(adapter, connection, sql, { parameters })
      assert.deepEqual(rows, [[expected]])
    })
  }
})

/** SQLSTATE, parameter. */
const refused: readonly (readonly [string, Parameters])[] = [
  ["22021", text(25, "a\0b")],
  ["22021", one(25, 0, Buffer.from([0xff, 0xfe]))],
  ["22021", one(25, 1, Buffer.from([0xc3]))],
  ["22P03", binary(23, "00002a")],
  ["22P03", binary(20, "")],
  ["22P03", binary(1700, "0003")],
  ["22P03", binary(1700, "00010001000000002710")],
  ["22P03", binary(1007, "0000000100000000")],
  ["22P03", binary(1007, "000000010000000000000017000000010000000100000004")],
  ["22P03", binary(3802, "027b7d")],
  ["0A000", binary(0, "0000002a")],
  ["0A000", binary(600, "00")],
  ["42P02", { types: [], formats: [], values: [] }],
]

describe("a parameter that cannot be read is refused", () => {
  for (const [sqlState, parameters] of refused) {
    it(`${sqlState} ${parameters.types.join()} ${parameters.values[0]?.toString("hex")}`, () => {
      const padded = parameters.values.length === 0 ? { ...parameters, values: [null] } : parameters
      const sql = parameters.values.length === 0 ? "select $2" : "select $1"
      assert.throws(() => prepared(adapter, sql, padded), { sqlState })
    })
  }
})
