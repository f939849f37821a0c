import { GatewayError } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { SettingsView } from "../core/settings.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { computesWithSettings, readsWithSettings } from "../pipeline/setting-dependence.ts"
import type { CursorRows } from "./cursor-rows.ts"
import type { Judged } from "./judged.ts"
import type { ObjectOrigin } from "./named-objects.ts"
import type { ResultCursor } from "./result-cursor.ts"
import { changedSettings, printsWith, settingsChanged } from "./row-settings.ts"
import { cursorExists } from "./session-errors.ts"
import type { MemoryShare } from "./session-memory.ts"

export type SqlCursor = {
  readonly name: string
  readonly isHeld: boolean
  /** Of the rows as they are now; a first FETCH may ask for others. */
  formats: readonly FormatCode[]
  rows: CursorRows
  /** What the rows were printed with. */
  settings: SettingsView
  readonly judged: Judged | undefined
  readonly query: Statement
  readonly origin: ObjectOrigin
  readonly isBinary: boolean
  /** It has parameters, whose texts PostgreSQL has read under the settings of DECLARE. */
  readonly isBound: boolean
  readonly isScrollable: boolean
  /** Runs the cursor's query again for rows in other formats. */
  readonly reopen: (
    formats: readonly FormatCode[],
  ) => Promise<{ readonly rows: CursorRows; readonly settings: SettingsView }>
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

  all(): readonly SqlCursor[] {
    return [...this.#cursors.values()]
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
  return reopened(cursor, formats)
}

async function reopened(cursor: SqlCursor, formats: readonly FormatCode[]): Promise<CursorRows> {
  const { rows, settings } = await cursor.reopen(formats)
  cursor.rows[Symbol.dispose]()
  cursor.rows = rows
  cursor.settings = settings
  cursor.formats = formats
  return rows
}

/**
 * The cursor's rows as the settings of now print them: made again while none was taken, as PostgreSQL has computed none then.
 * Throws 0A000 where old rows would differ from PostgreSQL's. A cursor that outlives its transaction was computed at COMMIT:
 * there only the printing counts.
 */
export function underSettings(
  cursor: SqlCursor,
  now: SettingsView,
): CursorRows | Promise<CursorRows> {
  const changed = changedSettings(cursor.settings, now)
  if (changed.length === 0) return cursor.rows
  const { query, rows, isKept, isBound } = cursor
  const isPrinted = printsWith(changed, rows.description)
  if (!isPrinted && (isKept || !computesWithSettings(query))) return rows
  const isFresh = !rows.source.hasMoved && rows.position === 0
  const isSame =
    isFresh && !isBound && !readsWithSettings(query) && !(isKept && computesWithSettings(query))
  if (!isSame) throw settingsChanged(cursor.name, changed)
  return reopened(cursor, cursor.formats)
}
