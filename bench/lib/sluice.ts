import { startGateway } from "../../test/support/gateway.ts"
import { type Target, uriOf } from "./target.ts"

export type SluiceOptions = {
  readonly name?: string
  readonly isCacheEnabled?: boolean
  readonly nodeArguments?: readonly string[]
}

/** The gateway as a user runs it, in front of the bench's PostgreSQL. */
export async function startSluice(direct: Target, options: SluiceOptions = {}): Promise<Target> {
  const gateway = await startGateway({
    config: `warehouses:
  warehouse:
    engine: postgres
    uri: ${uriOf(direct)}
cache: { enabled: ${options.isCacheEnabled ?? true} }
log: { level: warn }`,
    nodeArguments: options.nodeArguments ?? [],
  })
  return {
    name: options.name ?? "sluice",
    host: gateway.host,
    port: gateway.port,
    user: gateway.user,
    password: gateway.password,
    database: "warehouse",
    pid: gateway.pid,
    stop: async () => {
      await gateway.stop()
    },
  }
}
