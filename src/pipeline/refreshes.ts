import type { StoredEntry } from "../cache/stored-entry.ts"
import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { AbortScope } from "./abort-scope.ts"
import type { Answer } from "./question.ts"

export type RefreshLimits = {
  /** Runs in the background at one time. */
  readonly refreshesMax: number
  /** Bytes of rows after which a run is given up: its result will not be kept. */
  readonly resultBytesMax: number
}

/** How a refresh ended, or why there was none; also metric labels. */
export type RefreshResult = "ended" | "failed" | "limit" | "pool_busy"

/** What refreshes of one warehouse need of its pools. */
export type RefreshPool = { readonly hasRoom: boolean }

/** No refresh runs longer, whatever its reader's own limit is. */
const refreshMsMax = 600_000

/** After a failure the same entry is left alone for so long. */
const retryMs = 1_000

/**
 * Runs that no client waits for: what was served as stale, or soon will be, is made anew. They come last: above `refreshesMax`
 * there are none, and none begins while a pool is full, so that no reader ever waits behind one that had not begun.
 * What to run is the caller's, who knows the reader in whose name it is.
 */
export class Refreshes {
  readonly counters: Record<RefreshResult, number> = { ended: 0, failed: 0, limit: 0, pool_busy: 0 }
  /** Stale answers by why they were allowed. */
  readonly served: Record<StaleKind, number> = { soft: 0, expired: 0, error: 0 }
  readonly #limits: RefreshLimits
  readonly #nowMs: () => number
  /** By the entry that is made anew: when it may be tried again; infinite while it runs. */
  readonly #notBeforeMs = new WeakMap<StoredEntry, number>()
  #running = 0

  constructor(limits: RefreshLimits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
  }

  /** Refreshes that run now. */
  get running(): number {
    return this.#running
  }

  /** Starts one, or leaves it to the next reader. `run` gives undefined when somebody else makes the entry already. */
  start(
    served: StoredEntry,
    pools: readonly RefreshPool[],
    run: (abort: AbortScope) => Promise<Answer> | undefined,
  ): void {
    if (this.#nowMs() < (this.#notBeforeMs.get(served) ?? Number.NEGATIVE_INFINITY)) return
    if (this.#running >= this.#limits.refreshesMax) {
      this.counters.limit += 1
      return
    }
    if (pools.some(({ hasRoom }) => !hasRoom)) {
      this.counters.pool_busy += 1
      return
    }
    const abort = new AbortScope()
    const answer = run(abort)
    if (answer === undefined) return
    this.#notBeforeMs.set(served, Number.POSITIVE_INFINITY)
    this.#running += 1
    void this.#finish(served, abort, answer)
  }

  async #finish(served: StoredEntry, abort: AbortScope, answer: Promise<Answer>): Promise<void> {
    const timer = setTimeout(() => abort.abort(tookTooLong()), refreshMsMax)
    timer.unref()
    let result: RefreshResult = "failed"
    try {
      await this.#readToEnd(await answer)
      result = "ended"
    } catch {
      // Who asks once the entry may no longer be served gets the error itself.
    } finally {
      clearTimeout(timer)
      this.#running -= 1
      this.counters[result] += 1
      this.#notBeforeMs.set(served, this.#nowMs() + retryMs)
    }
  }

  async #readToEnd(answer: Answer): Promise<void> {
    if (answer.kind === "stored") return
    using rows = answer.rows
    let bytesLeft = this.#limits.resultBytesMax
    while (bytesLeft >= 0) {
      const batch = await rows.next()
      if (batch === undefined) return
      bytesLeft -= batch.bytes.length
    }
  }
}

/** Nobody is told: there is no client. */
function tookTooLong(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "statement_timeout",
    message: "canceling a refresh due to its time limit",
  })
}

/** Why an answer past its time was allowed: a soft invalidation, the class's time after the TTL, a warehouse that is away. */
export type StaleKind = "soft" | "expired" | "error"
