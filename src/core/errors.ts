import { SqlState } from "./sql-state.ts"

/**
 * Why Sluice itself raised an error. A closed list: each is a metric label, an audit field and a heading of
 * docs/ERRORS.md, so that a name, once published, does not change its meaning.
 */
export type ErrorReason =
  // wire and login
  | "protocol_violation"
  | "message_too_large"
  | "unsupported_protocol"
  | "tls_required"
  | "client_certificate_required"
  | "invalid_password"
  | "identity_refused"
  | "identity_required"
  | "identity_expired"
  | "identity_revoked"
  | "login_rate_limited"
  | "unknown_database"
  | "login_timeout"
  | "too_many_sessions"
  | "startup_setting_refused"
  | "unsupported_encoding"
  // statements
  | "syntax_error"
  | "statement_too_large"
  | "statement_too_complex"
  | "construct_unsupported"
  | "emit_not_verified"
  | "unknown_prepared_statement"
  | "unknown_portal"
  | "unknown_cursor"
  | "duplicate_name"
  | "cursor_position"
  | "row_settings_changed"
  | "portal_spool_full"
  | "session_memory_full"
  | "invalid_parameter"
  | "unknown_setting"
  | "setting_not_changeable"
  | "failed_transaction"
  | "transaction_state"
  // policy
  | "write_on_read_route"
  | "write_not_allowed"
  | "relation_not_granted"
  | "function_not_allowed"
  | "not_your_session"
  | "row_limit_exceeded"
  | "result_bytes_exceeded"
  | "filter_required"
  | "construct_forbidden"
  | "cost_limit_exceeded"
  | "claim_missing"
  | "claims_unavailable"
  | "guest_rule_refused"
  | "row_policy_refused"
  | "policy_unfit"
  // an engine without pg_catalog
  | "catalogue_mixed"
  | "catalogue_unavailable"
  | "catalogue_answer_too_large"
  // running
  | "not_in_cache"
  | "statement_timeout"
  | "cancelled"
  | "queue_full"
  | "queue_timeout"
  | "class_queue_full"
  | "class_queue_timeout"
  | "write_sessions_full"
  | "warehouse_unreachable"
  | "warehouse_busy"
  | "warehouse_error"
  | "warehouse_protocol"
  | "redis_unavailable"
  | "draining"
  | "idle_timeout"
  // control surface and configuration
  | "call_rate_limited"
  | "invalid_configuration"
  | "malformed_body"
  | "body_too_large"
  | "too_many_items"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "unsupported_media_type"
  | "idempotency_conflict"
  | "port_taken"
  // our own bugs
  | "invariant_violation"

/** `ERROR` ends the statement and keeps the session; `FATAL` ends the session. */
export type Severity = "ERROR" | "FATAL"

/**
 * The message of the extended protocol at which PostgreSQL raises an error (manual, 54.2.3): analysis is Parse's; planning, values
 * and permissions are Bind's.
 */
export type ErrorStage = "parse" | "bind"

/** Further fields of ErrorResponse (PostgreSQL manual, 54.8) that a warehouse sent and that are passed on as they are. */
export type ErrorFields = ReadonlyMap<string, string>

export type GatewayErrorInit = {
  /** One of {@link SqlState}, or the five characters that a warehouse sent. */
  readonly sqlState: string
  readonly reason: ErrorReason
  readonly message: string
  readonly severity?: Severity
  readonly detail?: string
  readonly hint?: string
  /** Offset of the fault in the client's own text: characters (not bytes), counted from 1. */
  readonly position?: number
  /** True when it is certain that no byte of the statement reached a warehouse. */
  readonly safeToRetry?: boolean
  readonly cause?: unknown
  /** Fields beyond these, by their one-letter codes, verbatim from the warehouse. */
  readonly fields?: ErrorFields
  /** Undefined: while the statement ran, or not known. */
  readonly stage?: ErrorStage | undefined
}

/**
 * The one error that crosses a room's border. It speaks to three people: `sqlState` to the driver, `message`, `detail`
 * and `hint` to the analyst, `reason` and `cause` to the operator. `cause` reaches the logs only. `detail` never shows a
 * predicate, another tenant's name or another session's SQL.
 */
export class GatewayError extends Error {
  override readonly name: string = "GatewayError"
  readonly sqlState: string
  readonly reason: ErrorReason
  readonly severity: Severity
  readonly detail: string | undefined
  readonly hint: string | undefined
  readonly position: number | undefined
  readonly safeToRetry: boolean
  readonly fields: ErrorFields | undefined
  readonly stage: ErrorStage | undefined

  constructor(init: GatewayErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause })
    this.sqlState = init.sqlState
    this.reason = init.reason
    this.severity = init.severity ?? "ERROR"
    this.detail = init.detail
    this.hint = init.hint
    this.position = init.position
    this.safeToRetry = init.safeToRetry ?? false
    this.fields = init.fields
    this.stage = init.stage
  }
}

/** A bug of ours: a state that the code's own argument says cannot be. It ends the session, never the process. */
export class InvariantViolation extends GatewayError {
  override readonly name: string = "InvariantViolation"

  constructor(message: string, cause?: unknown) {
    super({
      sqlState: SqlState.InternalError,
      reason: "invariant_violation",
      severity: "FATAL",
      message: `internal error: ${message}`,
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

/** Marks a branch that the type checker has proven empty. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`unexpected variant ${JSON.stringify(value)}`)
}

/** Anything thrown, as a {@link GatewayError}: one of ours as it is, everything else as a bug of ours. */
export function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  return new InvariantViolation(thrown instanceof Error ? thrown.message : String(thrown), thrown)
}
