import type { DuckDBMaterializedResult, DuckDBValue } from "@duckdb/node-api"
import type {
  MirrorColumn,
  MirrorConstraint,
  MirrorIndex,
  MirrorRelation,
  MirrorSchema,
} from "../../core/mirror.ts"
import { type RelationName, relationName } from "../../core/relation.ts"
import { type PgType, pgTypeOf } from "./type-map.ts"

type Rows = readonly DuckDBValue[][]
type Query = (sql: string) => Promise<DuckDBMaterializedResult>

const own = "database_name = current_database() AND NOT internal"

const relationsSql = `
  SELECT schema_name, table_name, 'table', comment, NULL FROM duckdb_tables() WHERE ${own} AND NOT temporary
  UNION ALL
  SELECT schema_name, view_name, 'view', comment, sql FROM duckdb_views() WHERE ${own} AND NOT temporary
  ORDER BY ALL`

const columnsSql = `
  SELECT schema_name, table_name, column_name, data_type, is_nullable, column_default, comment
  FROM duckdb_columns() WHERE ${own} ORDER BY schema_name, table_name, column_index`

const constraintsSql = `
  SELECT schema_name, table_name, constraint_type, constraint_name, expression,
    to_json(constraint_column_names)::VARCHAR, referenced_table, to_json(referenced_column_names)::VARCHAR
  FROM duckdb_constraints()
  WHERE database_name = current_database() AND constraint_type <> 'NOT NULL'
  ORDER BY schema_name, table_name, constraint_index`

/** `expressions` is a list as text: `[s, '"day"', '(lower(s))']`, so the engine reads it back itself. */
const indexesSql = `
  SELECT schema_name, table_name, index_name, is_unique, to_json(TRY_CAST(expressions AS VARCHAR[]))::VARCHAR
  FROM duckdb_indexes()
  WHERE database_name = current_database() ORDER BY ALL`

const sequencesSql = `
  SELECT schema_name, sequence_name FROM duckdb_sequences()
  WHERE database_name = current_database() AND NOT temporary ORDER BY ALL`

/**
 * The schema as PostgreSQL would describe it. Types come from the engine's own planner and the same map that encodes rows,
 * so that the catalogue and RowDescription cannot disagree.
 */
export async function readMirror(query: Query): Promise<MirrorSchema> {
  const rows = async (sql: string): Promise<Rows> => (await query(sql)).getRows()
  const columnRows = await rows(columnsSql)
  const types = await readTypes(query, new Set(columnRows.map((row) => String(row[3]))))
  const columns = grouped(columnRows, (row) => columnOf(row, types))
  const constraints = grouped(await rows(constraintsSql), constraintOf)
  const indexes = grouped(await rows(indexesSql), indexOf)
  const relations = (await rows(relationsSql)).map((row): MirrorRelation => {
    const [schema, relation] = [String(row[0]), String(row[1])]
    const name = relationName(schema, relation)
    return {
      name,
      schema,
      relation,
      kind: row[2] === "view" ? "view" : "table",
      columns: columns.get(name) ?? [],
      constraints: constraints.get(name) ?? [],
      indexes: indexes.get(name) ?? [],
      comment: optional(row[3]),
      definition: optional(row[4])?.replace(viewHead, ""),
    }
  })
  const sequences = (await rows(sequencesSql)).map(([schema, sequence]) => ({
    name: relationName(String(schema), String(sequence)),
    schema: String(schema),
    sequence: String(sequence),
  }))
  return { relations, sequences }
}

/** DuckDB keeps the whole command, PostgreSQL the query; a head with column names stays, because the query lacks them. */
const viewHead = /^CREATE VIEW (?:(?:"(?:[^"]|"")*"|\w+)\.)*(?:"(?:[^"]|"")*"|\w+) AS /

function optional(value: DuckDBValue | undefined): string | undefined {
  return value === null || value === undefined ? undefined : String(value)
}

/** Items by relation, in the order of the rows; a row that makes no item is left out. */
function grouped<Item>(
  rows: Rows,
  itemOf: (row: readonly DuckDBValue[]) => Item | undefined,
): ReadonlyMap<RelationName, readonly Item[]> {
  const groups = new Map<RelationName, Item[]>()
  for (const row of rows) {
    const item = itemOf(row)
    if (item === undefined) continue
    const name = relationName(String(row[0]), String(row[1]))
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return groups
}

const text: PgType = { oid: 25, size: -1, modifier: -1 }

/** Columns of one planned SELECT; more would only make one statement longer. */
const typesPerQuery = 200

/** A type's text names it only to the engine: it is asked what a column of that type would be described as. */
async function readTypes(
  query: Query,
  names: ReadonlySet<string>,
): Promise<ReadonlyMap<string, PgType>> {
  const types = new Map<string, PgType>()
  const all = [...names]
  for (let from = 0; from < all.length; from += typesPerQuery) {
    const part = all.slice(from, from + typesPerQuery)
    const planned = await plannedTypes(query, part)
    for (const [index, name] of part.entries()) types.set(name, planned[index] ?? text)
  }
  return types
}

/** A type that cannot be written as a cast is looked for alone, and is text when even that fails. */
async function plannedTypes(query: Query, names: readonly string[]): Promise<readonly PgType[]> {
  try {
    const casts = names.map((name, index) => `CAST(NULL AS ${name}) AS c${index}`)
    return (await query(`SELECT ${casts.join(", ")} LIMIT 0`)).columnTypes().map(pgTypeOf)
  } catch {
    if (names.length === 1) return [text]
    const found: PgType[] = []
    for (const name of names) found.push(...(await plannedTypes(query, [name])))
    return found
  }
}

function columnOf(row: readonly DuckDBValue[], types: ReadonlyMap<string, PgType>): MirrorColumn {
  const type = types.get(String(row[3])) ?? text
  return {
    name: String(row[2]),
    typeOid: type.oid,
    typeModifier: type.modifier,
    isNullable: row[4] === true,
    defaultText: optional(row[5]),
    comment: optional(row[6]),
  }
}

function listOf(value: DuckDBValue | undefined): readonly string[] {
  const list: unknown = JSON.parse(optional(value) ?? "[]")
  return Array.isArray(list) ? list.map(String) : []
}

function constraintOf(row: readonly DuckDBValue[]): MirrorConstraint | undefined {
  const [schema, , type, constraint, expression, columns, target, targetColumns] = row
  const name = String(constraint)
  switch (type) {
    case "PRIMARY KEY":
      return { kind: "primary", name, columns: listOf(columns) }
    case "UNIQUE":
      return { kind: "unique", name, columns: listOf(columns) }
    case "CHECK":
      return { kind: "check", name, expression: String(expression) }
    case "FOREIGN KEY":
      // DuckDB has no foreign keys across schemas.
      return {
        kind: "foreign",
        name,
        columns: listOf(columns),
        target: relationName(String(schema), String(target)),
        targetColumns: listOf(targetColumns),
      }
    default:
      return undefined
  }
}

const bareName = /^[A-Za-z_]\w*$/
const quotedName = /^"(?:[^"]|"")+"$/

/** The column that an index's expression names, if it is no more than a name. */
function indexedColumn(expression: string): string | undefined {
  if (bareName.test(expression)) return expression
  return quotedName.test(expression) ? expression.slice(1, -1).replaceAll('""', '"') : undefined
}

/** An index over anything but columns has no counterpart. */
function indexOf(row: readonly DuckDBValue[]): MirrorIndex | undefined {
  const [, , name, isUnique, expressions] = row
  const columns = listOf(expressions).map(indexedColumn)
  if (columns.length === 0 || !columns.every((column) => column !== undefined)) return undefined
  return { name: String(name), columns, isUnique: isUnique === true }
}
