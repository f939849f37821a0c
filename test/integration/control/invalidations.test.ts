import { deepEqual, equal, ok } from "node:assert/strict"
import { createHash } from "node:crypto"
import { after, before, describe, it } from "node:test"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"

const seed = `CREATE SCHEMA marts; CREATE SCHEMA raw;
CREATE TABLE marts.daily AS SELECT 1 AS id; CREATE TABLE marts.weekly AS SELECT 1 AS id;
CREATE TABLE raw.events AS SELECT 1 AS id; CREATE VIEW marts.v_daily AS SELECT * FROM marts.daily`

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

type Item = { tag?: string; resolved: string[]; dependents: string[] }
type Relation = {
  relation: string
  invalidation: string
  invalidated_at: string
  source: unknown
  entries_then: number
  entries_now: number
}
type Json = {
  id: string
  type: string
  items: readonly [Item, ...Item[]]
  unmatched: readonly string[]
  relations: readonly [Relation, ...Relation[]]
}

/** The control interface as an orchestrator and a dashboard use it, over a real warehouse. */
describe("invalidations over HTTP", () => {
  let server: TestPostgres
  let gateway: RunningGateway
  let client: Client

  const call = async (path: string, body?: unknown, token = "everything") => {
    const response = await fetch(new URL(path, gateway.controlUrl), {
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    })
    return {
      status: response.status,
      headers: response.headers,
      json: (await response.json()) as Json,
    }
  }
  const outcome = async (sql: string) => {
    await client.query(sql)
    const { rows } = await client.query("SHOW sluice.last")
    return rows[0].cache
  }

  before(async () => {
    server = await startPostgres()
    await server.run(seed)
    gateway = await startGateway({
      config: `warehouses: { warehouse: { engine: postgres, uri: "${server.uri}" } }
control:
  port: 0
  tags: { finance: [marts.daily, "raw.*"], nothing: [gone.*] }
  tokens:
    - { name: all, sha256: "${sha256("everything")}", scopes: [admin] }
    - { name: few, sha256: "${sha256("few-calls")}", scopes: [read], callsPerMinuteMax: 3 }
`,
    })
    client = new Client({ connectionString: gateway.uri })
    await client.connect()
  })

  after(async () => {
    await client?.end()
    await gateway?.stop()
    await server?.stop()
  })

  it("by a tag reach every relation of its patterns and no other", async () => {
    const statements = ["SELECT * FROM marts.daily", "SELECT * FROM raw.events"]
    const other = "SELECT * FROM marts.weekly"
    for (const sql of [...statements, other]) {
      await client.query(sql)
      equal(await outcome(sql), "hit_l1")
    }
    const { status, json } = await call("/v1/invalidations", { items: [{ tag: "finance" }] })
    equal(status, 200)
    deepEqual(json.items[0].tag, "finance")
    deepEqual(json.items[0].resolved, ["marts.daily", "raw.events"])
    deepEqual(json.items[0].dependents, ["marts.v_daily"])
    for (const sql of statements) equal(await outcome(sql), "miss")
    equal(await outcome(other), "hit_l1")
  })

  for (const tag of ["unknown", "nothing"])
    it(`by the tag ${tag} match nothing and say so`, async () => {
      const { status, json } = await call("/v1/invalidations", { items: [{ tag }] })
      equal(status, 200)
      deepEqual(json.unmatched, [tag])
    })

  it("are told for each relation: when, by whom, and what depended on it", async () => {
    await client.query("SELECT * FROM marts.daily")
    const source = { kind: "airflow", job: "nightly.load", run_id: "scheduled__7" }
    const calledMs = Date.now()
    const { json: first } = await call("/v1/invalidations", {
      items: [{ relation: "marts.daily" }],
      source,
    })
    const { status, json } = await call("/v1/relations?name=MARTS.daily&limit=10")
    equal(status, 200)
    equal(json.relations.length, 1)
    const [relation] = json.relations
    deepEqual(relation.source, source)
    equal(relation.relation, "marts.daily")
    equal(relation.invalidation, first.id)
    equal(relation.entries_then, 1)
    equal(relation.entries_now, 0)
    ok(Math.abs(Date.parse(relation.invalidated_at) - calledMs) < 60_000)
    await client.query("SELECT * FROM marts.daily")
    const { json: later } = await call("/v1/relations?name=marts.daily")
    equal(later.relations[0].entries_now, 1)
  })

  it("are listed by relation with the latest first, and not for dry runs", async () => {
    await call("/v1/invalidations", { items: [{ relation: "raw.events" }] })
    await call("/v1/invalidations", { items: [{ relation: "marts.weekly" }], dry_run: true })
    const { json } = await call("/v1/relations")
    equal(json.relations[0].relation, "raw.events")
    ok(!json.relations.some(({ relation }) => relation === "marts.weekly"))
    deepEqual((await call("/v1/relations?name=marts.weekly")).json.relations, [])
  })

  it("and other calls above a token's minute are 429 with Retry-After", async () => {
    for (let turn = 0; turn < 3; turn += 1)
      equal((await call("/v1/status", undefined, "few-calls")).status, 200)
    const { status, headers, json } = await call("/v1/status", undefined, "few-calls")
    equal(status, 429)
    ok(Number(headers.get("retry-after")) >= 1)
    equal(json.type, "call_rate_limited")
    equal((await call("/v1/status")).status, 200)
  })
})
