import { startGateway } from "../../test/support/gateway.ts"
import type { CertificateFiles } from "./certificate.ts"
import { type Target, uriOf } from "./target.ts"

export type SluiceOptions = {
  readonly name?: string
  readonly isCacheEnabled?: boolean
  /** Keeps one entry in memory, so that all others come from the tier in this Redis. */
  readonly shared?: { readonly redisUri: string; readonly isSealed: boolean }
  readonly nodeArguments?: readonly string[]
  /** Clients may use TLS. */
  readonly tls?: CertificateFiles
  /** Stored verifier of the direct target's user, who then logs in here with the same password. */
  readonly verifier?: string
}

/** The gateway as a user runs it, in front of the bench's PostgreSQL. */
export async function startSluice(direct: Target, options: SluiceOptions = {}): Promise<Target> {
  const { tls, verifier } = options
  const { user, password } = direct
  const gateway = await startGateway({
    config: `warehouses:
  warehouse:
    engine: postgres
    uri: ${uriOf(direct)}
${cacheSection(options)}
log: { level: warn }
listen: { host: 127.0.0.1, port: 0, sessionsMax: 20000${tls === undefined ? "" : `, tls: { certFile: ${tls.certFile}, keyFile: ${tls.keyFile} }`} }
${verifier === undefined ? "" : `users: { ${user}: { verifier: "${verifier}", roles: [everything] } }`}`,
    ...(verifier === undefined ? {} : { login: { user, password } }),
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

function cacheSection({ isCacheEnabled = true, shared }: SluiceOptions): string {
  if (shared === undefined) return `cache: { enabled: ${isCacheEnabled} }`
  const key = `{ id: bench, secret: "${"5e".repeat(32)}" }`
  const sealing = shared.isSealed ? `[${key}]` : "[]"
  return `redis: { uri: "${shared.redisUri}", keyPrefix: ${shared.isSealed ? "sealed" : "plain"} }
cache: { entriesMax: 1, shared: { warehouseMsMin: 0, sealing: ${sealing} } }`
}
