import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { until } from "../../support/redis-topology.ts"

type Told = { readonly severity: string; readonly message: string }

/** The value, where it came from, and what the client was told. */
async function ask(
  gateway: RunningGateway,
  sql = "SELECT n FROM t",
  settings: readonly string[] = [],
): Promise<{ readonly n: unknown; readonly cache: unknown; readonly told: readonly Told[] }> {
  const client = new Client({ connectionString: gateway.uri })
  const told: Told[] = []
  client.on("notice", (notice) =>
    told.push({ severity: notice.severity ?? "", message: notice.message ?? "" }),
  )
  await client.connect()
  try {
    // oxlint-disable-next-line no-await-in-loop -- one session
    for (const setting of settings) await client.query(`SET ${setting}`)
    const [row] = (await client.query(sql)).rows
    const [last] = (await client.query("SHOW sluice.last")).rows
    return { n: row?.n, cache: last?.cache, told }
  } finally {
    await client.end()
  }
}

async function invalidate(
  gateway: RunningGateway,
  more: Record<string, unknown> = {},
  relation = "t",
): Promise<void> {
  const response = await fetch(new URL("/v1/invalidations", gateway.controlUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
    body: JSON.stringify({ items: [{ relation }], ...more }),
  })
  equal(response.status, 200, await response.text())
}

async function metric(gateway: RunningGateway, line: string): Promise<number> {
  const response = await fetch(new URL("/metrics", gateway.controlUrl), {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  const text = await response.text()
  const found = text.split("\n").find((one) => one.startsWith(line))
  ok(found !== undefined, `no metric ${line}`)
  return Number(found.slice(found.lastIndexOf(" ")))
}

const cached = (gateway: RunningGateway, sql?: string): Promise<unknown> =>
  until("a hit", async () => ((await ask(gateway, sql)).cache === "hit_l1" ? true : undefined))

const soft = { mode: "soft", max_stale_seconds: 600 }

describe("soft invalidation on gateways that share a Redis", () => {
  let server: TestPostgres
  let redis: TestRedis
  let gateways: RunningGateway[] = []

  before(async () => {
    ;[server, redis] = await Promise.all([startPostgres(), startRedis()])
    await server.run(
      `CREATE TABLE t (n int); INSERT INTO t VALUES (1); CREATE TABLE u (n int); INSERT INTO u VALUES (1)`,
    )
    const config = `warehouses:
  warehouse: { engine: postgres, uri: "${server.uri}", catalogRefreshMs: 1h }
redis: { uri: "${redis.uri}", leaseMs: 600 }
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

  /** All of `t` held up: what wants to read it waits until `release`. */
  async function held(): Promise<{ readonly release: () => Promise<void> }> {
    const client = new Client({ connectionString: server.superuserUri })
    await client.connect()
    await client.query("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    return {
      release: async () => {
        await client.query("COMMIT")
        await client.end()
      },
    }
  }

  it("serves what was there at once, tells so, and has the new rows when one run has made them", async () => {
    const [first, second] = pair()
    await cached(first)
    await cached(second)
    await server.run("UPDATE t SET n = 2")
    await invalidate(first, soft)
    for (const gateway of [first, second]) {
      const lock = await held()
      try {
        const told = await ask(gateway, undefined, ["sluice.stale_notice = on"])
        deepEqual([told.n, told.cache], [1, "stale"])
        match(told.told.map(({ message }) => message).join(), /made anew/)
        deepEqual((await ask(gateway)).told, [], "only who wants to know is told")
      } finally {
        await lock.release()
      }
      await until("the new rows", async () => {
        const { n, cache } = await ask(gateway)
        if (n === 1) equal(cache, "stale")
        return n === 2 && cache === "hit_l1" ? true : undefined
      })
      ok((await metric(gateway, 'sluice_cache_stale_served_total{kind="soft"}')) >= 1)
      ok((await metric(gateway, 'sluice_cache_refreshes_total{result="ended"}')) >= 1)
    }
  })

  it("a hard invalidation through the other instance ends it before it is answered", async () => {
    const [first, second] = pair()
    for (let n = 10; n < 20; n += 2) {
      await cached(first)
      await cached(second)
      await server.run(`UPDATE t SET n = ${n}`)
      await invalidate(first, soft)
      await server.run(`UPDATE t SET n = ${n + 1}`)
      await invalidate(second)
      const answers = await Promise.all([ask(first), ask(second)])
      for (const { n: seen, cache } of answers) {
        equal(seen, n + 1)
        ok(cache !== "stale")
      }
    }
  })

  it("who asks for fresh rows is not given old ones", async () => {
    const [first] = pair()
    await cached(first)
    await server.run("UPDATE t SET n = 30")
    await invalidate(first, soft)
    equal((await ask(first, undefined, ["sluice.cache = refresh"])).n, 30)
    await cached(first)
    await server.run("UPDATE t SET n = 31")
    await invalidate(first, soft)
    equal((await ask(first, undefined, ["sluice.cache = off"])).n, 31)
  })

  it("the window ends, however many soft ones overlap", async () => {
    const [first, second] = pair()
    await cached(first)
    await cached(second)
    await server.run("UPDATE t SET n = 40")
    await invalidate(first, { mode: "soft", max_stale_seconds: 1 })
    await invalidate(second, soft)
    const ackedMs = performance.now()
    const lock = await held()
    let lastStaleMs = 0
    const client = new Client({ connectionString: second.uri, statement_timeout: 150 })
    await client.connect()
    try {
      await until("the end of the window", async () => {
        const nowMs = performance.now()
        const rows = await client.query("SELECT n FROM t").then(
          (answer) => answer.rows,
          (error: { code?: string }) => error.code,
        )
        if (rows === "57014") return true
        ok(Array.isArray(rows))
        lastStaleMs = nowMs - ackedMs
        return undefined
      })
    } finally {
      await client.end()
      await lock.release()
    }
    ok(lastStaleMs < 1_000, `${lastStaleMs} ms`)
    equal((await ask(second)).n, 40)
  })

  it("a relation that was not named, and readers of it, notice nothing", async () => {
    const [first] = pair()
    await cached(first, "SELECT n FROM u")
    await invalidate(first, soft)
    equal((await ask(first, "SELECT n FROM u")).cache, "hit_l1")
  })

  it("an unchanged result is kept once, under the new tokens", async () => {
    const [first] = pair()
    await cached(first)
    const known = await metric(first, "sluice_cache_refreshes_identical_total")
    await invalidate(first, soft)
    await until("a refresh that gave the same", async () => {
      await ask(first)
      return (await metric(first, "sluice_cache_refreshes_identical_total")) > known
        ? true
        : undefined
    })
    equal((await ask(first)).cache, "hit_l1")
  })
})

const ttlMs = 300

describe("results past their time", () => {
  let server: TestPostgres
  let gateway: RunningGateway

  before(async () => {
    server = await startPostgres()
    await server.run(
      "CREATE TABLE late (n int); INSERT INTO late VALUES (1); CREATE TABLE away (n int); INSERT INTO away VALUES (1); CREATE TABLE ahead (n int); INSERT INTO ahead VALUES (1)",
    )
    gateway = await startGateway({
      config: `warehouses:
  warehouse: { engine: postgres, uri: "${server.uri}", catalogRefreshMs: 1h }
cache:
  ttlClasses:
    - { relations: "*.late", ttlMs: ${ttlMs}ms, staleWhileRevalidateMs: 10m }
    - { relations: "*.away", ttlMs: 300ms, staleIfErrorMs: 10m }
    - { relations: "*.ahead", ttlMs: 4s }
  refresh: { aheadHitsMin: 3, aheadShare: 0.5 }
log: { level: error }
`,
    })
  })

  after(async () => {
    await gateway.stop()
    await server.stop()
  })

  it("is served past its TTL while it is made anew, and never across a hard invalidation", async () => {
    const sql = "SELECT n FROM late"
    equal((await ask(gateway, sql)).n, 1)
    await server.run("UPDATE late SET n = 2")
    await sleep(ttlMs)
    const late = await ask(gateway, sql)
    deepEqual([late.n, late.cache], [1, "stale"])
    await until("the new value", async () => ((await ask(gateway, sql)).n === 2 ? true : undefined))
    await server.run("UPDATE late SET n = 3")
    await invalidate(gateway, {}, "late")
    equal((await ask(gateway, sql)).n, 3)
    await sleep(ttlMs)
    await server.run("UPDATE late SET n = 4")
    await invalidate(gateway, {}, "late")
    equal((await ask(gateway, sql)).n, 4)
  })

  it("a popular result is made anew before its end, so that nobody waits for it", async () => {
    const sql = "SELECT n FROM ahead"
    equal((await ask(gateway, sql)).cache, "miss")
    await server.run("UPDATE ahead SET n = 2")
    const outcomes = new Set<unknown>()
    await until("the new value", async () => {
      const { n, cache } = await ask(gateway, sql)
      outcomes.add(cache)
      return n === 2 ? true : undefined
    })
    deepEqual([...outcomes], ["hit_l1"])
  })

  it("stands in for a warehouse that is away, with a warning, until an invalidation", async () => {
    const sql = "SELECT n FROM away"
    equal((await ask(gateway, sql)).n, 1)
    await cached(gateway, sql)
    await server.stop()
    const seen = await until("a stale answer", async () => {
      const answer = await ask(gateway, sql).catch(() => undefined)
      return answer?.cache === "stale" ? answer : undefined
    })
    equal(seen.n, 1)
    deepEqual(
      seen.told.map(({ severity }) => severity),
      ["WARNING"],
    )
    await invalidate(gateway, {}, "away")
    const client = new Client({ connectionString: gateway.uri })
    await client.connect()
    try {
      await client.query(sql).then(
        () => ok(false, "an answer from before the invalidation"),
        (error: { code?: string }) => ok(error.code?.startsWith("08") === true, error.code),
      )
    } finally {
      await client.end()
    }
  })
})
