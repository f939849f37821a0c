import {
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  nameParts,
  nodeFields,
  textOf,
} from "../../sql/ast.ts"
import { restrictBy, SelectBlock, SetBlock } from "./block.ts"
import type { IsStableCall } from "./bounds.ts"
import { type Block, Entry, entriesOf, type JoinType, type Space } from "./space.ts"

/** A query, taken apart. */
export type Query = {
  readonly block: Block
  /** Items of FROM, with the queries that stand in it. */
  readonly items: readonly Item[]
  /** Branches of a set operation, and queries inside of expressions. */
  readonly parts: readonly Query[]
  /** WITH queries of its own. */
  readonly ctes: readonly Cte[]
}

/** `query`: what the item alone reads; that of a WITH query has several readers and is none's own. */
export type Item = { readonly entry: Entry; readonly query?: Query | undefined }

/** How an item of FROM is called: `AS alias(columns)`. */
export type ItemNames = { readonly alias: string | undefined; readonly columns: readonly string[] }

type Cte = {
  readonly query: Query
  /** Each place that reads it. */
  readonly readers: Entry[]
  /** False where the engine computes it once, for all readers, or again and again. */
  readonly takesConditions: boolean
}

/** WITH queries that a place sees, innermost first. `cte` is undefined for those of WITH RECURSIVE. */
type Scope =
  | { readonly name: string; readonly cte: Cte | undefined; readonly outer: Scope }
  | undefined

export type BuilderOptions = {
  /** The item for a name in FROM that is no WITH query's. */
  readonly relation: (rangeVar: Fields, names: ItemNames) => Item
  readonly isStable: IsStableCall
}

/** Takes one query apart and notes on each item of FROM how the conditions of its own block restrict it. */
export class BlockBuilder {
  /** Names in FROM that were met. */
  nameCount = 0
  readonly #options: BuilderOptions

  constructor(options: BuilderOptions) {
    this.#options = options
  }

  query(select: Fields): Query {
    return this.#query(select, undefined)
  }

  #query(select: Fields, outer: Scope): Query {
    const { ctes, scope } = this.#with(fieldsOf(select["withClause"]), outer)
    const parts: Query[] = []
    const { larg, rarg, fromClause, withClause: _, ...clauses } = select
    for (const key in clauses) this.#subqueries(clauses[key], scope, parts)
    if (isFields(larg) && isFields(rarg)) {
      const branches = [this.#query(larg, scope), this.#query(rarg, scope)]
      const block = new SetBlock(
        select,
        branches.map((branch) => branch.block),
      )
      return { block, items: [], parts: [...branches, ...parts], ctes }
    }
    const items: Item[] = []
    const from = { scope, parts, items }
    const space: Space = {
      kind: "list",
      items: listOf(fromClause).map((item) => this.#fromItem(item, from)),
    }
    restrictBy(select["whereClause"], space, this.#options.isStable)
    return { block: new SelectBlock(select, space), items, parts, ctes }
  }

  /** PostgreSQL's rule: a query of WITH sees those before it; with RECURSIVE all, itself included. */
  #with(clause: Fields, outer: Scope): { readonly ctes: readonly Cte[]; readonly scope: Scope } {
    const queries = listOf(clause["ctes"]).map((item) => nodeFields(item, "CommonTableExpr") ?? {})
    const isRecursive = clause["recursive"] === true
    let scope = outer
    if (isRecursive)
      for (const { ctename } of queries)
        scope = { name: textOf(ctename), cte: undefined, outer: scope }
    const ctes: Cte[] = []
    for (const fields of queries) {
      const query = this.#cteQuery(fields, scope)
      const isMaterialized = fields["ctematerialized"] === "CTEMaterializeAlways"
      const cte = { query, readers: [], takesConditions: !isRecursive && !isMaterialized }
      ctes.push(cte)
      if (!isRecursive) scope = { name: textOf(fields["ctename"]), cte, outer: scope }
    }
    return { ctes, scope }
  }

  #cteQuery(fields: Fields, scope: Scope): Query {
    const query = this.#query(nodeFields(fields["ctequery"], "SelectStmt") ?? {}, scope)
    const renamed = nameParts(fields["aliascolnames"])
    if (renamed.length === 0) return query
    // Its own names and those of the list: one more step between reader and query.
    const entry = new Entry({
      qualifier: undefined,
      columns: query.block.outputs,
      renamed,
      block: query.block,
    })
    const star = { ResTarget: { val: { ColumnRef: { fields: [{ A_Star: {} }] } } } }
    const block = new SelectBlock({ targetList: [star] }, { kind: "entry", entry })
    return { block, items: [{ entry, query }], parts: [], ctes: [] }
  }

  #fromItem(node: unknown, from: FromContext): Space {
    const rangeVar = nodeFields(node, "RangeVar")
    if (rangeVar !== undefined) return this.#add(this.#named(rangeVar, from.scope), from.items)
    const join = nodeFields(node, "JoinExpr")
    if (join !== undefined) return this.#join(join, from)
    const sample = nodeFields(node, "RangeTableSample")
    if (sample !== undefined) return this.#fromItem(sample["relation"], from)
    const subselect = nodeFields(node, "RangeSubselect")
    if (subselect === undefined) {
      this.#subqueries(node, from.scope, from.parts)
      return { kind: "entry", entry: opaque(namesOf(fieldsOf(Object.values(fieldsOf(node))[0]))) }
    }
    const query = this.#query(nodeFields(subselect["subquery"], "SelectStmt") ?? {}, from.scope)
    return this.#add({ entry: entryOver(query.block, namesOf(subselect)), query }, from.items)
  }

  #add(item: Item, items: Item[]): Space {
    items.push(item)
    return { kind: "entry", entry: item.entry }
  }

  #named(rangeVar: Fields, scope: Scope): Item {
    this.nameCount += 1
    const names = namesOf(rangeVar)
    const isQualified = "schemaname" in rangeVar || "catalogname" in rangeVar
    for (let at = isQualified ? undefined : scope; at !== undefined; at = at.outer) {
      if (at.name !== rangeVar["relname"]) continue
      const called = { ...names, alias: names.alias ?? at.name }
      if (at.cte === undefined) return { entry: opaque(called) }
      const entry = entryOver(at.cte.query.block, called)
      at.cte.readers.push(entry)
      return { entry }
    }
    return this.#options.relation(rangeVar, names)
  }

  #join(join: Fields, from: FromContext): Space {
    const left = this.#fromItem(join["larg"], from)
    const right = this.#fromItem(join["rarg"], from)
    const type = joinTypes.get(textOf(join["jointype"])) ?? "full"
    const using = nameParts(join["usingClause"])
    const isNatural = join["isNatural"] === true
    const space: Space =
      using.length > 0 || isNatural
        ? { kind: "merged", left, right, type, using: isNatural ? undefined : new Set(using) }
        : { kind: "list", items: [left, right] }
    this.#subqueries(join["quals"], from.scope, from.parts)
    if (type === "inner") restrictBy(join["quals"], space, this.#options.isStable)
    // Rows of the other side come through without a match.
    else if (type !== "full")
      restrictBy(
        join["quals"],
        space,
        this.#options.isStable,
        new Set(entriesOf(type === "left" ? right : left)),
      )
    const { alias } = namesOf(join)
    // `(a JOIN b ON ...) AS j` hides both names.
    return alias === undefined ? space : { kind: "entry", entry: opaque(namesOf(join)) }
  }

  /** Queries inside of expressions: what their readers ask of their rows, nobody knows. */
  #subqueries(tree: unknown, scope: Scope, parts: Query[]): void {
    const pending: unknown[] = [tree]
    while (pending.length > 0) {
      const at = pending.pop()
      if (Array.isArray(at)) {
        pending.push(...at)
        continue
      }
      if (!isFields(at)) continue
      const select = nodeFields(at, "SelectStmt")
      if (select !== undefined) parts.push(this.#query(select, scope))
      else pending.push(...Object.values(at))
    }
  }
}

type FromContext = { readonly scope: Scope; readonly parts: Query[]; readonly items: Item[] }

const joinTypes: ReadonlyMap<string, JoinType> = new Map([
  ["JOIN_INNER", "inner"],
  ["JOIN_LEFT", "left"],
  ["JOIN_RIGHT", "right"],
])

function namesOf(fields: Fields): ItemNames {
  const alias = fieldsOf(fields["alias"])
  const name = textOf(alias["aliasname"])
  return { alias: name === "" ? undefined : name, columns: nameParts(alias["colnames"]) }
}

/** An item of whose columns nothing is known. */
function opaque({ alias }: ItemNames): Entry {
  return new Entry({ qualifier: alias, columns: undefined })
}

export function entryOver(
  block: Block,
  names: ItemNames,
  columns: readonly string[] | undefined = block.outputs,
): Entry {
  return new Entry({ qualifier: names.alias, columns, renamed: names.columns, block })
}

/** Puts the conditions of readers to what they read, outermost first. Call it once, for the whole query. */
export function settle(query: Query): void {
  for (const { entry, query: inner } of query.items) {
    if (inner === undefined) continue
    inner.block.push(entry.conditions())
    settle(inner)
  }
  for (const part of query.parts) settle(part)
  for (const cte of query.ctes.toReversed()) {
    const [reader, ...others] = cte.readers
    if (cte.takesConditions && reader !== undefined && others.length === 0)
      cte.query.block.push(reader.conditions())
    settle(cte.query)
  }
}

/** Names in FROM of a whole statement, wherever they stand. */
export function countNames(tree: unknown): number {
  let count = 0
  const pending: unknown[] = [tree]
  while (pending.length > 0) {
    const at = pending.pop()
    if (Array.isArray(at)) {
      pending.push(...at)
      continue
    }
    if (!isFields(at)) continue
    if (nodeFields(at, "RangeVar") !== undefined) count += 1
    pending.push(...Object.values(at))
  }
  return count
}
