import { folded } from "../catalog/relation-key.ts"
import { type NameScope, resolveRelations } from "../catalog/resolve.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Ast, Emitted, ReadTraits, Statement } from "../core/statement.ts"
import { emitTree, emitUnchanged } from "../sql/emit.ts"
import { parseText } from "../sql/parser.ts"
import { type RelationUse, rewriteRelations, type StandIn } from "../sql/rewrite-relations.ts"
import type { ScanCondition } from "../sql/scan-conditions.ts"
import { isTellingCall } from "./catalogue-calls.ts"
import { catalogueView } from "./catalogue-relations.ts"
import { checkCalls } from "./check-read.ts"
import { childrenMax, unionOf } from "./children.ts"
import type { GovernedRead, Unread } from "./governed-read.ts"
import { guardCalls } from "./guard-calls.ts"
import { GuardTemplates } from "./guard-templates.ts"
import { withGuestRules } from "./guest-reach.ts"
import { notGranted, type Refusal } from "./judge.ts"
import {
  exceptFor,
  filtersBy,
  keyedBy,
  nameFor,
  withinColumns,
  withoutColumns,
  withoutThese,
} from "./layers.ts"
import { namesHidden, targetsOfHidden, withoutTargets } from "./lineage.ts"
import { PolicyRefusal } from "./policy-refusal.ts"
import { countsColumns } from "./positions.ts"
import { Reach } from "./reach.ts"
import type { ReaderRule } from "./relation-policy.ts"
import { rulesByRelation } from "./rules-by-relation.ts"
import { querySource, relationSource, type Source, tableQuery } from "./stand-in.ts"

/** Views over views: deeper than any that people write. */
const viewDepthMax = 32

/** Puts in the place of each relation what one reader may see of it. */
export class Governor {
  readonly applied = new Set<string>()
  readonly #read: GovernedRead
  readonly #snapshot: CatalogSnapshot
  readonly #templates: GuardTemplates | undefined
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
    this.#templates =
      read.sight === undefined ? undefined : new GuardTemplates(read.sight, read.scope)
    this.#rules = read.rules === undefined ? new Map() : rulesByRelation(read.rules, this.#snapshot)
    this.#reach = new Reach(this.#rules, this.#snapshot)
  }

  /** The rules of the reader's own token; gives back why the statement cannot be answered, if so. */
  addGuestRules(): Unread | Refusal | undefined {
    const guest = this.#read.rules?.guest
    if (guest === undefined) return undefined
    const named = this.#read.traits.relations.flatMap((ref) => {
      const name = this.#resolve(ref, this.#read.scope)
      return name === undefined ? [] : [this.#relation(name, ref)]
    })
    const reach = withGuestRules(guest, named, this.#rules, this.#snapshot)
    if (reach.kind === "stopped") return reach.by
    this.#rules = reach.rules
    this.#reach = new Reach(reach.rules, this.#snapshot)
    return undefined
  }

  /** True when a rule holds for the relation, for something that it shows or was made of, or for a parent of it. */
  touches(ref: RelationRef): boolean {
    const name = this.#resolve(ref, this.#read.scope)
    return name !== undefined && (this.#isCatalogue(name) || this.#reach.touches(name))
  }

  /** True when a relation, a call or a type of the statement may tell of what is hidden. */
  asksCatalogue({ relations, functions, types }: ReadTraits): boolean {
    if (this.#read.sight === undefined) return false
    if (relations.some((ref) => this.#isCatalogueRef(ref))) return true
    if (functions.some((call) => isTellingCall(call))) return true
    return types.some((name) => this.#templates?.hiddenRow(name.split(".")) !== undefined)
  }

  /** False where the catalogue is all that was touched: it may be that nothing of it is hidden. */
  mustChange({ relations }: ReadTraits): boolean {
    return relations.some((ref) => {
      const name = this.#resolve(ref, this.#read.scope)
      return name !== undefined && !this.#isCatalogue(name) && this.touches(ref)
    })
  }

  /** The client's statement; in views, whoever made them vouches for what they call. */
  clients(statement: Statement): Emitted | undefined {
    const { scope } = this.#read
    const templates = this.#templates
    if (templates === undefined) return this.rewritten(statement, scope)
    return rewriteRelations(
      statement,
      (use) => this.#standIn(use, scope),
      (tree, standIns) => guardCalls(tree, templates, standIns),
    )
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
    if (this.#isCatalogue(name)) return this.#catalogueStandIn(relation, use)
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

  #isCatalogueRef(ref: RelationRef): boolean {
    const name = this.#resolve(ref, this.#read.scope)
    return name !== undefined && this.#isCatalogue(name)
  }

  #isCatalogue(name: RelationName): boolean {
    if (this.#read.sight === undefined || this.#read.sight.isGranted(name)) return false
    return name.startsWith("pg_catalog.") || name.startsWith("information_schema.")
  }

  #catalogueStandIn(relation: CatalogRelation, use: RelationUse): StandIn | undefined {
    const { sight } = this.#read
    if (sight === undefined) return undefined
    const view = catalogueView(relation.name, sight, this.#snapshot)
    if (view === "open") return undefined
    if (view === "withheld") {
      const { sqlState, reason, message, hint } = notGranted(relation.name)
      throw new PolicyRefusal(sqlState, reason, message, hint)
    }
    if (use.isSampled) throw refusedUse("TABLESAMPLE", relation)
    this.applied.add(`${relation.name}: what you may read`)
    return { query: view, schema: relation.schema }
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
    const { claims, rules, scope } = this.#read
    if (first === undefined || rules === undefined) throw refusedUse("This use", relation)
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
    if (!this.#reach.hidesBelow(relation.name))
      return relationSource(relation, includesChildren, from)
    // Rows of a copy are its own, and ONLY says nothing of them.
    if (relation.kind !== "table" && relation.kind !== "partitioned_table") {
      if (above.length > 0) return relationSource(relation, includesChildren, from)
      throw refusedUse("A copy of a relation with a policy", relation)
    }
    if (!includesChildren) return relationSource(relation, false, from)
    const columns = this.#columns(relation)
    const children = relation.dependsOn.flatMap((name) => this.#snapshot.relations.get(name) ?? [])
    if (children.length > childrenMax || this.#reach.hasSharedChildren(relation.name))
      throw refusedUse("A parent of so many relations with policies", relation)
    const own =
      relation.kind === "table" ? [relationSource(relation, false, relation.relation)] : []
    const parts = children.map((child) => {
      const rules = this.#rulesOf(child).filter((rule) => !above.includes(rule))
      const name = nameFor(child, rules)
      // A filter of the parent's would be asked about the mask and not about the row.
      const masked = new Set(rules.flatMap(({ masks }) => masks.map(({ column }) => column)))
      if (filtersBy(above, masked))
        throw refusedUse("A parent that is filtered by a column which a child masks", relation)
      // What a child does not show would be looked for in the client's query around.
      if (rules.some(({ deniedColumns }) => columns.some((column) => deniedColumns.has(column))))
        throw refusedUse("A parent of a child with columns that are not for you", relation)
      const source = this.#rows(child, true, { from: name, above: [...above, ...rules] })
      if (rules.length === 0) return source
      return querySource(name, this.#layered(child, rules, { source, conditions: [] }))
    })
    return querySource(from, unionOf(columns, [...own, ...parts]))
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
    const vouched = this.#read.rules?.policies.functions ?? new Set()
    const found = checkCalls(traits, { snapshot: this.#snapshot, searchPath, vouched })
    if (found !== undefined || traits.usesSystemColumn || traits.usesSessionFact)
      throw refusedUse("A view that calls what could read hidden rows", relation)
    if (this.#needsHidden(statement.ast, traits.relations))
      throw refusedUse("A view that needs a column which is not for you", relation)
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

  #needsHidden(query: Ast, relations: readonly RelationRef[]): boolean {
    const scope = { ...this.#read.scope, searchPath: [] }
    const hidden = new Set(
      relations.flatMap((ref) => {
        const name = this.#resolve(ref, scope)
        const columns = name === undefined ? [] : [...this.#hiddenColumns(name)]
        return columns.map((column) => folded(this.#snapshot, column))
      }),
    )
    const isHidden = (name: string): boolean => hidden.has(folded(this.#snapshot, name))
    return hidden.size > 0 && namesHidden(query, isHidden, this.#snapshot.foldsCase)
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

function refusedUse(what: string, { relation }: CatalogRelation): PolicyRefusal {
  return new PolicyRefusal(
    SqlState.InsufficientPrivilege,
    "row_policy_refused",
    `permission denied for relation ${relation}`,
    `${what} cannot be read under the policies that hold for you.`,
  )
}
