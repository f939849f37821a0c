import type { RelationRef } from "../core/relation.ts"
import type { Ast } from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  nameParts,
  nodeFields,
  textOf,
} from "../sql/ast.ts"
import { relationOf } from "../sql/relations.ts"

/**
 * Names of the columns of a view's query that are made of hidden columns, where the query can do without them: one SELECT that
 * neither groups nor counts what it shows. Other queries that name the hidden column are refused, or fail.
 */
export function targetsOfHidden(
  query: Ast,
  hiddenOf: (ref: RelationRef) => ReadonlySet<string>,
): readonly string[] {
  const select = nodeFields(query, "SelectStmt")
  if (select === undefined || !isPlain(select)) return []
  const hidden = new Map<string, ReadonlySet<string>>()
  for (const item of listOf(select["fromClause"])) collect(item, hiddenOf, hidden)
  if ([...hidden.values()].every((columns) => columns.size === 0)) return []
  return listOf(select["targetList"]).flatMap((target) => {
    const fields = nodeFields(target, "ResTarget") ?? {}
    return usesHidden(fields["val"], hidden) && !calls(fields["val"]) ? outputName(fields) : []
  })
}

/** A function may be an aggregate or return sets: without it there would be other rows. */
function calls(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(calls)
  if (!isFields(value)) return false
  return "FuncCall" in value || Object.values(value).some(calls)
}

/**
 * True when a query has a name that `isHidden`. With that column left out below it the name does not fail by itself: the engine goes
 * on to look for it in the client's query around, PostgreSQL where no table stands before it, DuckDB behind a table's name as well.
 */
export function namesHidden(
  value: unknown,
  isHidden: (name: string) => boolean,
  looksBehindTables: boolean,
): boolean {
  if (Array.isArray(value))
    return value.some((item) => namesHidden(item, isHidden, looksBehindTables))
  if (!isFields(value)) return false
  const reference = nodeFields(value, "ColumnRef")
  if (reference === undefined)
    return Object.values(value).some((item) => namesHidden(item, isHidden, looksBehindTables))
  const parts = nameParts(reference["fields"])
  return (looksBehindTables || parts.length === 1) && isHidden(parts.at(-1) ?? "")
}

/** The query without the targets of these names. */
export function withoutTargets(query: Ast, names: ReadonlySet<string>): Ast {
  const select = nodeFields(query, "SelectStmt") ?? {}
  const targetList = listOf(select["targetList"]).filter(
    (target) => !names.has(outputName(nodeFields(target, "ResTarget") ?? {})),
  )
  return { SelectStmt: { ...select, targetList } }
}

const notPlain = [
  "havingClause",
  "withClause",
  "larg",
  "distinctClause",
  "groupClause",
  "valuesLists",
] as const

function isPlain(select: Fields): boolean {
  if (notPlain.some((key) => key in select)) return false
  // `ORDER BY 2` counts what is shown.
  return !listOf(select["sortClause"]).some(
    (item) => nodeFields(nodeFields(item, "SortBy")?.["node"], "A_Const") !== undefined,
  )
}

/** Relations by the names that columns are qualified with; other things in FROM show no hidden columns by their own names. */
function collect(
  item: unknown,
  hiddenOf: (ref: RelationRef) => ReadonlySet<string>,
  into: Map<string, ReadonlySet<string>>,
): void {
  const join = nodeFields(item, "JoinExpr")
  if (join !== undefined) {
    collect(join["larg"], hiddenOf, into)
    collect(join["rarg"], hiddenOf, into)
    return
  }
  const relation = nodeFields(item, "RangeVar")
  const ref = relation === undefined ? undefined : relationOf(relation, undefined)
  if (relation === undefined || ref === undefined) return
  const alias = fieldsOf(relation["alias"])
  if ("colnames" in alias) return
  into.set(textOf(alias["aliasname"]) || ref.name, hiddenOf(ref))
}

function usesHidden(value: unknown, hidden: ReadonlyMap<string, ReadonlySet<string>>): boolean {
  if (Array.isArray(value)) return value.some((item) => usesHidden(item, hidden))
  if (!isFields(value)) return false
  const reference = nodeFields(value, "ColumnRef")
  if (reference === undefined) return Object.values(value).some((item) => usesHidden(item, hidden))
  const parts = nameParts(reference["fields"])
  const column = parts.at(-1) ?? ""
  const table = parts.at(-2)
  if (table !== undefined) return hidden.get(table)?.has(column) === true
  return [...hidden.values()].some((columns) => columns.has(column))
}

function outputName(target: Fields): string {
  const name = textOf(target["name"])
  return name === ""
    ? (nameParts(nodeFields(target["val"], "ColumnRef")?.["fields"]).at(-1) ?? "")
    : name
}
