import { type ErrorFields, GatewayError } from "../core/errors.ts"
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

/** pg_terminate_backend from another session of the same reader's: no sign that anything is wrong with the server. */
export function terminatedByAdministrator(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "cancelled",
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

/** The same error with other fields of the warehouse's, and at another place. */
export function withFields(
  error: GatewayError,
  fields: ErrorFields,
  position = error.position,
): GatewayError {
  const { sqlState, reason, message, severity, safeToRetry, cause, detail, hint, stage } = error
  return new GatewayError({
    sqlState,
    reason,
    message,
    severity,
    safeToRetry,
    stage,
    fields,
    cause,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(position === undefined ? {} : { position }),
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

/** A command is run once; only a portal with rows says again that it has none left (pquery.c: PortalRun). */
export function portalCannotBeRun(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ObjectNotInPrerequisiteState,
    reason: "transaction_state",
    message: `portal "${name}" cannot be run`,
  })
}

/** The warehouse knows every portal as the unnamed one; its errors name the client's. */
export function errorOfPortal(thrown: unknown, name: string): unknown {
  if (name === "" || !(thrown instanceof GatewayError)) return thrown
  const where = thrown.fields?.get("W")
  if (where === undefined || !where.includes("unnamed portal ")) return thrown
  const fields = new Map(thrown.fields)
  fields.set("W", where.replace("unnamed portal ", `portal "${name}" `))
  return withFields(thrown, fields)
}
