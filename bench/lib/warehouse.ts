import {
  type PostgresOptions,
  startPostgres,
  type TestPostgres,
} from "../../test/support/postgres-server.ts"
import type { Target } from "./target.ts"

/** Distinct one-row statements: enough that they are no single entry, few enough that all are cached after a warm-up. */
export const pointCount = 100
export const wideRowCount = 10_000
export const streamRowCount = 1_000_000

export const pointSql = "SELECT id, name, amount FROM bench.points WHERE id = "
const columns = "id, name, amount, price, sold_at"
export const wideSql = `SELECT ${columns} FROM bench.wide ORDER BY id`
export const streamSql = `SELECT ${columns} FROM bench.stream`

function rowsSql(table: string, count: number): string {
  return `CREATE TABLE bench.${table} AS
    SELECT g AS id, 'product ' || g % 1000 AS name, g * 7 % 1000003 AS amount,
           (g * 13 % 100000)::numeric / 100 AS price,
           timestamp '2026-01-01' + g * interval '1 second' AS sold_at
    FROM generate_series(1, ${count}) AS g;
  ALTER TABLE bench.${table} ADD PRIMARY KEY (id);
  ANALYZE bench.${table};`
}

const seedSql = `CREATE SCHEMA bench;
${rowsSql("points", 100_000)}
${rowsSql("wide", wideRowCount)}
${rowsSql("stream", streamRowCount)}`

export type Warehouse = { readonly server: TestPostgres; readonly target: Target }

/** A PostgreSQL of its own with the bench's tables; every other target stands in front of it. */
export async function startWarehouse(options: PostgresOptions = {}): Promise<Warehouse> {
  const server = await startPostgres({
    ...options,
    settings: { max_connections: "600", shared_buffers: "256MB", ...options.settings },
  })
  try {
    await server.run(seedSql)
  } catch (error) {
    await server.stop()
    throw error
  }
  const uri = new URL(server.uri)
  return {
    server,
    target: {
      name: "direct",
      host: server.host,
      port: server.port,
      user: uri.username,
      password: uri.password,
      database: server.database,
      stop: () => server.stop(),
    },
  }
}

/** Rows in a range of the wide table; about 85 bytes each on the wire. */
export function rangeSql(from: string, rows: number): string {
  return `SELECT ${columns} FROM bench.wide WHERE id BETWEEN ${from} AND ${from} + ${rows - 1} ORDER BY id`
}
