import type { RelationPolicies, RelationPolicy, RowFilter } from "../relation-policy.ts"
import type { RolePolicy } from "../rules.ts"

/** `error`: a policy does not do what it says. `warning`: it may not be what was meant. `info`: good to know. */
export type Level = "error" | "warning" | "info"

/** Codes are stable: scripts filter on them, docs/operations/policies.md explains each. */
export type FindingCode =
  | "relation_unknown"
  | "column_unknown"
  | "name_unknown"
  | "expression_rejected"
  | "function_volatile"
  | "role_of_nobody"
  | "role_without_grant"
  | "claim_of_nobody"
  | "claim_missing"
  | "claim_unused"
  | "never_applies"
  | "filter_constant"
  | "mask_overlap"
  | "mask_on_denied_column"
  | "mask_type"
  | "policy_empty"
  | "index_missing"
  | "index_unknown"
  | "relation_ungoverned"
  | "shows_governed"

export type Finding = {
  readonly level: Level
  readonly code: FindingCode
  /** Leads to the place in the policies. */
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** Somebody whose roles and claims stand in the configuration. */
export type KnownUser = {
  readonly name: string
  readonly roles: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
}

export type LintSubject = {
  readonly policies: RelationPolicies
  /** Keys of the file's relations, in the order of `policies.relations`. */
  readonly keys: readonly string[]
  readonly roles: readonly RolePolicy[]
  readonly users: readonly KnownUser[]
  /** Tokens, or users that others name, bring identities that do not stand in the configuration. */
  readonly hasUnknownUsers: boolean
  /** The known name that was most likely meant. */
  readonly nearest: (name: string, known: readonly string[]) => string | undefined
}

/** One relation's policy with where it stands. */
export type Located = { readonly policy: RelationPolicy; readonly path: Finding["path"] }

export function locatedPolicies({ policies, keys }: LintSubject): readonly Located[] {
  return policies.relations.map((policy, index) => ({
    policy,
    path: ["relations", keys[index] ?? `${policy.schema}.${policy.relation}`],
  }))
}

export type LocatedFilter = { readonly filter: RowFilter; readonly path: Finding["path"] }

export function filtersOf({ policy, path }: Located): readonly LocatedFilter[] {
  return policy.rowFilters.map((filter, index) => ({
    filter,
    path: [...path, "rowFilters", index, "filter"],
  }))
}

/** `; did you mean "x"?`, or nothing. */
export function meant(subject: LintSubject, name: string, known: readonly string[]): string {
  const near = subject.nearest(name, known)
  return near === undefined ? "" : `; did you mean "${near}"?`
}
