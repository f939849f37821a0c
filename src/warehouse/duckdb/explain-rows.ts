import type { DuckDBMaterializedResult } from "@duckdb/node-api"
import type { FormatCode } from "../../core/parameters.ts"
import type { RowBatch, RowStream } from "../../core/result.ts"
import type { Ast } from "../../core/statement.ts"
import { dataRow, rowDescription } from "../../wire/backend-messages.ts"
import { columnFormat } from "./encode-row.ts"
import { PgOid } from "./type-map.ts"

export function isExplain(ast: Ast): boolean {
  return "ExplainStmt" in ast
}

/** What PostgreSQL's EXPLAIN describes: one column of text. */
export function planDescription(formats: readonly FormatCode[]): Buffer {
  return rowDescription([
    {
      name: "QUERY PLAN",
      tableOid: 0,
      columnNumber: 0,
      typeOid: PgOid.Text,
      typeSize: -1,
      typeModifier: -1,
      format: columnFormat(formats, 0),
    },
  ])
}

/** DuckDB's plan, which comes as a few drawings of many lines each, as PostgreSQL shows one: a row a line. A plan is small, and all here at once. */
export async function explainRows(
  result: DuckDBMaterializedResult,
  formats: readonly FormatCode[],
  onDone: () => void,
): Promise<RowStream> {
  const drawings = await result.getRows()
  const lines = drawings.flatMap((row) => String(row.at(-1) ?? "").split("\n"))
  const shown = lines.map((line) => line.trimEnd()).filter((line) => line !== "")
  const rows = shown.map((line) => dataRow([Buffer.from(line)]))
  let batch: RowBatch | undefined =
    rows.length === 0 ? undefined : { bytes: Buffer.concat(rows), rowCount: rows.length }
  let isDone = false
  const end = (): void => {
    if (!isDone) onDone()
    isDone = true
  }
  return {
    description: planDescription(formats),
    completion: { tag: "EXPLAIN", notices: [] },
    next: async () => {
      const next = batch
      batch = undefined
      if (next === undefined) end()
      return next
    },
    [Symbol.dispose]: end,
  }
}
