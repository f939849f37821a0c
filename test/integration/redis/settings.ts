import type { RedisSettings, RedisTarget } from "../../../src/core/redis.ts"
import type { TestRedis } from "../../support/redis-server.ts"

export const nodeOf = (server: TestRedis) => ({ host: server.host, port: server.port })

/** Short leases, so that a test can wait for one to end. */
export function settingsOf(
  target: RedisTarget | TestRedis,
  more: Partial<RedisSettings> = {},
): RedisSettings {
  return {
    target: "kind" in target ? target : { kind: "single", node: nodeOf(target) },
    username: undefined,
    password: { kind: "none" },
    tls: undefined,
    database: 0,
    keyPrefix: "sluice",
    commandTimeoutMs: 200,
    connectTimeoutMs: 1_000,
    leaseMs: 400,
    replicasMin: 0,
    ...more,
  }
}
