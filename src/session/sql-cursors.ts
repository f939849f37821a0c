import { GatewayError } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"
import type { CursorRows } from "./cursor-rows.ts"
import type { ResultCursor } from "./result-cursor.ts"
import { cursorExists } from "./session-errors.ts"
import type { MemoryShare } from "./session-memory.ts"

export type SqlCursor = {
  readonly name: string
  readonly isHeld: boolean
  /** Of the rows as they are now; a first FETCH may ask for others. */
  formats: readonly FormatCode[]
  rows: CursorRows
  /** Runs the cursor's query again for rows in other formats. */
  readonly reopen: (formats: readonly FormatCode[]) => Promise<CursorRows>
  /** True once the transaction that declared it WITH HOLD has committed: a later ROLLBACK leaves it open. */
  isKept: boolean
  /** Savepoints open when it was declared: ROLLBACK TO an earlier one closes it. */
  depth: number
}

/** Cursors of DECLARE (PostgreSQL manual, DECLARE, FETCH): each a result that stands still between two FETCHes. */
export class SqlCursors {
  readonly #cursors = new Map<string, SqlCursor>()
  readonly #cursorsMax: number

  constructor(cursorsMax: number) {
    this.#cursorsMax = cursorsMax
  }

  checkFree(name: string): void {
    if (this.#cursors.has(name)) throw cursorExists(name)
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
      cursor.rows[Symbol.dispose]()
    }
  }

  /** COMMIT: cursors WITH HOLD keep their rows, the others end. */
  async commit(spoolBytesMax: number, memory: MemoryShare): Promise<void> {
    for (const cursor of this.#cursors.values())
      if (cursor.isHeld && !cursor.isKept) await cursor.rows.source.spool(spoolBytesMax, memory)
    // Kept only when all of them are: one that does not fit fails the COMMIT, and then none outlives it.
    for (const cursor of this.#cursors.values()) {
      if (cursor.isHeld) cursor.isKept = true
      else this.close(cursor.name)
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
      .map((cursor) => cursor.rows.source)
      .filter((result) => result.holdsStream)
  }
}

/**
 * The cursor's rows in the formats that this FETCH asks for. Rows are kept as they will be sent, so that formats can only be
 * chosen before the first one was taken.
 */
export async function inFormats(
  cursor: SqlCursor,
  formats: readonly FormatCode[],
): Promise<CursorRows> {
  if (cursor.rows.source.hasMoved)
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "cursor_position",
      message: `cursor "${cursor.name}" cannot change between text and binary rows after its first FETCH`,
      hint: "Ask for one format in all FETCHes, or declare the cursor BINARY.",
    })
  const reopened = await cursor.reopen(formats)
  cursor.rows[Symbol.dispose]()
  cursor.rows = reopened
  cursor.formats = formats
  return reopened
}
