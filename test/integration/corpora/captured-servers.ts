import { readFileSync } from "node:fs"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { type SessionOptions, splitUri } from "../../support/query-generator-session.ts"
import { recordedTables } from "./captured-sessions.ts"
import { steadyPlans } from "./wire-servers.ts"

/** The role that Superset logged in with, as the seed makes it. */
const login = { user: "superset_ro", password: "superset_ro_pw" }
const writer = "superset_writer"

export type CapturedServers = {
  readonly postgres: TestPostgres
  readonly gateway: RunningGateway
  readonly direct: Readonly<Record<"reader" | "writer", SessionOptions>>
  readonly through: Readonly<Record<"reader" | "writer", SessionOptions>>
  /** A recorded statement as it would be sent to this database: with its object ids. */
  here(sql: string): string
  stop(): Promise<void>
}

const seed = readFileSync(new URL("../../corpora/superset_real_seed.sql", import.meta.url), "utf8")

async function objectIds(postgres: TestPostgres): Promise<ReadonlyMap<string, string>> {
  const ids = new Map<string, string>()
  for (const [recorded, name] of Object.entries(recordedTables)) {
    const [row] = await postgres.run(
      `SELECT '${name.replaceAll("'", "''")}'::regclass::oid::text AS id`,
    )
    ids.set(recorded, String(row?.["id"]))
  }
  return ids
}

async function startBefore(postgres: TestPostgres): Promise<RunningGateway> {
  const uri = `postgresql://${login.user}:${login.password}@${postgres.host}:${postgres.port}/${postgres.database}`
  const verifier = await makeVerifier(login.password)
  return startGateway({
    config: `warehouses:
  warehouse: { engine: postgres, uri: "${uri}" }
roles:
  everything: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true }
users:
  ${login.user}: { verifier: "${verifier}", roles: [everything] }
  ${writer}: { verifier: "${verifier}", roles: [writer] }
log: { level: warn }
`,
    login,
  })
}

/** PostgreSQL with the schema of the recording, and a gateway that logs in to it as Superset did. */
export async function startCapturedServers(): Promise<CapturedServers> {
  const postgres = await startPostgres({ settings: steadyPlans })
  try {
    await postgres.run(seed)
    const gateway = await startBefore(postgres)
    const ids = await objectIds(postgres)
    const origin = { ...splitUri(postgres.uri), ...login }
    const front = splitUri(gateway.uri)
    return {
      postgres,
      gateway,
      direct: {
        reader: { ...origin, startup: { options: "-c default_transaction_read_only=on" } },
        writer: origin,
      },
      through: { reader: front, writer: { ...front, user: writer } },
      here: (sql) => sql.replaceAll(/\b16[67]\d\d\b/g, (id) => ids.get(id) ?? id),
      stop: async () => {
        await gateway.stop()
        await postgres.stop()
      },
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}
