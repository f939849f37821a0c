import type { DuckDBConnection } from "@duckdb/node-api"

/**
 * PostgreSQL functions that neither DuckDB has nor the dialect can spell as an expression, as macros of the connection's
 * temp schema. Their bodies are ours; no text of a client enters here.
 */
const macros: readonly string[] = [
  // Words are runs of letters and digits, as initcap (formatting.c) has them.
  String.raw`CREATE TEMP MACRO initcap(s) AS array_to_string(list_transform(
    regexp_extract_all(s, '[\pL\pN]+|[^\pL\pN]+'), lambda w: upper(w[1]) || lower(w[2:])), '')`,
]

export async function prepareConnection(connection: DuckDBConnection): Promise<void> {
  for (const macro of macros) await connection.run(macro)
}
