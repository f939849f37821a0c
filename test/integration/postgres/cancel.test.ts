import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { Pool } from "../../../src/pool/pool.ts"
import type { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { adapterOf, errorOf, never, request, rowsOf, until } from "./support.ts"

let server: TestPostgres
let adapter: PostgresAdapter

const cancelled = new GatewayError({
  sqlState: "57014",
  reason: "cancelled",
  message: "canceling statement due to user request",
})

before(async () => {
  server = await startPostgres()
  adapter = adapterOf(server.uri)
})

after(async () => {
  await adapter.close()
  await server.stop()
})

async function runningCount(marker: string): Promise<number> {
  const rows = await server.run(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND usename = 'reader' AND query LIKE '%${marker}%'`,
  )
  return Number(rows[0]?.["n"])
}

describe("cancelling", () => {
  it("ends the statement on the server and rejects with the signal's reason", async () => {
    const connection = await adapter.connect(never)
    const controller = new AbortController()
    const running = errorOf(
      rowsOf(connection, "SELECT pg_sleep(60) /* mark-one */", { signal: controller.signal }),
    )
    await until(async () => (await runningCount("mark-one")) === 1)
    controller.abort(cancelled)
    equal(await running, cancelled)
    equal(connection.state, "busy")
    equal(await connection.settle(5_000), "clean")
    equal(await runningCount("mark-one"), 0)
    deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
    connection.close()
  })

  it("sends nothing when the signal was aborted before", async () => {
    const connection = await adapter.connect(never)
    const error = await errorOf(
      rowsOf(connection, "SELECT 1", { signal: AbortSignal.abort(cancelled) }),
    )
    equal(error, cancelled)
    equal(connection.state, "clean")
    connection.close()
  })

  it("lets the next statement of the same transaction fail as PostgreSQL does", async () => {
    const connection = await adapter.connect(never)
    await connection.beginTransaction(undefined, never)
    const controller = new AbortController()
    const running = errorOf(
      rowsOf(connection, "SELECT pg_sleep(60) /* mark-two */", { signal: controller.signal }),
    )
    await until(async () => (await runningCount("mark-two")) === 1)
    controller.abort(cancelled)
    await running
    equal((await errorOf(rowsOf(connection, "SELECT 1"))).sqlState, "25P02")
    await connection.endTransaction()
    deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
    connection.close()
  })

  it("by disposal of an unread result frees the connection, and the rest is never taken for a whole", async () => {
    const connection = await adapter.connect(never)
    const stream = await connection.run(
      request("SELECT generate_series(1, 50000000), repeat('x', 100) /* mark-three */"),
    )
    ok(await stream.next())
    stream[Symbol.dispose]()
    stream[Symbol.dispose]()
    await errorOf(stream.next())
    equal(await connection.settle(5_000), "clean")
    equal(await runningCount("mark-three"), 0)
    deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
    connection.close()
  })

  it("by disposal of a result whose end is at hand needs no cancel", async () => {
    const connection = await adapter.connect(never)
    const stream = await connection.run(request("SELECT 1"))
    stream[Symbol.dispose]()
    equal(connection.state, "clean")
    deepEqual(await rowsOf(connection, "SELECT 2"), [["2"]])
    connection.close()
  })

  it("never hits whoever gets the connection next, in 200 races", async () => {
    const pool = new Pool({
      name: "main/primary",
      warehouse: adapter,
      limits: {
        connectionsMax: 2,
        waitersMax: 10,
        waitMsMax: 20_000,
        idleCloseMs: 0,
        lifetimeMsMax: 0,
        connectTimeoutMs: 5_000,
        settleTimeoutMs: 5_000,
      },
    })
    let cancelledCount = 0
    for (let turn = 0; turn < 200; turn += 1) {
      const controller = new AbortController()
      const lease = await pool.lease({ signal: never })
      // From long before the statement reaches the server to about its end.
      const delayMs = (turn % 20) / 4
      const timer = setTimeout(() => controller.abort(cancelled), delayMs)
      try {
        await rowsOf(lease.connection, "SELECT pg_sleep(0.003)", { signal: controller.signal })
      } catch (error) {
        equal(error, cancelled)
        cancelledCount += 1
      } finally {
        clearTimeout(timer)
        lease[Symbol.dispose]()
      }
      using next = await pool.lease({ signal: never })
      deepEqual(await rowsOf(next.connection, "SELECT pg_sleep(0.001), 1"), [["", "1"]])
    }
    ok(cancelledCount > 20)
    await pool.close(5_000)
  })
})

describe("time limits", () => {
  it("are kept by the server, which says so in its own words", async () => {
    const connection = await adapter.connect(never)
    const error = await errorOf(
      rowsOf(connection, "SELECT pg_sleep(60)", { statementTimeoutMs: 50 }),
    )
    deepEqual(
      [error.sqlState, error.reason, error.message],
      ["57014", "statement_timeout", "canceling statement due to statement timeout"],
    )
    equal(connection.state, "clean")
    deepEqual(await rowsOf(connection, "SHOW statement_timeout"), [["0"]])
    connection.close()
  })
})
