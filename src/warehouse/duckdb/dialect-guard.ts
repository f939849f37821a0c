import { type Fields, textOf } from "./ast-nodes.ts"
import { functionNotAllowed, undefinedRelation, unsupported } from "./dialect-errors.ts"

/**
 * What stays closed whatever policy says: functions that run SQL given as text, read files, the process or secrets, show
 * statistics over rows that a filter hides, or the text that policy made. `enable_external_access = false` and the
 * locked configuration stop the files once more inside DuckDB.
 */
const closedFunctions: ReadonlySet<string> = new Set([
  "current_connection_id",
  "current_query",
  "current_query_id",
  "current_transaction_id",
  "currval",
  "getenv",
  "getvariable",
  "glob",
  "json_deserialize_sql",
  "json_execute_serialized_sql",
  "json_serialize_plan",
  "json_serialize_sql",
  "nextval",
  "pg_get_viewdef",
  "pg_sleep",
  "query",
  "query_table",
  "setseed",
  "setval",
  "sleep_ms",
  "sql_auto_complete",
  "stats",
  "vector_type",
  "which_secret",
  "write_log",
])

const closedPrefixes = [
  "duckdb_",
  "icu_collate_",
  "parquet_",
  "pragma_",
  "read_",
  "sniff_",
  "__internal_",
]

/** In FROM only what makes rows of its arguments; by allow-list, since every extension may add readers. */
const tableFunctions: ReadonlySet<string> = new Set(["generate_series", "unnest", "range"])

export function assertCallable(name: string): void {
  const folded = name.toLowerCase()
  if (closedFunctions.has(folded) || closedPrefixes.some((prefix) => folded.startsWith(prefix))) {
    throw functionNotAllowed(name)
  }
}

export function assertTableFunction(name: string): void {
  assertCallable(name)
  if (!tableFunctions.has(name.toLowerCase())) throw functionNotAllowed(name)
}

/** Databases that every DuckDB instance has beside the file. */
const engineDatabases: ReadonlySet<string> = new Set(["system", "temp"])

const engineRelation = /^(?:duckdb_|pragma_|sqlite_)/i

/** Names that DuckDB would try as files, were it allowed to ("replacement scans"). */
const fileName =
  /[\\/*?]|:|\.(?:arrow|avro|csv|db|duckdb|feather|gz|ipc|json|jsonl|ndjson|orc|parquet|tsv|txt|xlsx|zst)$/i

/** A relation's parts as the statement names it. */
export function assertRelation(range: Fields): void {
  const name = textOf(range["relname"])
  const schema = textOf(range["schemaname"])
  const catalog = textOf(range["catalogname"])
  const isOfEngine =
    engineDatabases.has(schema.toLowerCase()) || engineDatabases.has(catalog.toLowerCase())
  const isSystemView = engineRelation.test(name) && (schema === "" || /^main$/i.test(schema))
  if (isOfEngine || isSystemView || fileName.test(name)) {
    throw undefinedRelation(schema === "" ? name : `${schema}.${name}`)
  }
  if (schema.includes("/") || schema.includes(":")) throw unsupported(`schema "${schema}"`)
}
