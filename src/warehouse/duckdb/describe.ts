import { type DuckDBConnection, type DuckDBType, DuckDBTypeId, VARCHAR } from "@duckdb/node-api"
import type { StatementDescription } from "../../core/result.ts"
import type { Emitted } from "../../core/statement.ts"
import { listOf, nodeFields, textOf } from "./ast-nodes.ts"
import { isExplain, planDescription } from "./explain-rows.ts"
import { duckdbTypeOf, sampleOf } from "./parameter-types.ts"
import { describeColumns } from "./result-stream.ts"
import { PgOid, pgTypeOf } from "./type-map.ts"

/**
 * Types of parameters and columns without running. DuckDB's planner resolves parameters it can (`x = $1`, `$1::int`); a
 * type that Parse declared comes first, and what is left is text, as in PostgreSQL. While any parameter is open DuckDB
 * names no columns; then the statement is planned once more with sample values of those types, for no rows.
 */
export async function describeStatement(
  duck: DuckDBConnection,
  statement: Emitted,
  declared: readonly number[],
): Promise<StatementDescription> {
  const prepared = await duck.prepare(statement.text)
  try {
    const parameterTypes: number[] = []
    const plannedTypes: DuckDBType[] = []
    for (let index = 0; index < prepared.parameterCount; index++) {
      const oid = declared[index] ?? 0
      const found = typeOfParameter(() => prepared.parameterType(index + 1))
      const type = duckdbTypeOf(oid) ?? found ?? VARCHAR
      plannedTypes.push(type)
      parameterTypes.push(oid === 0 || oid === PgOid.Unknown ? pgTypeOf(type).oid : oid)
    }
    if (isExplain(statement.ast)) return { parameterTypes, rowDescription: planDescription([]) }
    const columnCount = prepared.columnCount
    const isResolved = columnCount > 0 && prepared.columnTypeId(0) !== DuckDBTypeId.INVALID
    if (isResolved) {
      const columns = Array.from({ length: columnCount }, (_, index) => index)
      const names = columns.map((index) => prepared.columnName(index))
      const types = columns.map((index) => prepared.columnType(index))
      return { parameterTypes, rowDescription: describeColumns(names, types, []) }
    }
    return {
      parameterTypes,
      rowDescription: await describeUnresolved(duck, statement, plannedTypes),
    }
  } finally {
    prepared.destroySync()
  }
}

const openTypes: ReadonlySet<DuckDBTypeId> = new Set([
  DuckDBTypeId.INVALID,
  DuckDBTypeId.ANY,
  DuckDBTypeId.SQLNULL,
])

function typeOfParameter(read: () => DuckDBType): DuckDBType | undefined {
  try {
    const type = read()
    return openTypes.has(type.typeId) ? undefined : type
  } catch {
    return undefined
  }
}

async function describeUnresolved(
  duck: DuckDBConnection,
  statement: Emitted,
  types: readonly DuckDBType[],
): Promise<Buffer> {
  const sql = `SELECT * FROM (${statement.text}) AS described LIMIT 0`
  const result = await duck
    .run(sql, types.map(sampleOf), [...types])
    // A sample may be a value that the statement cannot take; NULL always is one, but has no type to pass on.
    .catch(() =>
      duck.run(
        sql,
        types.map(() => null),
        [...types],
      ),
    )
  const found = result.columnNames()
  const labels = labelsOf(statement)
  // The outer SELECT * tells equal names apart by a suffix; the statement's own labels do not.
  const names = labels?.length === found.length ? labels : found
  return describeColumns(names, result.columnTypes(), [])
}

/** Output names as the (adapted) tree labels them; undefined when a star or a plain column hides one. */
function labelsOf({ ast }: Emitted): readonly string[] | undefined {
  const targets = listOf(nodeFields(ast, "SelectStmt")?.["targetList"])
  const labels = targets.map((target) => textOf(nodeFields(target, "ResTarget")?.["name"]))
  return labels.every((label) => label !== "") ? labels : undefined
}
