import assert from "node:assert/strict"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { DuckDBInstance } from "@duckdb/node-api"
import { salesCount } from "../../../src/cli/demo-mart.sql.ts"
import {
  buildDemoMart,
  demoQueries,
  demoRelation,
  materialiseDailyRevenue,
} from "../../../src/cli/demo-mart.ts"

let folder: string
let path: string
const progress: string[] = []

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "demo-mart-"))
  path = join(folder, "sub", "demo.duckdb")
  await buildDemoMart(path, (line) => progress.push(line))
})
after(() => rmSync(folder, { recursive: true, force: true }))

async function rows(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create(path, { access_mode: "READ_ONLY" })
  const connection = await instance.connect()
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

describe("the demo mart", () => {
  it("has over a million sales of several tenants over two years, the same at every build", async () => {
    assert.ok(salesCount > 1_000_000)
    const found = await rows(
      "select count(*), count(distinct tenant_id), min(sold_at)::date, max(sold_at)::date, sum(amount) from retail.sales",
    )
    assert.deepEqual(found, [[String(salesCount), "5", "2024-07-01", "2026-06-30", "758484934.08"]])
  })

  it("reports its progress and leaves one file", () => {
    assert.ok(progress.length >= 3)
    assert.deepEqual(readdirSync(join(folder, "sub")), ["demo.duckdb"])
  })

  it("answers its own queries", async () => {
    assert.equal(demoQueries.length, 3)
    for (const query of demoQueries) assert.ok((await rows(query)).length > 1)
  })

  it("changes by a run of the nightly job", async () => {
    const total = `select sum(orders) from ${demoRelation}`
    const earlier = Number((await rows(total))[0]?.[0])
    await materialiseDailyRevenue(path)
    assert.equal(Number((await rows(total))[0]?.[0]), earlier + 100)
  })
})
