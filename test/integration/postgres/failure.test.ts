import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { Pool, type PoolLimits } from "../../../src/pool/pool.ts"
import { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { adapterOf, errorOf, never, readAll, request, rowsOf, until } from "./support.ts"

let server: TestPostgres

const gone = new GatewayError({ sqlState: "57014", reason: "cancelled", message: "gone" })

const limits: PoolLimits = {
  connectionsMax: 4,
  waitersMax: 10,
  waitMsMax: 10_000,
  idleCloseMs: 0,
  lifetimeMsMax: 0,
  connectTimeoutMs: 2_000,
  settleTimeoutMs: 500,
}

before(async () => {
  server = await startPostgres()
})

after(async () => {
  await server.stop()
})

function poolOf(): Pool {
  return new Pool({ name: "main/primary", warehouse: adapterOf(server.uri), limits })
}

describe("a server that dies", () => {
  it("in the middle of a result ends the statement with 08006, never with a short result", async () => {
    const connection = await adapterOf(server.uri).connect(never)
    const stream = await connection.run(
      request("SELECT g, repeat('x', 200) FROM generate_series(1, 10000000) g"),
    )
    ok(await stream.next())
    await server.kill()
    const error = await errorOf(readAll(stream))
    deepEqual(
      [error.sqlState, error.reason, error.severity, error.safeToRetry],
      ["08006", "warehouse_unreachable", "ERROR", false],
    )
    equal(connection.state, "dirty")
    equal((await errorOf(rowsOf(connection, "SELECT 1"))).safeToRetry, true)
    await server.restart()
  })

  it("by a fast shutdown tells its own reason, and the client's session goes on", async () => {
    const connection = await adapterOf(server.uri).connect(never)
    const running = errorOf(rowsOf(connection, "SELECT pg_sleep(60)"))
    await until(async () => {
      const rows = await server.run("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sleep(60)'")
      return rows.length === 1
    })
    await server.restart()
    const error = await running
    deepEqual(
      [error.sqlState, error.message, error.severity, error.reason],
      [
        "57P01",
        "terminating connection due to administrator command",
        "ERROR",
        "warehouse_unreachable",
      ],
    )
    equal(connection.state, "dirty")
  })

  it("and comes back is found again by itself; what lay idle is replaced in silence", async () => {
    const pool = poolOf()
    const leases = await Promise.all([1, 2, 3].map(() => pool.lease({ signal: never })))
    for (const lease of leases) lease[Symbol.dispose]()
    await server.kill()
    const down = await errorOf(pool.lease({ signal: never }))
    equal(down.sqlState, "08006")
    equal(pool.stats().up, false)
    equal((await errorOf(pool.lease({ signal: never }))).safeToRetry, true)
    await server.restart()
    await until(() => pool.stats().up)
    using lease = await pool.lease({ signal: never })
    deepEqual(await rowsOf(lease.connection, "SELECT 1"), [["1"]])
    lease[Symbol.dispose]()
    await pool.close(1_000)
  })

  it("and is back before anybody noticed costs no error", async () => {
    const pool = poolOf()
    ;(await pool.lease({ signal: never }))[Symbol.dispose]()
    await server.restart()
    using lease = await pool.lease({ signal: never })
    deepEqual(await rowsOf(lease.connection, "SELECT 1"), [["1"]])
    lease[Symbol.dispose]()
    await pool.close(1_000)
  })
})

describe("a server that hangs", () => {
  it("keeps nobody longer than the limits say", async () => {
    const pool = poolOf()
    const lease = await pool.lease({ signal: never })
    const { connection } = lease
    const controller = new AbortController()
    server.pause()
    try {
      const running = errorOf(rowsOf(connection, "SELECT 1", { signal: controller.signal }))
      controller.abort(gone)
      equal(await running, gone)
      lease[Symbol.dispose]()
      await until(() => pool.stats().leased === 0)
      equal(connection.state, "dirty")
    } finally {
      server.resume()
    }
    await pool.close(1_000)
  })

  it("is noticed by this side too when a time limit is set", async () => {
    const connection = await adapterOf(server.uri).connect(never)
    server.pause()
    try {
      const error = await errorOf(rowsOf(connection, "SELECT 1", { statementTimeoutMs: 50 }))
      deepEqual([error.sqlState, error.reason], ["57014", "statement_timeout"])
      equal(await connection.settle(100), "dirty")
    } finally {
      server.resume()
    }
  })

  it("at the log-in is given up after the time to connect", async () => {
    const adapter = new PostgresAdapter({ name: "main", uri: server.uri, connectTimeoutMs: 200 })
    server.pause()
    try {
      const error = await errorOf(adapter.connect(never))
      deepEqual([error.sqlState, error.safeToRetry], ["08006", true])
    } finally {
      server.resume()
    }
  })
})

describe("a server that refuses", () => {
  it("is told to the client without its user names and to the log with them", async () => {
    const wrong = server.uri.replace("reader-test-password", "wrong")
    const error = await errorOf(adapterOf(wrong).connect(never))
    deepEqual(
      [error.sqlState, error.message, error.detail, error.safeToRetry],
      ["08006", 'could not connect to warehouse "main"', "The attempt ended with 28P01.", true],
    )
    ok(String(error.cause).includes('password authentication failed for user "reader"'))
    const nobody = await errorOf(adapterOf("postgresql://u:p@127.0.0.1:1/d").connect(never))
    deepEqual([nobody.sqlState, nobody.detail], ["08006", "The attempt ended with ECONNREFUSED."])
  })
})

describe("a long result", () => {
  it("waits for a slow reader on the server's side, not in this process", async () => {
    const connection = await adapterOf(server.uri).connect(never)
    const stream = await connection.run(
      request("SELECT g, repeat('x', 500) FROM generate_series(1, 1000000) g"),
    )
    let rowCount = 0
    let heapMax = 0
    for (let turn = 0; ; turn += 1) {
      const batch = await stream.next()
      if (batch === undefined) break
      rowCount += batch.rowCount
      if (turn % 200 !== 0) continue
      await new Promise((resolve) => setTimeout(resolve, 2))
      const { arrayBuffers } = process.memoryUsage()
      heapMax = Math.max(heapMax, arrayBuffers)
    }
    equal(rowCount, 1_000_000)
    // 512 MB pass through; what is alive is a few chunks and garbage not yet collected.
    ok(heapMax < 128 * 1024 * 1024, `${heapMax} bytes of buffers were alive`)
    connection.close()
  })
})
