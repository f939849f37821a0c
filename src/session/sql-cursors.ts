import { GatewayError } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { Completion, RowBatch, RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ResultCursor } from "./result-cursor.ts"

export type SqlCursor = {
  readonly name: string
  readonly isHeld: boolean
  /** Of the rows as they are now; a first FETCH may ask for others. */
  formats: readonly FormatCode[]
  result: ResultCursor
  /** Runs the cursor's query again for rows in other formats. */
  readonly reopen: (formats: readonly FormatCode[]) => Promise<ResultCursor>
  /** True once the transaction that declared it WITH HOLD has committed: a later ROLLBACK leaves it open. */
  isKept: boolean
  /** Savepoints open when it was declared: ROLLBACK TO an earlier one closes it. */
  depth: number
}

/** Cursors of DECLARE (PostgreSQL manual, DECLARE, FETCH): forward only, each a result that stands still between two FETCHes. */
export class SqlCursors {
  readonly #cursors = new Map<string, SqlCursor>()
  readonly #cursorsMax: number

  constructor(cursorsMax: number) {
    this.#cursorsMax = cursorsMax
  }

  checkFree(name: string): void {
    if (this.#cursors.has(name))
      throw new GatewayError({
        sqlState: SqlState.DuplicateCursor,
        reason: "duplicate_name",
        message: `cursor "${name}" already exists`,
      })
    if (this.#cursors.size >= this.#cursorsMax)
      throw new GatewayError({
        sqlState: SqlState.ProgramLimitExceeded,
        reason: "portal_spool_full",
        message: "too many open cursors in one session",
        hint: `At most ${this.#cursorsMax} can be open; CLOSE those that are done.`,
      })
  }

  add(cursor: SqlCursor): void {
    this.#cursors.set(cursor.name, cursor)
  }

  find(name: string): SqlCursor | undefined {
    return this.#cursors.get(name)
  }

  get(name: string): SqlCursor {
    const cursor = this.#cursors.get(name)
    if (cursor !== undefined) return cursor
    throw new GatewayError({
      sqlState: SqlState.InvalidCursorName,
      reason: "unknown_cursor",
      message: `cursor "${name}" does not exist`,
    })
  }

  /** CLOSE; without a name, all of them. */
  close(name: string | undefined): void {
    const closing = name === undefined ? [...this.#cursors.values()] : [this.get(name)]
    for (const cursor of closing) {
      this.#cursors.delete(cursor.name)
      cursor.result[Symbol.dispose]()
    }
  }

  /** COMMIT: cursors WITH HOLD keep their rows, the others end. */
  async commit(spoolBytesMax: number): Promise<void> {
    for (const cursor of this.#cursors.values()) {
      if (!cursor.isHeld) this.close(cursor.name)
      else if (!cursor.isKept) {
        await cursor.result.spool(spoolBytesMax)
        cursor.isKept = true
      }
    }
  }

  /** ROLLBACK ends what its transaction declared. */
  rollback(): void {
    for (const cursor of this.#cursors.values()) if (!cursor.isKept) this.close(cursor.name)
  }

  /** RELEASE: what was declared under the savepoints now belongs to the level below them. */
  release(depth: number): void {
    for (const cursor of this.#cursors.values()) cursor.depth = Math.min(cursor.depth, depth)
  }

  /** ROLLBACK TO the savepoint that stands on this many others. */
  rollbackTo(depth: number): void {
    for (const cursor of this.#cursors.values())
      if (!cursor.isKept && cursor.depth > depth) this.close(cursor.name)
  }

  get isEmpty(): boolean {
    return this.#cursors.size === 0
  }

  /** Results that still hold a lease. */
  get streaming(): readonly ResultCursor[] {
    return [...this.#cursors.values()]
      .map((cursor) => cursor.result)
      .filter((result) => result.holdsStream)
  }
}

/** The rows of one FETCH, or with `isMove` only their count. */
export class FetchedRows implements RowStream {
  readonly description: Buffer | undefined
  readonly #source: ResultCursor
  readonly #isMove: boolean
  #rowsLeft: number
  #rowCount = 0
  /** FETCH 0 fetches the row again on which the cursor stands (PostgreSQL manual, FETCH). */
  #again: RowBatch | undefined

  constructor(source: ResultCursor, rowsMax: number, isMove: boolean) {
    this.#source = source
    this.#rowsLeft = rowsMax
    this.#isMove = isMove
    this.description = isMove ? undefined : source.description
    this.#again = rowsMax === 0 ? source.currentRow : undefined
  }

  async next(): Promise<RowBatch | undefined> {
    const again = this.#again
    if (again !== undefined) {
      this.#again = undefined
      this.#rowCount = 1
      if (!this.#isMove) return again
    }
    for (;;) {
      if (this.#rowsLeft === 0) return undefined
      const batch = await this.#source.take(this.#rowsLeft)
      if (batch === undefined) {
        this.#rowsLeft = 0
        return undefined
      }
      this.#rowsLeft -= batch.rowCount
      this.#rowCount += batch.rowCount
      if (!this.#isMove) return batch
    }
  }

  get completion(): Completion {
    return { tag: `${this.#isMove ? "MOVE" : "FETCH"} ${this.#rowCount}`, notices: [] }
  }

  [Symbol.dispose](): void {
    // The cursor stays open: what was not fetched is the next FETCH's.
  }
}

/**
 * The cursor's rows in the formats that this FETCH asks for. Rows are kept as they will be sent, so that formats can only be
 * chosen before the first one was taken.
 */
export async function inFormats(
  cursor: SqlCursor,
  formats: readonly FormatCode[],
): Promise<ResultCursor> {
  if (cursor.result.hasMoved)
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "cursor_position",
      message: `cursor "${cursor.name}" cannot change between text and binary rows after its first FETCH`,
      hint: "Ask for one format in all FETCHes, or declare the cursor BINARY.",
    })
  const reopened = await cursor.reopen(formats)
  cursor.result[Symbol.dispose]()
  cursor.result = reopened
  cursor.formats = formats
  return reopened
}

/** PostgreSQL's answer to a backward FETCH on a cursor that was not declared SCROLL. */
export function forwardOnly(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ObjectNotInPrerequisiteState,
    reason: "cursor_position",
    message: "cursor can only scan forward",
    hint: "Declare it with SCROLL option to enable backward scan.",
  })
}
