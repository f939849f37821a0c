import { readFile } from "node:fs/promises"
import { DuckDBInstance } from "@duckdb/node-api"

const seedFile = new URL("../../clients/seed.sql", import.meta.url)

/** The same rows as PostgreSQL's seed in a DuckDB file, closed again when this resolves. */
export async function writeDuckdbSeed(path: string): Promise<void> {
  // DuckDB's decode() takes other arguments; unhex() is its way to bytes.
  const sql = (await readFile(seedFile, "utf8")).replaceAll(
    /decode\('([0-9a-f]*)', 'hex'\)/g,
    "unhex('$1')",
  )
  const instance = await DuckDBInstance.create(path)
  try {
    const connection = await instance.connect()
    await connection.run("SET TimeZone = 'UTC'")
    await connection.run(sql)
    connection.closeSync()
  } finally {
    instance.closeSync()
  }
}
