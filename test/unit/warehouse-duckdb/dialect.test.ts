import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { after, before, describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { ask, askDuckdb, memoryOptions, never, prepared, settingsOf } from "./harness.ts"

/**
 * One statement with what PostgreSQL 15 (locale C, UTF8) answered: names and rows, or the SQLSTATE. Rows in binary format
 * are in hexadecimal digits, from COPY (...) TO STDOUT (FORMAT binary).
 */
type Golden = {
  readonly sql: string
  readonly zone?: string
  readonly format?: "binary"
  readonly names?: readonly string[]
  readonly rows?: readonly (readonly (string | null)[])[]
  readonly sqlState?: string
}

const goldens = JSON.parse(
  readFileSync(new URL("postgres-goldens.json", import.meta.url), "utf8"),
) as readonly Golden[]

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

describe("PostgreSQL's SQL on DuckDB gives PostgreSQL's answer", () => {
  for (const golden of goldens) {
    it(`${golden.zone ?? ""} ${golden.format ?? ""} ${golden.sql}`.trim(), async () => {
      const asked = ask(adapter, connection, golden.sql, {
        settings: settingsOf({ timezone: golden.zone ?? "UTC" }),
        formats: golden.format === "binary" ? [1] : [],
      })
      if (golden.sqlState !== undefined) {
        await assert.rejects(asked, { sqlState: golden.sqlState })
        return
      }
      const { columns, rows } = await asked
      assert.deepEqual(
        columns.map(({ name }) => name),
        golden.names,
      )
      assert.deepEqual(rows, golden.rows)
    })
  }
})

/** SQLSTATE of the refusal, then the statement. */
const refused: readonly (readonly [string, string])[] = [
  ["42501", "select * from query('select 1')"],
  ["42501", "select * from query_table('t')"],
  ["42501", "select * from read_csv('/etc/passwd')"],
  ["42501", "select * from read_text('/etc/passwd')"],
  ["42501", "select * from read_blob('x'), t"],
  ["42501", "select * from glob('/*')"],
  ["42501", "select * from parquet_scan('x.parquet')"],
  ["42501", "select * from sniff_csv('x.csv')"],
  ["42501", "select * from duckdb_settings()"],
  ["42501", "select * from pragma_table_info('t')"],
  ["42501", "select * from which_secret('x', 's3')"],
  ["42501", "select * from test_all_types()"],
  ["42501", "select * from some_extension_reader('x')"],
  ["42501", "select getenv('HOME')"],
  ["42501", "select system.main.getenv('HOME')"],
  ["42501", "select stats(x) from t"],
  ["42501", "select current_query()"],
  ["42501", "select (select a.x from read_json('f') a(x))"],
  ["42501", "with c as (select * from read_parquet('f')) select 1"],
  ["42501", "select 1 from t join lateral (select * from glob('*')) g on true"],
  ["42501", "select 1 union select 2 from read_csv('f')"],
  ["42501", "select pg_sleep(10)"],
  ["42P01", `select * from "/etc/passwd"`],
  ["42P01", `select * from "data.csv"`],
  ["42P01", `select * from "s3://bucket/data.parquet"`],
  ["42P01", `select * from "data.json" d join t on true`],
  ["42P01", "select * from duckdb_tables"],
  ["42P01", "select * from main.duckdb_settings"],
  ["42P01", "select * from sqlite_master"],
  ["42P01", "select * from system.information_schema.tables"],
  ["42P01", "select * from temp.t"],
  ["0A000", "select 'pg_class'::regclass"],
  ["0A000", "select format('%s', 1)"],
  ["0A000", "select pg_catalog.format_type(23, -1)"],
  ["0A000", "select regexp_matches('a', 'a')"],
  ["0A000", "select to_char(1234.5, 'FM9,999.0')"],
  ["0A000", "select to_char(now(), 'J')"],
  ["0A000", "select to_date('x', y) from t"],
  ["0A000", "select current_user, 1 from t"],
  ["0A000", "select interval 'P1Y2M'"],
  ["0A000", "select b'101'"],
  ["0A000", "select 'a' collate \"de_DE\""],
  ["0A000", "select x @> y from t"],
  ["0A000", "select * from rows from (generate_series(1,2), generate_series(1,3))"],
]

describe("what DuckDB lacks, means otherwise or keeps outside of the file is refused", () => {
  for (const [sqlState, sql] of refused) {
    it(`${sqlState} ${sql}`, () => {
      assert.throws(
        () => prepared(adapter, sql),
        (thrown) => thrown instanceof GatewayError && thrown.sqlState === sqlState,
      )
    })
  }
})

describe("DuckDB itself stays closed when the dialect is passed by", () => {
  for (const sql of [
    "select * from read_text('/etc/hostname')",
    "select * from '/etc/passwd.csv'",
    "attach '/tmp/other.db'",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "set threads = 4",
    "copy (select 1) to '/tmp/leak.csv'",
  ]) {
    it(sql, async () => {
      await assert.rejects(askDuckdb(connection, sql), (thrown) => {
        assert.ok(thrown instanceof GatewayError)
        assert.doesNotMatch(thrown.message, /\/etc|\/tmp/)
        return true
      })
    })
  }
})

describe("adapt", () => {
  it("leaves a statement alone that both engines read alike", () => {
    assert.equal(prepared(adapter, "select a, b from t where a = 1").keepsPositions, true)
  })

  it("gives one tree for one tree, so that the emitter's memo finds it", () => {
    const first = prepared(adapter, "select count(*) from t")
    assert.match(first.text, /AS count/)
  })

  it("keeps a division in a condition, where NULL and an error drop the same row", () => {
    assert.doesNotMatch(prepared(adapter, "select a from t where a / b > 1").text, /CASE/)
  })
})
