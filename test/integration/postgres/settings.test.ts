import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import type { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { adapterOf, errorOf, never, noSettings, rowsOf, settings } from "./support.ts"

let server: TestPostgres
let adapter: PostgresAdapter
let connection: WarehouseConnection

const showAll =
  "SELECT current_setting('search_path'), current_setting('TimeZone'), current_setting('statement_timeout')"
const opened = ['"$user", public', "UTC", "0"]

before(async () => {
  server = await startPostgres()
  adapter = adapterOf(server.uri)
  connection = await adapter.connect(never)
})

after(async () => {
  await adapter.close()
  await server.stop()
})

describe("settings", () => {
  it("are in force for the statement they come with, lists and quotes included", async () => {
    const mine = settings({
      search_path: `"Mixed Case", pg_catalog, "o'nil"`,
      timezone: "Asia/Tokyo",
    })
    deepEqual(await rowsOf(connection, showAll, { settings: mine, statementTimeoutMs: 5_000 }), [
      [`"Mixed Case", pg_catalog, "o'nil"`, "Asia/Tokyo", "5s"],
    ])
  })

  it("never reach the next user of the connection", async () => {
    deepEqual(await rowsOf(connection, showAll, { settings: noSettings }), [opened])
  })

  it("differ from statement to statement without a trace of one in the other", async () => {
    const zones = ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/Lima"]
    for (let turn = 0; turn < 100; turn += 1) {
      const zone = zones[(turn * 7) % zones.length] ?? "UTC"
      const path = turn % 3 === 0 ? undefined : `s${turn % 5}`
      const view = settings({
        timezone: zone,
        ...(path === undefined ? {} : { search_path: path }),
      })
      const timeoutMs = turn % 4 === 0 ? 0 : 60_000
      deepEqual(
        await rowsOf(connection, showAll, { settings: view, statementTimeoutMs: timeoutMs }),
        [[path ?? opened[0], zone, timeoutMs === 0 ? "0" : "1min"]],
      )
    }
    deepEqual(await rowsOf(connection, showAll), [opened])
  })

  it("are taken back when the statement fails, and sent again with the next", async () => {
    const tokyo = settings({ timezone: "Asia/Tokyo" })
    equal((await errorOf(rowsOf(connection, "SELECT 1/0", { settings: tokyo }))).sqlState, "22012")
    deepEqual(await rowsOf(connection, showAll), [opened])
    deepEqual(await rowsOf(connection, "SHOW timezone", { settings: tokyo }), [["Asia/Tokyo"]])
  })

  it("that the server refuses stop the statement, which then did not run", async () => {
    const bad = settings({ timezone: "Nowhere/Land" })
    const sql = "SELECT pg_advisory_lock(4711)"
    const error = await errorOf(rowsOf(connection, sql, { settings: bad }))
    equal(error.message, 'invalid value for parameter "TimeZone": "Nowhere/Land"')
    deepEqual(await server.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), [])
    deepEqual(await rowsOf(connection, showAll), [opened])
  })

  it("come back after the transaction that changed them was rolled back", async () => {
    const berlin = settings({ timezone: "Europe/Berlin" })
    const lima = settings({ timezone: "America/Lima" })
    await rowsOf(connection, "SELECT 1", { settings: berlin })
    await connection.beginTransaction(undefined, never)
    equal(connection.state, "busy")
    deepEqual(await rowsOf(connection, "SHOW timezone", { settings: lima }), [["America/Lima"]])
    await connection.endTransaction()
    equal(connection.state, "clean")
    deepEqual(await rowsOf(connection, "SHOW timezone", { settings: berlin }), [["Europe/Berlin"]])
    deepEqual(await rowsOf(connection, "SHOW timezone", { settings: lima }), [["America/Lima"]])
    deepEqual(await rowsOf(connection, "SHOW timezone"), [["UTC"]])
  })

  it("that would change who reads or what may be written are never sent", async () => {
    const bad = settings({
      role: "postgres",
      session_authorization: "postgres",
      default_transaction_read_only: "off",
    })
    deepEqual(
      await rowsOf(connection, "SELECT current_user, current_setting('transaction_read_only')", {
        settings: bad,
      }),
      [["reader", "on"]],
    )
  })

  it("are checked inside a transaction without harm to it", async () => {
    await connection.beginTransaction("repeatable read", never)
    equal((await errorOf(connection.checkSetting("timezone", "x/y", never))).sqlState, "22023")
    equal(await connection.checkSetting("timezone", "asia/tokyo", never), "Asia/Tokyo")
    deepEqual(await rowsOf(connection, "SELECT current_setting('TimeZone')"), [["UTC"]])
    deepEqual(await rowsOf(connection, "SHOW transaction_isolation"), [["repeatable read"]])
    await connection.endTransaction()
  })

  it("and locks that a statement itself left are gone before the next one", async () => {
    await rowsOf(connection, "SELECT set_config('search_path', 'evil', false), pg_advisory_lock(1)")
    equal(connection.state, "busy")
    deepEqual(await rowsOf(connection, showAll), [opened])
    await rowsOf(connection, "SELECT set_config('timezone', 'Asia/Tokyo', false)")
    equal(await connection.settle(1_000), "clean")
    deepEqual(await rowsOf(connection, showAll), [opened])
    deepEqual(await server.run("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), [])
  })

  it("a failed transaction is rolled back by settle", async () => {
    await connection.beginTransaction(undefined, never)
    await errorOf(rowsOf(connection, "SELECT 1/0"))
    equal((await errorOf(rowsOf(connection, "SELECT 1"))).sqlState, "25P02")
    equal(await connection.settle(1_000), "clean")
    deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
  })
})
