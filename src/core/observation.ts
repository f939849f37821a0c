import type { ErrorReason } from "./errors.ts"

/** The only cache outcomes; also metric labels. */
export type CacheOutcome = "hit_l1" | "hit_l2" | "miss" | "coalesced" | "stale" | "bypass"

/** Why a statement was not, or may not be, served from the cache. Closed: a metric label and a heading of docs/ERRORS.md. */
export type BypassReason =
  | "cache_disabled"
  | "requested_off"
  | "not_a_read"
  | "write_session"
  | "volatile_function"
  | "unknown_function"
  | "time_function"
  | "time_literal"
  | "session_function"
  | "unstable_function"
  | "user_operator"
  | "system_column"
  | "table_sample"
  | "unknown_relation"
  | "volatile_view"
  | "foreign_table"
  | "transaction_isolation"
  | "transaction_pinned"
  | "tokens_unavailable"
  | "ttl_zero"
  | "explain"
  | "shadow_catalogue"

/** Why a result that could have been stored was not. */
export type FillSkipReason =
  | "entry_too_large"
  | "row_limit_cut"
  | "failed"
  | "cancelled"
  | "token_changed"

/**
 * Stages of one statement, in milliseconds. `parseMs` is next to nothing for a text that was parsed before; `warehouseMs` ends
 * with the first answer of the warehouse, and what follows until the last row was handed to the client is `encodeMs`.
 */
export type StageTimes = {
  parseMs: number
  policyMs: number
  cacheMs: number
  queueMs: number
  warehouseMs: number
  encodeMs: number
}

/** What happened to one statement: the source of `SHOW sluice.last`, of the metrics and, later, of the audit line. */
export type StatementReport = {
  readonly warehouse: string
  /** Statement class: read, explain, session, transaction, write, refused ... */
  readonly statement: string
  readonly cache: CacheOutcome
  /** Why it was no hit; undefined for hits and plain misses. */
  readonly reason: BypassReason | undefined
  /** Age of the entry served, counted from the start of the query that filled it. */
  readonly ageMs: number | undefined
  /** Digest of the cache key; in a shared tier the entry's name. */
  readonly key: string | undefined
  /** The token vector that the key was made with, for people. */
  readonly tokens: string | undefined
  readonly relations: readonly string[]
  /** The instant that stood for now(): `2026-11-21 10:40:00+00`. */
  readonly timeBucket?: string | undefined
  /** What the session or the statement's comments asked of the cache, as far as it was granted. */
  readonly hint?: string | undefined
  /** The endpoint that answered, or undefined for a hit or a local answer. */
  readonly endpoint: string | undefined
  /** `encodeMs` is added when the last row was handed to the client. */
  readonly stages: StageTimes
}

/** What the session knows at the end of a statement, beside the report. */
export type StatementEnd = {
  readonly durationMs: number
  readonly rowCount: number
  readonly byteCount: number
  readonly outcome: "ok" | "error" | "cancelled"
  readonly errorReason: ErrorReason | undefined
  readonly sqlState: string | undefined
}
