/** What a role may do. The first rule set: relations, limits, whether its reads may be cached. Roles of one identity add up. */
export type RolePolicy = {
  readonly name: string
  readonly relations: RelationRules
  /** Rows of one result; undefined = no limit. */
  readonly rowLimit: number | undefined
  /** What happens to a result beyond the limit: cut with a NOTICE, or ended with 54000. */
  readonly onExceed: "cut" | "error"
  /** From the statement's arrival to its last row; 0 = none. */
  readonly statementTimeoutMs: number
  readonly mayCache: boolean
  /** Undefined: hints may only reduce caching, and TTL classes decide the rest. */
  readonly caching?: RoleCaching
  /** May change data and definitions of the relations it is granted, on a connection of the session's own. */
  readonly mayWrite: boolean
  /** Undefined: nothing of the kind is limited. */
  readonly guards?: Guards | undefined
}

/** What a role may be kept from writing, whatever it reads. */
export type Construct = "cross_join" | "select_star" | "recursive" | "no_limit"

/** Limits of reads beyond rows and time; undefined = none. */
export type Guards = {
  /** The workload class that the role's statements queue with. */
  readonly workloadClass: string | undefined
  /** Bytes of one result's DataRow messages; `onExceed` says what happens to a longer one. */
  readonly resultBytesMax: number | undefined
  /** Longest wait for a connection and for the class's turn. */
  readonly queueTimeoutMs: number | undefined
  readonly costMax: number | undefined
  /** Rows that a step of the plan is estimated to give. */
  readonly rowsEstimatedMax: number | undefined
  readonly forbid: readonly Construct[]
  /** EXPLAIN of statements that row or column policies change. */
  readonly explain: "none" | "coarse" | "full"
}

/** What a role may ask of the cache, and what it may be given from it. */
export type RoleCaching = {
  /** `any`: comments in statements may also turn caching on again and choose a time bucket. */
  readonly hints: "reduce" | "any"
  /** No stored answer older than this; undefined = as old as its TTL. */
  readonly ageMsMax: number | undefined
  /** Time bucket for relations whose TTL class names none; undefined = the configuration's. */
  readonly timeBucketMs: number | undefined
}

/** Patterns over `schema.name`: exact, `schema.*` or `*`. Deny wins over allow; what nothing allows is denied. */
export type RelationRules = {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}
