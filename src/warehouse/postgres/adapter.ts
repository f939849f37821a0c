import type { CatalogInterest, CatalogSnapshot } from "../../core/catalog.ts"
import type { DirectConnection, DirectOptions } from "../../core/direct.ts"
import { InvariantViolation } from "../../core/errors.ts"
import { noParameters } from "../../core/parameters.ts"
import type { ServerFacts, Warehouse, WarehouseConnection } from "../warehouse.ts"
import { CatalogMemo } from "./catalog-memo.ts"
import { PostgresConnection } from "./connection.ts"
import type { ConnectionLimits } from "./connection-limits.ts"
import { parseConnectionUri } from "./connection-uri.ts"
import { type DialTarget, dial, readOnlySettings } from "./dial.ts"
import { PostgresDirect } from "./direct.ts"
import { connectFailed } from "./error-map.ts"

export type PostgresAdapterOptions = {
  /** Name of the warehouse in configuration, for messages. */
  readonly name: string
  /** postgresql://user:password@host:port/database?sslmode=verify-full */
  readonly uri: string
  /** What sessions that may write connect with; default: `uri`. */
  readonly writeUri?: string | undefined
  /** Connecting and logging in; whoever calls `connect` may abort earlier. */
  readonly connectTimeoutMs: number
  readonly applicationName?: string
  readonly limits?: Partial<ConnectionLimits>
}

const defaultLimits: ConnectionLimits = {
  cancelTimeoutMs: 5_000,
  recoverTimeoutMs: 10_000,
  drainBytesMax: 64 * 1024 * 1024,
  internalTimeoutMs: 30_000,
}

/** PostgreSQL as a warehouse: the port of warehouse/warehouse.ts over raw, relayed connections. */
export class PostgresAdapter implements Warehouse {
  readonly engine = "postgres"
  readonly #target: DialTarget
  readonly #writeTarget: DialTarget
  readonly #limits: ConnectionLimits
  readonly #connectTimeoutMs: number
  readonly #open = new Set<PostgresConnection | PostgresDirect>()
  readonly #catalog = new CatalogMemo()
  #facts: ServerFacts | undefined
  #isClosed = false

  /** Throws `invalid_configuration` when the URI does not parse; connects to nothing. */
  constructor(options: PostgresAdapterOptions) {
    const common = { name: options.name, applicationName: options.applicationName ?? "sluice" }
    this.#target = {
      ...parseConnectionUri(options.uri),
      ...common,
      startupSettings: readOnlySettings,
    }
    this.#writeTarget = {
      ...parseConnectionUri(options.writeUri ?? options.uri),
      ...common,
      startupSettings: new Map(),
    }
    this.#connectTimeoutMs = options.connectTimeoutMs
    this.#limits = { ...defaultLimits, ...options.limits }
  }

  /** As the newest connection reported them. Throws 08006 before the first one. */
  get serverFacts(): ServerFacts {
    if (this.#facts !== undefined) return this.#facts
    throw connectFailed(this.#target.name, new Error("no connection was made yet"))
  }

  connect(signal: AbortSignal): Promise<WarehouseConnection> {
    return this.#inTime(signal, (limited) => this.#connect(limited))
  }

  openDirect(options: DirectOptions): Promise<DirectConnection> {
    return this.#inTime(options.signal, async (signal) => {
      const { host, port } = this.#writeTarget
      const { startupSettings } = options
      const dialled = await dial({ ...this.#writeTarget, startupSettings }, signal)
      const connection = new PostgresDirect({
        dialled,
        host,
        port,
        cancelTimeoutMs: this.#limits.cancelTimeoutMs,
        onClosed: (closed) => this.#open.delete(closed),
      })
      this.#open.add(connection)
      return connection
    })
  }

  async #inTime<Opened>(
    signal: AbortSignal,
    open: (signal: AbortSignal) => Promise<Opened>,
  ): Promise<Opened> {
    const { name } = this.#target
    if (this.#isClosed) throw connectFailed(name, new Error("the warehouse is closed"))
    const deadline = new AbortController()
    const timer = setTimeout(() => {
      const cause = new Error(`no log-in within ${this.#connectTimeoutMs} ms`)
      deadline.abort(connectFailed(name, cause))
    }, this.#connectTimeoutMs)
    try {
      return await open(AbortSignal.any([signal, deadline.signal]))
    } finally {
      clearTimeout(timer)
    }
  }

  async #connect(signal: AbortSignal): Promise<WarehouseConnection> {
    const { host, port, name } = this.#target
    const dialled = await dial(this.#target, signal)
    const connection = new PostgresConnection({
      dialled,
      host,
      port,
      limits: this.#limits,
      onClosed: (closed) => this.#open.delete(closed),
    })
    this.#open.add(connection)
    try {
      await this.#learnFacts(connection, signal)
    } catch (error) {
      connection.close()
      signal.throwIfAborted()
      throw connectFailed(name, error)
    }
    return connection
  }

  /** Asks for the version's text once, and again when a server of another version answers (an upgrade, a failover). */
  async #learnFacts(connection: PostgresConnection, signal: AbortSignal): Promise<void> {
    const serverVersion = connection.parameters.get("server_version") ?? ""
    let versionText = this.#facts?.versionText ?? ""
    if (this.#facts?.serverVersion !== serverVersion) {
      const text = "SELECT pg_catalog.version()"
      await connection.query({ text, parameters: noParameters, signal }, ([version]) => {
        versionText = version ?? ""
      })
    }
    const parameters = new Map(connection.parameters)
    this.#facts = { serverVersion, versionText, parameters }
  }

  readCatalog(
    connection: WarehouseConnection,
    signal: AbortSignal,
    interest: CatalogInterest = [],
  ): Promise<CatalogSnapshot> {
    if (!(connection instanceof PostgresConnection)) {
      throw new InvariantViolation("a catalogue was to be read over another engine's connection")
    }
    return this.#catalog.read(connection, signal, interest)
  }

  /** PostgreSQL takes the text as it is. */
  adapt(): undefined {
    return undefined
  }

  /** Every statement sees the newest commit already. */
  onInvalidated(): void {}

  close(): Promise<void> {
    this.#isClosed = true
    for (const connection of this.#open) connection.close()
    return Promise.resolve()
  }
}
