import { existsSync } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { DuckDBInstance } from "@duckdb/node-api"
import { buildSteps, rebuildDailyRevenueSql } from "./demo-mart.sql.ts"

/** The mart that the demonstration invalidates. */
export const demoRelation = "marts.daily_revenue"

/** Queries to paste; each takes some work on a cold start and reads other relations. */
export const demoQueries: readonly string[] = [
  `SELECT t.tenant_name, sum(d.orders) AS orders, sum(d.revenue) AS revenue
FROM marts.daily_revenue AS d JOIN retail.tenants AS t USING (tenant_id)
WHERE d.day >= DATE '2026-06-01'
GROUP BY t.tenant_name ORDER BY revenue DESC;`,
  `SELECT date_trunc('month', s.sold_at) AS month, p.category, sum(s.amount) AS revenue,
  count(DISTINCT s.customer_id) AS customers
FROM retail.sales AS s JOIN retail.products AS p USING (product_id)
GROUP BY 1, 2 ORDER BY 1 DESC, revenue DESC LIMIT 12;`,
  `SELECT region_name, day, revenue, avg(revenue) OVER (
    PARTITION BY region_name ORDER BY day ROWS BETWEEN 6 PRECEDING AND CURRENT ROW) AS week_average
FROM marts.daily_region_sales WHERE tenant_id = 1 ORDER BY day DESC, region_name LIMIT 18;`,
]

/**
 * Makes the demo mart at `path`, replacing what is there: schema `retail` with a fact table of over a million rows and its
 * dimensions, schema `marts` with daily marts and a view. Every build gives the same rows. The file is written beside its
 * place and moved there when it is whole, so that a build that is killed leaves nothing behind that looks finished.
 */
export async function buildDemoMart(
  path: string,
  onProgress: (progress: string) => void,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const unfinished = `${path}.building`
  await removeDatabase(unfinished)
  const instance = await DuckDBInstance.create(unfinished)
  try {
    const connection = await instance.connect()
    try {
      for (const step of buildSteps) {
        onProgress(step.title)
        await connection.run(step.sql)
      }
      await connection.run("CHECKPOINT")
    } finally {
      connection.disconnectSync()
    }
  } catch (error) {
    instance.closeSync()
    await removeDatabase(unfinished)
    throw error
  }
  instance.closeSync()
  await rm(`${path}.wal`, { force: true })
  await rename(unfinished, path)
}

/** How long `materialiseDailyRevenue` tries to get at a file that a gateway has open. */
const lockWaitMsMax = 30_000
const lockPollMs = 50

/**
 * What a nightly job does: takes in some sales of the last day and rebuilds `marts.daily_revenue`. Run it in a process of
 * its own: two openings of one file in one process do not see each other's locks. A gateway in burst mode lets go of the
 * file when it is idle; until then this waits.
 */
export async function materialiseDailyRevenue(path: string): Promise<void> {
  if (!existsSync(path)) throw new Error(`there is no demo mart at ${path}`)
  const instance = await openForWriting(path)
  try {
    const connection = await instance.connect()
    try {
      await connection.run(rebuildDailyRevenueSql)
    } finally {
      connection.disconnectSync()
    }
  } finally {
    instance.closeSync()
  }
}

async function openForWriting(path: string): Promise<DuckDBInstance> {
  const deadlineMs = performance.now() + lockWaitMsMax
  for (;;) {
    try {
      return await DuckDBInstance.create(path)
    } catch (error) {
      const isLocked = error instanceof Error && /lock/i.test(error.message)
      if (!isLocked || performance.now() > deadlineMs) throw error
      await new Promise((resolve) => setTimeout(resolve, lockPollMs))
    }
  }
}

async function removeDatabase(path: string): Promise<void> {
  await rm(path, { force: true })
  await rm(`${path}.wal`, { force: true })
}
