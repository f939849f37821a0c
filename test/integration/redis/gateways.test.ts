import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { until } from "../../support/redis-topology.ts"

const leaseMs = 600

async function rowsOf(gateway: RunningGateway, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: gateway.uri })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** The value, and where it came from. */
async function ask(gateway: RunningGateway, sql = "SELECT n FROM t"): Promise<unknown[]> {
  const client = new Client({ connectionString: gateway.uri })
  await client.connect()
  try {
    const [row] = (await client.query(sql)).rows
    const [last] = (await client.query("SHOW sluice.last")).rows
    return [row?.n, last?.cache, last?.reason ?? null]
  } finally {
    await client.end()
  }
}

async function call(
  gateway: RunningGateway,
  path: string,
  body?: unknown,
): Promise<{
  readonly status: number
  readonly headers: Headers
  readonly json: Record<string, unknown>
}> {
  const response = await fetch(new URL(path, gateway.controlUrl), {
    method: body === undefined ? "GET" : "POST",
    headers: {
      authorization: `Bearer ${gateway.token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const json = (await response.json()) as Record<string, unknown>
  return { status: response.status, headers: response.headers, json }
}

const invalidate = (gateway: RunningGateway, more: Record<string, unknown> = {}) =>
  call(gateway, "/v1/invalidations", { items: [{ relation: "t" }], ...more })

const cached = (gateway: RunningGateway): Promise<unknown> =>
  until("a hit", async () => ((await ask(gateway))[1] === "hit_l1" ? true : undefined))

describe("gateways that share a Redis", () => {
  let server: TestPostgres
  let redis: TestRedis
  let gateways: RunningGateway[] = []

  before(async () => {
    ;[server, redis] = await Promise.all([startPostgres(), startRedis()])
    await server.run(
      "CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT n FROM t",
    )
    const config = `warehouses:
  warehouse: { engine: postgres, uri: "${server.uri}", catalogRefreshMs: 1h }
redis: { uri: "${redis.uri}", leaseMs: ${leaseMs} }
log: { level: warn }
`
    gateways = await Promise.all([1, 2].map(() => startGateway({ config })))
  })

  after(async () => {
    await Promise.all(gateways.map((gateway) => gateway.stop()))
    await redis.stop()
    await server.stop()
  })

  const pair = (): readonly [RunningGateway, RunningGateway] => {
    const [first, second] = gateways
    if (first === undefined || second === undefined) throw new Error("two gateways")
    return [first, second]
  }

  it("what is invalidated through one is fresh on the other when the call returns", async () => {
    const [first, second] = pair()
    await cached(first)
    await cached(second)
    for (let n = 2; n < 12; n += 1) {
      await server.run(`UPDATE t SET n = ${n}`)
      const { status, json } = await invalidate(n % 2 === 0 ? first : second)
      equal(status, 200)
      deepEqual(json["instances"], { known: 2, confirmed: 2, lease_expired: 0 })
      equal((await ask(first))[0], n)
      equal((await ask(second))[0], n)
      await cached(first)
    }
  })

  it("what is asked while the other instance re-reads the catalogue is found by whoever asks later", async () => {
    const [first, second] = pair()
    const client = new Client({ connectionString: second.uri })
    await client.connect()
    const cacheOf = async () => {
      await client.query("SELECT max(n) FROM t")
      return (await client.query("SHOW sluice.last")).rows[0]?.cache
    }
    for (let round = 0; round < 10; round += 1) {
      equal((await invalidate(first)).status, 200)
      const outcomes = [await cacheOf(), await cacheOf()]
      deepEqual(outcomes, ["miss", "hit_l1"], `round ${round}`)
    }
    await client.end()
  })

  it("a view that a load has replaced is read anew by the instance that was not told", async () => {
    const [first, second] = pair()
    await ask(second, "SELECT n FROM v")
    await server.run(
      "CREATE TABLE t2 (n int); INSERT INTO t2 VALUES (100); CREATE OR REPLACE VIEW v AS SELECT n FROM t2",
    )
    equal((await call(first, "/v1/invalidations", { items: [{ relation: "v" }] })).status, 200)
    deepEqual((await ask(second, "SELECT n FROM v"))[0], 100)
    await server.run("UPDATE t2 SET n = 101")
    equal((await call(first, "/v1/invalidations", { items: [{ relation: "t2" }] })).status, 200)
    deepEqual((await ask(second, "SELECT n FROM v"))[0], 101)
  })

  it("an instance that stands still is waited for until its lease is over, and does not trust its cache when it wakes", async () => {
    const [first, second] = pair()
    await cached(second)
    process.kill(second.pid, "SIGSTOP")
    try {
      await server.run("UPDATE t SET n = 50")
      const early = await invalidate(first, { timeout_seconds: 0.05 })
      equal(early.status, 202)
      equal(early.json["status"], "pending")
      match(early.headers.get("location") ?? "", /^\/v1\/invalidations\/inv_/)
      const none = await invalidate(first, { wait: "none" })
      equal(none.status, 202)
      const location = early.headers.get("location") ?? ""
      await until("the lease to end", async () =>
        (await call(first, location)).json["status"] === "applied" ? true : undefined,
      )
      const { json } = await call(first, location)
      deepEqual(json["instances"], { known: 2, confirmed: 1, lease_expired: 1 })
    } finally {
      process.kill(second.pid, "SIGCONT")
    }
    equal((await ask(second))[0], 50)
    await cached(second)
  })

  it("without Redis statements go on, invalidations are refused, and both come back by themselves", async () => {
    const [first, second] = pair()
    await cached(first)
    await redis.kill()
    await until("the end of the lease", async () =>
      (await ask(first))[2] === "tokens_unavailable" ? true : undefined,
    )
    const refused = await invalidate(first)
    equal(refused.status, 503)
    equal(refused.headers.get("retry-after"), "1")
    equal(refused.json["type"], "redis_unavailable")
    const metrics = await fetch(new URL("/metrics", first.controlUrl), {
      headers: { authorization: `Bearer ${first.token}` },
    })
    const text = await metrics.text()
    match(text, /^sluice_redis_up 0$/m)
    match(text, /^sluice_lease_expired_total [1-9]/m)
    match(
      text,
      /^sluice_redis_command_duration_seconds_count\{result="failed",command="raise"\} [1-9]/m,
    )
    await server.run("UPDATE t SET n = 60")
    equal((await ask(second))[0], 60)
    await redis.start()
    await cached(first)
    await cached(second)
    equal((await invalidate(second)).status, 200)
  })

  it("an instance that stops is not waited for", async () => {
    const [first, second] = pair()
    await second.stop()
    await sleep(50)
    const startMs = performance.now()
    const { json } = await invalidate(first)
    deepEqual(json["instances"], { known: 1, confirmed: 1, lease_expired: 0 })
    ok(performance.now() - startMs < 5_000)
    equal((await rowsOf(first, "SELECT n FROM t"))[0]?.["n"], 60)
  })
})
