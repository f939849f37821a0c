import { type Fields, isFields, listOf, nameParts, nodeFields, textOf } from "../sql/ast.ts"

/** Columns by the name that a relation has in an expression. */
export type Columns = {
  /** Of the relation that the policy is for. */
  readonly table: string
  readonly ofTable: ReadonlySet<string>
  /** Of a relation that the expression reads itself; undefined when they are not known. */
  readonly of: (schema: string, name: string) => readonly string[] | undefined
  /** As the engine compares names. */
  readonly fold: (name: string) => string
}

type Scope = { readonly columns: ReadonlySet<string>; readonly tables: ReadonlySet<string> }

/**
 * The first name of an expression that is no column of what the expression itself reads. PostgreSQL would look such a name
 * up further out, in the query of the client: a filter could then be made to compare what the client chooses. Undefined
 * when every name is found.
 */
export function foreignName(expression: unknown, columns: Columns): string | undefined {
  return walk(
    expression,
    { columns: columns.ofTable, tables: new Set([columns.fold(columns.table)]) },
    columns,
  )
}

/** Nodes that bring names of their own, whose scoping is not followed here. */
const unfollowed = ["RangeSubselect", "RangeFunction", "RangeTableFunc", "JsonTable"]

function walk(value: unknown, scope: Scope, columns: Columns): string | undefined {
  if (Array.isArray(value)) return first(value, scope, columns)
  if (!isFields(value)) return undefined
  const node = unfollowed.find((key) => key in value)
  if (node !== undefined) return node
  const reference = nodeFields(value, "ColumnRef")
  if (reference !== undefined) return unknownColumn(reference, scope, columns)
  const select = nodeFields(value, "SelectStmt") ?? branchOf(value)
  if (select === undefined) return first(Object.values(value), scope, columns)
  const inner = opened(select, scope, columns)
  return typeof inner === "string" ? inner : first(Object.values(select), inner, columns)
}

/** Branches of a set operation stand without their tag. */
function branchOf(value: Fields): Fields | undefined {
  return "limitOption" in value && "op" in value ? value : undefined
}

function first(values: readonly unknown[], scope: Scope, columns: Columns): string | undefined {
  for (const value of values) {
    const found = walk(value, scope, columns)
    if (found !== undefined) return found
  }
  return undefined
}

/** What a sub-query sees: its own relations and all around it, but nothing of the client's. */
function opened(select: Fields, outer: Scope, columns: Columns): Scope | string {
  if ("withClause" in select) return "WITH"
  const visible = new Set(outer.columns)
  const tables = new Set(outer.tables)
  const pending = [...listOf(select["fromClause"])]
  while (pending.length > 0) {
    const item = pending.pop()
    const join = nodeFields(item, "JoinExpr")
    if (join !== undefined) {
      if ("alias" in join) return "alias of a join"
      pending.push(join["larg"], join["rarg"])
      continue
    }
    const relation = nodeFields(item, "RangeVar")
    if (relation === undefined) continue
    const name = textOf(relation["relname"])
    const found = columns.of(textOf(relation["schemaname"]), name)
    if (found === undefined) return name
    const alias = isFields(relation["alias"]) ? relation["alias"] : {}
    if ("colnames" in alias) return "column aliases"
    for (const column of found) visible.add(columns.fold(column))
    tables.add(columns.fold("aliasname" in alias ? textOf(alias["aliasname"]) : name))
  }
  return { columns: visible, tables }
}

function unknownColumn(reference: Fields, scope: Scope, columns: Columns): string | undefined {
  const parts = nameParts(reference["fields"])
  const [name = "", ...more] = parts
  const known = more.length === 0 ? scope.columns : scope.tables
  // `*` has no name: as a count's argument it is no reference at all.
  if (name === "" && more.length === 0) return undefined
  return more.length < 2 && known.has(columns.fold(name)) ? undefined : parts.join(".")
}
