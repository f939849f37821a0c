import { makeVerifier } from "../../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { type SessionOptions, splitUri } from "../../support/query-generator-session.ts"
import type { ObjectIds } from "./conversation.ts"
import { wireSeedOnPostgres, writerPassword } from "./wire-seed.ts"
import type { WireSession } from "./wire-sessions.ts"

type User = WireSession["as"]

/** A PostgreSQL with the corpus's tables and a gateway before it; `reader` and `writer` log in to both. */
export type WireServers = {
  readonly postgres: TestPostgres
  readonly gateway: RunningGateway
  readonly direct: Readonly<Record<User, SessionOptions>>
  readonly through: Readonly<Record<User, SessionOptions>>
  readonly ids: ObjectIds
  stop(): Promise<void>
}

/** Plans that may change between two askings would change the order of equal rows and what EXPLAIN prints. */
export const steadyPlans = {
  max_parallel_workers_per_gather: "0",
  synchronize_seqscans: "off",
  autovacuum: "off",
}

/** As the gateway's own connections for readers are. */
const readOnly = { options: "-c default_transaction_read_only=on" }

export async function objectIds(postgres: TestPostgres): Promise<ObjectIds> {
  const [row] = await postgres.run(
    "SELECT 'sales.orders'::regclass::oid::int AS orders, 'sales.customers'::regclass::oid::int AS customers, 'sales.order_status'::regtype::oid::int AS status",
  )
  return {
    orders: Number(row?.["orders"]),
    customers: Number(row?.["customers"]),
    orderStatus: Number(row?.["status"]),
  }
}

async function startBoth(postgres: TestPostgres): Promise<RunningGateway> {
  const writeUri = new URL(postgres.uri)
  writeUri.username = "writer"
  writeUri.password = writerPassword
  return startGateway({
    config: `warehouses:
  warehouse: { engine: postgres, uri: "${postgres.uri}", writeUri: "${writeUri.href}" }
roles:
  everything: { relations: { allow: ["*"] } }
  writer: { relations: { allow: ["*"] }, write: true }
users:
  reader: { verifier: "${await makeVerifier(writerPassword)}", roles: [everything] }
  writer: { verifier: "${await makeVerifier(writerPassword)}", roles: [writer] }
log: { level: warn }
`,
    login: { user: "reader", password: writerPassword },
  })
}

export async function startWireServers(): Promise<WireServers> {
  const postgres = await startPostgres({ settings: steadyPlans })
  try {
    await postgres.run(wireSeedOnPostgres)
    const gateway = await startBoth(postgres)
    const origin = splitUri(postgres.uri)
    const front = splitUri(gateway.uri)
    const writer = { user: "writer", password: writerPassword }
    return {
      postgres,
      gateway,
      direct: { reader: { ...origin, startup: readOnly }, writer: { ...origin, ...writer } },
      through: { reader: front, writer: { ...front, ...writer } },
      ids: await objectIds(postgres),
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
