import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict"
import { beforeEach, describe, it, mock } from "node:test"
import { GatewayError, InvariantViolation } from "../../../src/core/errors.ts"
import { backoffMs, backoffMsMax, backoffMsMin } from "../../../src/pool/backoff.ts"
import type { Lease } from "../../../src/pool/lease.ts"
import { Pool, type PoolLimits } from "../../../src/pool/pool.ts"
import {
  type ScriptedConnection,
  ScriptedWarehouse,
  settleMicrotasks,
} from "./scripted-warehouse.ts"

const limits: PoolLimits = {
  connectionsMax: 2,
  waitersMax: 2,
  waitMsMax: 500,
  idleCloseMs: 10_000,
  lifetimeMsMax: 60_000,
  connectTimeoutMs: 300,
  settleTimeoutMs: 100,
}

const never = new AbortController().signal
let nowMs = 0

function tick(ms: number): void {
  nowMs += ms
  mock.timers.tick(ms)
}

function setUp(changes: Partial<PoolLimits> = {}) {
  const warehouse = new ScriptedWarehouse()
  const heard: string[] = []
  const pool = new Pool({
    name: "main",
    warehouse,
    limits: { ...limits, ...changes },
    now: () => nowMs,
    events: {
      waited: (waitMs) => heard.push(`waited ${waitMs}`),
      connected: () => heard.push("connected"),
      connectFailed: () => heard.push("connectFailed"),
      closed: (reason) => heard.push(`closed ${reason}`),
      misused: (error) => heard.push(`misused ${error.message}`),
    },
  })
  return { warehouse, pool, heard }
}

function connectionOf(lease: Lease): ScriptedConnection {
  return lease.connection as ScriptedConnection
}

function isGatewayError(reason: string, sqlState: string, safeToRetry = true) {
  return (error: unknown): boolean => {
    ok(error instanceof GatewayError)
    deepEqual([error.reason, error.sqlState, error.safeToRetry], [reason, sqlState, safeToRetry])
    return true
  }
}

const refused = new GatewayError({
  sqlState: "08006",
  reason: "warehouse_unreachable",
  message: "connection refused",
  safeToRetry: true,
})

beforeEach(() => {
  nowMs = 0
  mock.timers.reset()
  mock.timers.enable({ apis: ["setTimeout"] })
})

describe("leasing", () => {
  it("opens connections only up to the limit and takes the most recently used free one first", async () => {
    const { pool, warehouse } = setUp()
    const a = await pool.lease({ signal: never })
    const b = await pool.lease({ signal: never })
    equal(warehouse.connections.length, 2)
    const [first, second] = [connectionOf(a), connectionOf(b)]
    a[Symbol.dispose]()
    b[Symbol.dispose]()
    const c = await pool.lease({ signal: never })
    equal(connectionOf(c), second)
    const d = await pool.lease({ signal: never })
    equal(connectionOf(d), first)
    equal(warehouse.connections.length, 2)
  })

  it("serves waiters in the order of their coming", async () => {
    const { pool } = setUp({ connectionsMax: 1, waitersMax: 10 })
    const order: number[] = []
    const held = await pool.lease({ signal: never })
    const waits = [1, 2, 3].map(async (number) => {
      using lease = await pool.lease({ signal: never })
      order.push(number)
      await Promise.resolve()
      equal(lease.endpoint, "main")
    })
    await settleMicrotasks()
    deepEqual(order, [])
    held[Symbol.dispose]()
    await Promise.all(waits)
    deepEqual(order, [1, 2, 3])
    deepEqual(pool.stats(), {
      total: 1,
      idle: 1,
      leased: 0,
      connecting: 0,
      waiters: 0,
      free: 1,
      up: true,
    })
  })

  it("hands over a free connection within the same macrotask", async () => {
    const { pool } = setUp()
    ;(await pool.lease({ signal: never }))[Symbol.dispose]()
    let isLater = false
    setImmediate(() => {
      isLater = true
    })
    using lease = await pool.lease({ signal: never })
    ok(connectionOf(lease))
    equal(isLater, false)
  })

  it("refuses the one who finds the queue full, and tells that a retry is safe", async () => {
    const { pool } = setUp({ connectionsMax: 1, waitersMax: 1 })
    const held = await pool.lease({ signal: never })
    const waiting = pool.lease({ signal: never })
    await rejects(pool.lease({ signal: never }), isGatewayError("queue_full", "53300"))
    held[Symbol.dispose]()
    ok(await waiting)
  })

  it("does not count those for whom a connection is being opened against the queue", async () => {
    const { pool, warehouse } = setUp({ connectionsMax: 2, waitersMax: 0 })
    warehouse.isOpen = false
    const waits = [pool.lease({ signal: never }), pool.lease({ signal: never })]
    await rejects(pool.lease({ signal: never }), isGatewayError("queue_full", "53300"))
    for (const attempt of warehouse.attempts) attempt.accept()
    equal((await Promise.all(waits)).length, 2)
  })

  it("gives up a wait after the shorter of both limits", async () => {
    const { pool } = setUp({ connectionsMax: 1 })
    using held = await pool.lease({ signal: never })
    const long = pool.lease({ signal: never, waitMsMax: 60_000 })
    const short = pool.lease({ signal: never, waitMsMax: 20 })
    tick(20)
    await rejects(short, isGatewayError("queue_timeout", "53300"))
    equal(pool.stats().waiters, 1)
    tick(480)
    await rejects(long, isGatewayError("queue_timeout", "53300"))
    equal(pool.stats().waiters, 0)
    ok(held.connection)
  })

  it("forgets a waiter whose signal aborts, and rejects with the signal's reason", async () => {
    const { pool } = setUp({ connectionsMax: 1 })
    const held = await pool.lease({ signal: never })
    const gone = new AbortController()
    const waiting = pool.lease({ signal: gone.signal })
    const next = pool.lease({ signal: never })
    await settleMicrotasks()
    gone.abort(refused)
    await rejects(waiting, refused)
    held[Symbol.dispose]()
    ok(await next)
    await rejects(pool.lease({ signal: gone.signal }), refused)
  })

  it("keeps a connection that was opened for someone who left", async () => {
    const { pool, warehouse } = setUp()
    warehouse.isOpen = false
    const gone = new AbortController()
    const waiting = pool.lease({ signal: gone.signal })
    gone.abort(refused)
    await rejects(waiting, refused)
    const connection = warehouse.attempts[0]?.accept()
    await settleMicrotasks()
    equal(pool.stats().idle, 1)
    using lease = await pool.lease({ signal: never })
    equal(connectionOf(lease), connection)
  })
})

describe("giving back", () => {
  it("counts a connection as leased until it has settled, and gives it on only then", async () => {
    const { pool } = setUp({ connectionsMax: 1 })
    const lease = await pool.lease({ signal: never })
    const connection = connectionOf(lease)
    connection.state = "busy"
    lease[Symbol.dispose]()
    equal(pool.stats().leased, 1)
    const next = pool.lease({ signal: never })
    await settleMicrotasks()
    equal(pool.stats().waiters, 1)
    connection.finishSettle("clean")
    equal(connectionOf(await next), connection)
    equal(connection.settleCount, 1)
  })

  it("closes a connection that stays dirty and opens another for the one who waits", async () => {
    const { pool, warehouse, heard } = setUp({ connectionsMax: 1 })
    const lease = await pool.lease({ signal: never })
    const connection = connectionOf(lease)
    connection.state = "busy"
    lease[Symbol.dispose]()
    const next = pool.lease({ signal: never })
    connection.finishSettle("dirty")
    equal(connectionOf(await next), warehouse.connections[1])
    equal(connection.isClosed, true)
    ok(heard.includes("closed dirty"))
  })

  it("reports a second disposal and gives the connection to nobody twice", async () => {
    const { pool, heard } = setUp({ connectionsMax: 1 })
    const lease = await pool.lease({ signal: never })
    lease[Symbol.dispose]()
    using other = await pool.lease({ signal: never })
    lease[Symbol.dispose]()
    ok(other.connection)
    equal(pool.stats().leased, 1)
    ok(heard.some((line) => line.startsWith("misused")))
    throws(() => lease.connection, InvariantViolation)
  })

  it("clears free connections that died with the one that came back dirty", async () => {
    const { pool, warehouse } = setUp()
    const a = await pool.lease({ signal: never })
    const b = await pool.lease({ signal: never })
    b[Symbol.dispose]()
    for (const connection of warehouse.connections) connection.state = "dirty"
    a[Symbol.dispose]()
    warehouse.connections[0]?.finishSettle("dirty")
    await settleMicrotasks()
    equal(pool.stats().total, 0)
    using fresh = await pool.lease({ signal: never })
    equal(connectionOf(fresh).number, 2)
  })

  it("replaces a connection that died while it was free, in silence", async () => {
    const { pool, warehouse } = setUp()
    ;(await pool.lease({ signal: never }))[Symbol.dispose]()
    for (const connection of warehouse.connections) connection.state = "dirty"
    using lease = await pool.lease({ signal: never })
    equal(connectionOf(lease).number, 1)
  })
})

describe("ageing", () => {
  it("closes free connections after their idle time and keeps the ones in use", async () => {
    const { pool, heard } = setUp()
    using held = await pool.lease({ signal: never })
    ;(await pool.lease({ signal: never }))[Symbol.dispose]()
    for (let turn = 0; turn < 4; turn += 1) tick(5_000)
    deepEqual([pool.stats().idle, pool.stats().leased], [0, 1])
    ok(heard.includes("closed idle"))
    ok(held.connection)
  })

  it("closes a connection past its lifetime when it comes back", async () => {
    const { pool, heard } = setUp()
    const lease = await pool.lease({ signal: never })
    nowMs += 60_000
    lease[Symbol.dispose]()
    equal(pool.stats().total, 0)
    ok(heard.includes("closed lifetime"))
  })

  it("never closes by age when both limits are 0", async () => {
    const { pool } = setUp({ idleCloseMs: 0, lifetimeMsMax: 0 })
    ;(await pool.lease({ signal: never }))[Symbol.dispose]()
    tick(100_000_000)
    equal(pool.stats().idle, 1)
  })
})

describe("an endpoint that is down", () => {
  it("rejects all who wait when the first connection fails, then fails fast without connecting", async () => {
    const { pool, warehouse } = setUp()
    warehouse.isOpen = false
    const waits = [1, 2].map(() => pool.lease({ signal: never }))
    for (const attempt of warehouse.attempts) attempt.refuse(refused)
    for (const wait of waits) await rejects(wait, refused)
    equal(pool.stats().up, false)
    await rejects(pool.lease({ signal: never }), isGatewayError("warehouse_unreachable", "08006"))
    equal(warehouse.attempts.length, 2)
  })

  it("is probed by one attempt at a time with growing pauses, and recovers by itself", async () => {
    const { pool, warehouse } = setUp()
    warehouse.isOpen = false
    const wait = pool.lease({ signal: never })
    warehouse.attempts[0]?.refuse(refused)
    await rejects(wait, refused)
    tick(backoffMsMin)
    equal(warehouse.attempts.length, 2)
    tick(backoffMsMax)
    equal(warehouse.attempts.length, 2)
    warehouse.attempts[1]?.refuse(refused)
    await settleMicrotasks()
    tick(backoffMsMin)
    equal(warehouse.attempts.length, 2)
    tick(backoffMsMin)
    equal(warehouse.attempts.length, 3)
    warehouse.attempts[2]?.accept()
    await settleMicrotasks()
    equal(pool.stats().up, true)
    ok(await pool.lease({ signal: never }))
  })

  it("counts a connection that takes too long as failed", async () => {
    const { pool, warehouse } = setUp()
    warehouse.isOpen = false
    const wait = pool.lease({ signal: never })
    tick(300)
    await rejects(wait, isGatewayError("warehouse_unreachable", "08006"))
    equal(pool.stats().connecting, 0)
  })

  it("lets those who wait have the living connections while new ones fail", async () => {
    const { pool, warehouse } = setUp()
    const held = await pool.lease({ signal: never })
    warehouse.isOpen = false
    const wait = pool.lease({ signal: never })
    warehouse.attempts[0]?.refuse(refused)
    await settleMicrotasks()
    deepEqual([pool.stats().up, pool.stats().waiters], [true, 1])
    held[Symbol.dispose]()
    ok(await wait)
  })

  it("goes down again after a recovery, whatever timer was left", async () => {
    const { pool, warehouse } = setUp({ connectionsMax: 2 })
    warehouse.isOpen = false
    const waits = [pool.lease({ signal: never }), pool.lease({ signal: never })]
    warehouse.attempts[0]?.refuse(refused)
    await settleMicrotasks()
    const connection = warehouse.attempts[1]?.accept()
    for (const wait of waits) (await wait)[Symbol.dispose]()
    equal(pool.stats().up, true)
    if (connection !== undefined) connection.state = "dirty"
    const wait = pool.lease({ signal: never })
    warehouse.attempts.at(-1)?.refuse(refused)
    await rejects(wait, refused)
    equal(pool.stats().up, false)
  })

  it("waits at most the longest pause between attempts", () => {
    equal(backoffMs(1, 0), backoffMsMin)
    equal(backoffMs(1_000, 0), backoffMsMax)
    ok(backoffMs(3, 1) < backoffMs(3, 0))
  })
})

describe("closing", () => {
  it("rejects those who wait and whoever comes, and waits for the leases", async () => {
    const { pool } = setUp({ connectionsMax: 1 })
    const held = await pool.lease({ signal: never })
    const connection = connectionOf(held)
    const wait = pool.lease({ signal: never })
    let isClosed = false
    const close = async (): Promise<void> => {
      await pool.close(1_000)
      isClosed = true
    }
    const closing = close()
    await rejects(wait, isGatewayError("draining", "57P03"))
    await rejects(pool.lease({ signal: never }), isGatewayError("draining", "57P03"))
    equal(isClosed, false)
    held[Symbol.dispose]()
    await closing
    equal(connection.isClosed, true)
    equal(pool.stats().total, 0)
  })

  it("closes what is still in use when the time is over", async () => {
    const { pool } = setUp()
    const held = await pool.lease({ signal: never })
    const connection = connectionOf(held)
    const closing = pool.close(1_000)
    tick(1_000)
    await closing
    equal(connection.isClosed, true)
    held[Symbol.dispose]()
    equal(pool.stats().total, 0)
  })

  it("aborts the attempts to connect", async () => {
    const { pool, warehouse } = setUp()
    warehouse.isOpen = false
    const wait = pool.lease({ signal: never })
    const outcome = rejects(wait, isGatewayError("draining", "57P03"))
    await pool.close(1_000)
    await outcome
    equal(warehouse.attempts[0]?.signal.aborted, true)
  })
})
