import type { SessionValues } from "../core/session-values.ts"
import { activityColumns, activityValues } from "./activity-relation.ts"

/** A view of the session's own objects as a FROM item: what stands in its place, and its columns. */
export type OwnRelation = {
  readonly columns: readonly string[]
  readonly from: (values: SessionValues) => string
}

type Column = readonly [name: string, type: string, duckdbType?: string]

/** pg_prepared_statements and pg_cursors of PostgreSQL 18, in order. */
const preparedColumns: readonly Column[] = [
  ["name", "text"],
  ["statement", "text"],
  ["prepare_time", "timestamptz"],
  ["parameter_types", "regtype[]", "text"],
  ["result_types", "regtype[]", "text"],
  ["from_sql", "bool"],
  ["generic_plans", "int8"],
  ["custom_plans", "int8"],
]
const cursorColumns: readonly Column[] = [
  ["name", "text"],
  ["statement", "text"],
  ["is_holdable", "bool"],
  ["is_binary", "bool"],
  ["is_scrollable", "bool"],
  ["creation_time", "timestamptz"],
]

const relations: ReadonlyMap<string, OwnRelation> = new Map([
  [
    "pg_stat_activity",
    {
      columns: activityColumns,
      from: (values) => activityValues(values.activity(), values.engine),
    },
  ],
  ["pg_prepared_statements", own(preparedColumns, (values) => values.preparedStatements())],
  ["pg_cursors", own(cursorColumns, (values) => values.cursors())],
])

/** Undefined for a relation that is the warehouse's own. */
export function ownRelation(name: string): OwnRelation | undefined {
  return relations.get(name)
}

function own(
  columns: readonly Column[],
  rowsOf: (values: SessionValues) => readonly (readonly (string | undefined)[])[],
): OwnRelation {
  const from = (values: SessionValues): string => {
    const rows = rowsOf(values)
    const lines = (rows.length === 0 ? [[]] : rows).map((row) => {
      const cells = columns.map(([, type, duckdbType], index) => {
        const text = row[index]
        const value = text === undefined ? "NULL" : `'${text.replaceAll("'", "''")}'`
        return `${value}::${values.engine === "duckdb" ? (duckdbType ?? type) : type}`
      })
      return `(${cells.join(", ")})`
    })
    const list = `(VALUES ${lines.join(", ")})`
    return rows.length === 0
      ? `(SELECT * FROM ${list} AS none WHERE false) AS own`
      : `${list} AS own`
  }
  return { columns: columns.map(([name]) => name), from }
}
