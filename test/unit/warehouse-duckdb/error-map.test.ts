import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import { duckdbError, errorPosition } from "../../../src/warehouse/duckdb/error-map.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { askDuckdb, memoryOptions, never } from "./harness.ts"

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

const from = "from (values (1, 'a')) t(x, s)"

/** SQLSTATE, message, and the text that the position points at; PostgreSQL's wording of each. */
const cases: readonly (readonly [string, string, string, string | undefined])[] = [
  ["select * from nosuch", "42P01", 'relation "nosuch" does not exist', "nosuch"],
  ["select * from main.nosuch", "42P01", 'relation "main.nosuch" does not exist', "main.nosuch"],
  [`select nosuch ${from}`, "42703", 'column "nosuch" does not exist', "nosuch"],
  [`select t.nosuch ${from}`, "42703", "column t.nosuch does not exist", "t.nosuch"],
  ["select nosuch", "42703", 'column "nosuch" does not exist', "nosuch"],
  [`select u.x ${from}`, "42P01", 'missing FROM-clause entry for table "u"', "u.x"],
  ["select nosuch(1)", "42883", "function nosuch does not exist", "nosuch(1)"],
  [`select x ${from}, (values (2)) u(x)`, "42702", 'column reference "x" is ambiguous', "x "],
  [
    `select x, count(*) ${from}`,
    "42803",
    'column "x" must appear in the GROUP BY clause or be used in an aggregate function',
    "x,",
  ],
  ["selec 1", "42601", 'syntax error at or near "selec"', "selec"],
  ["select 'a'::int", "22P02", 'invalid input syntax for type integer: "a"', undefined],
  [
    "select '2024-13-01'::date",
    "22008",
    'date/time field value out of range: "2024-13-01"',
    undefined,
  ],
  ["select 2147483647::int + 1::int", "22003", "integer out of range", undefined],
  [
    "select (select i from range(2) r(i))",
    "21000",
    "more than one row returned by a subquery used as an expression",
    undefined,
  ],
  ["select error('division by zero')", "22012", "division by zero", undefined],
  ["select 'x'::nosuch", "42704", 'type "nosuch" does not exist', undefined],
]

describe("DuckDB's errors in PostgreSQL's words", () => {
  for (const [sql, sqlState, message, pointedAt] of cases) {
    it(sql, async () => {
      await assert.rejects(askDuckdb(connection, sql), (thrown) => {
        assert.ok(thrown instanceof GatewayError)
        assert.deepEqual([thrown.sqlState, thrown.message], [sqlState, message])
        if (pointedAt !== undefined) {
          assert.equal(thrown.position, sql.indexOf(pointedAt) + 1)
        }
        return true
      })
    })
  }
})

describe("a message", () => {
  it("names no file", () => {
    const thrown = new Error('IO Error: Could not read "/srv/data/warehouse.duckdb": broken')
    assert.doesNotMatch(duckdbError(thrown, "select 1").message, /srv/)
    const other = new Error("Invalid Input Error: cannot use /srv/data/warehouse.duckdb here")
    assert.equal(duckdbError(other, "select 1").message, "cannot use (file) here")
  })

  it("keeps a slash that is no path", () => {
    const thrown = new Error("Binder Error: cannot use it in IN/ANY/ALL clause")
    assert.equal(duckdbError(thrown, "").message, "cannot use it in IN/ANY/ALL clause")
  })

  it("leaves out DuckDB's suggestions, which may name what the reader may not see", () => {
    const text =
      'Catalog Error: Table with name nosuch does not exist!\nDid you mean "secret.salaries"?'
    assert.equal(duckdbError(new Error(text), "").message, 'relation "nosuch" does not exist')
  })
})

describe("a position", () => {
  it("counts characters, over lines and behind cut excerpts", async () => {
    const sql = `select '${"ü".repeat(300)}',\n  '😀', nosuch ${from}`
    await assert.rejects(askDuckdb(connection, sql), (thrown) => {
      assert.ok(thrown instanceof GatewayError && thrown.position !== undefined)
      assert.ok(
        Array.from(sql)
          .slice(thrown.position - 1)
          .join("")
          .startsWith("nosuch"),
      )
      return true
    })
  })

  it("is left out where the text does not show it", () => {
    assert.equal(errorPosition("no line", "select 1"), undefined)
    assert.equal(errorPosition("\nLINE 9: select\n        ^", "select 1"), undefined)
  })
})
