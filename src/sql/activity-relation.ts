import type { ActivityRow } from "../core/session-values.ts"

type Column = {
  readonly name: string
  readonly type: string
  /** Where DuckDB has no such type. */
  readonly duckdbType?: string
  /** Left out: always NULL, because only the server's own processes have it. */
  readonly value?: (row: ActivityRow) => string | number | undefined
}

/** pg_stat_activity of PostgreSQL 18, in order. */
const columns: readonly Column[] = [
  { name: "datid", type: "oid" },
  { name: "datname", type: "name", value: (row) => row.datname },
  { name: "pid", type: "int4", value: (row) => row.pid },
  { name: "leader_pid", type: "int4" },
  { name: "usesysid", type: "oid" },
  { name: "usename", type: "name", value: (row) => row.usename },
  { name: "application_name", type: "text", value: (row) => row.applicationName },
  { name: "client_addr", type: "inet", duckdbType: "text", value: (row) => row.clientAddress },
  { name: "client_hostname", type: "text" },
  { name: "client_port", type: "int4", value: (row) => row.clientPort },
  { name: "backend_start", type: "timestamptz", value: (row) => row.backendStart },
  { name: "xact_start", type: "timestamptz", value: (row) => row.transactionStart },
  { name: "query_start", type: "timestamptz", value: (row) => row.queryStart },
  { name: "state_change", type: "timestamptz", value: (row) => row.stateChange },
  { name: "wait_event_type", type: "text" },
  { name: "wait_event", type: "text" },
  { name: "state", type: "text", value: (row) => row.state },
  { name: "backend_xid", type: "xid", duckdbType: "int8" },
  { name: "backend_xmin", type: "xid", duckdbType: "int8" },
  { name: "query_id", type: "int8" },
  { name: "query", type: "text", value: (row) => row.query },
  { name: "backend_type", type: "text", value: () => "client backend" },
]

export const activityColumns: readonly string[] = columns.map(({ name }) => name)

/** The rows as a FROM item of PostgreSQL's grammar, every value with its type. `rows` is not empty. */
export function activityValues(
  rows: readonly ActivityRow[],
  engine: "postgres" | "duckdb",
): string {
  const lines = rows.map(
    (row) => `(${columns.map((column) => cell(column, row, engine)).join(", ")})`,
  )
  return `(VALUES ${lines.join(", ")}) AS activity`
}

function cell(column: Column, row: ActivityRow, engine: "postgres" | "duckdb"): string {
  const type = engine === "duckdb" ? (column.duckdbType ?? column.type) : column.type
  const value = column.value?.(row)
  if (value === undefined) return `NULL::${type}`
  const text = typeof value === "number" ? String(value) : `'${value.replaceAll("'", "''")}'`
  return `${text}::${type}`
}
