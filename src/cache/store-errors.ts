import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** An invalidation that came while the gateway shuts down. */
export function storeClosed(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "draining",
    message: "the gateway is shutting down; the invalidation was not applied",
    safeToRetry: true,
  })
}

/** The tokens are raised and other instances may not have them yet. */
export function storeClosedEarly(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "draining",
    message: "the gateway is shutting down before all instances had confirmed the invalidation",
  })
}

/** The token may be in Redis or not: nobody can tell, so nothing is acknowledged, and repeating is harmless. */
export function redisUnavailable(cause: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.CannotConnectNow,
    reason: "redis_unavailable",
    message: "Redis did not take the invalidation",
    hint: "Report the change again when Redis is back; twice is harmless.",
    cause,
  })
}
