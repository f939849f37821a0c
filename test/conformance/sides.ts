import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { makeVerifier } from "../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"
import type { Side } from "./conversation.ts"

const resetSql = readFileSync(new URL("reset.sql", import.meta.url), "utf8")

/** Plans that may change between two runs would change the order of equal rows. */
const steadyPlans = { max_parallel_workers_per_gather: "0", autovacuum: "off" }

/** A folder of scripts with the user that holds them, and whether the gateway is asked, too. */
export type Suite = {
  readonly folder: "read" | "write"
  readonly user: "reader" | "writer"
  readonly isThroughGateway: boolean
}

export const suites: readonly Suite[] = [
  { folder: "read", user: "reader", isThroughGateway: true },
  { folder: "write", user: "writer", isThroughGateway: true },
]

export type Servers = {
  direct(suite: Suite): Side
  gateway(suite: Suite): Side
  /** Puts back what the writer's conversations change, on PostgreSQL and in the gateway's eyes. */
  reset(): Promise<void>
  stop(): Promise<void>
}

async function invalidate(gateway: RunningGateway): Promise<void> {
  const relations = ["w.t", "w.child", "w.counter"]
  const response = await fetch(new URL("/v1/invalidations", gateway.controlUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
    body: JSON.stringify({ items: relations.map((relation) => ({ relation })), wait: "cluster" }),
  })
  if (!response.ok) throw new Error(`invalidation: ${response.status} ${await response.text()}`)
}

async function startGatewayOver(postgres: TestPostgres, password: string): Promise<RunningGateway> {
  const verifier = await makeVerifier(password)
  const writeUri = new URL(postgres.uri)
  writeUri.username = "writer"
  const config = `warehouses:
  warehouse: { engine: postgres, uri: "${postgres.uri}", writeUri: "${writeUri.href}" }
roles:
  everything: { relations: { allow: ["*"] } }
  writing: { relations: { allow: ["*"] }, write: true }
users:
  reader: { verifier: "${verifier}", roles: [everything] }
  writer: { verifier: "${verifier}", roles: [writing] }
log: { level: warn }
`
  return startGateway({ config, login: { user: "reader", password } })
}

/** A PostgreSQL with the seed in it, and a gateway in front. Both users have the same password on both. */
export async function startServers(): Promise<Servers> {
  const seed = fileURLToPath(new URL("seed.sql", import.meta.url))
  const postgres = await startPostgres({ seedFiles: [seed], settings: steadyPlans })
  const { password } = new URL(postgres.uri)
  try {
    const gateway = await startGatewayOver(postgres, password)
    const side = (port: number, suite: Suite): Side => ({
      port,
      user: suite.user,
      password,
      database: postgres.database,
    })
    return {
      direct: (suite) => side(postgres.port, suite),
      gateway: (suite) => side(gateway.port, suite),
      reset: async () => {
        await postgres.run(resetSql)
        await invalidate(gateway)
      },
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
