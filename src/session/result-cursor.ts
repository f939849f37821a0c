import { GatewayError } from "../core/errors.ts"
import type { Completion, RowBatch, RowStream, StoredResult } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import { splitRows } from "../wire/rows.ts"
import type { Output } from "./output.ts"
import type { MemoryShare } from "./session-memory.ts"

const noNotices: readonly Buffer[] = []

/** Where notices among rows go. */
type TellNotices = (notices: readonly Buffer[]) => void

/**
 * A result being handed out: all at once for a simple query, in pieces for a portal with a row limit or a cursor. Stored
 * results are handed out without a promise, so that a hit stays within one turn of the event loop.
 */
export class ResultCursor {
  readonly #stored: StoredResult | undefined
  readonly #stream: RowStream | undefined
  readonly #rest: RowBatch[] = []
  #nextBatch = 0
  #spooledBytes = 0
  #spooledIn: MemoryShare | undefined
  /** True once `take` was called. */
  hasMoved = false
  #completion: Completion | undefined
  readonly description: Buffer | undefined

  constructor(result: StoredResult | RowStream) {
    if ("next" in result) this.#stream = result
    else this.#stored = result
    this.description = result.description
  }

  /** True for a stored result: its rows stay in memory whoever reads them. */
  get isStored(): boolean {
    return this.#stored !== undefined
  }

  /** True when no row is left and the result is known to be whole. */
  get isDone(): boolean {
    return this.#completion !== undefined && this.#rest.length === 0
  }

  /** True for a stored result of which nothing was handed out yet. */
  get isUntouched(): boolean {
    return this.#stored !== undefined && this.#nextBatch === 0
  }

  /** A stored result was sent whole by other means: no row is left. */
  finish(): void {
    if (this.#stored === undefined) return
    this.#nextBatch = this.#stored.batches.length
    this.#completion = { tag: this.#stored.tag, notices: noNotices }
  }

  /** True while a lease may be held by what is unread. */
  get holdsStream(): boolean {
    return this.#stream !== undefined && this.#completion === undefined
  }

  /** The command tag after `rowsSent` rows of one run: PostgreSQL counts the rows of that run, not of the whole result. */
  tag(rowsSent: number): string {
    const tag = this.#completion?.tag ?? "SELECT 0"
    if (tag.startsWith("SELECT ")) return `SELECT ${rowsSent}`
    return tag.startsWith("FETCH ") ? `FETCH ${rowsSent}` : tag
  }

  get notices(): readonly Buffer[] {
    return this.#completion?.notices ?? noNotices
  }

  /** Sends up to `rowsMax` rows (Infinity: all), and returns how many were. */
  send(output: Output, rowsMax: number, tell: TellNotices): number | Promise<number> {
    if (this.#stored === undefined) return this.#sendStream(output, rowsMax, tell)
    let sent = 0
    while (sent < rowsMax) {
      if (output.isFull) return this.#sendSlowly(output, rowsMax, tell, sent)
      const batch = this.#takeStored(this.#stored, rowsMax - sent)
      if (batch === undefined) break
      if (batch.notices !== undefined) tell(batch.notices)
      output.write(batch.bytes)
      sent += batch.rowCount
    }
    return sent
  }

  #takeStored(stored: StoredResult, rowsMax: number): RowBatch | undefined {
    let batch = this.#rest.pop()
    if (batch === undefined) {
      batch = stored.batches[this.#nextBatch]
      this.#nextBatch += 1
    }
    if (batch === undefined) {
      this.#completion = { tag: stored.tag, notices: stored.endNotices ?? noNotices }
      return undefined
    }
    return this.#cut(batch, rowsMax)
  }

  /** Hands out at most `rowsMax` rows of a batch and keeps the others for the next run. */
  #cut(batch: RowBatch, rowsMax: number): RowBatch {
    if (batch.rowCount <= rowsMax) return batch
    const [now, later] = splitRows(batch, rowsMax)
    this.#rest.push(later)
    return now
  }

  async #sendSlowly(
    output: Output,
    rowsMax: number,
    tell: TellNotices,
    alreadySent: number,
  ): Promise<number> {
    let sent = alreadySent
    while (sent < rowsMax && this.#stored !== undefined) {
      if (output.isFull) await output.drained()
      const batch = this.#takeStored(this.#stored, rowsMax - sent)
      if (batch === undefined) break
      if (batch.notices !== undefined) tell(batch.notices)
      output.write(batch.bytes)
      sent += batch.rowCount
    }
    return sent
  }

  async #sendStream(output: Output, rowsMax: number, tell: TellNotices): Promise<number> {
    let sent = 0
    while (sent < rowsMax) {
      const batch = await this.#takeStream(rowsMax - sent)
      if (batch === undefined) break
      if (batch.notices !== undefined) tell(batch.notices)
      output.write(batch.bytes)
      sent += batch.rowCount
      if (output.isFull) await output.drained()
    }
    return sent
  }

  async #takeStream(rowsMax: number): Promise<RowBatch | undefined> {
    let batch = this.#rest.pop()
    if (batch === undefined) {
      if (this.#completion !== undefined) return undefined
      batch = await this.#stream?.next()
    }
    if (batch === undefined) {
      this.#completion = this.#stream?.completion
      return undefined
    }
    return this.#cut(batch, rowsMax)
  }

  /** The next rows, at most `rowsMax`; undefined at the end. For FETCH, whose rows flow on as another statement's result. */
  async take(rowsMax: number): Promise<RowBatch | undefined> {
    this.hasMoved = true
    return this.#stored === undefined
      ? this.#takeStream(rowsMax)
      : this.#takeStored(this.#stored, rowsMax)
  }

  /**
   * Reads what is left into memory, so that the lease goes back and the transaction's connection is free for the next
   * statement. When the session's cursors together would keep more than `spoolBytesMax`, or the memory of all sessions is
   * full, it fails with 54000 and the rest is given up.
   */
  async spool(spoolBytesMax: number, memory: MemoryShare): Promise<void> {
    if (this.#stream === undefined || this.#completion !== undefined) return
    const kept: RowBatch[] = []
    this.#spooledIn = memory
    for (;;) {
      const batch = await this.#stream.next()
      if (batch === undefined) break
      if (!memory.spool(batch.bytes.length, spoolBytesMax)) {
        this[Symbol.dispose]()
        throw spoolFull(spoolBytesMax)
      }
      this.#spooledBytes += batch.bytes.length
      kept.push(batch)
    }
    this.#completion = this.#stream.completion
    // #rest is a stack: what comes first lies on top, and what was cut earlier comes before all of it.
    const earlier = this.#rest.splice(0)
    this.#rest.push(...kept.toReversed(), ...earlier)
  }

  [Symbol.dispose](): void {
    this.#stream?.[Symbol.dispose]()
    this.#spooledIn?.unspool(this.#spooledBytes)
    this.#spooledBytes = 0
    this.#rest.length = 0
  }
}

function spoolFull(spoolBytesMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "portal_spool_full",
    message: "the open cursor's remaining rows do not fit the gateway's memory for cursors",
    detail: `At most ${spoolBytesMax} bytes are kept aside while another statement of the same transaction runs.`,
    hint: "Read the cursor to its end first, or use a second connection.",
  })
}
