import type { Statement } from "../../core/statement.ts"
import { addWritten, nothingWritten, type Written } from "../../pipeline/direct.ts"

/** ReadyForQuery messages that may be owed before a client that pipelines has to wait. */
export const cyclesMax = 1_000

/** A statement under way, for metrics. */
export type Sent = { readonly statement: Statement; readonly startMs: number }

/** What one ReadyForQuery ends: a simple Query, or everything up to a Sync. */
export class Cycle {
  readonly isQuery: boolean
  readonly sent: Sent[] = []
  /** What its statements change; a commit in its middle may have published some of it already. */
  written: Written = nothingWritten
  /** An extended message was sent that no Sync has followed yet. */
  hasMessages = false

  constructor(isQuery: boolean) {
    this.isQuery = isQuery
  }

  add(written: Written, sent?: Sent): void {
    this.hasMessages = true
    this.written = addWritten(this.written, written)
    if (sent !== undefined) this.sent.push(sent)
  }
}

/** Which ReadyForQuery messages the warehouse owes, in order. */
export class Cycles {
  #owed: Cycle[] = []
  /** What the next Sync will end. */
  #open = new Cycle(false)
  /** An Execute has started COPY FROM STDIN: until its end the server drops every Sync (PostgreSQL manual, 54.2.6). */
  #isCopyIn = false

  get count(): number {
    return this.#owed.length
  }

  /** Nothing is owed, and nothing was sent that a Sync has yet to end. */
  get isIdle(): boolean {
    return this.#owed.length === 0 && !this.#open.hasMessages
  }

  /** The server waits for the client's data, not the client for the server. */
  get isCopyIn(): boolean {
    return this.#isCopyIn
  }

  /** The one whose answers are coming. */
  get current(): Cycle {
    return this.#owed[0] ?? this.#open
  }

  /** Extended messages go here. */
  get open(): Cycle {
    return this.#open
  }

  query(sent: readonly Sent[], written: Written): void {
    const cycle = new Cycle(true)
    cycle.add(written)
    cycle.sent.push(...sent)
    this.#owed.push(cycle)
  }

  sync(): void {
    this.#owed.push(this.#open)
    this.#open = new Cycle(false)
  }

  /** The server asks for the data of a COPY. */
  copyIn(): void {
    this.#isCopyIn = true
  }

  /** The client has ended or given up the data. */
  copyEnds(): void {
    if (!this.#isCopyIn) return
    this.#isCopyIn = false
    if (this.current.isQuery) return
    const dropped = [...this.#owed, this.#open]
    this.#owed = []
    this.#open = new Cycle(false)
    for (const { sent, written } of dropped) {
      this.#open.add(written)
      this.#open.sent.push(...sent)
    }
  }

  ended(): Cycle | undefined {
    this.#isCopyIn = false
    return this.#owed.shift()
  }

  /** What all of them change. */
  get written(): Written {
    return [...this.#owed, this.#open].reduce(
      (all, { written }) => addWritten(all, written),
      nothingWritten,
    )
  }
}
