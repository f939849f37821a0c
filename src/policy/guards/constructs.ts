import { SqlState } from "../../core/sql-state.ts"
import type { Ast } from "../../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  nameParts,
  nodeFields,
  textOf,
} from "../../sql/ast.ts"
import { type CteScope, openWith, relationOf } from "../../sql/relations.ts"
import { topLimit } from "../../sql/top-limit.ts"
import { type Refusal, refused } from "../judge.ts"
import type { Construct } from "../rules.ts"

const told: Readonly<Record<Construct, { readonly message: string; readonly hint: string }>> = {
  cross_join: {
    message: "relations without a condition between them are not allowed for your role",
    hint: "Join them with ON or USING, and qualify the columns of the condition.",
  },
  select_star: {
    message: "SELECT * from a table is not allowed for your role",
    hint: "Name the columns that you need.",
  },
  recursive: {
    message: "WITH RECURSIVE is not allowed for your role",
    hint: "Write the steps one by one.",
  },
  no_limit: {
    message: "a query without LIMIT is not allowed for your role",
    hint: "Add a LIMIT with a number at the end of the query.",
  },
}

/** The first forbidden construct that the query holds. */
export function checkConstructs(query: Ast, forbidden: readonly Construct[]): Refusal | undefined {
  const select = nodeFields(query, "SelectStmt")
  if (select === undefined || forbidden.length === 0) return undefined
  const search = new Search(query)
  const found = forbidden.find((construct) => search.has(construct))
  if (found === undefined) return undefined
  const { message, hint } = told[found]
  return refused(SqlState.InsufficientPrivilege, "construct_forbidden", message, hint)
}

class Search {
  readonly #found = new Set<Construct>()

  constructor(query: Ast) {
    const limit = topLimit(query)
    if (limit.kind === "none" || (limit.kind === "constant" && limit.rows === Infinity))
      this.#found.add("no_limit")
    this.#value(query, undefined)
  }

  has(construct: Construct): boolean {
    return this.#found.has(construct)
  }

  #value(value: unknown, scope: CteScope | undefined): void {
    if (Array.isArray(value)) for (const item of value) this.#value(item, scope)
    if (!isFields(value)) return
    const exists = nodeFields(value, "SubLink")
    if (exists?.["subLinkType"] === "EXISTS_SUBLINK") {
      const inner = nodeFields(exists["subselect"], "SelectStmt")
      if (inner !== undefined) return this.#select(inner, scope, true)
    }
    const select = nodeFields(value, "SelectStmt")
    if (select !== undefined) return this.#select(select, scope, false)
    for (const key in value) this.#value(value[key], scope)
  }

  /** EXISTS looks at no column, so that its list may be `*`. */
  #select(select: Fields, outer: CteScope | undefined, isExists: boolean): void {
    if (fieldsOf(select["withClause"])["recursive"] === true) this.#found.add("recursive")
    const { ctes, scope } = openWith(select["withClause"], outer)
    for (const { cte, scope: inner } of ctes) this.#value(cte["ctequery"], inner)
    const { larg, rarg, withClause: _, ...clauses } = select
    for (const branch of [larg, rarg]) if (isFields(branch)) this.#select(branch, scope, isExists)
    const leaves = leavesOf(select["fromClause"], scope)
    if (!isExists && readsStar(select, leaves)) this.#found.add("select_star")
    if (isProduct(select, leaves)) this.#found.add("cross_join")
    for (const key in clauses) this.#value(clauses[key], scope)
  }
}

/** One item of FROM that brings rows of its own. */
type Leaf = {
  readonly name: string
  readonly isTable: boolean
  /** One row at most, or rows that belong to those of another item. */
  readonly isHarmless: boolean
}

function leavesOf(from: unknown, scope: CteScope | undefined): readonly Leaf[] {
  return listOf(from).flatMap((item) => {
    const join = nodeFields(item, "JoinExpr")
    if (join !== undefined) return leavesOf([join["larg"], join["rarg"]], scope)
    const sample = nodeFields(item, "RangeTableSample")
    if (sample !== undefined) return leavesOf([sample["relation"]], scope)
    const rangeVar = nodeFields(item, "RangeVar")
    const fields = rangeVar ?? fieldsOf(Object.values(fieldsOf(item))[0])
    const name = textOf(fieldsOf(fields["alias"])["aliasname"]) || textOf(fields["relname"])
    if (rangeVar !== undefined) {
      const isTable = relationOf(rangeVar, scope) !== undefined
      return [{ name, isTable, isHarmless: false }]
    }
    const query = nodeFields(nodeFields(item, "RangeSubselect")?.["subquery"], "SelectStmt")
    const isHarmless = query === undefined || fields["lateral"] === true || isOneRow(query)
    return [{ name, isTable: false, isHarmless }]
  })
}

/** An aggregate without groups, a query without FROM, LIMIT 1. */
function isOneRow(select: Fields): boolean {
  const limit = topLimit({ SelectStmt: select })
  if (limit.kind === "constant" && limit.rows <= 1) return true
  if (select["op"] !== "SETOP_NONE" || "groupClause" in select) return false
  if (!("fromClause" in select)) return listOf(select["valuesLists"]).length <= 1
  return listOf(select["targetList"]).some(
    (target) =>
      "FuncCall" in fieldsOf(nodeFields(target, "ResTarget")?.["val"]) && isPlainAggregate(target),
  )
}

/** Names of aggregates that tools write; one of another name counts as many rows. */
const aggregates: ReadonlySet<string> = new Set(["avg", "count", "max", "min", "sum"])

function isPlainAggregate(target: unknown): boolean {
  const call = nodeFields(nodeFields(target, "ResTarget")?.["val"], "FuncCall") ?? {}
  return aggregates.has(nameParts(call["funcname"]).at(-1) ?? "") && !("over" in call)
}

function readsStar(select: Fields, leaves: readonly Leaf[]): boolean {
  return listOf(select["targetList"]).some((target) => {
    const column = nodeFields(nodeFields(target, "ResTarget")?.["val"], "ColumnRef")
    const items = listOf(column?.["fields"])
    if (nodeFields(items.at(-1), "A_Star") === undefined) return false
    const qualifier = nameParts(items).at(-2)
    return leaves.some(({ name, isTable }) => isTable && (qualifier ?? name) === name)
  })
}

/** True when some items of FROM are not tied to the others by conditions. */
function isProduct(select: Fields, all: readonly Leaf[]): boolean {
  const leaves = all.filter(({ isHarmless }) => !isHarmless)
  if (leaves.length < 2) return false
  const groups = new Groups(leaves.map(({ name }) => name))
  for (const item of listOf(select["fromClause"])) tieJoins(item, groups)
  tie(select["whereClause"], groups)
  return !groups.isOne
}

function tieJoins(item: unknown, groups: Groups): readonly string[] {
  const join = nodeFields(item, "JoinExpr")
  if (join === undefined) return leavesOf([item], undefined).map(({ name }) => name)
  const left = tieJoins(join["larg"], groups)
  const right = tieJoins(join["rarg"], groups)
  if ("usingClause" in join || join["isNatural"] === true)
    groups.unite([...left, ...right].filter((name) => groups.knows(name)))
  tie(join["quals"], groups)
  return [...left, ...right]
}

/** A condition that names columns of several items ties these; names without a qualifier tie two that are alone. */
function tie(condition: unknown, groups: Groups): void {
  const both = nodeFields(condition, "BoolExpr")
  if (both?.["boolop"] === "AND_EXPR") {
    for (const part of listOf(both["args"])) tie(part, groups)
    return
  }
  const names = new Set<string>()
  const bare = new Set<string>()
  const pending: unknown[] = [condition]
  while (pending.length > 0) {
    const at = pending.pop()
    if (Array.isArray(at)) pending.push(...at)
    if (!isFields(at) || nodeFields(at, "SelectStmt") !== undefined) continue
    const parts = nameParts(nodeFields(at, "ColumnRef")?.["fields"])
    if (parts.length === 1) bare.add(parts[0] ?? "")
    else if (parts.length > 1) names.add(parts.at(-2) ?? "")
    pending.push(...Object.values(at))
  }
  groups.unite([...names].filter((name) => groups.knows(name)))
  if (groups.size === 2 && bare.size + names.size > 1 && bare.size > 0) groups.uniteAll()
}

class Groups {
  readonly #of: Map<string, number>

  constructor(names: readonly string[]) {
    this.#of = new Map(names.map((name, group) => [name, group]))
  }

  get size(): number {
    return this.#of.size
  }

  get isOne(): boolean {
    return new Set(this.#of.values()).size < 2
  }

  knows(name: string): boolean {
    return this.#of.has(name)
  }

  unite(names: readonly string[]): void {
    const joined = new Set(names.map((name) => this.#of.get(name)))
    const [first] = names
    const target = first === undefined ? undefined : this.#of.get(first)
    if (target === undefined) return
    for (const [name, group] of this.#of) if (joined.has(group)) this.#of.set(name, target)
  }

  uniteAll(): void {
    this.unite([...this.#of.keys()])
  }
}
