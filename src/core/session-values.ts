/** One row of pg_stat_activity (PostgreSQL manual, 27.2.3). Times as ISO 8601. */
export type ActivityRow = {
  readonly datname: string
  readonly pid: number
  readonly usename: string
  readonly applicationName: string
  readonly clientAddress: string | undefined
  readonly clientPort: number | undefined
  readonly backendStart: string
  readonly transactionStart: string | undefined
  readonly queryStart: string | undefined
  readonly stateChange: string
  readonly state: string
  readonly query: string
}

/** Both ends of a client's connection as the gateway sees them. */
export type ConnectionAddress = {
  readonly client: { readonly address: string; readonly port: number }
  readonly server: { readonly address: string; readonly port: number }
}

/** What a statement may ask about the session that sends it. */
export type SessionValues = {
  readonly engine: "postgres" | "duckdb"
  readonly user: string
  readonly database: string
  readonly processId: number
  /** Undefined for a Unix socket. */
  readonly address: ConnectionAddress | undefined
  /** A setting that the session keeps itself; undefined for those that only the warehouse knows. */
  readonly setting: (name: string) => string | undefined
  /** The sessions that this one may see, itself included. */
  readonly activity: () => readonly ActivityRow[]
  /** Rows of pg_prepared_statements and pg_cursors, as texts in the order of their columns; undefined is NULL. */
  readonly preparedStatements: () => readonly (readonly (string | undefined)[])[]
  readonly cursors: () => readonly (readonly (string | undefined)[])[]
  /** True for a session with a connection of its own: what that holds is the session's, and its views are right. */
  readonly holdsOwnObjects: boolean
}
