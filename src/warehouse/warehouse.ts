import type { CatalogInterest, CatalogSnapshot } from "../core/catalog.ts"
import type { DirectConnection, DirectOptions } from "../core/direct.ts"
import type { FormatCode, Parameters, Protocol } from "../core/parameters.ts"
import type { RowStream, StatementDescription } from "../core/result.ts"
import type { SettingsView } from "../core/settings.ts"
import type { Ast, Emitted, IsolationLevel } from "../core/statement.ts"

/**
 * The port: what Sluice asks of an engine. One folder per engine implements it, with the same file names, and imports
 * nothing of another engine.
 */
export interface Warehouse {
  readonly engine: "postgres" | "duckdb"
  /** Opens one connection. Rejects with 08006 (`warehouse_unreachable`) within `connectTimeoutMs`. */
  connect(signal: AbortSignal): Promise<WarehouseConnection>
  /** A connection for one session that may write; undefined where the engine's data is not written through Sluice. */
  openDirect?(options: DirectOptions): Promise<DirectConnection>
  /**
   * Reads relations, dependencies and functions, and of the relations in `interest` the columns, of views above them the
   * definitions. Uses a connection that the caller leased.
   */
  readCatalog(
    connection: WarehouseConnection,
    signal: AbortSignal,
    interest?: CatalogInterest,
  ): Promise<CatalogSnapshot>
  /** What the engine reports at login: server_version, TimeZone, and so on, by ParameterStatus name. */
  readonly serverFacts: ServerFacts
  /**
   * The tree to send for a judged statement where the engine does not take PostgreSQL's text as it is: its dialect, with
   * the parameters folded in as typed literals where it cannot take them apart (never spliced as text). `undefined` means:
   * send the text and the parameters unchanged. `parameters` is undefined for Describe, where $n stay. The pipeline emits
   * and verifies what comes back. Throws 0A000 (`construct_unsupported`) with the construct's name.
   */
  adapt(ast: Ast, parameters: Parameters | undefined): Ast | undefined
  /**
   * Called after an invalidation was accepted and before it is acknowledged: statements that start later must not read older
   * data than the moment of this call. A no-op for engines whose connections always read the newest commit.
   */
  onInvalidated(): void
  close(): Promise<void>
}

export type ServerFacts = {
  readonly serverVersion: string
  /** Text of `version()`. */
  readonly versionText: string
  /** Defaults for the virtual settings of a session, by ParameterStatus name. */
  readonly parameters: ReadonlyMap<string, string>
}

export type RunRequest = {
  readonly statement: Emitted
  readonly parameters: Parameters
  /** Empty = all text; one = for all; otherwise one a column. */
  readonly resultFormats: readonly FormatCode[]
  /** `extended`: the stage of an error is wanted (GatewayError.stage), and notices as that protocol orders them. */
  readonly protocol: Protocol
  readonly settings: SettingsView
  /** Set on the engine and kept here too; 0 = none. */
  readonly statementTimeoutMs: number
  /** Aborted on cancel, deadline and when the client has gone; the engine's own cancel follows. The reason is a GatewayError. */
  readonly signal: AbortSignal
}

export type SavepointCommand = {
  readonly kind: "savepoint" | "release" | "rollback_to"
  readonly name: string
}

/** One connection, used by one lease at a time. */
export interface WarehouseConnection {
  /**
   * Runs one statement. Resolves when the description is known (or the first error: rejects with the engine's SQLSTATE,
   * message, detail, hint, and the position relative to the sent text). The stream must be read to its end or disposed of
   * before the next call.
   */
  run(request: RunRequest): Promise<RowStream>
  /** Parameter and column types without running. */
  describe(request: RunRequest): Promise<StatementDescription>
  /** Opens a transaction that lasts until `endTransaction`. */
  beginTransaction(isolation: IsolationLevel | undefined, signal: AbortSignal): Promise<void>
  /**
   * A savepoint command inside that transaction. `transaction_ended`: the engine has no savepoints and gave the transaction
   * up instead, so that the next statement which needs one has to open it anew.
   */
  savepoint(command: SavepointCommand): Promise<"done" | "transaction_ended">
  /** Ends it, by ROLLBACK (reads need no commit). Harmless outside a transaction. */
  endTransaction(): Promise<void>
  /** Position of the newest commit (PostgreSQL: pg_current_wal_insert_lsn), or undefined where the engine has none. */
  position(signal: AbortSignal): Promise<string | undefined>
  /**
   * The canonical spelling of a setting's value as the engine keeps it, or a rejection with its own error. Engines without
   * such settings return undefined and the session's own rules decide.
   */
  checkSetting(name: string, value: string, signal: AbortSignal): Promise<string | undefined>
  /** `clean`: may serve another lease at once. `dirty`: owes rows or lost sync; must be closed. */
  readonly state: "clean" | "busy" | "dirty"
  /** Resolves when the connection is clean again within the time, or dirty; the pool calls it between leases. */
  settle(settleTimeoutMs: number): Promise<"clean" | "dirty">
  close(): void
}
