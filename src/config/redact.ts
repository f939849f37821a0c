import type { RedisPassword, RedisSettings } from "../core/redis.ts"
import type {
  Configuration,
  IdentityConfiguration,
  WarehouseConfiguration,
} from "./configuration.ts"

const hidden = "***"

/** URI parameters that are secrets in libpq's vocabulary. */
const secretParameters = ["password", "sslpassword", "passfile"]

/** The URI without its password. What cannot be read as a URI is hidden whole. */
export function redactUri(text: string): string {
  const uri = URL.parse(text)
  if (uri === null) return hidden
  if (uri.password !== "") uri.password = hidden
  for (const name of secretParameters)
    if (uri.searchParams.has(name)) uri.searchParams.set(name, hidden)
  return uri.href
}

function redactWarehouse(warehouse: WarehouseConfiguration): WarehouseConfiguration {
  if (warehouse.engine !== "postgres") return warehouse
  const { uri, writeUri, replicas } = warehouse
  return {
    ...warehouse,
    uri: redactUri(uri),
    writeUri: writeUri === undefined ? undefined : redactUri(writeUri),
    replicas: replicas.map((replica) => ({ ...replica, uri: redactUri(replica.uri) })),
  }
}

function mapValues<Value>(
  values: Readonly<Record<string, Value>>,
  change: (value: Value) => Value,
) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]))
}

/** Secrets of HS256 are hidden; a public key says nothing that its id does not, so it is, too. */
function redactIdentity(
  identity: IdentityConfiguration | undefined,
): IdentityConfiguration | undefined {
  if (identity === undefined) return undefined
  const keys = identity.keys.map((key) =>
    key.from.kind === "text" ? { ...key, from: { kind: "text" as const, text: hidden } } : key,
  )
  return { ...identity, keys }
}

function redactPassword(password: RedisPassword): RedisPassword {
  return password.kind === "text" ? { kind: "text", text: hidden } : password
}

function redactRedis(redis: RedisSettings | undefined): RedisSettings | undefined {
  if (redis === undefined) return undefined
  const { target } = redis
  return {
    ...redis,
    password: redactPassword(redis.password),
    target:
      target.kind === "sentinel"
        ? { ...target, password: redactPassword(target.password) }
        : target,
  }
}

/** The same configuration, fit to be printed: no password, verifier, secret or token digest. Claims are shown; they are no secrets. */
export function redactConfiguration(configuration: Configuration): Configuration {
  return {
    ...configuration,
    listen: {
      ...configuration.listen,
      ...(configuration.listen.loginSecret === undefined ? {} : { loginSecret: hidden }),
    },
    control: {
      ...configuration.control,
      tokens: configuration.control.tokens.map((token) => ({ ...token, sha256: hidden })),
    },
    warehouses: mapValues(configuration.warehouses, redactWarehouse),
    users: mapValues(configuration.users, (user) => ({ ...user, verifier: hidden })),
    identity: redactIdentity(configuration.identity),
    redis: redactRedis(configuration.redis),
    cache: {
      ...configuration.cache,
      shared: {
        ...configuration.cache.shared,
        sealing: configuration.cache.shared.sealing.map(({ id }) => ({ id, secret: hidden })),
      },
    },
  }
}
