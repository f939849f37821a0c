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
  /** May change data and definitions of the relations it is granted, on a connection of the session's own. */
  readonly mayWrite: boolean
}

/** Patterns over `schema.name`: exact, `schema.*` or `*`. Deny wins over allow; what nothing allows is denied. */
export type RelationRules = {
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}
