import assert from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { GatewayError, InvariantViolation } from "../../../src/core/errors.ts"
import { noParameters } from "../../../src/core/parameters.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import type { RunRequest, WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import {
  ask,
  askDuckdb,
  memoryOptions,
  never,
  prepared,
  readColumns,
  settingsOf,
} from "./harness.ts"

const endless =
  "select count(*) from range(1000000000) a, range(1000000) b where a.range * b.range % 7 = 3"

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

function request(sql: string, rest: Partial<RunRequest> = {}): RunRequest {
  return {
    statement: { text: sql, ast: {}, keepsPositions: true },
    parameters: noParameters,
    resultFormats: [],
    protocol: "simple",
    settings: settingsOf(),
    statementTimeoutMs: 0,
    signal: never,
    ...rest,
  }
}

const cancelled = new GatewayError({
  sqlState: "57014",
  reason: "cancelled",
  message: "canceling statement due to user request",
})

describe("rows", () => {
  it("come in batches, all of them, and with the tag's count", async () => {
    const { rows, tag, batchCount } = await askDuckdb(
      connection,
      "select i, 'a text that is longer than twelve bytes ' || i, 'short' from range(20000) t(i)",
    )
    assert.equal(rows.length, 20_000)
    assert.equal(tag, "SELECT 20000")
    assert.ok(batchCount > 10)
    assert.deepEqual(rows[19_999], [
      "19999",
      "a text that is longer than twelve bytes 19999",
      "short",
    ])
  })

  it("are whole where nulls, short and long texts alternate", async () => {
    const { rows } = await askDuckdb(
      connection,
      "select case i % 3 when 0 then null when 1 then 'x' || i else repeat('y', i % 100) || i end from range(5000) t(i)",
    )
    for (const [index, [value]] of rows.entries()) {
      if (index % 3 === 0) assert.equal(value, null)
      else if (index % 3 === 1) assert.equal(value, `x${index}`)
      else assert.equal(value, `${"y".repeat(index % 100)}${index}`)
    }
  })

  it("may be larger than a batch", async () => {
    const { rows } = await askDuckdb(connection, "select repeat('x', 1000000), 1")
    assert.equal(rows[0]?.[0]?.length, 1_000_000)
  })

  it("show DuckDB's own types as PostgreSQL's", async () => {
    const { columns, rows } = await askDuckdb(
      connection,
      `select 1::utinyint, 1::uinteger, 18446744073709551615::ubigint, (-170141183460469231731687303715884105728)::hugeint,
        'b'::enum('a', 'b'), {'a': 1, 'b': 'x'}, map {'k': [1, 2]}, [{'a': 1}], timestamp_s '2024-01-01 00:00:01',
        timestamp_ns '2024-01-01 00:00:00.123456789', '101'::bit, [[1, 2], [3]], [1, 2]::integer[2], union_value(n := 5)`,
    )
    assert.deepEqual(rows, [
      [
        "1",
        "1",
        "18446744073709551615",
        "-170141183460469231731687303715884105728",
        "b",
        '{"a":1,"b":"x"}',
        '{"k":[1,2]}',
        '{"{\\"a\\":1}"}',
        "2024-01-01 00:00:01",
        "2024-01-01 00:00:00.123456",
        "101",
        "{{1,2},{3}}",
        "{1,2}",
        "5",
      ],
    ])
    assert.deepEqual(
      columns.map(({ oid }) => oid),
      [21, 20, 1700, 1700, 25, 114, 114, 199, 1114, 1114, 1562, 1007, 1007, 114],
    )
  })

  it("cannot be asked for while others are unread", async () => {
    const stream = await connection.run(request("select 1"))
    assert.equal(connection.state, "busy")
    await assert.rejects(connection.run(request("select 2")), InvariantViolation)
    assert.throws(() => stream.completion, InvariantViolation)
    stream[Symbol.dispose]()
    stream[Symbol.dispose]()
    assert.equal(connection.state, "clean")
  })

  it("end with the error before the first of them", async () => {
    const failing = "select 1 / (i - 99999) , error('late') from range(100000) t(i) where i = 99999"
    await assert.rejects(connection.run(request(failing)), { sqlState: "22023", message: "late" })
    assert.equal(connection.state, "clean")
  })
})

describe("a statement that takes too long", () => {
  it("ends at its time-out, and the connection serves the next", async () => {
    await assert.rejects(connection.run(request(endless, { statementTimeoutMs: 30 })), {
      sqlState: "57014",
      reason: "statement_timeout",
      message: "canceling statement due to statement timeout",
    })
    assert.equal(connection.state, "clean")
    assert.deepEqual((await askDuckdb(connection, "select 1")).rows, [["1"]])
  })

  it("ends with the signal's reason", async () => {
    const controller = new AbortController()
    const running = connection.run(request(endless, { signal: controller.signal }))
    setTimeout(() => controller.abort(cancelled), 20)
    await assert.rejects(running, cancelled)
    assert.deepEqual((await askDuckdb(connection, "select 1")).rows, [["1"]])
  })

  it("does not start under a signal that is aborted already", async () => {
    const signal = AbortSignal.abort(cancelled)
    await assert.rejects(connection.run(request("select 1", { signal })), cancelled)
    assert.equal(connection.state, "clean")
  })

  it("is not taken for the statement after it", async () => {
    for (let round = 0; round < 50; round++) {
      const controller = new AbortController()
      const first = askDuckdb(connection, "select 1", { signal: controller.signal })
      setImmediate(() => controller.abort(cancelled))
      await first.catch((thrown: unknown) => assert.equal(thrown, cancelled))
      assert.deepEqual((await askDuckdb(connection, "select 2")).rows, [["2"]])
    }
  })

  it("stops between batches when the client has gone", async () => {
    const controller = new AbortController()
    const stream = await connection.run(
      request("select i from range(100000) t(i)", { signal: controller.signal }),
    )
    await stream.next()
    controller.abort(cancelled)
    await assert.rejects(stream.next(), cancelled)
    assert.equal(connection.state, "clean")
  })
})

describe("session settings", () => {
  it("change from statement to statement on one connection", async () => {
    const sql =
      "select timestamptz '2024-07-01 12:00:00+00', extract(hour from timestamptz '2024-07-01 12:00:00+00')"
    for (const [timezone, shown, hour] of [
      ["Europe/Berlin", "2024-07-01 14:00:00+02", "14"],
      ["UTC", "2024-07-01 12:00:00+00", "12"],
      ["+03:00", "2024-07-01 15:00:00+03", "15"],
    ] as const) {
      const { rows } = await ask(adapter, connection, sql, { settings: settingsOf({ timezone }) })
      assert.deepEqual(rows, [[shown, hour]])
    }
  })

  it("change the spelling of floats and bytes", async () => {
    const settings = settingsOf({ extra_float_digits: "0", bytea_output: "escape" })
    const { rows } = await ask(
      adapter,
      connection,
      String.raw`select 0.1::float8 + 0.2::float8, 1e15::float8, '\x00415c'::bytea, 1.1::float4`,
      { settings },
    )
    assert.deepEqual(rows, [["0.3", "1e+15", String.raw`\000A\\`, "1.1"]])
  })

  it("that only PostgreSQL can follow are refused", async () => {
    for (const settings of [
      settingsOf({ datestyle: "German, DMY" }),
      settingsOf({ intervalstyle: "iso_8601" }),
    ]) {
      await assert.rejects(askDuckdb(connection, "select 1", { settings }), { sqlState: "0A000" })
      assert.equal(connection.state, "clean")
    }
  })

  it("pass over schemas that do not exist", async () => {
    const settings = settingsOf({}, ["nowhere", "main"])
    assert.deepEqual((await askDuckdb(connection, "select 1", { settings })).rows, [["1"]])
  })

  it("are checked by DuckDB where it has them", async () => {
    assert.equal(await connection.checkSetting("TimeZone", "Asia/Tokyo", never), "Asia/Tokyo")
    assert.equal(await connection.checkSetting("DateStyle", "ISO", never), undefined)
    await assert.rejects(connection.checkSetting("TimeZone", "Mars/Base", never), {
      sqlState: "22023",
      message: 'invalid value for parameter "TimeZone": "Mars/Base"',
    })
  })
})

async function describeOf(sql: string, types: readonly number[] = []) {
  const statement = prepared(adapter, sql)
  const found = await connection.describe(
    request(sql, { statement, parameters: { ...noParameters, types } }),
  )
  const columns = found.rowDescription === undefined ? [] : readColumns(found.rowDescription)
  return [found.parameterTypes, columns.map(({ name, oid }) => `${name}:${oid}`)]
}

describe("describe", () => {
  it("tells types without running", async () => {
    assert.deepEqual(await describeOf("select count(*), 1.50 as x, 'a'"), [
      [],
      ["count:20", "x:1700", "?column?:25"],
    ])
  })

  it("tells types of parameters from where they stand", async () => {
    const sql = "select x from (values (1)) t(x) where x = $1 and 'a' = $2"
    assert.deepEqual(await describeOf(sql), [[23, 25], ["x:23"]])
  })

  it("takes declared types, and text for what nothing decides", async () => {
    assert.deepEqual(await describeOf("select $1 as a, $2 as b", [20]), [
      [20, 25],
      ["a:20", "b:25"],
    ])
    assert.deepEqual(await describeOf("select $1, $2", [1007]), [
      [1007, 25],
      ["?column?:1007", "?column?:25"],
    ])
  })

  it("fails as the statement would", async () => {
    await assert.rejects(describeOf("select * from nosuch"), { sqlState: "42P01" })
    assert.equal(connection.state, "clean")
  })
})

describe("transactions", () => {
  it("end harmlessly outside of one, and after an error inside", async () => {
    await connection.endTransaction()
    await connection.beginTransaction("repeatable read", never)
    await assert.rejects(askDuckdb(connection, "select * from nosuch"), { sqlState: "42P01" })
    assert.equal(await connection.settle(100), "clean")
    assert.deepEqual((await askDuckdb(connection, "select 1")).rows, [["1"]])
  })
})
