import { version as duckdbVersion } from "@duckdb/node-api"
import type { CatalogInterest, CatalogSnapshot } from "../../core/catalog.ts"
import { GatewayError, InvariantViolation } from "../../core/errors.ts"
import type { Parameters } from "../../core/parameters.ts"
import type { Ast } from "../../core/statement.ts"
import type { ServerFacts, Warehouse, WarehouseConnection } from "../warehouse.ts"
import { readDuckdbCatalog } from "./catalog-reader.ts"
import { DuckdbFile, type DuckdbOptions } from "./client.ts"
import { DuckdbWarehouseConnection } from "./connection.ts"
import { adaptStatement } from "./dialect.ts"
import type { ViewGrammar } from "./view-definitions.ts"

/**
 * The version that clients are told, and by which SQLAlchemy, psql and pgjdbc choose their SQL. It is that of the grammar
 * that reads statements and of the shadow catalogue that answers about the schema (a test holds them together).
 */
const postgresVersion = "18.6"

function serverFacts(): ServerFacts {
  const engine = `DuckDB ${duckdbVersion().replace(/^v/, "")}`
  return {
    serverVersion: `${postgresVersion} (${engine})`,
    // SQLAlchemy reads `PostgreSQL (\d+)\.?(\d+)?` from the start of this text.
    versionText: `PostgreSQL ${postgresVersion} (${engine}), served by Sluice`,
    parameters: new Map([
      ["server_version", `${postgresVersion} (${engine})`],
      ["server_encoding", "UTF8"],
      ["client_encoding", "UTF8"],
      ["TimeZone", "UTC"],
      ["DateStyle", "ISO, MDY"],
      ["IntervalStyle", "postgres"],
      ["integer_datetimes", "on"],
      ["standard_conforming_strings", "on"],
      ["is_superuser", "off"],
      ["default_transaction_read_only", "on"],
      ["in_hot_standby", "off"],
      ["search_path", "main"],
    ]),
  }
}

/** DuckDB inside this process, over one file. */
export class DuckdbAdapter implements Warehouse {
  readonly engine = "duckdb"
  readonly serverFacts: ServerFacts = serverFacts()
  readonly #file: DuckdbFile
  readonly #grammar: ViewGrammar | undefined

  /** Without a grammar no definition of a view is read, and policies refuse views over what they govern. */
  constructor(options: DuckdbOptions, grammar?: ViewGrammar) {
    this.#file = new DuckdbFile(options)
    this.#grammar = grammar
  }

  /**
   * Proves that the file can be opened. A file that another process is writing to is no reason to refuse: a statement waits
   * for it within its own time-out.
   */
  async connect(signal: AbortSignal): Promise<WarehouseConnection> {
    try {
      const use = await this.#file.acquire(signal, connectWaitMsMax)
      use.release()
    } catch (thrown) {
      const isBusy = thrown instanceof GatewayError && thrown.reason === "warehouse_busy"
      if (!isBusy) throw thrown
    }
    return new DuckdbWarehouseConnection(this.#file)
  }

  async readCatalog(
    connection: WarehouseConnection,
    signal: AbortSignal,
    interest: CatalogInterest = [],
  ): Promise<CatalogSnapshot> {
    if (!(connection instanceof DuckdbWarehouseConnection)) {
      throw new InvariantViolation("a catalogue was to be read through another engine's connection")
    }
    await connection.beginTransaction(undefined, signal)
    try {
      return await readDuckdbCatalog(connection, signal, { interest, grammar: this.#grammar })
    } finally {
      await connection.endTransaction()
    }
  }

  adapt(ast: Ast, parameters: Parameters | undefined): Ast | undefined {
    return adaptStatement(ast, parameters)
  }

  onInvalidated(): void {
    this.#file.invalidate()
  }

  async close(): Promise<void> {
    await this.#file.close()
  }
}

/** One look at the lock is enough to connect. */
const connectWaitMsMax = 1
