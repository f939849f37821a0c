import type { ErrorReason } from "../core/errors.ts"
import type { BypassReason, CacheOutcome, StatementEnd } from "../core/observation.ts"
import { valuesOf } from "./families.ts"

/** Every value a label can have. The records make the compiler ask for each member of a union; the last value takes the rest. */

export const cacheOutcomes = valuesOf<CacheOutcome>({
  hit_l1: true,
  hit_l2: true,
  miss: true,
  coalesced: true,
  stale: true,
  bypass: true,
})

export const statementOutcomes = valuesOf<StatementEnd["outcome"]>({
  ok: true,
  error: true,
  cancelled: true,
})

/** Statement classes of core/statement.ts, and what has none because it did not parse. */
export const statementClasses = [
  "empty",
  "read",
  "explain",
  "cursor",
  "prepare",
  "execute",
  "explain_execute",
  "copy",
  "session",
  "transaction",
  "write",
  "refused",
  "other",
]

export const bypassReasons = valuesOf<BypassReason>({
  cache_disabled: true,
  requested_off: true,
  not_a_read: true,
  write_session: true,
  volatile_function: true,
  unknown_function: true,
  time_function: true,
  time_literal: true,
  session_function: true,
  unstable_function: true,
  user_operator: true,
  system_column: true,
  table_sample: true,
  unknown_relation: true,
  volatile_view: true,
  foreign_table: true,
  transaction_isolation: true,
  transaction_pinned: true,
  tokens_unavailable: true,
  ttl_zero: true,
  explain: true,
  shadow_catalogue: true,
})

export const errorReasons = valuesOf<ErrorReason>({
  protocol_violation: true,
  message_too_large: true,
  unsupported_protocol: true,
  tls_required: true,
  client_certificate_required: true,
  invalid_password: true,
  identity_refused: true,
  identity_required: true,
  identity_expired: true,
  identity_revoked: true,
  login_rate_limited: true,
  unknown_database: true,
  login_timeout: true,
  too_many_sessions: true,
  startup_setting_refused: true,
  unsupported_encoding: true,
  syntax_error: true,
  statement_too_large: true,
  statement_too_complex: true,
  construct_unsupported: true,
  emit_not_verified: true,
  unknown_prepared_statement: true,
  unknown_portal: true,
  unknown_cursor: true,
  duplicate_name: true,
  cursor_position: true,
  row_settings_changed: true,
  portal_spool_full: true,
  session_memory_full: true,
  invalid_parameter: true,
  unknown_setting: true,
  setting_not_changeable: true,
  failed_transaction: true,
  transaction_state: true,
  write_on_read_route: true,
  write_not_allowed: true,
  relation_not_granted: true,
  function_not_allowed: true,
  not_your_session: true,
  row_limit_exceeded: true,
  result_bytes_exceeded: true,
  filter_required: true,
  construct_forbidden: true,
  cost_limit_exceeded: true,
  claim_missing: true,
  claims_unavailable: true,
  guest_rule_refused: true,
  row_policy_refused: true,
  policy_unfit: true,
  catalogue_mixed: true,
  catalogue_unavailable: true,
  catalogue_answer_too_large: true,
  not_in_cache: true,
  statement_timeout: true,
  cancelled: true,
  queue_full: true,
  queue_timeout: true,
  class_queue_full: true,
  class_queue_timeout: true,
  write_sessions_full: true,
  warehouse_unreachable: true,
  warehouse_busy: true,
  warehouse_error: true,
  warehouse_protocol: true,
  redis_unavailable: true,
  draining: true,
  idle_timeout: true,
  call_rate_limited: true,
  invalid_configuration: true,
  malformed_body: true,
  body_too_large: true,
  too_many_items: true,
  unauthorized: true,
  forbidden: true,
  not_found: true,
  method_not_allowed: true,
  unsupported_media_type: true,
  idempotency_conflict: true,
  port_taken: true,
  invariant_violation: true,
})

export const cancellers = ["client", "timeout", "drain"]

/** Who ended a statement early. Statements that end with another reason were not cancelled. */
export const cancellerByReason: ReadonlyMap<ErrorReason, number> = new Map([
  ["cancelled", 0],
  ["statement_timeout", 1],
  ["draining", 2],
])

/** Classes of SQLSTATE (PostgreSQL manual, Appendix A). */
export const sqlStateClasses =
  "00 01 02 03 08 09 0A 0B 0F 0L 0P 0Z 10 20 21 22 23 24 25 26 27 28 2B 2D 2F 34 38 39 3B 3D 3F 40 42 44 53 54 55 57 58 72 F0 HV P0 XX other".split(
    " ",
  )

/** Who reports invalidations. A name that nobody listed is `other`: labels must not grow with what clients write. */
export const invalidationSources = [
  "airflow",
  "dagster",
  "databricks",
  "dbt",
  "dbt_cloud",
  "manual",
  "openlineage",
  "prefect",
  "sql",
  "sqlmesh",
  "other",
]

/** Hits take about 0.1 ms, the longest allowed statement 300 s. */
/** Commands of the control plane, and those of the data tier together. */
export const redisCommands = ["heartbeat", "raise", "status", "forget", "fence", "other"]
export const redisResults = ["ok", "failed"]

export const secondsBuckets = {
  bounds: [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    30, 60, 120, 300,
  ],
  scale: 1000,
}

/** From fresh to the longest TTL class in use, a day. */
export const ageBuckets = {
  bounds: [0.1, 1, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400],
  scale: 1000,
}

export const rowBuckets = {
  bounds: [0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
  scale: 1,
}
