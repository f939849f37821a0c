import { dependentsOf } from "../catalog/expand.ts"
import { findRelation } from "../catalog/relation-key.ts"
import { type NameScope, resolveRelations } from "../catalog/resolve.ts"
import type { CatalogInterest, CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted, ReadTraits, Statement } from "../core/statement.ts"
import { emitUnchanged } from "../sql/emit.ts"
import { isAnalyze, isTextFormat } from "../sql/explain-options.ts"
import { parseText } from "../sql/parser.ts"
import { type RelationUse, rewriteRelations, type StandIn } from "../sql/rewrite-relations.ts"
import { checkCalls, checkRead } from "./check-read.ts"
import { guestRefusal } from "./guest-predicate.ts"
import { type Refusal, refused } from "./judge.ts"
import { PolicyRefusal } from "./policy-refusal.ts"
import type { FullName } from "./relation-parts.ts"
import { type ReaderRule, type ReaderRules, ruleFor } from "./relation-policy.ts"
import type { Guards } from "./rules.ts"
import { rulesByRelation } from "./rules-by-relation.ts"
import { relationSource, tableQuery, viewSource } from "./stand-in.ts"

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
  /** Refused until the catalogue has read the columns of these relations. */
  | { readonly kind: "unread"; readonly relations: CatalogInterest; readonly refusal: Refusal }
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
  const own = governor.addGuestRules()
  if (own !== undefined) return own
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
  #rules: ReadonlyMap<RelationName, ReaderRule>
  /** Views that are being expanded, outermost first. */
  readonly #views: RelationName[] = []

  constructor(read: GovernedRead) {
    this.#read = read
    this.#snapshot = read.scope.snapshot
    this.#rules = rulesByRelation(read.rules, this.#snapshot)
  }

  /**
   * The rules of the reader's own token: for relations that they name, and those for every relation for what the statement
   * names. The catalogue's own relations hold no rows of tenants. Gives back why the statement cannot be answered, if so.
   */
  addGuestRules(): Exclude<Governed, { kind: "untouched" | "rewritten" }> | undefined {
    const { guest } = this.#read.rules
    const read = this.#read.traits.relations.flatMap(
      (ref) => this.#resolve(ref, this.#read.scope) ?? [],
    )
    const [first, ...more] = read.map((name) => this.#relation(name)).filter(isOfData)
    if (guest === undefined || first === undefined) return undefined
    if (guest.problem !== undefined)
      return guestRefusal(first.relation, "The row rules of your token cannot be read.").refusal
    const ruled = new Set<CatalogRelation>()
    // Those of the roles are shared by all their readers.
    const rules = new Map(this.#rules)
    for (const { relations, clause } of guest.clauses)
      for (const relation of this.#meant(relations) ?? [first, ...more]) {
        if (relation === undefined)
          return guestRefusal(
            first.relation,
            "A row rule of your token is for a relation that is not there.",
          ).refusal
        const rule = ruleFor(relation, rules.get(relation.name))
        rules.set(relation.name, { ...rule, guest: [...rule.guest, clause] })
        ruled.add(relation)
      }
    this.#rules = rules
    const unread = [...ruled].filter(({ columns }) => columns === undefined)
    if (unread.length === 0) return undefined
    const { refusal } = guestRefusal(first.relation, "The columns of a relation are not known.")
    return { kind: "unread", relations: unread, refusal }
  }

  #meant(
    names: readonly FullName[] | undefined,
  ): readonly (CatalogRelation | undefined)[] | undefined {
    return names?.map(({ schema, relation }) => {
      const found = findRelation(this.#snapshot, schema, relation)
      return found === undefined ? undefined : this.#snapshot.relations.get(found)
    })
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
    const { searchPath } = this.#read.scope
    const { policies } = rules
    const snapshot = this.#snapshot
    return {
      query: tableQuery({ relation, rule, source, claims, policies, snapshot, searchPath }),
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

  #note({ name }: CatalogRelation, { rows, masks, deniedColumns, guest }: ReaderRule): void {
    const filters = rows.kind === "filtered" ? [...rows.permissive, ...rows.restrictive] : []
    const parts = [
      ...filters.map((filter) => `filter ${filter.name}`),
      ...guest.map((_, index) => `token's rule ${index + 1}`),
      ...masks.map(({ column }) => `mask ${column}`),
      ...[...deniedColumns].map((column) => `without ${column}`),
    ]
    this.applied.add(`${name}: ${parts.join(", ")}`)
  }
}

function isOfData({ schema }: CatalogRelation): boolean {
  return schema !== "pg_catalog" && schema !== "information_schema"
}

function refusedUse(what: string, { relation }: CatalogRelation): PolicyRefusal {
  return new PolicyRefusal(
    SqlState.InsufficientPrivilege,
    "row_policy_refused",
    `permission denied for relation ${relation}`,
    `${what} cannot be read under the policies that hold for you.`,
  )
}
