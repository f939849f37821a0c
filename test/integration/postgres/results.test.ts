import { deepEqual, equal, notEqual, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { Client } from "pg"
import type { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import {
  adapterOf,
  errorOf,
  never,
  readAll,
  request,
  rowsOf,
  settings,
  textParameters,
} from "./support.ts"

let server: TestPostgres
let adapter: PostgresAdapter
let connection: WarehouseConnection

before(async () => {
  server = await startPostgres()
  await server.run(
    "CREATE TABLE public.t (id int PRIMARY KEY, note text); INSERT INTO t VALUES (1, 'one')",
  )
  adapter = adapterOf(server.uri)
  connection = await adapter.connect(never)
})

after(async () => {
  await adapter.close()
  await server.stop()
})

describe("results", () => {
  it("come with the server's own description, rows and tag", async () => {
    const stream = await connection.run(request("SELECT id, note, NULL::text FROM public.t"))
    equal(stream.description?.[0], 0x54)
    deepEqual(await readAll(stream), [["1", "one", null]])
    deepEqual(stream.completion, { tag: "SELECT 1", notices: [] })
    equal(connection.state, "clean")
  })

  it("are the same bytes by the simple and by the extended protocol", async () => {
    const sql = "SELECT id, note, now()::date, 1.50::numeric(8,3) FROM public.t"
    const simple = await connection.run(request(sql))
    const simpleRows = (await simple.next())?.bytes
    await simple.next()
    const extended = await connection.run(request(sql, { settings: settings({ work_mem: "3MB" }) }))
    deepEqual(extended.description, simple.description)
    deepEqual((await extended.next())?.bytes, simpleRows)
    await extended.next()
  })

  it("may be empty, without rows, or without a statement", async () => {
    const none = await connection.run(request("SELECT 1 WHERE false"))
    ok(none.description)
    equal(await none.next(), undefined)
    equal(none.completion.tag, "SELECT 0")
    const empty = await connection.run(request(""))
    equal(empty.description, undefined)
    equal(await empty.next(), undefined)
    const set = await connection.run(request("SET LOCAL work_mem TO '1MB'"))
    equal(set.description, undefined)
    equal(await set.next(), undefined)
    equal(set.completion.tag, "SET")
    equal(set.notices?.length, 1)
  })

  it("carry parameters and binary columns as the server encodes them", async () => {
    const text = await rowsOf(connection, "SELECT $1::int + 1, $2::text", {
      parameters: textParameters("41", null),
    })
    deepEqual(text, [["42", null]])
    const eight = Buffer.alloc(8)
    eight.writeBigInt64BE(7n)
    const stream = await connection.run(
      request("SELECT $1 * 6, 'x'", {
        parameters: { types: [20], formats: [1], values: [eight] },
        resultFormats: [1, 0],
      }),
    )
    const bytes = (await stream.next())?.bytes
    equal(bytes?.readInt32BE(7), 8)
    equal(bytes?.readBigInt64BE(11), 42n)
    equal(await stream.next(), undefined)
  })

  it("carry rows far larger than a chunk unharmed", async () => {
    const sql = "SELECT g, repeat(chr(64 + g), 3000000) FROM generate_series(1, 5) g"
    const rows = await rowsOf(connection, sql)
    deepEqual(
      rows.map(([id, text]) => [id, text?.length, text?.at(0), text?.at(-1)]),
      [1, 2, 3, 4, 5].map((g) => [
        String(g),
        3_000_000,
        String.fromCharCode(64 + g),
        String.fromCharCode(64 + g),
      ]),
    )
  })

  it("equal those of another driver over every row size around the chunk border", async () => {
    const sql = "SELECT g, repeat('x', (g * 7919) % 9001) FROM generate_series(1, 3000) g"
    const client = new Client({ connectionString: server.uri })
    await client.connect()
    const direct = await client.query<{ g: number; repeat: string }>(sql)
    await client.end()
    const rows = await rowsOf(connection, sql)
    deepEqual(
      rows.map(([id, text]) => `${id} ${text}`),
      direct.rows.map(({ g, repeat }) => `${g} ${repeat}`),
    )
  })

  it("bring the notices raised on their way, whole", async () => {
    await server.run(`CREATE FUNCTION public.speak() RETURNS int LANGUAGE plpgsql AS
      $$ BEGIN RAISE NOTICE 'hello %', 'there'; RETURN 1; END $$`)
    const stream = await connection.run(request("SELECT public.speak()"))
    deepEqual(stream.notices, [])
    const batch = await stream.next()
    deepEqual([batch?.rowCount, batch?.notices?.length], [1, 1])
    ok(batch?.notices?.[0]?.includes("hello there"))
    equal(await stream.next(), undefined)
    deepEqual(stream.completion.notices, [])
  })
})

describe("errors", () => {
  it("keep every field that the server sent", async () => {
    const client = new Client({ connectionString: server.superuserUri })
    await client.connect()
    const sql = "SELECT 1/0, nonsense FROM public.t"
    const direct: unknown = await client.query(sql).catch((error: unknown) => error)
    await client.end()
    const error = await errorOf(connection.run(request(sql)))
    const expected = direct as Record<string, unknown>
    deepEqual(
      [error.sqlState, error.message, error.position, error.severity, error.reason],
      [
        expected["code"],
        expected["message"],
        Number(expected["position"]),
        "ERROR",
        "warehouse_error",
      ],
    )
    deepEqual(
      [error.fields?.get("F"), error.fields?.get("L"), error.fields?.get("R")],
      [expected["file"], expected["line"], expected["routine"]],
    )
    equal(connection.state, "clean")
  })

  it("keep schema, table, constraint, detail, hint and context", async () => {
    await server.run(`CREATE FUNCTION public.fail() RETURNS int LANGUAGE plpgsql AS $$ BEGIN
      RAISE EXCEPTION 'm' USING ERRCODE = 'ZZ001', DETAIL = 'd', HINT = 'h', SCHEMA = 's', TABLE = 't',
        COLUMN = 'c', DATATYPE = 'y', CONSTRAINT = 'n'; END $$`)
    const error = await errorOf(rowsOf(connection, "SELECT public.fail()"))
    deepEqual([error.sqlState, error.message, error.detail, error.hint], ["ZZ001", "m", "d", "h"])
    deepEqual(
      ["s", "t", "c", "d", "n"].map((code) => error.fields?.get(code)),
      ["s", "t", "c", "y", "n"],
    )
    ok(error.fields?.get("W")?.includes("PL/pgSQL function"))
  })

  it("after the first rows reject the stream, and the connection serves on", async () => {
    const stream = await connection.run(
      request("SELECT 10 / (100000 - g) FROM generate_series(1, 200000) g"),
    )
    const error = await errorOf(readAll(stream))
    equal(error.message, "division by zero")
    deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
  })

  it("come for a second statement in one text, which the extended protocol refuses", async () => {
    const error = await errorOf(
      rowsOf(connection, "SELECT 1; SELECT 2", { settings: settings({ work_mem: "2MB" }) }),
    )
    equal(error.sqlState, "42601")
  })

  it("refuse writes, whatever the statement", async () => {
    const error = await errorOf(rowsOf(connection, "CREATE TABLE public.u (id int)"))
    equal(error.sqlState, "25006")
  })
})

describe("describing", () => {
  it("tells parameter types and columns without running", async () => {
    const described = await connection.describe(
      request("SELECT id, note FROM public.t WHERE id = $1 AND note = $2"),
    )
    deepEqual(described.parameterTypes, [23, 25])
    const stream = await connection.run(request("SELECT id, note FROM public.t"))
    deepEqual(described.rowDescription, stream.description)
    await readAll(stream)
  })

  it("tells that a statement returns nothing, or why it cannot be described", async () => {
    const described = await connection.describe(request("SET work_mem TO '1MB'"))
    deepEqual(described, { parameterTypes: [], rowDescription: undefined, notices: [] })
    const error = await errorOf(connection.describe(request("SELECT nonsense")))
    equal(error.sqlState, "42703")
    equal(connection.state, "clean")
  })
})

describe("facts and position", () => {
  it("are the server's own", async () => {
    equal(adapter.serverFacts.parameters.get("server_version"), adapter.serverFacts.serverVersion)
    ok(
      adapter.serverFacts.versionText.startsWith(
        `PostgreSQL ${adapter.serverFacts.serverVersion} `,
      ),
    )
  })

  it("are not known before the first connection", async () => {
    const error = await errorOf(Promise.try(() => adapterOf(server.uri).serverFacts))
    equal(error.sqlState, "08006")
  })

  it("the position moves with every commit", async () => {
    const first = await connection.position(never)
    await server.run("INSERT INTO public.t VALUES (2, 'two')")
    notEqual(await connection.position(never), first)
  })

  it("a setting is checked with the server's own words", async () => {
    equal(await connection.checkSetting("work_mem", "2048", never), "2MB")
    const error = await errorOf(connection.checkSetting("timezone", "Nowhere/Land", never))
    equal(error.message, 'invalid value for parameter "TimeZone": "Nowhere/Land"')
    const unknown = await errorOf(connection.checkSetting("no_such", "1", never))
    equal(unknown.message, 'unrecognized configuration parameter "no_such"')
    const refused = await errorOf(connection.checkSetting("role", "postgres", never))
    equal(refused.reason, "setting_not_changeable")
    deepEqual(await rowsOf(connection, "SHOW work_mem"), [["4MB"]])
  })
})
