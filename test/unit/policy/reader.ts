import { ok } from "node:assert/strict"
import { expand } from "../../../src/catalog/expand.ts"
import { resolveRelations } from "../../../src/catalog/resolve.ts"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { isRestricted, sightOf } from "../../../src/policy/catalogue-sight.ts"
import { compilePolicies, type PoliciesInput } from "../../../src/policy/compile.ts"
import { govern } from "../../../src/policy/govern.ts"
import type { Governed } from "../../../src/policy/governed-read.ts"
import { type EffectivePolicy, Policy } from "../../../src/policy/policy.ts"
import type { Guards } from "../../../src/policy/rules.ts"
import { parseText } from "../../../src/sql/parser.ts"

type RelationInput = PoliciesInput["relations"][string]

/** A relation's policy that says no more than `parts`. */
export function relationInput(parts: Partial<RelationInput>): RelationInput {
  return {
    rowFilters: [],
    unfilteredRoles: [],
    masks: [],
    deniedColumns: [],
    fence: true,
    ...parts,
  }
}

export function rowFilter(text: string, parts: Partial<RelationInput["rowFilters"][number]> = {}) {
  return { name: "f", filter: text, kind: "permissive" as const, ...parts }
}

export type ReaderInput = {
  readonly snapshot: CatalogSnapshot
  readonly relations?: PoliciesInput["relations"]
  readonly guestFilters?: PoliciesInput["guestFilters"]
  readonly functions?: readonly string[]
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
  readonly claims?: Readonly<Record<string, unknown>>
  readonly searchPath?: readonly string[]
  readonly explain?: Guards["explain"]
  readonly mayWrite?: boolean
}

/** The policy of somebody with the one role `r`. Needs the parser. */
export function effectiveOf(input: ReaderInput): EffectivePolicy {
  const { allow = ["*"], deny = [], claims = {}, relations = {}, guestFilters } = input
  const { policies, problems } = compilePolicies(
    {
      claims: {},
      functions: input.functions ?? [],
      relations,
      ...(guestFilters === undefined ? {} : { guestFilters }),
    },
    ["r"],
  )
  ok(problems.length === 0, JSON.stringify(problems))
  const role = {
    name: "r",
    relations: { allow, deny },
    rowLimit: undefined,
    onExceed: "cut" as const,
    statementTimeoutMs: 0,
    mayCache: true,
    mayWrite: input.mayWrite ?? false,
  }
  return new Policy([role], policies).of({ user: "ann", roles: ["r"], claims })
}

/** What becomes of a read, as the pipeline asks for it. */
export function governed(sql: string, input: ReaderInput): Governed {
  const { snapshot, claims = {}, searchPath = ["sales"], explain = "none" } = input
  const policy = effectiveOf(input)
  const [statement] = parseText(sql)
  ok(statement?.class.kind === "read" || statement?.class.kind === "explain")
  const { traits } = statement.class
  const scope = { snapshot, searchPath, database: "warehouse" }
  const { resolved, unknown } = resolveRelations(traits.relations, scope)
  const expanded = expand(resolved, snapshot).relations
  const sight = isRestricted(policy) ? sightOf(policy, snapshot) : undefined
  const { rules } = policy
  return govern({ statement, traits, rules, sight, claims, scope, expanded, unknown, explain })
}

/** The rewritten text, `untouched`, or SQLSTATE, reason, message and hint. */
export function outcome(sql: string, input: ReaderInput): string {
  const found = governed(sql, input)
  if (found.kind === "rewritten") return found.query.text
  if (found.kind === "refused")
    return `${found.sqlState} ${found.reason}: ${found.message} (${found.hint ?? ""})`
  return found.kind
}
