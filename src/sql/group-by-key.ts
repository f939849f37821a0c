import {
  type Fields,
  fieldsOf,
  integerConstant,
  isFields,
  listOf,
  nameParts,
  nodeFields,
  textOf,
} from "./ast.ts"

/** A relation in FROM that a query stands in for, with the primary key that the relation has. */
export type KeyedRelation = {
  readonly key: readonly string[]
  /** Columns that the query shows, in their order. */
  readonly columns: readonly string[]
}

export type DependentColumn = { readonly table: string; readonly column: string }

/**
 * Columns that a SELECT uses ungrouped because it groups by their relation's primary key (PostgreSQL manual, 7.2.3). A
 * query in the relation's place has no key, so they have to be named in GROUP BY: there is one row for each key, so that the groups
 * stay the same.
 */
export function dependentColumns(
  select: Fields,
  keyed: ReadonlyMap<Fields, KeyedRelation>,
): readonly DependentColumn[] {
  const groups = listOf(select["groupClause"])
  if (groups.length === 0 || keyed.size === 0) return []
  if (groups.some((group) => nodeFields(group, "GroupingSet") !== undefined)) return []
  const relations = new Map<string, KeyedRelation>()
  for (const item of listOf(select["fromClause"])) collect(item, keyed, relations)
  if (relations.size === 0) return []
  const grouped = groups.flatMap((group) => referenceOf(meant(group, select)) ?? [])
  const used: Reference[] = []
  for (const clause of ["targetList", "havingClause", "sortClause", "windowClause"])
    references(select[clause], used)
  return [...relations].flatMap(([table, { key, columns }]) => {
    const isOf = (reference: Reference, column: string): boolean =>
      (reference.table ?? table) === table && reference.column === column
    const has = (list: readonly Reference[], column: string): boolean =>
      list.some((reference) => isOf(reference, column))
    if (!key.every((column) => has(grouped, column))) return []
    const missing = columns.filter(
      (column) => !has(grouped, column) && (has(used, column) || has(used, everyColumn)),
    )
    return missing.map((column) => ({ table, column }))
  })
}

type Reference = { readonly table: string | undefined; readonly column: string }

/** `*` and `t.*`, whose star is a node without a name. */
const everyColumn = ""

function collect(
  item: unknown,
  keyed: ReadonlyMap<Fields, KeyedRelation>,
  into: Map<string, KeyedRelation>,
): void {
  const join = nodeFields(item, "JoinExpr")
  if (join !== undefined) {
    if ("alias" in join) return
    collect(join["larg"], keyed, into)
    collect(join["rarg"], keyed, into)
    return
  }
  const relation = nodeFields(item, "RangeVar")
  const found = relation === undefined ? undefined : keyed.get(relation)
  if (relation === undefined || found === undefined) return
  const alias = fieldsOf(relation["alias"])
  if ("colnames" in alias) return
  into.set(textOf(alias["aliasname"]) || textOf(relation["relname"]), found)
}

/** What `GROUP BY 1` or an output's name stands for. */
function meant(group: unknown, select: Fields): unknown {
  const targets = listOf(select["targetList"])
  const position = integerConstant(group)
  if (position !== undefined) return nodeFields(targets[position - 1], "ResTarget")?.["val"]
  const name = referenceOf(group)
  if (name === undefined || name.table !== undefined) return group
  const output = targets.find((target) => nodeFields(target, "ResTarget")?.["name"] === name.column)
  const value = nodeFields(output, "ResTarget")?.["val"]
  // Another column under the name of one: PostgreSQL groups by the column.
  return value !== undefined && referenceOf(value) !== undefined ? value : group
}

function referenceOf(value: unknown): Reference | undefined {
  const parts = nameParts(nodeFields(value, "ColumnRef")?.["fields"])
  const column = parts.at(-1)
  return column === undefined ? undefined : { table: parts.at(-2), column }
}

function references(value: unknown, into: Reference[]): void {
  if (Array.isArray(value)) {
    for (const item of value) references(item, into)
    return
  }
  if (!isFields(value)) return
  const found = referenceOf(value)
  if (found !== undefined) into.push(found)
  else for (const key in value) references(value[key], into)
}
