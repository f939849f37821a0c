import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

export function loginTooSlow(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "login_timeout",
    severity: "FATAL",
    message: "canceling authentication due to timeout",
  })
}

export function userNameMissing(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "protocol_violation",
    severity: "FATAL",
    message: "no PostgreSQL user name specified in startup packet",
  })
}

export function tlsRequired(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "tls_required",
    severity: "FATAL",
    message: "this gateway accepts encrypted connections only",
    hint: "Connect with sslmode=require or stricter.",
  })
}

/** `problem`: what is wrong with the certificate that was shown. */
export function certificateRequired(problem?: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "client_certificate_required",
    severity: "FATAL",
    message: "connection requires a valid client certificate",
    ...(problem === undefined
      ? {}
      : { detail: `Client certificate verification failed: ${problem}.` }),
  })
}

export function tooManyFailures(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "login_rate_limited",
    severity: "FATAL",
    message: "sorry, too many clients already",
    detail: "Too many logins have failed at this address.",
    safeToRetry: true,
  })
}

export function unencryptedBytes(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "protocol_violation",
    severity: "FATAL",
    message: "received unencrypted data after SSL request",
    detail:
      "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
  })
}

export function unknownDatabase(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidCatalogName,
    reason: "unknown_database",
    severity: "FATAL",
    message: `database "${name}" does not exist`,
  })
}
