import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** What a pool says no with. All of them are safe to retry: the statement never left this process. */

export function queueFull(endpoint: string, waitersMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "queue_full",
    message: `too many statements are waiting for a connection to warehouse "${endpoint}"`,
    detail: `${waitersMax} statements are waiting already.`,
    hint: "Try again in a moment.",
    safeToRetry: true,
  })
}

export function queueTimeout(endpoint: string, waitMsMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "queue_timeout",
    message: `no connection to warehouse "${endpoint}" became free within ${waitMsMax} ms`,
    hint: "Try again in a moment.",
    safeToRetry: true,
  })
}

export function classQueueFull(workloadClass: string, waitersMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "class_queue_full",
    message: `too many statements of class "${workloadClass}" are waiting`,
    detail: `${waitersMax} statements are waiting already.`,
    hint: "Try again in a moment.",
    safeToRetry: true,
  })
}

export function classQueueTimeout(workloadClass: string, waitMsMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "class_queue_timeout",
    message: `no statement of class "${workloadClass}" ended within ${waitMsMax} ms`,
    hint: "Try again in a moment.",
    safeToRetry: true,
  })
}

/** `cause` is what the last attempt to connect ended with; it may name hosts and reaches the logs only. */
export function endpointDown(endpoint: string, cause: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: `warehouse "${endpoint}" is not reachable`,
    hint: "It is tried again in the background.",
    safeToRetry: true,
    cause,
  })
}

export function connectTimeout(endpoint: string, connectTimeoutMs: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: `warehouse "${endpoint}" did not accept a connection within ${connectTimeoutMs} ms`,
    safeToRetry: true,
  })
}

export function poolClosed(endpoint: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.CannotConnectNow,
    reason: "draining",
    message: `warehouse "${endpoint}" takes no more statements`,
    detail: "The gateway is shutting down.",
    safeToRetry: true,
  })
}

export function writeSessionsFull(endpoint: string, writeSessionsMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "write_sessions_full",
    message: `too many sessions write to warehouse "${endpoint}"`,
    detail: `${writeSessionsMax} sessions have a connection of their own already.`,
    hint: "Try again in a moment.",
    safeToRetry: true,
  })
}

export function noWrites(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ReadOnlySqlTransaction,
    reason: "write_on_read_route",
    message: "this warehouse is not written through the gateway",
    hint: "Write to it directly, and report what was written to POST /v1/invalidations.",
    safeToRetry: true,
  })
}
