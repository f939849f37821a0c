import { type ErrorReason, type ErrorStage, GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"

/** Fields that GatewayError has places for; S and V (severity) are decided here. */
const placed = new Set(["S", "V", "C", "M", "D", "H", "P"])

/** Fields of an ErrorResponse or NoticeResponse body by their one-letter codes (PostgreSQL manual, 54.8). */
export function parseFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  let offset = 0
  while (offset < body.length && body[offset] !== 0) {
    const end = body.indexOf(0, offset + 1)
    if (end === -1) throw protocolError("an error message that does not end")
    fields.set(String.fromCharCode(body[offset] ?? 0), body.toString("utf8", offset + 1, end))
    offset = end + 1
  }
  return fields
}

/** True when the server ends the connection with this error. V is S untranslated, since PostgreSQL 9.6. */
export function endsConnection(fields: ReadonlyMap<string, string>): boolean {
  const severity = fields.get("V") ?? fields.get("S")
  return severity === "FATAL" || severity === "PANIC"
}

function reasonOf(sqlState: string, message: string, isFatal: boolean): ErrorReason {
  if (isFatal) return "warehouse_unreachable"
  if (sqlState !== SqlState.QueryCanceled) return "warehouse_error"
  return message.includes("statement timeout") ? "statement_timeout" : "cancelled"
}

/**
 * The server's own error with every field as it came. Always ERROR: a server that ends its connection (57P01) has ended one
 * statement of the client's, not the client's session.
 */
export function serverError(fields: ReadonlyMap<string, string>, stage?: ErrorStage): GatewayError {
  const sqlState = fields.get("C") ?? SqlState.InternalError
  const message = fields.get("M") ?? "the warehouse reported an error without a text"
  const detail = fields.get("D")
  const hint = fields.get("H")
  const position = Number(fields.get("P") ?? Number.NaN)
  const others = new Map([...fields].filter(([code]) => !placed.has(code)))
  return new GatewayError({
    sqlState,
    reason: reasonOf(sqlState, message, endsConnection(fields)),
    message,
    stage,
    ...(detail === undefined ? {} : { detail }),
    ...(hint === undefined ? {} : { hint }),
    ...(Number.isInteger(position) ? { position } : {}),
    ...(others.size === 0 ? {} : { fields: others }),
  })
}

/** The server sent what it may not send here. The connection is of no further use. */
export function protocolError(what: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "warehouse_protocol",
    message: `the warehouse broke the protocol: ${what}`,
  })
}

export function connectionLost(cause: unknown, safeToRetry: boolean): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: "the connection to the warehouse was lost",
    safeToRetry,
    cause,
  })
}

/** A connection could not be made. What the server said may name its own users and hosts: it goes to the logs only. */
export function connectFailed(name: string, cause: unknown): GatewayError {
  const code = (cause as { code?: unknown } | undefined)?.code
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: `could not connect to warehouse "${name}"`,
    ...(typeof code === "string" ? { detail: `The attempt ended with ${code}.` } : {}),
    safeToRetry: true,
    cause,
  })
}

/** PostgreSQL's own text for its statement_timeout. */
export function statementTimeout(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "statement_timeout",
    message: "canceling statement due to statement timeout",
  })
}
