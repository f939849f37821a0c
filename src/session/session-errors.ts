import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** Ways in which a statement or a session is ended from outside, in PostgreSQL's words (tcop/postgres.c). */

export function cancelledByClient(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "cancelled",
    message: "canceling statement due to user request",
  })
}

export function clientGone(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "cancelled",
    message: "canceling statement because the client has gone",
  })
}

export function shuttingDown(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "draining",
    severity: "FATAL",
    message: "terminating connection due to administrator command",
  })
}

export function idleTooLong(isInTransaction: boolean): GatewayError {
  return new GatewayError({
    sqlState: isInTransaction
      ? SqlState.IdleInTransactionSessionTimeout
      : SqlState.IdleSessionTimeout,
    reason: "idle_timeout",
    severity: "FATAL",
    message: isInTransaction
      ? "terminating connection due to idle-in-transaction timeout"
      : "terminating connection due to idle-session timeout",
  })
}

export function functionCallRefused(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: "the function-call protocol is not supported by this gateway",
    hint: "Call the function by SELECT.",
  })
}

/** Cursors of DECLARE and portals of Bind share their names. */
export function cursorExists(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.DuplicateCursor,
    reason: "duplicate_name",
    message: `cursor "${name}" already exists`,
  })
}
