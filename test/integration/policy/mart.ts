import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { DuckDBInstance } from "@duckdb/node-api"
import type { Terminal } from "../../../src/cli/terminal.ts"
import { seedSql } from "../../security/tenants.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"

export type Engine = "postgres" | "duckdb"

const key = Buffer.alloc(32).toString("base64")
const salt = Buffer.alloc(16).toString("base64")
const verifier = `SCRAM-SHA-256$4096:${salt}$${key}:${key}`

/** A mart of two tenants with a configuration, for commands that read one. */
export type Mart = {
  readonly folder: string
  readonly postgres: TestPostgres | undefined
  readonly config: string
  write(name: string, text: string): Promise<string>
  /** Runs a command in the folder with a terminal of its own. */
  command(
    run: (terminal: Terminal) => Promise<number>,
  ): Promise<{ readonly code: number; readonly output: string }>
  stop(): Promise<void>
}

export const policies = `claims:
  org_id: { type: int8 }
  login: { type: text }
relations:
  sales.orders:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss]
    masks: [{ column: email, mask: "left(email, 1) || '***'", exceptRoles: [boss] }]
    deniedColumns: [{ columns: [ssn], exceptRoles: [boss] }]
  sales.invoices:
    rowFilters:
      - { name: mapped, filter: "org_id IN (SELECT m.org_id FROM sales.org_map m WHERE m.login = :login)" }
    unfilteredRoles: [boss]
`

/** `section` stands in the configuration in place of `policiesFile`. */
export function configuration(warehouse: string, section = "policiesFile: policies.yaml"): string {
  return `warehouses: { mart: ${warehouse} }
${section}
roles:
  tenant: { relations: { allow: ["*"] }, rowLimit: 1000 }
  boss: { relations: { allow: ["*"] } }
cache: { ttlClasses: [{ relations: "sales.*", ttlMs: 5m }] }
users:
  ann: { verifier: "${verifier}", roles: [tenant], claims: { org_id: 1, login: ann } }
  bob: { verifier: "${verifier}", roles: [tenant], claims: { org_id: 2, login: bob } }
  boss: { verifier: "${verifier}", roles: [boss] }
`
}

export async function startMart(engine: Engine): Promise<Mart> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-mart-"))
  await chmod(folder, 0o755)
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }
  const seed = `${seedSql(engine)};
ALTER TABLE sales.orders ADD COLUMN deleted_at timestamp;
CREATE TABLE sales.big AS SELECT i AS id, i % 7 AS org_id FROM generate_series(1, 20000) AS s(i);
${engine === "postgres" ? "CREATE INDEX ON sales.big (id); ANALYZE sales.big;" : ""}`
  let postgres: TestPostgres | undefined
  if (engine === "postgres") {
    postgres = await startPostgres({ seedFiles: [await write("seed.sql", seed)] })
  } else {
    const instance = await DuckDBInstance.create(join(folder, "mart.duckdb"))
    const connection = await instance.connect()
    await connection.run(seed)
    connection.closeSync()
    instance.closeSync()
  }
  const config = await write("sluice.yaml", configuration(warehouseOf(postgres)))
  await write("policies.yaml", policies)
  return {
    folder,
    postgres,
    config,
    write,
    command: async (run) => {
      const output = new PassThrough()
      const messages = new PassThrough()
      const before = process.cwd()
      // Paths in what is written are then those of the folder, whatever it is called.
      process.chdir(folder)
      try {
        const code = await run({ input: new PassThrough(), output, messages })
        return { code, output: String(output.read() ?? "") }
      } finally {
        process.chdir(before)
      }
    },
    stop: async () => {
      await postgres?.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export function warehouseOf(postgres: TestPostgres | undefined): string {
  return postgres === undefined
    ? "{ engine: duckdb, path: mart.duckdb }"
    : `{ engine: postgres, uri: "${postgres.uri}" }`
}
