import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { query } from "../support/frontend-encoder.ts"
import { errors, textRows, type WireClient } from "../support/wire-client.ts"
import { engineCases, type NameCase, nameCases } from "./names-cases.ts"
import { namesPolicies, namesSeed } from "./names-seed.ts"
import { statements } from "./names-statements.ts"
import { marker, startTenants, type Tenants } from "./tenants.ts"

/** Rows as JSON in an order of their own, with whole numbers as such; an error as its SQLSTATE. */
async function outcome(client: WireClient, sql: string): Promise<string> {
  const messages = await client.query(query(sql))
  for (const { type, body } of messages)
    ok(!body.toString("latin1").includes(marker), `${type} shows a hidden value: ${sql}`)
  const [error] = errors(messages)
  if (error !== undefined) return String(error["C"])
  const rows = textRows(messages).map((row) => row.map((value) => value ?? "NULL").join("|"))
  return rows.toSorted().join("\n")
}

for (const engine of ["postgres", "duckdb"] as const)
  describe(`names of relations on ${engine}`, () => {
    let tenants: Tenants
    let client: WireClient
    before(async () => {
      tenants = await startTenants(engine, { policies: namesPolicies, moreSeed: namesSeed[engine] })
      client = await tenants.as("ann")
    })
    after(() => tenants.stop())

    const check = async ([, sql, expected]: NameCase): Promise<void> => {
      if (expected === "safe") await outcome(client, sql)
      else equal(await outcome(client, sql), expected)
      await client.query(query("RESET ALL"))
    }
    for (const item of [...nameCases, ...engineCases[engine]]) it(item[0], () => check(item))

    it("what ann is told of the governed table is what anybody is told of her part of it", async () => {
      let answered = 0
      for (const sql of statements(engine)) {
        const told = await outcome(client, sql.replaceAll("@", "world"))
        const right = await outcome(client, sql.replaceAll("@", "seen"))
        equal(told, right, sql)
        if (!/^[0-9A-Z]{5}$/.test(right)) answered += 1
      }
      ok(answered > 200, `only ${answered} statements were answered`)
    })
  })

/** Waits until it is so; the statistics come up to a second late. */
async function until(isThere: () => Promise<boolean>): Promise<void> {
  for (let wait = 0; wait < 200; wait += 1) {
    if (await isThere()) return
    await sleep(50)
  }
  throw new Error("the statistics never showed it")
}

describe("indexes and partitions under a policy", () => {
  let tenants: Tenants
  let client: WireClient
  before(async () => {
    const moreSeed = `${namesSeed.postgres}
INSERT INTO world.wide SELECT i, i % 2, date '2024-01-01' + i % 300, '${marker}' FROM generate_series(1, 20000) i;
UPDATE world.wide SET what = 'mine' WHERE org_id = 1;
CREATE INDEX ON world.wide (day);
ANALYZE;
SELECT pg_stat_reset();`
    const policies = namesPolicies.replace(
      "relations:\n",
      'relations:\n  world.wide:\n    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]\n',
    )
    tenants = await startTenants("postgres", { policies, moreSeed })
    client = await tenants.as("ann")
  })
  after(() => tenants.stop())

  /** Scans of a table so far; the server tells of them up to a second late. */
  const scans = async (table: string): Promise<{ seq: number; idx: number }> => {
    const [row] =
      (await tenants.postgres?.run(
        `SELECT seq_scan, coalesce(idx_scan, 0) AS idx_scan FROM pg_stat_user_tables WHERE schemaname = 'world' AND relname = '${table}'`,
      )) ?? []
    return { seq: Number(row?.["seq_scan"]), idx: Number(row?.["idx_scan"]) }
  }

  it("a plain condition of the reader's uses the index beside the filter", async () => {
    const start = await scans("wide")
    equal(await outcome(client, "SELECT what FROM world.wide WHERE id = 4711"), "mine")
    equal(await outcome(client, "SELECT what FROM world.wide w WHERE w.id = 4712"), "")
    equal(
      await outcome(
        client,
        "SELECT count(*) FROM world.wide w JOIN world.tags t ON true WHERE w.day = '2024-02-03' AND t.id = 1",
      ),
      "67",
    )
    await until(async () => (await scans("wide")).idx >= start.idx + 3)
    equal((await scans("wide")).seq, start.seq)
  })

  it("a condition that could fail runs behind the filter and uses none", async () => {
    const start = await scans("wide")
    equal(await outcome(client, "SELECT count(*) FROM world.wide WHERE 1 / (id - 2) < 0"), "1")
    await until(async () => (await scans("wide")).seq > start.seq)
  })

  it("partitions that the condition rules out are not scanned", async () => {
    const [low, mid] = [await scans("events_low"), await scans("events_mid_1")]
    equal(await outcome(client, "SELECT what FROM world.events WHERE id < 50"), "mine")
    await until(async () => {
      const now = await scans("events_low")
      return now.seq + now.idx > low.seq + low.idx
    })
    deepEqual(await scans("events_mid_1"), mid)
  })
})
