import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, beforeEach, describe, it } from "node:test"
import { Client } from "pg"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import {
  startPostgres,
  type TestPostgres,
  type TestReplica,
} from "../../support/postgres-server.ts"

const roles = `
roles:
  everything: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true }
users:
  reader: { verifier: "VERIFIER", roles: [everything] }
  writer: { verifier: "VERIFIER", roles: [writer] }
`

/** Real streaming standbys; their replay is held back by pg_wal_replay_pause. */
describe("a warehouse with replicas", () => {
  let primary: TestPostgres
  const replicas: TestReplica[] = []
  let gateway: RunningGateway
  let client: Client
  let nextValue = 1

  const connect = async (user = "reader") => {
    const uri = new URL(gateway.uri)
    uri.username = user
    const made = new Client({ connectionString: uri.href })
    made.on("error", () => {})
    await made.connect()
    return made
  }
  const invalidate = async (relation = "public.facts") => {
    const response = await fetch(new URL("/v1/invalidations", gateway.controlUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ relation }] }),
    })
    equal(response.status, 200)
  }
  const last = async (of = client) => (await of.query("SHOW sluice.last")).rows[0]
  const newest = async (of = client, extra = "") =>
    (await of.query(`SELECT max(id)::int AS id ${extra} FROM facts`)).rows[0].id
  const insert = async () => {
    nextValue += 1
    await primary.run(`INSERT INTO facts VALUES (${nextValue})`)
    return nextValue
  }
  const metric = async (name: string) => {
    const response = await fetch(new URL("/metrics", gateway.controlUrl), {
      headers: { authorization: `Bearer ${gateway.token}` },
    })
    const lines = (await response.text()).split("\n").filter((line) => line.startsWith(name))
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0)
  }
  const pause = (isPaused: boolean) =>
    Promise.all(
      replicas.map((replica) =>
        replica.run(`SELECT pg_wal_replay_${isPaused ? "pause" : "resume"}()`),
      ),
    )

  before(async () => {
    primary = await startPostgres()
    await primary.run("CREATE TABLE facts AS SELECT 1 AS id; CREATE TABLE other AS SELECT 1 AS id")
    await primary.run(
      "CREATE ROLE loader LOGIN PASSWORD 'loader'; GRANT ALL ON facts TO loader; GRANT pg_read_all_data TO loader",
    )
    replicas.push(await primary.startReplica(), await primary.startReplica())
    const write = new URL(primary.uri)
    write.username = "loader"
    write.password = "loader"
    gateway = await startGateway({
      config: `warehouses:
  warehouse:
    engine: postgres
    uri: "${primary.uri}"
    writeUri: "${write.href}"
    replicas:
      - { name: a, uri: "${replicas[0]?.uri}" }
      - { name: b, uri: "${replicas[1]?.uri}" }
    pool: { connectTimeoutMs: 1s }
${roles.replaceAll("VERIFIER", await makeVerifier("secret"))}`,
      login: { user: "reader", password: "secret" },
    })
    client = await connect()
  })

  after(async () => {
    await client?.end().catch(() => undefined)
    await gateway?.stop()
    await Promise.all(replicas.map((replica) => replica.stop()))
    await primary?.stop()
  })

  beforeEach(async () => {
    await pause(false)
    await Promise.all(replicas.map((replica) => replica.untilCaughtUp()))
  })

  it("answers reads from the replicas in turn", async () => {
    const endpoints = new Set<string>()
    for (let turn = 0; turn < 4; turn += 1) {
      await client.query(`SELECT ${turn}, count(*) FROM facts`)
      endpoints.add((await last()).endpoint)
    }
    deepEqual([...endpoints].toSorted(), ["warehouse/a", "warehouse/b"])
  })

  it("answers from the primary what no replica has replayed yet, and says so in metrics", async () => {
    await newest()
    await pause(true)
    const value = await insert()
    const rejections = await metric("sluice_fence_rejections_total")
    await invalidate()
    equal(await newest(), value)
    equal((await last()).endpoint, "warehouse/primary")
    ok((await metric("sluice_fence_rejections_total")) > rejections)
  })

  it("keeps that answer, and asks the replicas again once they have caught up", async () => {
    await pause(true)
    const value = await insert()
    await invalidate()
    equal(await newest(), value)
    equal(await newest(), value)
    equal((await last()).cache, "hit_l1")
    await pause(false)
    await Promise.all(replicas.map((replica) => replica.untilCaughtUp()))
    await new Promise((resolve) => setTimeout(resolve, 100))
    equal(await newest(client, ", 'again'"), value)
    match((await last()).endpoint, /^warehouse\/[ab]$/)
  })

  const past: readonly (readonly [string, string])[] = [
    ["with the time in it", "SELECT max(id)::int AS id, now() FROM facts"],
    ["with random in it", "SELECT max(id)::int AS id, random() FROM facts"],
    ["with the cache off", "SELECT max(id)::int AS id FROM facts"],
  ]
  for (const [what, sql] of past)
    it(`never shows an older row past the cache: a statement ${what}`, async () => {
      const mine = await connect()
      if (what.includes("off")) await mine.query("SET sluice.cache = off")
      await mine.query(sql)
      await pause(true)
      const value = await insert()
      await invalidate()
      equal((await mine.query(sql)).rows[0].id, value)
      await mine.end()
    })

  it("lets replicas that lag answer for relations that nobody invalidated", async () => {
    await pause(true)
    await insert()
    await invalidate()
    await client.query("SELECT count(*), 'elsewhere' FROM other")
    match((await last()).endpoint, /^warehouse\/[ab]$/)
  })

  it("shows everybody what a session of ours has committed, with all replicas behind", async () => {
    const writer = await connect("writer")
    await newest()
    await pause(true)
    nextValue += 1
    await writer.query("BEGIN")
    await writer.query(`INSERT INTO facts VALUES (${nextValue})`)
    await writer.query("COMMIT")
    equal(await newest(), nextValue)
    equal((await last()).endpoint, "warehouse/primary")
    await writer.end()
  })

  it("keeps transactions with a snapshot on the primary", async () => {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ")
    await newest(client, ", 'snapshot'")
    equal((await last()).endpoint, "warehouse/primary")
    await client.query("ROLLBACK")
  })

  it("reads on while replicas are down, and returns to them", async () => {
    for (const replica of replicas) await replica.kill()
    equal(typeof (await newest(client, ", 'down'")), "number")
    equal((await last()).endpoint, "warehouse/primary")
    for (const replica of replicas) await replica.restart()
    const deadline = performance.now() + 20_000
    for (let turn = 0; ; turn += 1) {
      await client.query(`SELECT ${turn}, 'back' FROM facts`)
      const { endpoint } = await last()
      if (endpoint !== "warehouse/primary") break
      ok(performance.now() < deadline, "the replicas were not asked again")
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })
})
