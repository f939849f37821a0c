import { makeVerifier } from "../../src/wire/scram.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres } from "../support/postgres-server.ts"

/** Where a suite connects to. */
export type Target = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export type Side = "direct" | "through"

export type Server = Target & { stop(): Promise<void> }

const connectionsMax = 80

/** A role that may do everything: suites make, fill and drop their own tables. */
function configuration(uri: URL, verifier: string, mayWrite: boolean): string {
  const write = mayWrite ? ", write: true" : ""
  const pool = mayWrite
    ? `{ connectionsMax: ${connectionsMax}, writeSessionsMax: ${connectionsMax} }`
    : `{ connectionsMax: ${connectionsMax} }`
  // Some suites connect to the server's first database as well.
  const first = new URL("/postgres", uri)
  first.username = uri.username
  first.password = uri.password
  return `
warehouses:
  warehouse: { engine: postgres, uri: "${uri.href}", pool: ${pool} }
  postgres: { engine: postgres, uri: "${first.href}", pool: ${pool} }
roles: { everything: { relations: { allow: ["*"] }${write} } }
users: { ${uri.username}: { verifier: "${verifier}", roles: [everything] } }
`
}

/**
 * A fresh PostgreSQL with `setupSql` run, and for `through` a gateway before it whose user has the name and the password of
 * PostgreSQL's own superuser: a suite cannot tell the two sides by anything but behaviour.
 */
export async function startSide(
  side: Side,
  init: { readonly setupSql: string; readonly mayWrite: boolean },
): Promise<Server> {
  const postgres = await startPostgres({
    settings: { max_connections: "200", max_prepared_transactions: "20" },
  })
  let gateway: RunningGateway | undefined
  try {
    if (init.setupSql !== "") await postgres.run(init.setupSql)
    const uri = new URL(postgres.superuserUri)
    const password = decodeURIComponent(uri.password)
    if (side === "through") {
      const config = configuration(uri, await makeVerifier(password), init.mayWrite)
      gateway = await startGateway({ config, login: { user: uri.username, password } })
    }
    return {
      host: postgres.host,
      port: gateway?.port ?? postgres.port,
      user: uri.username,
      password,
      database: postgres.database,
      stop: async () => {
        await gateway?.stop()
        await postgres.stop()
      },
    }
  } catch (error) {
    await postgres.stop()
    throw error
  }
}
