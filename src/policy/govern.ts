import { dependentsOf } from "../catalog/expand.ts"
import { type NameScope, resolveRelations } from "../catalog/resolve.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted, ReadTraits, Statement } from "../core/statement.ts"
import { emitUnchanged } from "../sql/emit.ts"
import { isAnalyze, isTextFormat } from "../sql/explain-options.ts"
import { parseText } from "../sql/parser.ts"
import { type RelationUse, rewriteRelations, type StandIn } from "../sql/rewrite-relations.ts"
import { checkCalls, checkRead } from "./check-read.ts"
import { type Refusal, refused } from "./judge.ts"
import type { ReaderRule, ReaderRules } from "./relation-policy.ts"
import type { Guards } from "./rules.ts"
import { rulesByRelation } from "./rules-by-relation.ts"
import { PolicyRefusal, relationSource, tableQuery, viewSource } from "./stand-in.ts"

/** One read of somebody from whom policies hide something. */
export type GovernedRead = {
  readonly statement: Statement
  readonly traits: ReadTraits
  readonly rules: ReaderRules
  readonly claims: Readonly<Record<string, unknown>>
  readonly scope: NameScope
  readonly expanded: readonly RelationName[]
  readonly unknown: readonly RelationRef[]
  /** What the reader may learn of plans. */
  readonly explain: Guards["explain"]
}

export type Governed =
  /** It reads nothing that a policy is about. */
  | { readonly kind: "untouched" }
  | {
      readonly kind: "rewritten"
      readonly query: Emitted
      /** What was applied, for the report: `sales.orders: own_region, mask email`. */
      readonly applied: readonly string[]
    }
  | Refusal

/** Views over views: deeper than any that people write. */
const viewDepthMax = 32

/**
 * The statement with every governed relation replaced by what its reader may see of it. What cannot be proven is refused;
 * there is no third way.
 */
export function govern(read: GovernedRead): Governed {
  const { traits, rules, scope, expanded, unknown, statement } = read
  const { snapshot, searchPath } = scope
  const vouched = rules.policies.functions
  const found = checkRead(traits, { expanded, unknown }, { snapshot, searchPath, vouched })
  if (found !== undefined) return found
  const governor = new Governor(read)
  const touched = traits.relations.some((ref) => governor.touches(ref))
  if (!touched) return { kind: "untouched" }
  const unexplained = statement.class.kind === "read" ? undefined : checkExplain(read)
  if (unexplained !== undefined) return unexplained
  if (traits.usesSystemColumn) return construct("a system column")
  try {
    const query = governor.rewritten(statement, scope)
    if (query === undefined) return construct("this form of reading it")
    return { kind: "rewritten", query, applied: [...governor.applied].toSorted() }
  } catch (thrown) {
    if (thrown instanceof PolicyRefusal) return thrown.refusal
    if (!(thrown instanceof GatewayError) || thrown.severity === "FATAL") throw thrown
    return refused(SqlState.FeatureNotSupported, thrown.reason, thrown.message, thrown.hint)
  }
}

/** What an EXPLAIN tells comes from all rows, hidden ones too; with ANALYZE it counts them. */
function checkExplain({ statement, explain }: GovernedRead): Refusal | undefined {
  if (explain === "none")
    return construct(
      "EXPLAIN",
      "The planner's estimates would tell about rows that are hidden from you. A role may be given `explain: coarse`.",
    )
  if (isAnalyze(statement.ast))
    return construct("EXPLAIN ANALYZE", "It would count rows that are hidden from you.")
  if (explain === "coarse" && !isTextFormat(statement.ast))
    return construct("EXPLAIN in this format", "Your role sees one line of text.")
  return undefined
}

function construct(what: string, hint?: string): Refusal {
  return refused(
    SqlState.InsufficientPrivilege,
    "row_policy_refused",
    `${what} is not allowed on a relation with a row or column policy`,
    hint,
  )
}

class Governor {
  readonly applied = new Set<string>()
  readonly #read: GovernedRead
  readonly #snapshot: CatalogSnapshot
  readonly #rules: ReadonlyMap<RelationName, ReaderRule>
  /** Views that are being expanded, outermost first. */
  readonly #views: RelationName[] = []

  constructor(read: GovernedRead) {
    this.#read = read
    this.#snapshot = read.scope.snapshot
    this.#rules = rulesByRelation(read.rules, this.#snapshot)
  }

  /** True when a rule holds for the relation, for something that it shows or was made of, or for a parent of it. */
  touches(ref: RelationRef): boolean {
    const name = this.#resolve(ref, this.#read.scope)
    if (name === undefined) return false
    return this.#rules.has(name) || this.#hidesBelow(name) || this.#governedParent(name)
  }

  rewritten(statement: Statement, scope: NameScope): Emitted | undefined {
    return rewriteRelations(statement, (use) => this.#standIn(use, scope))
  }

  #resolve(ref: RelationRef, scope: NameScope): RelationName | undefined {
    return resolveRelations([ref], scope).resolved[0]
  }

  #relation(name: RelationName): CatalogRelation {
    const relation = this.#snapshot.relations.get(name)
    if (relation !== undefined) return relation
    throw new PolicyRefusal(
      SqlState.UndefinedTable,
      "relation_not_granted",
      `relation "${name}" does not exist`,
    )
  }

  /** A rule below it: sources of a view, children of a parent, what a materialised view was made of. */
  #hidesBelow(name: RelationName): boolean {
    const seen = new Set([name])
    for (const at of seen) {
      if (at !== name && this.#rules.has(at)) return true
      const relation = this.#snapshot.relations.get(at)
      for (const below of [...(relation?.dependsOn ?? []), ...(relation?.madeOf ?? [])])
        seen.add(below)
    }
    return false
  }

  #governedParent(name: RelationName): boolean {
    return dependentsOf([name], this.#snapshot).some(
      (above) => this.#rules.has(above) && this.#isParent(above),
    )
  }

  /** Views have sources; tables that have something below them have children. */
  #isParent(name: RelationName): boolean {
    return this.#snapshot.relations.get(name)?.kind !== "view"
  }

  #standIn(use: RelationUse, scope: NameScope): StandIn | undefined {
    const name = this.#resolve(use.ref, scope)
    if (name === undefined)
      throw new PolicyRefusal(
        SqlState.UndefinedTable,
        "relation_not_granted",
        `relation "${use.ref.name}" does not exist`,
      )
    const relation = this.#relation(name)
    const rule = this.#rules.get(name)
    const hidesBelow = this.#hidesBelow(name)
    if (rule === undefined && !hidesBelow && !this.#governedParent(name)) return undefined
    if (use.isSampled) throw refusedUse("TABLESAMPLE", relation)
    const isView = relation.kind === "view"
    if (rule === undefined && !hidesBelow)
      throw refusedUse("A child of a relation with a policy", relation)
    if (hidesBelow && !isView && !(relation.kind === "materialized_view" && rule !== undefined))
      throw refusedUse("A parent or copy of a relation with a policy", relation)
    const query = hidesBelow && isView ? this.#viewQuery(relation) : undefined
    if (rule === undefined && query !== undefined) return { query, schema: relation.schema }
    if (rule === undefined) throw refusedUse("This use", relation)
    const source =
      query === undefined
        ? relationSource(relation, use.includesChildren)
        : viewSource(relation, query)
    this.#note(relation, rule)
    const { claims, rules } = this.#read
    const snapshot = this.#snapshot
    return {
      query: tableQuery({ relation, rule, source, claims, policies: rules.policies, snapshot }),
      schema: relation.schema,
    }
  }

  /** A view is read by its definition, with what it shows governed inside. */
  #viewQuery(relation: CatalogRelation): Emitted {
    const { definition, name } = relation
    if (definition === undefined) throw refusedUse("A view whose definition is not known", relation)
    if (this.#views.includes(name) || this.#views.length >= viewDepthMax)
      throw refusedUse("A view as deep as this", relation)
    const [statement, ...more] = parseText(definition)
    if (statement === undefined || more.length > 0 || statement.class.kind !== "read")
      throw refusedUse("A view with such a definition", relation)
    const { traits } = statement.class
    const scope = { ...this.#read.scope, searchPath: [] }
    const vouched = this.#read.rules.policies.functions
    const found = checkCalls(traits, { snapshot: this.#snapshot, searchPath: [], vouched })
    if (found !== undefined || traits.usesSystemColumn || traits.usesSessionFact)
      throw refusedUse("A view that calls what could read hidden rows", relation)
    this.#views.push(name)
    const query = this.rewritten(statement, scope) ?? emitUnchanged(statement)
    this.#views.pop()
    this.applied.add(`${name}: read by its definition`)
    return query
  }

  #note({ name }: CatalogRelation, { rows, masks, deniedColumns }: ReaderRule): void {
    const filters = rows.kind === "filtered" ? [...rows.permissive, ...rows.restrictive] : []
    const parts = [
      ...filters.map((filter) => `filter ${filter.name}`),
      ...masks.map(({ column }) => `mask ${column}`),
      ...[...deniedColumns].map((column) => `without ${column}`),
    ]
    this.applied.add(`${name}: ${parts.join(", ")}`)
  }
}

function refusedUse(what: string, { relation }: CatalogRelation): PolicyRefusal {
  return new PolicyRefusal(
    SqlState.InsufficientPrivilege,
    "row_policy_refused",
    `permission denied for relation ${relation}`,
    `${what} cannot be read under the policies that hold for you.`,
  )
}
