import { setImmediate as nextTurn } from "node:timers/promises"
import { InvariantViolation } from "../core/errors.ts"
import type { FillSkipReason } from "../core/observation.ts"
import type { Completion, EarlyNotice, RowBatch, RowStream, StoredResult } from "../core/result.ts"
import type { FillBudget } from "./fill-budget.ts"
import type { LeaderSeat } from "./single-flight.ts"
import { exactCopy, type StoredEntry } from "./stored-entry.ts"

export type FillOptions = {
  readonly seat: LeaderSeat
  /** The leader's client: cancel, deadline, closed socket. Its reason is a GatewayError. */
  readonly signal: AbortSignal
  /** Cancels the run that the rows come from, which has a signal of its own: followers may need it after the client left. */
  readonly abortRun: (reason: unknown) => void
  /** DataRow bytes up to which a result is gathered. */
  readonly entryBytesMax: number
  readonly budget: FillBudget
  /**
   * Called once with the whole result. Puts it where later look-ups find it and returns what followers get; undefined when
   * it must not be shared. Must not throw.
   */
  readonly finish: (result: StoredResult) => StoredEntry | undefined
  /** Called once when nothing will be stored. */
  readonly skipped: (reason: FillSkipReason) => void
}

/** The pump gives other work a turn after so many bytes: rows that are in memory already arrive without any wait. */
const turnBytes = 256 * 1024

/**
 *   filling ──last row──▶ ended
 *      │  ╲──too large──▶ passing ──last row──▶ ended
 *      │                     │
 *      ╰─────error───────────┴──▶ failed        disposed of before the end ──▶ closed
 */
/** One for all: every stream is disposed of in the end, and an error with its stack costs microseconds. */
const disposedOf = new InvariantViolation("a row stream was read after it was disposed of")

type Mode = "filling" | "passing" | "ended" | "failed" | "closed"

/**
 * The leader's rows, delivered to its client while a pump reads ahead at the warehouse's own pace. When the whole result
 * fits it is stored as soon as the last row is here, however slow the client is, and also when the client leaves while
 * followers wait. Above `entryBytesMax` or the shared budget the stream turns into a plain pass-through with backpressure,
 * and the followers are released at once. After an error or a cancel nothing is stored.
 *
 * The stream takes over `source` and `seat`: it disposes of the one and settles the other on every path.
 */
export function teeFill(source: RowStream, options: FillOptions): RowStream {
  return new FillStream(source, options)
}

class FillStream implements RowStream {
  readonly description: Buffer | undefined
  readonly notices: readonly EarlyNotice[] | undefined
  readonly #source: RowStream
  readonly #options: FillOptions
  readonly #onAbort = (): void => this.#leave(this.#options.signal.reason)
  #mode: Mode = "filling"
  /** Every batch so far while filling; afterwards those that the reader has not taken. */
  #batches: RowBatch[] = []
  #nextBatch = 0
  #byteCount = 0
  #rowCount = 0
  #budgetBytes = 0
  #completion: Completion | undefined
  #error: unknown
  /** Set when the leader's client has gone: what its `next` rejects with. */
  #left: { readonly reason: unknown } | undefined
  #wake: (() => void) | undefined

  constructor(source: RowStream, options: FillOptions) {
    this.#source = source
    this.#options = options
    this.description = source.description
    this.notices = source.notices
    options.signal.addEventListener("abort", this.#onAbort)
    void this.#pump()
    if (options.signal.aborted) this.#onAbort()
  }

  get completion(): Completion {
    if (this.#completion === undefined)
      throw new InvariantViolation("the completion of a result was read before its end")
    return this.#completion
  }

  async next(): Promise<RowBatch | undefined> {
    for (;;) {
      if (this.#left !== undefined) throw this.#left.reason
      this.#options.signal.throwIfAborted()
      const batch = this.#take()
      if (batch !== undefined) return batch
      if (this.#mode === "ended") return undefined
      if (this.#mode === "failed") throw this.#error
      if (this.#mode === "passing") return this.#pass()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  [Symbol.dispose](): void {
    this.#leave(disposedOf)
  }

  async #pump(): Promise<void> {
    let turnLeft = turnBytes
    try {
      while (this.#mode === "filling") {
        const batch = await this.#source.next()
        if (this.#mode !== "filling") return
        if (batch === undefined) this.#end()
        else this.#keep(batch)
        this.#signalReader()
        turnLeft -= batch?.bytes.length ?? 0
        if (turnLeft > 0) continue
        turnLeft = turnBytes
        await nextTurn()
      }
    } catch (thrown) {
      this.#fail(thrown)
    }
  }

  #keep(batch: RowBatch): void {
    const { bytes, rowCount } = batch
    this.#byteCount += bytes.length
    this.#rowCount += rowCount
    const fits = this.#byteCount <= this.#options.entryBytesMax
    if (!fits || !this.#options.budget.take(bytes.length)) {
      this.#batches.push(batch)
      this.#giveUpFilling("entry_too_large")
      return
    }
    this.#budgetBytes += bytes.length
    // A short slice would keep its whole receive buffer alive, outside of what the budget counts.
    const isWasteful = bytes.length * 2 < bytes.buffer.byteLength
    this.#batches.push(isWasteful ? { ...batch, bytes: exactCopy([bytes]) } : batch)
  }

  #giveUpFilling(reason: FillSkipReason): void {
    this.#mode = "passing"
    this.#batches = this.#batches.slice(this.#nextBatch)
    this.#nextBatch = 0
    this.#giveBudget()
    this.#options.seat.release("uncacheable")
    this.#options.skipped(reason)
    if (this.#left !== undefined) this.#close()
  }

  #end(): void {
    this.#mode = "ended"
    this.#completion = this.#source.completion
    const { seat, finish } = this.#options
    let entry: StoredEntry | undefined
    try {
      entry = finish({
        description: this.description,
        batches: this.#batches,
        rowCount: this.#rowCount,
        byteCount: this.#byteCount,
        tag: this.#completion.tag,
        notices: this.notices,
        endNotices: this.#completion.notices,
      })
    } finally {
      if (entry === undefined) seat.release("uncacheable")
      else seat.complete(entry)
      this.#finishReading()
    }
  }

  /** The reader gets the rows that came before the error first, as it would without a cache. */
  #fail(thrown: unknown): void {
    const { seat, signal, skipped } = this.#options
    // Storing failed, not reading: the client's rows are good, and the seat is settled.
    if (this.#mode === "ended") skipped("failed")
    if (this.#mode === "ended" || this.#mode === "closed") return
    const wasFilling = this.#mode === "filling"
    this.#mode = "failed"
    this.#error = thrown
    this.#finishReading()
    this.#signalReader()
    if (!wasFilling) return
    // A cancel is the leader's own affair: a follower takes over. An error may be the statement's: each runs for itself.
    if (signal.aborted) seat.abandon()
    else seat.release("failed")
    skipped(signal.aborted ? "cancelled" : "failed")
  }

  async #pass(): Promise<RowBatch | undefined> {
    try {
      const batch = await this.#source.next()
      if (batch !== undefined) return batch
      this.#mode = "ended"
      this.#completion = this.#source.completion
      this.#finishReading()
      return undefined
    } catch (thrown) {
      this.#fail(thrown)
      throw thrown
    }
  }

  #take(): RowBatch | undefined {
    const batch = this.#batches[this.#nextBatch]
    if (batch === undefined) return undefined
    this.#nextBatch += 1
    if (this.#mode !== "filling" && this.#nextBatch === this.#batches.length) {
      this.#batches = []
      this.#nextBatch = 0
    }
    return batch
  }

  #leave(reason: unknown): void {
    if (this.#left !== undefined) return
    this.#left = { reason }
    this.#options.signal.removeEventListener("abort", this.#onAbort)
    this.#signalReader()
    if (this.#mode === "passing") this.#close()
    if (this.#mode !== "filling") return
    if (this.#options.seat.followerCount === 0) this.#cancel()
    else this.#options.seat.onDeserted(() => this.#cancel())
  }

  #cancel(): void {
    if (this.#mode !== "filling") return
    this.#close()
    this.#options.seat.abandon()
    this.#options.skipped("cancelled")
  }

  #close(): void {
    this.#mode = "closed"
    this.#batches = []
    this.#options.abortRun(this.#left?.reason)
    this.#finishReading()
  }

  /** Gives the source back; idempotent. */
  #finishReading(): void {
    this.#giveBudget()
    this.#options.signal.removeEventListener("abort", this.#onAbort)
    this.#source[Symbol.dispose]()
  }

  #giveBudget(): void {
    this.#options.budget.give(this.#budgetBytes)
    this.#budgetBytes = 0
  }

  #signalReader(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
