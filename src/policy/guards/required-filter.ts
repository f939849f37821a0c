import { dependentsOf, downward } from "../../catalog/expand.ts"
import { findFunction, findRelation, folded } from "../../catalog/relation-key.ts"
import { type NameScope, resolveRelations } from "../../catalog/resolve.ts"
import { stableSafeFunctions, timeFunctions } from "../../catalog/stable-functions.ts"
import type { CatalogRelation, CatalogSnapshot } from "../../core/catalog.ts"
import type { RelationName } from "../../core/relation.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { Ast } from "../../core/statement.ts"
import { type Fields, isFields, nodeFields, textOf } from "../../sql/ast.ts"
import { parseText } from "../../sql/parser.ts"
import { quoteIdentifier } from "../../sql/quote.ts"
import { relationOf } from "../../sql/relations.ts"
import { type Refusal, refused } from "../judge.ts"
import type { RequiredFilter } from "../relation-policy.ts"
import {
  BlockBuilder,
  countNames,
  entryOver,
  type Item,
  type ItemNames,
  settle,
} from "./block-builder.ts"
import type { IsStableCall, Restriction } from "./bounds.ts"
import { Entry } from "./space.ts"

/** Expansions of views in one statement: views over views can double at each step. */
const viewExpansionsMax = 200

/**
 * The proof that a query restricts what it must wherever it reads it; undefined when it does, or when nothing is required.
 * What is not proven is refused: conditions under OR and NOT, on expressions of the column, with values out of other rows, and
 * conditions that an engine cannot put to the reading itself.
 */
export function checkRequiredFilters(
  query: Ast,
  filters: readonly RequiredFilter[],
  scope: NameScope & {
    /** Every relation that the query reads, through views and parents, too. */
    readonly expanded: readonly RelationName[]
  },
): Refusal | undefined {
  const required = requiredIn(filters, scope.snapshot)
  if (!scope.expanded.some((name) => required.has(name))) return undefined
  const select = nodeFields(query, "SelectStmt")
  if (select === undefined) return unproven("It is not read by a query.")
  const check = new Check(required, scope)
  check.read(select, scope)
  return check.refusal()
}

type Required = ReadonlyMap<RelationName, readonly RequiredFilter[]>

/** A reading of a relation that must be restricted. */
type Reading = {
  readonly entry: Entry
  /** The relation's own names of the entry's columns. */
  readonly columns: readonly string[]
  readonly filters: readonly RequiredFilter[]
  /** The view that the statement names, when the reading is in its definition. */
  readonly view: CatalogRelation | undefined
}

class Check {
  readonly #required: Required
  readonly #snapshot: CatalogSnapshot
  readonly #readings: Reading[] = []
  readonly #views: RelationName[] = []
  #expansions = 0
  #unreadable: Refusal | undefined

  constructor(required: Required, { snapshot }: NameScope) {
    this.#required = required
    this.#snapshot = snapshot
  }

  /** Collects the readings of a whole statement. */
  read(select: Fields, scope: NameScope): void {
    settle(this.#query(select, scope, undefined))
  }

  refusal(): Refusal | undefined {
    if (this.#unreadable !== undefined) return this.#unreadable
    for (const { entry, columns, filters, view } of this.#readings)
      for (const filter of filters) {
        const place = columns.indexOf(folded(this.#snapshot, filter.column))
        const visible = entry.columns?.[place] ?? ""
        if (!isEnough(filter, entry.restrictions.get(visible))) return missing(filter, view)
      }
    return undefined
  }

  #query(
    written: Fields,
    scope: NameScope,
    view: CatalogRelation | undefined,
  ): ReturnType<BlockBuilder["query"]> {
    const select = this.#snapshot.foldsCase ? withFoldedNames(written) : written
    const builder = new BlockBuilder({
      relation: (rangeVar, names) => this.#item(rangeVar, names, scope, view),
      isStable: isStableIn(this.#snapshot),
    })
    const query = builder.query(select)
    // A name in a place that nobody looked at: no proof without it.
    if (builder.nameCount !== countNames({ SelectStmt: select }))
      this.#unreadable ??= unproven("This form of reading it cannot be followed.")
    return query
  }

  #item(
    rangeVar: Fields,
    names: ItemNames,
    scope: NameScope,
    view: CatalogRelation | undefined,
  ): Item {
    const ref = relationOf(rangeVar, undefined)
    const name = ref === undefined ? undefined : resolveRelations([ref], scope).resolved[0]
    const relation = name === undefined ? undefined : this.#snapshot.relations.get(name)
    const called = { ...names, alias: names.alias ?? textOf(rangeVar["relname"]) }
    const schema =
      names.alias === undefined && relation !== undefined
        ? folded(this.#snapshot, relation.schema)
        : undefined
    if (name === undefined || relation === undefined)
      return { entry: new Entry({ qualifier: called.alias, schema, columns: undefined }) }
    const filters = this.#required.get(name)
    const query = this.#viewQuery(relation, view)
    const columns = this.#columnsOf(relation, filters)
    const entry =
      query === undefined
        ? new Entry({ qualifier: called.alias, schema, columns, renamed: names.columns })
        : entryOver(query.block, called, columns ?? query.block.outputs)
    if (filters !== undefined) {
      const isKnown = filters.every(
        ({ column }) => columns?.includes(folded(this.#snapshot, column)) === true,
      )
      if (!isKnown) this.#unreadable ??= unfit(relation)
      this.#readings.push({ entry, columns: columns ?? [], filters, view })
    }
    return { entry, query }
  }

  /** Children have at least the columns of the relation that the filter names. */
  #columnsOf(
    { columns, name }: CatalogRelation,
    filters: readonly RequiredFilter[] | undefined,
  ): readonly string[] | undefined {
    const fold = (column: string): string => folded(this.#snapshot, column)
    if (columns !== undefined) return columns.map(fold)
    for (const { schema, relation } of filters ?? []) {
      const named = findRelation(this.#snapshot, schema, relation)
      if (named === undefined || !downward([named], this.#snapshot).has(name)) continue
      return this.#snapshot.relations.get(named)?.columns?.map(fold)
    }
    return undefined
  }

  /** A view over something that must be restricted is followed into its definition. */
  #viewQuery(
    relation: CatalogRelation,
    outer: CatalogRelation | undefined,
  ): ReturnType<BlockBuilder["query"]> | undefined {
    const { name, kind, definition } = relation
    if (kind !== "view") return undefined
    const below = downward([name], this.#snapshot)
    below.delete(name)
    if (![...below].some((source) => this.#required.has(source))) return undefined
    this.#expansions += 1
    const select = definition === undefined ? undefined : selectOf(definition)
    if (
      select === undefined ||
      this.#views.includes(name) ||
      this.#expansions > viewExpansionsMax
    ) {
      this.#unreadable ??= unproven(
        `It is read through the view ${relation.relation}, whose definition cannot be followed.`,
      )
      return undefined
    }
    this.#views.push(name)
    const scope = { snapshot: this.#snapshot, searchPath: [], database: undefined }
    const query = this.#query(select, scope, outer ?? relation)
    this.#views.pop()
    return query
  }
}

function selectOf(definition: string): Fields | undefined {
  const [statement, ...more] = parseText(definition)
  if (statement === undefined || more.length > 0) return undefined
  return nodeFields(statement.ast, "SelectStmt")
}

/** The last snapshot's, one a list of filters: each set of roles has a list of its own. */
const requiredByFilters = new WeakMap<
  readonly RequiredFilter[],
  { readonly snapshot: CatalogSnapshot; readonly required: Required }
>()

function requiredIn(filters: readonly RequiredFilter[], snapshot: CatalogSnapshot): Required {
  const known = requiredByFilters.get(filters)
  if (known?.snapshot === snapshot) return known.required
  const required = requiredOf(filters, snapshot)
  requiredByFilters.set(filters, { snapshot, required })
  return required
}

/** By name, with partitions, children and parents: rows that are read through one are read through the other. */
function requiredOf(filters: readonly RequiredFilter[], snapshot: CatalogSnapshot): Required {
  const required = new Map<RelationName, RequiredFilter[]>()
  const kindOf = (name: RelationName): string | undefined => snapshot.relations.get(name)?.kind
  for (const filter of filters) {
    const name = findRelation(snapshot, filter.schema, filter.relation)
    if (name === undefined) continue
    const family =
      kindOf(name) === "view"
        ? [name]
        : [
            ...downward([name], snapshot),
            ...dependentsOf([name], snapshot).filter((above) => kindOf(above) !== "view"),
          ]
    for (const member of family) required.set(member, [...(required.get(member) ?? []), filter])
  }
  return required
}

function isEnough(filter: RequiredFilter, found: Restriction | undefined): boolean {
  if (found === undefined) return false
  if (found.equality) return true
  if (filter.kind === "equality") return false
  const { ends } = filter
  return (found.min || ends === "max") && (found.max || ends === "min")
}

/** Functions of pg_catalog that give one value for a whole statement. */
function isStableIn(snapshot: CatalogSnapshot): IsStableCall {
  return ({ schema, name }) => {
    if (schema !== undefined && schema !== "pg_catalog") return false
    if (name === "clock_timestamp" || name === "timeofday") return false
    if (stableSafeFunctions.has(name) || timeFunctions.has(name)) return true
    return findFunction(snapshot, "pg_catalog", name) === "immutable"
  }
}

function missing(filter: RequiredFilter, view: CatalogRelation | undefined): Refusal {
  const { schema, relation, column } = filter
  const name = `${quoteIfNeeded(schema)}.${quoteIfNeeded(relation)}`
  const through = view === undefined ? "" : ` (read through the view ${view.relation})`
  return refused(
    SqlState.InsufficientPrivilege,
    "filter_required",
    `${name}${through} must be restricted on column "${column}"`,
    `Wherever the relation is read, add a condition with literals that all rows must meet, such as WHERE ${filter.example ?? exampleOf(filter)}.`,
  )
}

function exampleOf({ column, kind, ends }: RequiredFilter): string {
  const name = quoteIfNeeded(column)
  if (kind === "equality") return `${name} = '...'`
  if (ends === "min") return `${name} >= '...'`
  return ends === "max" ? `${name} < '...'` : `${name} >= '...' AND ${name} < '...'`
}

function quoteIfNeeded(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name)
}

function unproven(hint: string): Refusal {
  return refused(
    SqlState.InsufficientPrivilege,
    "filter_required",
    "a relation of this statement must be restricted, and it cannot be proven to be",
    hint,
  )
}

function unfit({ relation }: CatalogRelation): Refusal {
  return refused(
    SqlState.InsufficientPrivilege,
    "policy_unfit",
    `permission denied for table ${relation}`,
    "The column that must be restricted is not known to be there; tell whoever keeps the policies.",
  )
}

const nameKeys: ReadonlySet<string> = new Set([
  "aliasname",
  "catalogname",
  "ctename",
  "name",
  "relname",
  "schemaname",
  "sval",
])

/** A tree for an engine to which names are equal whatever their case. Constants keep theirs. */
function withFoldedNames(fields: Fields): Fields {
  const copy: Record<string, unknown> = {}
  for (const key in fields) copy[key] = foldedValue(key, fields[key])
  return copy
}

function foldedValue(key: string, value: unknown): unknown {
  if (key === "A_Const") return value
  if (typeof value === "string") return nameKeys.has(key) ? value.toLowerCase() : value
  if (Array.isArray(value))
    return value.map((item) => (isFields(item) ? withFoldedNames(item) : item))
  return isFields(value) ? withFoldedNames(value) : value
}
