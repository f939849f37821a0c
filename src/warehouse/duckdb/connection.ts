import type { DuckDBConnection, DuckDBMaterializedResult } from "@duckdb/node-api"
import { GatewayError, InvariantViolation, toGatewayError } from "../../core/errors.ts"
import type { RowStream, StatementDescription } from "../../core/result.ts"
import type { SettingsView } from "../../core/settings.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { IsolationLevel } from "../../core/statement.ts"
import type { RunRequest, SavepointCommand, WarehouseConnection } from "../warehouse.ts"
import type { DuckdbFile, InstanceUse, OpenedInstance } from "./client.ts"
import { describeStatement } from "./describe.ts"
import { valueStyle } from "./encode-row.ts"
import { duckdbError } from "./error-map.ts"
import { explainRows, isExplain } from "./explain-rows.ts"
import { DuckdbResultStream } from "./result-stream.ts"
import { applySettings, checkTimeZone } from "./session-settings.ts"

/**
 * DuckDB clears a pending interrupt when a query starts, and a query starts only when a thread of Node's pool is free. So
 * an interrupt is repeated until the query has ended.
 */
const interruptRepeatMs = 10

/**
 * One leased connection. It holds no file: each statement (or transaction) takes a hold on the file's current opening and
 * connects there, so that a freshly opened file is seen by the next statement.
 */
export class DuckdbWarehouseConnection implements WarehouseConnection {
  readonly #file: DuckdbFile
  #instance: OpenedInstance | undefined
  #duck: DuckDBConnection | undefined
  #appliedSettings: SettingsView | undefined
  #transaction: InstanceUse | undefined
  #stream: RowStream | undefined
  #state: "clean" | "busy" | "dirty" = "clean"

  constructor(file: DuckdbFile) {
    this.#file = file
  }

  get state(): "clean" | "busy" | "dirty" {
    return this.#state
  }

  async run(request: RunRequest): Promise<RowStream> {
    const { statement, signal, resultFormats } = request
    const style = valueStyle(request.settings)
    this.#begin()
    let use: InstanceUse | undefined
    try {
      use = this.#transaction ?? (await this.#file.acquire(signal, request.statementTimeoutMs))
      const duck = await this.#connectOn(use.instance)
      const result = await this.#guarded(duck, request, async () => {
        this.#appliedSettings = await applySettings(duck, request.settings, this.#appliedSettings)
        return duck.run(statement.text)
      })
      const held = use
      const stream: RowStream = isExplain(statement.ast)
        ? await explainRows(result, resultFormats, () => this.#end(held))
        : new DuckdbResultStream({
            result,
            formats: resultFormats,
            style,
            signal,
            onDone: () => this.#end(held),
          })
      this.#stream = stream
      return stream
    } catch (thrown) {
      if (use === undefined) this.#state = "clean"
      else this.#end(use)
      throw duckdbError(thrown, statement.text)
    }
  }

  async describe(request: RunRequest): Promise<StatementDescription> {
    const { statement, signal } = request
    this.#begin()
    let use: InstanceUse | undefined
    try {
      use = this.#transaction ?? (await this.#file.acquire(signal, request.statementTimeoutMs))
      const duck = await this.#connectOn(use.instance)
      return await this.#guarded(duck, request, async () => {
        this.#appliedSettings = await applySettings(duck, request.settings, this.#appliedSettings)
        return describeStatement(duck, statement, request.parameters.types)
      })
    } catch (thrown) {
      throw duckdbError(thrown, statement.text)
    } finally {
      if (use === undefined) this.#state = "clean"
      else this.#end(use)
    }
  }

  /** For readers of the catalogue, which run the gateway's own SQL. */
  async query(sql: string, signal: AbortSignal): Promise<DuckDBMaterializedResult> {
    this.#begin()
    let use: InstanceUse | undefined
    try {
      use = this.#transaction ?? (await this.#file.acquire(signal))
      const duck = await this.#connectOn(use.instance)
      return await this.#guarded(duck, { signal, statementTimeoutMs: 0 }, () => duck.run(sql))
    } catch (thrown) {
      throw duckdbError(thrown, sql)
    } finally {
      if (use === undefined) this.#state = "clean"
      else this.#end(use)
    }
  }

  /** Reads are snapshots at every level: DuckDB's transactions are serializable for them. */
  async beginTransaction(
    _isolation: IsolationLevel | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#transaction !== undefined) {
      throw new InvariantViolation("a transaction was begun inside a transaction")
    }
    this.#begin()
    let use: InstanceUse | undefined
    try {
      use = await this.#file.acquire(signal)
      const duck = await this.#connectOn(use.instance)
      await duck.run("BEGIN TRANSACTION READ ONLY")
      this.#transaction = use
    } catch (thrown) {
      use?.release()
      throw duckdbError(thrown, "")
    } finally {
      this.#state = "clean"
    }
  }

  /** DuckDB has no savepoints, and an error ends its transaction: going back to one means starting anew. */
  async savepoint({ kind }: SavepointCommand): Promise<"done" | "transaction_ended"> {
    if (kind !== "rollback_to") return "done"
    await this.endTransaction()
    return "transaction_ended"
  }

  async endTransaction(): Promise<void> {
    const transaction = this.#transaction
    if (transaction === undefined) return
    this.#stream?.[Symbol.dispose]()
    this.#transaction = undefined
    try {
      await this.#duck?.run("ROLLBACK")
    } catch {
      // The connection's transaction is in doubt, so the connection goes; the instance stays usable for others.
      this.#disconnect()
    } finally {
      transaction.release()
    }
  }

  async position(): Promise<undefined> {
    return undefined
  }

  async checkSetting(
    name: string,
    value: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (name.toLowerCase() !== "timezone") return undefined
    this.#begin()
    let use: InstanceUse | undefined
    try {
      use = this.#transaction ?? (await this.#file.acquire(signal))
      const duck = await this.#connectOn(use.instance)
      this.#appliedSettings = undefined
      return await checkTimeZone(duck, value)
    } finally {
      if (use === undefined) this.#state = "clean"
      else this.#end(use)
    }
  }

  async settle(): Promise<"clean" | "dirty"> {
    this.#stream?.[Symbol.dispose]()
    await this.endTransaction()
    return this.#state === "clean" ? "clean" : "dirty"
  }

  close(): void {
    this.#stream?.[Symbol.dispose]()
    this.#transaction?.release()
    this.#transaction = undefined
    this.#disconnect()
    this.#state = "dirty"
  }

  #begin(): void {
    if (this.#state !== "clean") {
      throw new InvariantViolation(`a statement was sent to a ${this.#state} connection`)
    }
    this.#state = "busy"
  }

  #end(use: InstanceUse): void {
    this.#stream = undefined
    if (this.#state === "busy") this.#state = "clean"
    if (use !== this.#transaction) use.release()
  }

  #disconnect(): void {
    if (this.#duck !== undefined) this.#instance?.disconnect(this.#duck)
    this.#duck = undefined
    this.#instance = undefined
    this.#appliedSettings = undefined
  }

  async #connectOn(instance: OpenedInstance): Promise<DuckDBConnection> {
    if (this.#duck !== undefined && this.#instance === instance) return this.#duck
    if (this.#instance !== undefined) this.#disconnect()
    const duck = await instance.connect()
    this.#instance = instance
    this.#duck = duck
    return duck
  }

  /** Runs with the time-out and the signal watched; both end in an interrupt, and the promise in the reason for it. */
  async #guarded<T>(
    duck: DuckDBConnection,
    limits: { readonly signal: AbortSignal; readonly statementTimeoutMs: number },
    work: () => Promise<T>,
  ): Promise<T> {
    const { signal, statementTimeoutMs } = limits
    let stopped: GatewayError | undefined
    let repeat: NodeJS.Timeout | undefined
    const stop = (reason: unknown): void => {
      if (stopped !== undefined) return
      stopped = toGatewayError(reason)
      duck.interrupt()
      repeat = setInterval(() => duck.interrupt(), interruptRepeatMs)
    }
    const onAbort = (): void => stop(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener("abort", onAbort, { once: true })
    const timer =
      statementTimeoutMs > 0 ? setTimeout(() => stop(timedOut()), statementTimeoutMs) : undefined
    try {
      const value = await work()
      // Reaching here after a stop means that the statement ended first; a caller that gave up hears its own reason.
      if (stopped !== undefined) throw stopped
      return value
    } catch (thrown) {
      throw stopped ?? thrown
    } finally {
      clearTimeout(timer)
      clearInterval(repeat)
      signal.removeEventListener("abort", onAbort)
    }
  }
}

function timedOut(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "statement_timeout",
    message: "canceling statement due to statement timeout",
  })
}
