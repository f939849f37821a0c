import type { CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError, toGatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

export type CatalogOptions = {
  /** Reads the catalogue of one warehouse, with a lease of its own. The signal ends a load that takes too long. */
  readonly load: (signal: AbortSignal) => Promise<CatalogSnapshot>
  /** Age at which `current` starts a re-read in the background. */
  readonly refreshMs: number
  /** Least time between the starts of two background loads. Invalidations are not held back by it. */
  readonly minIntervalMs: number
  /** Wait after the first failed background load; doubled at each further one up to `backoffMsMax`. */
  readonly backoffMs: number
  readonly backoffMsMax: number
  readonly loadTimeoutMs: number
  /** Monotonic clock. */
  readonly nowMs?: () => number
}

/** For health and metrics. */
export type CatalogState = {
  /** `empty`: never loaded. `stale`: held, but known to be out of date and therefore not served. */
  readonly kind: "empty" | "fresh" | "stale"
  readonly version: string | undefined
  /** Since the start of the load that made the snapshot. */
  readonly ageMs: number | undefined
  readonly loads: number
  readonly failures: number
  readonly lastError: GatewayError | undefined
}

/** `number` counts loads from 1 in the order of their starts. */
type Load = {
  readonly number: number
  readonly startedAtMs: number
}

/**
 * The newest known catalogue of one warehouse. Loads never overlap, so the one that started last decides. It has no timer:
 * whoever asks for the snapshot starts the re-read that has fallen due, and an idle gateway leaves the warehouse alone.
 */
export class Catalog {
  readonly #options: CatalogOptions
  readonly #nowMs: () => number
  readonly #closing = new AbortController()
  #snapshot: CatalogSnapshot | undefined
  /** The load that made the snapshot. */
  #loaded: Load = { number: 0, startedAtMs: Number.NEGATIVE_INFINITY }
  /** Loads up to this number began before the warehouse changed, and what they read is not served. */
  #staleThrough = 0
  #running: Promise<CatalogSnapshot> | undefined
  /** The load that follows the running one, for all who asked while that was under way. */
  #queued: Promise<CatalogSnapshot> | undefined
  #dueAtMs = Number.NEGATIVE_INFINITY
  #startedAtMs = Number.NEGATIVE_INFINITY
  #finishedAtMs = Number.NEGATIVE_INFINITY
  #failuresInRow = 0
  #loads = 0
  #failures = 0
  #lastError: GatewayError | undefined

  constructor(options: CatalogOptions) {
    this.#options = options
    this.#nowMs = options.nowMs ?? (() => performance.now())
  }

  /**
   * The snapshot to resolve names by; undefined until a load has succeeded and again after `markStale`. The same object as
   * long as its version stays, so that memo tables may key on it. Never throws; starts a background load when one is due.
   */
  current(): CatalogSnapshot | undefined {
    if (this.#nowMs() >= this.#dueAtMs) this.#loadInBackground()
    return this.#isStale() ? undefined : this.#snapshot
  }

  /**
   * True when a load that starts now may know a name that the snapshot does not: at most one such load a `minIntervalMs`,
   * counted from the end of the last one, so that a client that asks for missing relations cannot keep the catalogue busy.
   */
  mayKnowMore(): boolean {
    return this.#nowMs() - this.#finishedAtMs >= this.#options.minIntervalMs
  }

  get state(): CatalogState {
    const kind = this.#snapshot === undefined ? "empty" : this.#isStale() ? "stale" : "fresh"
    return {
      kind,
      version: this.#snapshot?.version,
      ageMs: this.#snapshot === undefined ? undefined : this.#nowMs() - this.#loaded.startedAtMs,
      loads: this.#loads,
      failures: this.#failures,
      lastError: this.#lastError,
    }
  }

  /**
   * A snapshot from a load that started after this call: what an invalidation needs, because the load that is under way may
   * have read the catalogue before the change. At most one load runs and one waits, however many ask. Rejects with a
   * GatewayError when the load fails. The snapshot before stays in use then, so that an unreachable warehouse does not cost
   * the hits; a caller that knows of a change calls `markStale`. An abort ends this caller's wait only.
   */
  async refreshNow(signal?: AbortSignal): Promise<CatalogSnapshot> {
    signal?.throwIfAborted()
    const load = this.#loadAfterNow()
    return signal === undefined ? load : raceAbort(load, signal)
  }

  /**
   * Says that the warehouse may have changed since the loads so far began. Nothing is resolved until one that starts later
   * has succeeded.
   */
  markStale(): void {
    this.#staleThrough = this.#loads
    // While loads fail the back-off decides alone, or every failed invalidation would start one more.
    if (this.#failuresInRow > 0) return
    this.#dueAtMs = Math.min(this.#dueAtMs, this.#startedAtMs + this.#options.minIntervalMs)
  }

  /** Ends a load that is under way; no further one is started. */
  close(): void {
    this.#closing.abort(closedError())
  }

  #isStale(): boolean {
    return this.#loaded.number <= this.#staleThrough
  }

  #loadInBackground(): void {
    if (this.#running !== undefined || this.#queued !== undefined) return
    if (this.#closing.signal.aborted) return
    this.#start().catch(() => {
      // Counted and kept for `state` already; the next attempt follows the back-off.
    })
  }

  #loadAfterNow(): Promise<CatalogSnapshot> {
    if (this.#running === undefined && this.#queued === undefined) return this.#start()
    this.#queued ??= this.#startAfterRunning()
    return this.#queued
  }

  async #startAfterRunning(): Promise<CatalogSnapshot> {
    while (this.#running !== undefined) await this.#running.catch(() => undefined)
    this.#queued = undefined
    return this.#start()
  }

  #start(): Promise<CatalogSnapshot> {
    this.#startedAtMs = this.#nowMs()
    this.#dueAtMs =
      this.#startedAtMs + Math.max(this.#options.minIntervalMs, this.#options.refreshMs)
    this.#loads += 1
    const load = { number: this.#loads, startedAtMs: this.#startedAtMs }
    const running = this.#run(load).finally(() => {
      this.#running = undefined
      this.#finishedAtMs = this.#nowMs()
    })
    this.#running = running
    return running
  }

  async #run(load: Load): Promise<CatalogSnapshot> {
    const { loadTimeoutMs } = this.#options
    const timeout = AbortSignal.timeout(loadTimeoutMs)
    const signal = AbortSignal.any([this.#closing.signal, timeout])
    try {
      signal.throwIfAborted()
      return this.#accept(await raceAbort(this.#options.load(signal), signal), load)
    } catch (thrown) {
      throw this.#failed(timeout.aborted ? timeoutError(loadTimeoutMs, thrown) : thrown)
    }
  }

  #accept(read: CatalogSnapshot, load: Load): CatalogSnapshot {
    const snapshot = this.#snapshot?.version === read.version ? this.#snapshot : read
    this.#snapshot = snapshot
    this.#loaded = load
    this.#failuresInRow = 0
    this.#lastError = undefined
    return snapshot
  }

  #failed(thrown: unknown): GatewayError {
    const error = toGatewayError(thrown)
    const { backoffMs, backoffMsMax } = this.#options
    this.#dueAtMs = this.#nowMs() + Math.min(backoffMsMax, backoffMs * 2 ** this.#failuresInRow)
    this.#failuresInRow += 1
    this.#failures += 1
    this.#lastError = error
    return error
  }
}

function raceAbort<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener("abort", onAbort)
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort))
  })
}

function timeoutError(loadTimeoutMs: number, cause: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "statement_timeout",
    message: `reading the warehouse's catalogue took longer than ${loadTimeoutMs} ms`,
    safeToRetry: true,
    cause,
  })
}

function closedError(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.AdminShutdown,
    reason: "draining",
    message: "the gateway is shutting down",
    safeToRetry: true,
  })
}
