import { findRelation } from "../catalog/relation-key.ts"
import { type NameScope, resolveRelations } from "../catalog/resolve.ts"
import type { CatalogInterest, CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted, ReadTraits, Statement } from "../core/statement.ts"
import { emitTree, emitUnchanged } from "../sql/emit.ts"
import { isAnalyze, isTextFormat } from "../sql/explain-options.ts"
import { parseText } from "../sql/parser.ts"
import { type RelationUse, rewriteRelations, type StandIn } from "../sql/rewrite-relations.ts"
import type { ScanCondition } from "../sql/scan-conditions.ts"
import { checkCalls, checkRead } from "./check-read.ts"
import { childrenMax, unionOf } from "./children.ts"
import { guestRefusal } from "./guest-predicate.ts"
import { type Refusal, refused } from "./judge.ts"
import {
  exceptFor,
  keyedBy,
  nameFor,
  withinColumns,
  withoutColumns,
  withoutThese,
} from "./layers.ts"
import { targetsOfHidden, withoutTargets } from "./lineage.ts"
import { PolicyRefusal } from "./policy-refusal.ts"
import { countsColumns } from "./positions.ts"
import { Reach } from "./reach.ts"
import type { FullName } from "./relation-parts.ts"
import { type ReaderRule, type ReaderRules, ruleFor } from "./relation-policy.ts"
import type { Guards } from "./rules.ts"
import { rulesByRelation } from "./rules-by-relation.ts"
import { querySource, relationSource, type Source, tableQuery } from "./stand-in.ts"

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
  #reach: Reach
  /** Views that are being expanded, outermost first. */
  readonly #views: RelationName[] = []
  readonly #hidden = new Map<RelationName, ReadonlySet<string>>()
  /** Uses of relations so far from which columns were left out. */
  #denials = 0

  constructor(read: GovernedRead) {
    this.#read = read
    this.#snapshot = read.scope.snapshot
    this.#rules = rulesByRelation(read.rules, this.#snapshot)
    this.#reach = new Reach(this.#rules, this.#snapshot)
  }

  /**
   * The rules of the reader's own token: for relations that they name, and those for every relation for what the statement
   * names. The catalogue's own relations hold no rows of tenants. Gives back why the statement cannot be answered, if so.
   */
  addGuestRules(): Exclude<Governed, { kind: "untouched" | "rewritten" }> | undefined {
    const { guest } = this.#read.rules
    const read = this.#read.traits.relations.flatMap((ref) => {
      const name = this.#resolve(ref, this.#read.scope)
      return name === undefined ? [] : [this.#relation(name, ref)]
    })
    const [first, ...more] = read.filter(isOfData)
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
    this.#reach = new Reach(rules, this.#snapshot)
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
    return name !== undefined && this.#reach.touches(name)
  }

  rewritten(statement: Statement, scope: NameScope): Emitted | undefined {
    return rewriteRelations(statement, (use) => this.#standIn(use, scope))
  }

  #resolve(ref: RelationRef, scope: NameScope): RelationName | undefined {
    return resolveRelations([ref], scope).resolved[0]
  }

  #relation(name: RelationName | undefined, ref: RelationRef): CatalogRelation {
    const relation = name === undefined ? undefined : this.#snapshot.relations.get(name)
    if (relation !== undefined) return relation
    throw new PolicyRefusal(
      SqlState.UndefinedTable,
      "relation_not_granted",
      `relation "${ref.name}" does not exist`,
    )
  }

  #standIn(use: RelationUse, scope: NameScope): StandIn | undefined {
    const relation = this.#relation(this.#resolve(use.ref, scope), use.ref)
    const { name, schema, kind } = relation
    if (!this.#reach.touches(name)) return undefined
    if (use.isSampled) throw refusedUse("TABLESAMPLE", relation)
    const all = this.#rulesOf(relation)
    const isView = kind === "view" && this.#reach.hidesBelow(name)
    const view = isView ? this.#viewQuery(relation) : undefined
    if (view !== undefined && all.length === 0) return { query: view, schema }
    const hidden = isView ? this.#hiddenBelow(relation) : new Set<string>()
    const shown = withoutThese(relation, hidden)
    const rules = all.map((rule) => exceptFor(rule, hidden))
    const from = nameFor(relation, rules)
    const source =
      view === undefined
        ? this.#rows(relation, use.includesChildren, { from, above: rules })
        : querySource(from, view)
    if (rules.length === 0) return { query: this.#allOf(relation, source), schema }
    const query = this.#layered(shown, rules, { source, conditions: use.conditions })
    return { query, schema, keyed: keyedBy(relation, rules) }
  }

  /** Rules of parents first, its own last. */
  #rulesOf({ name }: CatalogRelation): readonly ReaderRule[] {
    const own = this.#reach.ruleOf(name)
    const parents = this.#reach.parentRules(name)
    return own === undefined ? parents : [...parents, own]
  }

  /** What the rules leave of a source: every filter beside the rows, then masks upon masks. */
  #layered(
    relation: CatalogRelation,
    [first, ...more]: readonly ReaderRule[],
    parts: { readonly source: Source; readonly conditions: readonly ScanCondition[] },
  ): Emitted {
    if (first === undefined) throw refusedUse("This use", relation)
    const { claims, rules, scope } = this.#read
    const { searchPath, snapshot } = scope
    const common = { claims, policies: rules.policies, snapshot, searchPath }
    const name = nameFor(relation, [first, ...more])
    this.#note(relation, first)
    let rule = first
    let query = tableQuery({ ...common, ...parts, relation, rule, parents: more, name })
    let left = relation
    for (const next of more) {
      this.#note(relation, next)
      left = withoutColumns(left, rule)
      rule = withinColumns(next, left)
      const source = querySource(name, query)
      query = tableQuery({
        ...common,
        relation: left,
        rule,
        parents: [],
        source,
        name,
        conditions: [],
      })
    }
    return query
  }

  /** A relation's own rows and those of its children, each child under the rules that are not `above` already. */
  #rows(
    relation: CatalogRelation,
    includesChildren: boolean,
    { from, above }: { readonly from: string; readonly above: readonly ReaderRule[] },
  ): Source {
    if (!includesChildren || !this.#reach.hidesBelow(relation.name))
      return relationSource(relation, includesChildren, from)
    if (relation.kind !== "table" && relation.kind !== "partitioned_table") {
      if (above.length > 0) return relationSource(relation, true, from)
      throw refusedUse("A copy of a relation with a policy", relation)
    }
    const children = relation.dependsOn.flatMap((name) => this.#snapshot.relations.get(name) ?? [])
    if (children.length > childrenMax || this.#reach.hasSharedChildren(relation.name))
      throw refusedUse("A parent of so many relations with policies", relation)
    const own =
      relation.kind === "table" ? [relationSource(relation, false, relation.relation)] : []
    const parts = children.map((child) => {
      const rules = this.#rulesOf(child).filter((rule) => !above.includes(rule))
      const name = nameFor(child, rules)
      const source = this.#rows(child, true, { from: name, above: [...above, ...rules] })
      if (rules.length === 0) return source
      return querySource(name, this.#layered(child, rules, { source, conditions: [] }))
    })
    return querySource(from, unionOf(this.#columns(relation), [...own, ...parts]))
  }

  #columns(relation: CatalogRelation): readonly string[] {
    if (relation.columns !== undefined) return relation.columns
    throw refusedUse("A relation whose columns are not known", relation)
  }

  #allOf(relation: CatalogRelation, source: Source): Emitted {
    return { ...unionOf(this.#columns(relation), [source]), keepsPositions: false }
  }

  /** A view is read by its definition, with what it shows governed inside. */
  #viewQuery(relation: CatalogRelation): Emitted {
    const { definition, name } = relation
    if (definition === undefined)
      throw refusedUse(
        "A view whose query PostgreSQL would read otherwise, or not at all,",
        relation,
      )
    if (this.#views.includes(name) || this.#views.length >= viewDepthMax)
      throw refusedUse("A view as deep as this", relation)
    const [written, ...more] = parseText(definition)
    if (written === undefined || more.length > 0)
      throw refusedUse("A view with such a definition", relation)
    const statement = this.#withoutHidden(written, relation)
    if (statement.class.kind !== "read") throw refusedUse("A view with such a definition", relation)
    const { traits } = statement.class
    // Every name in it is qualified that is not the system's. It runs under the reader's path all the same, where another
    // function of that name may fit its arguments better: all of them have to be good.
    const { searchPath } = this.#read.scope
    const vouched = this.#read.rules.policies.functions
    const found = checkCalls(traits, { snapshot: this.#snapshot, searchPath, vouched })
    if (found !== undefined || traits.usesSystemColumn || traits.usesSessionFact)
      throw refusedUse("A view that calls what could read hidden rows", relation)
    const denials = this.#denials
    this.#views.push(name)
    const scope = { ...this.#read.scope, searchPath: [] }
    const query = this.rewritten(statement, scope) ?? emitUnchanged(statement)
    this.#views.pop()
    if (this.#denials > denials && countsColumns(statement.ast))
      throw refusedUse("A view that counts columns, some of which are not for you,", relation)
    this.applied.add(`${name}: read by its definition`)
    return query
  }

  /** The view's query without the columns that show what is denied below. */
  #withoutHidden(written: Statement, relation: CatalogRelation): Statement {
    const hidden = this.#hiddenBelow(relation)
    if (hidden.size === 0) return written
    if (hidden.size >= (relation.columns ?? []).length)
      throw refusedUse("A view that shows nothing but what is denied", relation)
    const [statement] = parseText(emitTree(withoutTargets(written.ast, hidden)).text)
    if (statement === undefined) throw refusedUse("A view with such a definition", relation)
    this.applied.add(`${relation.name}: without ${[...hidden].join(", ")}`)
    return statement
  }

  /** Columns of a relation that are denied, or that a view makes of denied ones. */
  #hiddenColumns(name: RelationName): ReadonlySet<string> {
    const relation = this.#snapshot.relations.get(name)
    if (relation === undefined) return new Set()
    const denied = this.#rulesOf(relation).flatMap(({ deniedColumns }) => [...deniedColumns])
    return new Set([...denied, ...this.#hiddenBelow(relation)])
  }

  /** Columns that a view makes of denied ones below it. */
  #hiddenBelow({ name, definition }: CatalogRelation): ReadonlySet<string> {
    const known = this.#hidden.get(name)
    if (known !== undefined) return known
    // A view that is met again below itself shows nothing new.
    this.#hidden.set(name, new Set())
    const [query] = definition === undefined ? [] : parseText(definition)
    const scope = { ...this.#read.scope, searchPath: [] }
    const hiddenOf = (ref: RelationRef): ReadonlySet<string> => {
      const below = this.#resolve(ref, scope)
      return below === undefined ? new Set() : this.#hiddenColumns(below)
    }
    const hidden = new Set(query === undefined ? [] : targetsOfHidden(query.ast, hiddenOf))
    this.#hidden.set(name, hidden)
    return hidden
  }

  #note({ name }: CatalogRelation, { rows, masks, deniedColumns, guest }: ReaderRule): void {
    const filters = rows.kind === "filtered" ? [...rows.permissive, ...rows.restrictive] : []
    const parts = [
      ...filters.map((filter) => `filter ${filter.name}`),
      ...guest.map((_, index) => `token's rule ${index + 1}`),
      ...masks.map(({ column }) => `mask ${column}`),
      ...[...deniedColumns].map((column) => `without ${column}`),
    ]
    if (deniedColumns.size > 0) this.#denials += 1
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
