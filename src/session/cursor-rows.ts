import { GatewayError } from "../core/errors.ts"
import type { Completion, RowBatch, RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { SessionCommand } from "../core/statement.ts"
import { reversedRows, splitRows } from "../wire/rows.ts"
import type { ResultCursor } from "./result-cursor.ts"
import type { MemoryShare } from "./session-memory.ts"

/** What a cursor keeps of the rows that it has handed out. */
export type CursorHistory =
  /** NO SCROLL: nothing, and going back is an error. */
  | { readonly kind: "none" }
  /** Neither: all of them until they are larger than this; from then on the cursor goes forward only. */
  | { readonly kind: "recent"; readonly bytesMax: number }
  /** SCROLL: all of them; an error when they are larger than this. */
  | { readonly kind: "whole"; readonly bytesMax: number }

type Kept = { readonly batch: RowBatch; readonly firstRow: number }

/**
 * The rows of one cursor and where it stands: 0 before the first row, n on the nth, one more than there are behind the last
 * (PostgreSQL manual, FETCH). Rows of a stored result are kept without cost, because the cache's memory holds them.
 */
export class CursorRows {
  readonly source: ResultCursor
  readonly #history: CursorHistory
  readonly #memory: MemoryShare
  #kept: Kept[] = []
  #keptBytes = 0
  #isForgotten = false
  /** Rows taken from the source so far. */
  #taken = 0
  #isEnded = false
  #position = 0
  #lastBatch: RowBatch | undefined
  /** A FETCH failed: none runs any more, also where a savepoint or WITH HOLD has saved the cursor (MarkPortalFailed, portalmem.c). */
  isFailed = false

  constructor(source: ResultCursor, history: CursorHistory, memory: MemoryShare) {
    this.source = source
    this.#history = history
    this.#memory = memory
  }

  /** Gives up what is unread and forgets what was read. */
  [Symbol.dispose](): void {
    this.source[Symbol.dispose]()
    this.#forget()
  }

  get description(): Buffer | undefined {
    return this.source.description
  }

  get position(): number {
    return this.#position
  }

  get isOnRow(): boolean {
    return this.#position > 0 && this.#position <= this.#taken
  }

  /** The next rows, at most `rowsMax`; undefined behind the last. */
  async forward(rowsMax: number): Promise<RowBatch | undefined> {
    if (rowsMax <= 0 || this.#position > this.#taken) return undefined
    if (this.#position < this.#taken) {
      const { batch, firstRow } = this.#keptAt(this.#position + 1)
      const [, rest] = splitRows(batch, this.#position + 1 - firstRow)
      const [rows] = splitRows(rest, rowsMax)
      this.#position += rows.rowCount
      return rows
    }
    const batch = this.#isEnded ? undefined : await this.source.take(rowsMax)
    if (batch === undefined) {
      this.#isEnded = true
      this.#position = this.#taken + 1
      return undefined
    }
    this.#remember(batch)
    this.#taken += batch.rowCount
    this.#position = this.#taken
    return batch
  }

  /** Rows before the one it stands on, the nearest first; undefined before the first. */
  backward(rowsMax: number): RowBatch | undefined {
    this.checkScrolls()
    if (rowsMax <= 0) return undefined
    if (this.#position <= 1) {
      this.#position = 0
      return undefined
    }
    const { batch, firstRow } = this.#keptAt(this.#position - 1)
    const [upTo] = splitRows(batch, this.#position - firstRow)
    const [, rows] = splitRows(upTo, Math.max(0, upTo.rowCount - rowsMax))
    this.#position -= rows.rowCount
    return reversedRows(rows)
  }

  /** To a row that was passed before, or to 0. */
  rewind(position: number): void {
    if (position === this.#position) return
    this.checkScrolls()
    this.#position = position
  }

  /** The row it stands on. */
  current(): RowBatch | undefined {
    if (!this.isOnRow) return undefined
    this.checkScrolls("again")
    if (this.#isForgotten) {
      const last = this.#lastBatch
      return last === undefined ? undefined : splitRows(last, last.rowCount - 1)[1]
    }
    const { batch, firstRow } = this.#keptAt(this.#position)
    return splitRows(splitRows(batch, this.#position - firstRow)[1], 1)[0]
  }

  /** Reading the same row again is possible where only the last one is at hand. */
  checkScrolls(wish: "back" | "again" = "back"): void {
    if (this.#history.kind === "none") throw forwardOnly()
    if (this.#isForgotten && wish === "back") throw forwardOnly()
  }

  #remember(batch: RowBatch): void {
    this.#lastBatch = batch
    const history = this.#history
    if (history.kind === "none" || this.#isForgotten) return
    this.#kept.push({ batch, firstRow: this.#taken + 1 })
    if (this.source.isStored) return
    const bytes = batch.bytes.length
    const fits = this.#keptBytes + bytes <= history.bytesMax
    if (fits && this.#memory.spool(bytes, Number.POSITIVE_INFINITY)) {
      this.#keptBytes += bytes
      return
    }
    if (history.kind === "whole") throw historyFull(history.bytesMax)
    this.#forget()
    this.#isForgotten = true
  }

  #forget(): void {
    this.#memory.unspool(this.#keptBytes)
    this.#keptBytes = 0
    this.#kept = []
  }

  #keptAt(row: number): Kept {
    let low = 0
    let high = this.#kept.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#kept[middle]?.firstRow ?? 0) <= row) low = middle
      else high = middle - 1
    }
    const found = this.#kept[low]
    if (found === undefined) throw forwardOnly()
    return found
  }
}

type FetchCommand = Extract<SessionCommand, { kind: "fetch" }>

/** One leg of a FETCH: rows that are passed, or that are the answer. */
type Leg = { readonly isForward: boolean; readonly isAnswer: boolean; rowsLeft: number }

/** The rows of one FETCH, or of one MOVE their count only. The way is DoPortalRunFetch's (pquery.c). */
export class FetchedRows implements RowStream {
  readonly description: Buffer | undefined
  readonly #rows: CursorRows
  readonly #command: FetchCommand
  readonly #legs: Leg[] = []
  #again: RowBatch | undefined
  #rowCount = 0

  constructor(rows: CursorRows, command: FetchCommand) {
    if (rows.isFailed) throw cannotRun(command.cursor)
    this.#rows = rows
    this.#command = command
    this.description = command.isMove ? undefined : rows.description
    // Here and not at the first row: a way back that there is not must be refused before the description is sent.
    try {
      this.#again = this.#plan()
    } catch (thrown) {
      rows.isFailed = true
      throw thrown
    }
  }

  async next(): Promise<RowBatch | undefined> {
    try {
      return await this.#next()
    } catch (thrown) {
      this.#rows.isFailed = true
      throw thrown
    }
  }

  async #next(): Promise<RowBatch | undefined> {
    const again = this.#again
    if (again !== undefined) {
      this.#again = undefined
      return again
    }
    for (;;) {
      const leg = this.#legs[0]
      if (leg === undefined) return undefined
      const batch =
        leg.rowsLeft <= 0
          ? undefined
          : leg.isForward
            ? await this.#rows.forward(leg.rowsLeft)
            : this.#rows.backward(leg.rowsLeft)
      if (batch === undefined) {
        this.#legs.shift()
        continue
      }
      leg.rowsLeft -= batch.rowCount
      if (!leg.isAnswer) continue
      this.#rowCount += batch.rowCount
      if (!this.#command.isMove) return batch
    }
  }

  /** Sets the legs out. FETCH 0 answers with the row on which the cursor stands. */
  #plan(): RowBatch | undefined {
    const { direction, count } = this.#command
    if (direction === "absolute") {
      this.#planAbsolute(count)
      return undefined
    }
    if (count === 0) return this.#sameRow()
    const isForward = direction === "backward" ? false : direction === "forward" || count > 0
    if (!isForward) this.#rows.checkScrolls()
    const rows = Math.abs(count)
    if (direction === "relative") {
      this.#leg(isForward, false, rows - 1)
      this.#leg(isForward, true, 1)
    } else this.#leg(isForward, true, rows)
    return undefined
  }

  #planAbsolute(count: number): void {
    const { position } = this.#rows
    if (count < 0) {
      this.#rows.checkScrolls()
      this.#leg(true, false, Number.POSITIVE_INFINITY)
      this.#leg(false, false, -count - 1)
      this.#leg(false, true, 1)
    } else if (count > position) {
      this.#leg(true, false, count - position - 1)
      this.#leg(true, true, 1)
    } else {
      this.#rows.rewind(Math.max(0, count - 1))
      if (count > 0) this.#leg(true, true, 1)
    }
  }

  #leg(isForward: boolean, isAnswer: boolean, rowsLeft: number): void {
    this.#legs.push({ isForward, isAnswer, rowsLeft })
  }

  #sameRow(): RowBatch | undefined {
    if (!this.#rows.isOnRow) return undefined
    this.#rowCount = 1
    return this.#command.isMove ? undefined : this.#rows.current()
  }

  get completion(): Completion {
    return { tag: `${this.#command.isMove ? "MOVE" : "FETCH"} ${this.#rowCount}`, notices: [] }
  }

  [Symbol.dispose](): void {
    // The cursor stays open: what was not fetched is the next FETCH's.
  }
}

function cannotRun(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ObjectNotInPrerequisiteState,
    reason: "cursor_position",
    message: `portal "${name}" cannot be run`,
  })
}

/** PostgreSQL's answer to a backward FETCH on a cursor that cannot scroll. */
function forwardOnly(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ObjectNotInPrerequisiteState,
    reason: "cursor_position",
    message: "cursor can only scan forward",
    hint: "Declare it with SCROLL option to enable backward scan.",
  })
}

function historyFull(bytesMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "portal_spool_full",
    message: "the rows of a SCROLL cursor do not fit the gateway's memory for cursors",
    detail: `At most ${bytesMax} bytes are kept so that it can go back.`,
    hint: "Declare the cursor NO SCROLL and read it forward.",
  })
}
