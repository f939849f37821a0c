import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DuckDBInstance } from "@duckdb/node-api"
import { makeVerifier } from "../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"
import { WireClient } from "../support/wire-client.ts"

/** 20,000 events over 200 days of two organisations, half of them each; a view on them, and a small relation. */
const seed = `
CREATE SCHEMA m;
CREATE TABLE m.events (id integer, day date, org_id integer, word text);
INSERT INTO m.events SELECT g, DATE '2026-01-01' + CAST(g % 200 AS integer), g % 2, 'w' || g FROM generate_series(1, 20000) AS s(g);
CREATE TABLE m.small (id integer, org_id integer, word text);
INSERT INTO m.small SELECT g, g % 2, repeat('x', 100) FROM generate_series(1, 100) AS s(g);
CREATE VIEW m.v_events AS SELECT id, day AS d FROM m.events;
`

const policies = `
claims: { org_id: { type: int8 } }
relations:
  m.events:
    requiredFilter: { column: day, exceptRoles: [etl, costly, explains, explains_all, unexplained, dear] }
    rowFilters: [{ name: own, filter: "org_id = :org_id", roles: [tenant, explains, explains_all, unexplained, dear] }]
    unfilteredRoles: [analyst, etl, held, costly, byted, byted_strict, neat, slow]
`

const roles = `
classes:
  slow: { concurrencyMax: 1, waitersMax: 1, queueTimeoutMs: 400, statementTimeoutMs: 20s, resultBytesMax: 5000 }
roles:
  analyst: { relations: { allow: ["*"] } }
  tenant: { relations: { allow: ["*"] } }
  etl: { relations: { allow: ["*"] }, write: true }
  held: { relations: { allow: ["*"] }, write: true }
  costly: { relations: { allow: ["*"] }, costMax: 300, rowsEstimatedMax: 5000 }
  dear: { relations: { allow: ["*"] }, costMax: 1 }
  byted: { relations: { allow: ["*"] }, resultBytesMax: 1000 }
  byted_strict: { relations: { allow: ["*"] }, resultBytesMax: 1000, onExceed: error }
  neat: { relations: { allow: ["*"] }, forbid: [select_star, cross_join, recursive, no_limit] }
  slow: { relations: { allow: ["*"] }, class: slow }
  explains: { relations: { allow: ["*"] }, explain: coarse }
  explains_all: { relations: { allow: ["*"] }, explain: full }
  unexplained: { relations: { allow: ["*"] } }
`

const password = "correct horse"
const users = [...roles.matchAll(/^ {2}(\w+): \{ relations/gm)].map(([, name = ""]) => name)

export type Guarded = {
  readonly gateway: RunningGateway
  readonly configFile: string
  as(role: string): Promise<WireClient>
  stop(): Promise<void>
}

/** A gateway with guards in front of one of the engines; each role has a user of its name, with the claim of organisation 1. */
export async function startGuarded(engine: "postgres" | "duckdb"): Promise<Guarded> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-guards-"))
  await chmod(folder, 0o755)
  const policiesFile = join(folder, "policies.yaml")
  await writeFile(policiesFile, policies)
  let postgres: TestPostgres | undefined
  let warehouse: string
  if (engine === "postgres") {
    const seedFile = join(folder, "seed.sql")
    await writeFile(seedFile, `${seed}ANALYZE;`)
    postgres = await startPostgres({ seedFiles: [seedFile] })
    warehouse = `engine: postgres, uri: "${postgres.uri}"`
  } else {
    const path = join(folder, "mart.duckdb")
    const instance = await DuckDBInstance.create(path)
    const connection = await instance.connect()
    await connection.run(seed)
    connection.closeSync()
    instance.closeSync()
    warehouse = `engine: duckdb, path: "${path}"`
  }
  const verifier = await makeVerifier(password)
  const lines = users.map(
    (name) => `  ${name}: ${JSON.stringify({ verifier, roles: [name], claims: { org_id: 1 } })}`,
  )
  const config = `warehouses: { warehouse: { ${warehouse} } }
policiesFile: ${JSON.stringify(policiesFile)}
${roles}
users:
${lines.join("\n")}
`
  const configFile = join(folder, "sluice.yaml")
  await writeFile(configFile, config)
  const gateway = await startGateway({ config, login: { user: "analyst", password } })
  const clients: WireClient[] = []
  return {
    gateway,
    configFile,
    as: async (user) => {
      const { port } = gateway
      // The shadow catalogue of DuckDB starts with the first question to it, which takes long on a busy machine.
      const waitMsMax = 60_000
      const client = await WireClient.connect({
        port,
        user,
        password,
        database: "warehouse",
        waitMsMax,
      })
      clients.push(client)
      return client
    },
    stop: async () => {
      for (const client of clients) client.destroy()
      await gateway.stop()
      await postgres?.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
