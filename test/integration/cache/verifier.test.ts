import { deepEqual, equal, match, ok } from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"

type Counts = Readonly<Record<"match" | "mismatch" | "skipped" | "failed", number>>

/** A gateway in front of a warehouse that somebody else changes. */
class Watched {
  readonly gateway: RunningGateway
  readonly client: Client

  private constructor(gateway: RunningGateway, client: Client) {
    this.gateway = gateway
    this.client = client
  }

  static async start(warehouse: string, verify: string): Promise<Watched> {
    const gateway = await startGateway({
      config: `warehouses: { mart: { ${warehouse} } }\ncache: { verify: ${verify} }`,
    })
    const client = new Client({ connectionString: gateway.uri })
    await client.connect()
    return new Watched(gateway, client)
  }

  async counts(): Promise<Counts> {
    const { controlUrl, token } = this.gateway
    const response = await fetch(new URL("/metrics", controlUrl), {
      headers: { authorization: `Bearer ${token}` },
    })
    const text = await response.text()
    const of = (result: string): number =>
      Number(
        new RegExp(
          `^sluice_cache_verify_total\\{[^}]*result="${result}"[^}]*\\} (\\d+)$`,
          "m",
        ).exec(text)?.[1],
      )
    return {
      match: of("match"),
      mismatch: of("mismatch"),
      skipped: of("skipped"),
      failed: of("failed"),
    }
  }

  /** What asking these texts adds to the counts, once `runs` results are in. */
  async added(runs: number, ask: () => Promise<unknown>): Promise<Counts> {
    const earlier = await this.counts()
    await ask()
    const deadlineMs = performance.now() + 10_000
    for (;;) {
      const now = await this.counts()
      const added = {
        match: now.match - earlier.match,
        mismatch: now.mismatch - earlier.mismatch,
        skipped: now.skipped - earlier.skipped,
        failed: now.failed - earlier.failed,
      }
      const sum = added.match + added.mismatch + added.skipped + added.failed
      if (sum >= runs) return added
      if (performance.now() > deadlineMs) throw new Error(`only ${JSON.stringify(added)}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async value(sql: string): Promise<unknown> {
    return Object.values((await this.client.query(sql)).rows[0] ?? {})[0]
  }

  async outcome(): Promise<string> {
    return (await this.client.query("SHOW sluice.last")).rows[0].cache
  }

  async invalidate(relation: string): Promise<void> {
    const { controlUrl, token } = this.gateway
    const response = await fetch(new URL("/v1/invalidations", controlUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ items: [{ relation }], wait: "cluster" }),
    })
    equal(response.status, 200)
  }

  /** Lines of the log about answers that differ. */
  mismatches(): Record<string, unknown>[] {
    const lines = this.gateway.output().split("\n")
    return lines
      .filter((line) => line.includes("differs from the warehouse's"))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }

  async stop(): Promise<void> {
    await this.client.end()
    await this.gateway.stop()
  }
}

const one = { match: 0, mismatch: 0, skipped: 0, failed: 0 }

describe("the verifier over PostgreSQL", () => {
  let postgres: TestPostgres
  let watched: Watched
  before(async () => {
    postgres = await startPostgres({})
    await postgres.run(
      "CREATE TABLE facts AS SELECT i AS id, i % 7 AS part, i * 0.5::float8 AS ratio FROM generate_series(1, 1000) i",
    )
    await postgres.run("CREATE TABLE counter AS SELECT 1 AS n")
    watched = await Watched.start(
      `engine: postgres, uri: "${postgres.uri}"`,
      "{ share: 1, concurrencyMax: 2, rowsMax: 500, runsPerMinuteMax: 1000 }",
    )
  })
  after(async () => {
    await watched.stop()
    await postgres.stop()
  })

  /** A miss and a hit; the hit is sampled. */
  const twice = (sql: string) => async () => {
    await watched.client.query(sql)
    await watched.client.query(sql)
    equal(await watched.outcome(), "hit_l1")
  }

  const repeatable: readonly string[] = [
    "SELECT count(*) FROM facts",
    "SELECT part, count(*), sum(id) FROM facts GROUP BY part",
    "SELECT part, count(*) FROM facts GROUP BY part ORDER BY count(*) DESC LIMIT 100",
    "SELECT DISTINCT part FROM facts",
    "SELECT id FROM facts WHERE id < 0",
    "SELECT ratio FROM facts WHERE id < 10",
    "SELECT count(*) FROM facts WHERE current_date > '2020-01-01'",
  ]
  for (const sql of repeatable)
    it(`compares: ${sql}`, async () => {
      deepEqual(await watched.added(1, twice(sql)), { ...one, match: 1 })
    })

  const chosen: readonly (readonly [why: string, sql: string])[] = [
    ["a LIMIT that chose", "SELECT id FROM facts LIMIT 5"],
    ["ties at a LIMIT", "SELECT part FROM facts ORDER BY part LIMIT 5"],
    ["OFFSET", "SELECT part FROM facts WHERE id < 5 OFFSET 2"],
    ["an inner LIMIT", "SELECT count(*) FROM (SELECT id FROM facts LIMIT 5) x"],
    ["DISTINCT ON", "SELECT DISTINCT ON (part) part, id FROM facts"],
    ["a window", "SELECT row_number() OVER (ORDER BY part) FROM facts WHERE id < 5"],
    ["the order of input", "SELECT array_agg(id) FROM facts WHERE id < 5"],
    ["the order of additions", "SELECT sum(ratio) FROM facts"],
    ["too many rows", "SELECT id FROM facts WHERE id <= 501"],
  ]
  for (const [why, sql] of chosen)
    it(`does not compare (${why}): ${sql}`, async () => {
      deepEqual(await watched.added(1, twice(sql)), { ...one, skipped: 1 })
    })

  it("finds a write that nobody reported, drops the answer, and says so without a value", async () => {
    const sql = "SELECT n, 'secret word' AS w FROM counter"
    equal(await watched.value(sql), 1)
    await postgres.run("UPDATE counter SET n = 4711")
    const added = await watched.added(1, async () => {
      equal(await watched.value(sql), 1, "the hit is served as it stands")
    })
    deepEqual(added, { ...one, mismatch: 1 })
    const [told, ...more] = watched.mismatches()
    equal(more.length, 0)
    const { level, warehouse, relations, storedRows, endpoint, isDropped, key } = told ?? {}
    deepEqual(
      { level, warehouse, relations, storedRows, endpoint, isDropped },
      {
        level: "error",
        warehouse: "mart",
        relations: ["public.counter"],
        storedRows: 1,
        endpoint: "mart/primary",
        isDropped: true,
      },
    )
    match(String(key), /^[0-9a-f]{64}$/)
    ok(Number(told?.["ageMs"]) >= 0 && String(told?.["tokens"]).includes("public.counter"))
    ok(!/4711|secret word|SELECT/.test(JSON.stringify(told)))
    equal(await watched.value(sql), 4711)
    equal(await watched.outcome(), "miss")
    deepEqual(await watched.added(1, () => watched.value(sql)), { ...one, match: 1 })
  })

  it("counts a match again after the write was reported", async () => {
    const sql = "SELECT n + 0 FROM counter"
    await watched.value(sql)
    await postgres.run("UPDATE counter SET n = 5")
    await watched.invalidate("public.counter")
    equal(await watched.value(sql), 5)
    deepEqual(await watched.added(1, () => watched.value(sql)), { ...one, match: 1 })
  })

  it("does not count a run that an invalidation overtook", async () => {
    await postgres.run(
      "CREATE FUNCTION slow_n() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.8); RETURN 1; END'",
    )
    await watched.invalidate("public.counter")
    const sql = "SELECT n, slow_n() FROM counter"
    await watched.value(sql)
    const added = await watched.added(1, async () => {
      await watched.value(sql)
      equal(await watched.outcome(), "hit_l1")
      await postgres.run("UPDATE counter SET n = 6")
      await watched.invalidate("public.counter")
    })
    deepEqual(added, { ...one, skipped: 1 })
  })

  it("counts a run that fails", async () => {
    const sql = "SELECT 10 / n FROM counter"
    await watched.value(sql)
    await postgres.run("UPDATE counter SET n = 0")
    deepEqual(await watched.added(1, () => watched.value(sql)), { ...one, failed: 1 })
  })
})

describe("the verifier gives way", () => {
  let postgres: TestPostgres
  before(async () => {
    postgres = await startPostgres({})
    await postgres.run("CREATE TABLE counter AS SELECT 1 AS n")
    await postgres.run(
      "CREATE FUNCTION nap(t float8) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(t); RETURN 1; END'",
    )
  })
  after(() => postgres.stop())

  const start = (pool: string, verify: string) =>
    Watched.start(`engine: postgres, uri: "${postgres.uri}", pool: { ${pool} }`, verify)

  it("does not begin while one connection only is free", async () => {
    const watched = await start("connectionsMax: 1", "{ share: 1 }")
    const added = await watched.added(1, async () => {
      for (let round = 0; round < 2; round += 1) await watched.value("SELECT n FROM counter")
    })
    deepEqual(added, { ...one, skipped: 1 })
    await watched.stop()
  })

  it("is cancelled when a client has to wait", async () => {
    const watched = await start("connectionsMax: 2", "{ share: 1 }")
    const sql = "SELECT n, nap(3) FROM counter"
    await watched.value(sql)
    const others = await Promise.all(
      [1, 2].map(async () => {
        const client = new Client({ connectionString: watched.gateway.uri })
        await client.connect()
        return client
      }),
    )
    const added = await watched.added(1, async () => {
      await watched.value(sql)
      await Promise.all(
        others.map((client, index) => client.query(`SELECT nap(0.5 + ${index} * 0.01), random()`)),
      )
    })
    deepEqual(added, { ...one, skipped: 1 }, "left alone it would have matched")
    await Promise.all(others.map((client) => client.end()))
    await watched.stop()
  })

  it("keeps within its runs a minute, and runs nothing unless it is asked to", async () => {
    const bounded = await start(
      "connectionsMax: 5",
      "{ share: 1, runsPerMinuteMax: 2, concurrencyMax: 4 }",
    )
    await bounded.value("SELECT n FROM counter")
    const added = await bounded.added(10, async () => {
      for (let round = 0; round < 10; round += 1) await bounded.value("SELECT n FROM counter")
    })
    // Four of them where a minute ended in between.
    ok(added.match <= 4 && added.match + added.skipped === 10, JSON.stringify(added))
    await bounded.stop()
    const off = await start("connectionsMax: 5", "{ dropMismatches: false }")
    for (let round = 0; round < 50; round += 1) await off.value("SELECT n FROM counter")
    const counts = await off.counts()
    ok(Number.isNaN(counts.match) && Number.isNaN(counts.skipped))
    await off.stop()
  })
})

/** A process of its own writes the file, as a nightly load does. */
function write(file: string, sql: string): void {
  const script = `
    import { DuckDBInstance } from "@duckdb/node-api"
    const instance = await DuckDBInstance.create(${JSON.stringify(file)})
    const connection = await instance.connect()
    await connection.run(${JSON.stringify(sql)})
    connection.disconnectSync()
    instance.closeSync()`
  execFileSync(process.execPath, ["--input-type=module", "-e", script])
}

describe("the verifier over DuckDB", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-verifier-"))
  const file = join(folder, "mart.duckdb")
  let watched: Watched
  before(async () => {
    write(file, "CREATE TABLE facts AS SELECT range AS id, range % 7 AS part FROM range(1000)")
    watched = await Watched.start(
      `engine: duckdb, path: "${file}", mode: burst, idleCloseMs: 50ms`,
      "{ share: 1, dropMismatches: false }",
    )
  })
  after(async () => {
    await watched.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  it("matches, finds an unreported load, and matches again after it was reported", async () => {
    const sql = "SELECT part, count(*) AS n FROM facts GROUP BY part"
    await watched.client.query(sql)
    deepEqual(await watched.added(1, () => watched.client.query(sql)), { ...one, match: 1 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    write(file, "INSERT INTO facts VALUES (7000, 0)")
    for (let round = 0; round < 2; round += 1) {
      const added = await watched.added(1, () => watched.client.query(sql))
      deepEqual(added, { ...one, mismatch: 1 }, "kept, as configured, and found again")
      equal(await watched.outcome(), "hit_l1")
    }
    deepEqual(
      watched.mismatches().map(({ isDropped }) => isDropped),
      [false, false],
    )
    await watched.invalidate("main.facts")
    await watched.client.query(sql)
    equal(await watched.outcome(), "miss")
    deepEqual(await watched.added(1, () => watched.client.query(sql)), { ...one, match: 1 })
  })
})
