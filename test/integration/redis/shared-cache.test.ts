import { deepEqual, equal, match, ok } from "node:assert/strict"
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { DelayProxy } from "../../support/delay-proxy.ts"
import { bind, execute, parse, query, sync } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { until } from "../../support/redis-topology.ts"
import { textRows, WireClient } from "../../support/wire-client.ts"

/** Gateways as processes of their own, with one PostgreSQL and one Redis. */

const seedSql = `
CREATE SCHEMA mart;
CREATE TABLE mart.orders (id integer, org_id integer, amount numeric(10,2), note bytea);
INSERT INTO mart.orders SELECT g, g % 2 + 1, g * 1.25, decode(repeat('00ff0a27', g), 'hex') FROM generate_series(1, 40) AS g;
CREATE TABLE mart.wide AS SELECT g AS id, 'product ' || g AS name, g * 7 AS amount FROM generate_series(1, 4000) AS g;
GRANT ALL ON ALL TABLES IN SCHEMA mart TO PUBLIC;
ANALYZE;
`

const password = "correct horse"
const policies = `
claims:
  org_id: { type: int8 }
relations:
  mart.orders:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [everything]
`

let postgres: TestPostgres
let redis: TestRedis
let proxy: DelayProxy
let folder: string
const gateways: RunningGateway[] = []

async function gateway(options: { readonly port?: number; readonly sealing?: string } = {}) {
  const verifier = await makeVerifier(password)
  const { port = redis.port, sealing = "" } = options
  const started = await startGateway({
    config: `warehouses: { warehouse: { engine: postgres, uri: "${postgres.uri}" } }
policiesFile: ${join(folder, "policies.yaml")}
redis: { uri: "redis://127.0.0.1:${port}" }
cache: { shared: { warehouseMsMin: 0 ${sealing} } }
roles:
  everything: { relations: { allow: ["*"] } }
  one: { relations: { allow: ["mart.*"] } }
users:
  reader: { verifier: "${verifier}", roles: [everything] }
  ann: { verifier: "${verifier}", roles: [one], claims: { org_id: 1 } }
  ava: { verifier: "${verifier}", roles: [one], claims: { org_id: 1 } }
  bob: { verifier: "${verifier}", roles: [one], claims: { org_id: 2 } }
log: { level: warn }`,
    login: { user: "reader", password },
  })
  gateways.push(started)
  return started
}

/**
 * Has the catalogue in force: until it is read again after an invalidation, nobody knows whether the user has a schema of its
 * own, and sessions that might do not share with those that have none.
 */
async function client(of: RunningGateway, user = "reader"): Promise<WireClient> {
  const one = await WireClient.connect({ port: of.port, user, password, database: "warehouse" })
  await one.query(query("SELECT 1"))
  return one
}

/** Rows, and what `SHOW sluice.last` tells of them. */
async function asked(one: WireClient, sql: string) {
  const rows = textRows(await one.query(query(sql)))
  const [last = []] = textRows(await one.query(query("SHOW sluice.last")))
  const [cache, reason, ageMs, key] = last
  return { rows, cache, reason, ageMs: Number(ageMs), key, tier: last.at(-2), tokens: last.at(-1) }
}

async function outcomeOf(of: RunningGateway, sql: string, user = "reader") {
  const one = await client(of, user)
  const { cache, reason, rows } = await asked(one, sql)
  one.destroy()
  return { outcome: [cache, reason].filter((word) => word !== null).join(" "), rows }
}

async function metric(of: RunningGateway, name: string, labels = ""): Promise<number> {
  const response = await fetch(new URL("/metrics", of.controlUrl), {
    headers: { authorization: `Bearer ${of.token}` },
  })
  const text = await response.text()
  const line = text.split("\n").find((one) => one.startsWith(`sluice_${name}${labels} `))
  return Number(line?.split(" ").at(-1) ?? Number.NaN)
}

async function invalidate(through: RunningGateway, relation: string): Promise<void> {
  const response = await fetch(new URL("/v1/invalidations", through.controlUrl), {
    method: "POST",
    headers: {
      authorization: `Bearer ${through.token}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ items: [{ relation }], wait: "cluster" }),
  })
  equal(response.status, 200, await response.text())
}

const valueKeys = async (): Promise<string[]> => (await redis.command("KEYS", "*:v:*")) as string[]

const isShared = async (key: string | null | undefined): Promise<boolean> =>
  (await valueKeys()).some((name) => name.endsWith(`v:{${key}}`))

/** Asks, and waits until the answer stands in Redis. */
async function filled(of: RunningGateway, sql: string, user = "reader") {
  const through = await client(of, user)
  const { rows, cache, key } = await asked(through, sql)
  through.destroy()
  equal(cache, "miss")
  await until("the answer to be shared", () => isShared(key))
  return rows
}

const sealing = (id: string, byte: string): string =>
  `, sealing: [{ id: ${id}, secret: "${byte.repeat(32)}" }]`

const orderCount = async (): Promise<string> =>
  String((await postgres.run("SELECT count(*) AS n FROM mart.orders"))[0]?.["n"])

describe("gateways that share answers", () => {
  let one: RunningGateway
  let other: RunningGateway
  before(async () => {
    postgres = await startPostgres()
    await postgres.run(seedSql)
    redis = await startRedis()
    proxy = await DelayProxy.start(redis.port)
    folder = await mkdtemp(join(tmpdir(), "sluice-shared-"))
    await writeFile(join(folder, "policies.yaml"), policies)
    await chmod(folder, 0o755)
    one = await gateway()
    other = await gateway()
  })
  after(async () => {
    for (const each of gateways) await each.stop()
    await proxy.stop()
    await redis.stop()
    await postgres.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it("one fills, the other serves the same bytes, and both tell the same key and tokens", async () => {
    const sql = "SELECT id, amount, note FROM mart.orders ORDER BY id"
    const [first, second] = [await client(one), await client(other)]
    const miss = await asked(first, sql)
    await until("the answer to be shared", () => isShared(miss.key))
    const hit = await asked(second, sql)
    deepEqual(hit.rows, miss.rows)
    equal(hit.rows.length, 40)
    deepEqual([miss.cache, miss.tier, hit.cache, hit.tier], ["miss", null, "hit_l2", "shared"])
    deepEqual([hit.key, hit.tokens], [miss.key, miss.tokens])
    match(hit.tokens ?? "", /^epoch [0-9a-f]+; mart\.orders -$/)
    ok(hit.ageMs >= 0 && hit.ageMs < 60_000)
    equal((await valueKeys()).filter((key) => key.includes(`{${hit.key}}`)).length, 1)
    equal((await asked(second, sql)).cache, "hit_l1")
    first.destroy()
    second.destroy()
  })

  it("results above 64 KiB and in binary come back as PostgreSQL sent them", async () => {
    const sql = "SELECT id, name, amount FROM mart.wide ORDER BY id"
    const rows = await filled(one, sql)
    const hit = await outcomeOf(other, sql)
    equal(hit.outcome, "hit_l2")
    deepEqual(hit.rows, rows)
    const [first, second] = [await client(one), await client(other)]
    const batch = [
      parse("SELECT id, amount FROM mart.wide WHERE id < 5"),
      bind({ resultFormats: [1] }),
      execute(),
      sync,
    ]
    const expected = await first.query(...batch)
    const [[, , , key] = []] = textRows(await first.query(query("SHOW sluice.last")))
    await until("the answer to be shared", () => isShared(key))
    deepEqual(await second.query(...batch), expected)
    const [[cache] = []] = textRows(await second.query(query("SHOW sluice.last")))
    equal(cache, "hit_l2")
    first.destroy()
    second.destroy()
  })

  it("after an invalidation through either, neither serves what was before", async () => {
    const sql = "SELECT count(*), max(amount) FROM mart.orders"
    for (const [writer, reader] of [
      [one, other],
      [other, one],
    ] as const) {
      const earlier = await filled(writer, sql)
      equal((await outcomeOf(reader, sql)).outcome, "hit_l2")
      await postgres.run("INSERT INTO mart.orders VALUES (99, 1, 1000, NULL)")
      await invalidate(writer, "mart.orders")
      const fresh = await outcomeOf(reader, sql)
      equal(fresh.outcome, "miss")
      equal(Number(fresh.rows[0]?.[0]), Number(earlier[0]?.[0]) + 1)
      await until("the answer to be shared", async () => {
        const { outcome } = await outcomeOf(writer, sql)
        return outcome.startsWith("hit")
      })
      await invalidate(reader, "mart.orders")
    }
  })

  it("readers of the same rights share over instances, others never do", async () => {
    const sql = "SELECT id, org_id FROM mart.orders ORDER BY id"
    const rows = await filled(one, sql, "ann")
    deepEqual([...new Set(rows.map(([, org]) => org))], ["1"])
    const same = await outcomeOf(other, sql, "ava")
    deepEqual([same.outcome, same.rows], ["hit_l2", rows])
    const bob = await outcomeOf(other, sql, "bob")
    equal(bob.outcome, "miss")
    deepEqual([...new Set(bob.rows.map(([, org]) => org))], ["2"])
    const all = await outcomeOf(other, sql, "reader")
    equal(all.outcome, "miss")
    equal(new Set(all.rows.map(([, org]) => org)).size, 2)
  })

  it("one statement reaches PostgreSQL when both instances are asked at once", async () => {
    const sql = "SELECT sum(amount) FROM mart.wide"
    const holder = await WireClient.connect({
      port: postgres.port,
      user: new URL(postgres.uri).username,
      password: new URL(postgres.uri).password,
      database: postgres.database,
    })
    await holder.query(query("BEGIN; LOCK TABLE mart.wide IN ACCESS EXCLUSIVE MODE"))
    const answers = [one, other, one, other].map((each) => outcomeOf(each, sql))
    const waiting = async (): Promise<number> => {
      const [row] = await postgres.run(
        "SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted AND relation = 'mart.wide'::regclass",
      )
      return Number(row?.["n"])
    }
    await until("the run to wait for the lock", async () => (await waiting()) > 0)
    await sleep(500)
    equal(await waiting(), 1)
    await holder.query(query("COMMIT"))
    const outcomes = (await Promise.all(answers)).map(({ outcome }) => outcome)
    deepEqual(outcomes.toSorted(), ["coalesced", "coalesced", "hit_l2", "miss"])
    holder.destroy()
  })

  it("garbage under every key costs a miss and is counted", async () => {
    const sql = "SELECT min(amount) FROM mart.wide"
    await filled(one, sql)
    for (const key of await valueKeys()) await redis.command("SET", key, "garbage", "KEEPTTL")
    const { outcome } = await outcomeOf(other, sql)
    equal(outcome, "miss")
    equal(await metric(other, "cache_requests_total", '{tier="l2",result="malformed"}'), 1)
    ok((await metric(other, "cache_requests_total", '{tier="l2",result="hit"}')) > 0)
    ok((await metric(other, "cache_shared_bytes_total", '{direction="read"}')) > 0)
  })

  it("an instance with a key ring does not take unsealed values, nor others its sealed ones", async () => {
    const [sealed, twin, foreign] = [
      await gateway({ sealing: sealing("a", "1f") }),
      await gateway({ sealing: sealing("a", "1f") }),
      await gateway({ sealing: sealing("b", "2f") }),
    ]
    const sql = "SELECT max(id) FROM mart.wide"
    const rows = await filled(sealed, sql)
    deepEqual(await outcomeOf(twin, sql), { outcome: "hit_l2", rows })
    equal((await outcomeOf(foreign, sql)).outcome, "miss")
    const failures = "cache_seal_failures_total"
    ok((await metric(foreign, failures, '{reason="unknown_seal_key"}')) >= 1)
    await sleep(100)
    equal((await outcomeOf(one, sql)).outcome, "miss")
    ok((await metric(one, failures, '{reason="not_sealed_alike"}')) >= 1)
    for (const each of [sealed, twin, foreign]) await each.stop()
  })

  it("a slow Redis is passed by, and counted: answers come right", async () => {
    const slow = await gateway({ port: proxy.port })
    await until("it to be in use", async () => {
      const { outcome } = await outcomeOf(slow, "SELECT count(*) FROM mart.wide")
      return outcome !== "bypass tokens_unavailable"
    })
    proxy.delayMs = 150
    const through = await client(slow)
    for (let n = 0; n < 8; n += 1) {
      const { rows } = await asked(through, `SELECT ${n} + count(*) FROM mart.wide`)
      deepEqual(rows, [[String(n + 4_000)]])
    }
    const timeouts = await metric(slow, "cache_requests_total", '{tier="l2",result="timeout"}')
    ok(timeouts >= 1)
    proxy.delayMs = 0
    through.destroy()
    await slow.stop()
  })

  it("sluice.cache = 'only' is served what another instance has filled, and never asks the warehouse", async () => {
    const sql = `SELECT 'only', count(*) FROM mart.wide`
    const only = await client(other)
    await only.query(query("SET sluice.cache = 'only'"))
    const refused = async () =>
      (await only.query(query(sql))).some(
        ({ type, body }) => type === "E" && body.includes("55000"),
      )
    ok(await refused())
    ok(await refused(), "a refusal leaves nobody waiting")
    await filled(one, sql)
    ok(!(await refused()))
    equal((await asked(only, sql)).cache, "hit_l1")
    only.destroy()
  })

  it("a ttl hint holds for answers of other instances too, and renews them for all", async () => {
    const sql = `SELECT 'aged', count(*) FROM mart.wide`
    await filled(one, sql)
    await sleep(150)
    equal((await outcomeOf(other, `/* sluice: ttl=1m */ ${sql}`)).outcome, "hit_l2")
    equal((await outcomeOf(other, `/* sluice: ttl=100ms */ ${sql}`)).outcome, "miss")
    equal((await outcomeOf(other, `/* sluice: ttl=1m */ ${sql}`)).outcome, "hit_l1")
  })

  it("Redis emptied, killed and back: answers stay right, and are shared again by themselves", async () => {
    const count = "SELECT count(*) FROM mart.orders"
    for (const fault of [() => redis.command("FLUSHALL"), () => redis.kill()]) {
      await fault()
      for (const each of [one, other]) {
        await postgres.run("INSERT INTO mart.orders VALUES (1000, 2, 1, NULL)")
        const { rows } = await outcomeOf(
          each,
          `${count} WHERE id = ${Math.round(performance.now())} OR true`,
        )
        equal(rows[0]?.[0], await orderCount())
      }
    }
    await redis.start()
    await until("they share again", async () => {
      const sql = `SELECT count(*) + ${Math.round(performance.now())} FROM mart.wide`
      await outcomeOf(one, sql)
      await sleep(150)
      return (await outcomeOf(other, sql)).outcome === "hit_l2"
    })
  })
})
