import { GatewayError } from "../core/errors.ts"
import type { FormatCode, Parameters } from "../core/parameters.ts"
import type { SettingsView } from "../core/settings.ts"
import { SqlState } from "../core/sql-state.ts"
import type { SessionCommand, Statement } from "../core/statement.ts"
import type { CursorRows } from "./cursor-rows.ts"
import type { ResultCursor } from "./result-cursor.ts"
import type { RunOutcome } from "./run-outcome.ts"
import { cursorExists } from "./session-errors.ts"
import type { MemoryShare } from "./session-memory.ts"

/** What a client sent to make it, and when; milliseconds since 1970. */
export type ObjectOrigin = { readonly text: string; readonly ms: number; readonly isSql: boolean }

/** What Parse made. */
export type PreparedStatement = {
  readonly name: string
  /** Undefined for an empty query string. */
  readonly statement: Statement | undefined
  readonly parseMs: number
  readonly origin: ObjectOrigin
  /** What it is taken to cost in memory. */
  readonly bytes: number
  /** As declared by Parse; may be shorter than the statement's parameters. */
  readonly parameterTypes: readonly number[]
  /** As Describe answered them: what a client then sends in binary is of these types. */
  describedTypes: readonly number[] | undefined
  /** Columns of its rows, once Describe told them: result formats of a Bind are checked against them. */
  describedColumns?: number
}

/** What Bind made, and how far Execute has come with it. */
export type Portal = {
  readonly name: string
  readonly prepared: PreparedStatement
  readonly parameters: Parameters
  readonly formats: readonly FormatCode[]
  /** Set by the first FETCH of SQL that names it. */
  rows?: CursorRows
  /** What its parameters are taken to cost in memory. */
  readonly bytes: number
  /** Set by the first Execute. */
  run:
    | {
        readonly outcome: RunOutcome
        readonly cursor: ResultCursor
        /** What its rows were printed with. */
        readonly settings: SettingsView
      }
    | undefined
  /** Its Bind failed and left it without a query until the transaction's end: an Execute of it has nothing to run. */
  isWithoutQuery?: boolean
  /** True once its end was sent: executed again, it has no rows left (PostgreSQL manual, 54.2.3). */
  isFinished: boolean
  /** Milliseconds since 1970. */
  readonly boundMs: number
  /** Savepoints open when it was bound: ROLLBACK TO an earlier one closes it. */
  depth: number
}

/**
 * Prepared statements and portals of one session by name; the empty name is the unnamed one, which a new Parse or Bind
 * replaces silently. Both are bounded by one count.
 */
export class NamedObjects {
  readonly #prepared = new Map<string, PreparedStatement>()
  readonly #portals = new Map<string, Portal>()
  readonly #namedObjectsMax: number
  readonly #memory: MemoryShare

  constructor(namedObjectsMax: number, memory: MemoryShare) {
    this.#namedObjectsMax = namedObjectsMax
    this.#memory = memory
  }

  addPrepared(prepared: PreparedStatement): void {
    if (prepared.name !== "" && this.#prepared.has(prepared.name))
      throw new GatewayError({
        sqlState: SqlState.DuplicatePreparedStatement,
        reason: "duplicate_name",
        message: `prepared statement "${prepared.name}" already exists`,
      })
    this.#checkRoom(this.#prepared.size, "prepared statements")
    this.closePrepared(prepared.name)
    this.#memory.keep(prepared.bytes)
    this.#prepared.set(prepared.name, prepared)
  }

  findPrepared(name: string): PreparedStatement | undefined {
    return this.#prepared.get(name)
  }

  prepared(name: string): PreparedStatement {
    const found = this.#prepared.get(name)
    if (found !== undefined) return found
    throw new GatewayError({
      sqlState: SqlState.InvalidSqlStatementName,
      reason: "unknown_prepared_statement",
      message:
        name === ""
          ? "unnamed prepared statement does not exist"
          : `prepared statement "${name}" does not exist`,
    })
  }

  allPrepared(): readonly PreparedStatement[] {
    return [...this.#prepared.values()]
  }

  allPortals(): readonly Portal[] {
    return [...this.#portals.values()]
  }

  /** Portals of which nothing was asked yet. */
  unexecutedPortals(): readonly Portal[] {
    return [...this.#portals.values()].filter((portal) => portal.run === undefined)
  }

  /** Silent when there is none, as Close is. */
  closePrepared(name: string): void {
    const prepared = this.#prepared.get(name)
    if (prepared === undefined) return
    this.#prepared.delete(name)
    this.#memory.drop(prepared.bytes)
  }

  closeAllPrepared(): void {
    for (const name of this.#prepared.keys()) this.closePrepared(name)
  }

  addPortal(portal: Portal): void {
    if (portal.name === "") this.closePortal("")
    else if (this.#portals.has(portal.name)) throw cursorExists(portal.name)
    this.#checkRoom(this.#portals.size, "portals")
    this.#memory.keep(portal.bytes)
    this.#portals.set(portal.name, portal)
  }

  findPortal(name: string): Portal | undefined {
    return this.#portals.get(name)
  }

  portal(name: string): Portal {
    const found = this.#portals.get(name)
    if (found !== undefined) return found
    throw new GatewayError({
      sqlState: SqlState.InvalidCursorName,
      reason: "unknown_portal",
      message: `portal "${name}" does not exist`,
    })
  }

  closePortal(name: string): void {
    const portal = this.#portals.get(name)
    if (portal === undefined) return
    this.#portals.delete(name)
    this.#memory.drop(portal.bytes)
    portal.run?.cursor[Symbol.dispose]()
  }

  /** The end of a transaction ends its portals. */
  closePortals(): void {
    if (this.#portals.size === 0) return
    for (const name of this.#portals.keys()) this.closePortal(name)
  }

  /** RELEASE: what was bound under the savepoints now belongs to the level below them. */
  release(depth: number): void {
    for (const portal of this.#portals.values()) portal.depth = Math.min(portal.depth, depth)
  }

  /** ROLLBACK TO the savepoint that stands on this many others. */
  rollbackTo(depth: number): void {
    for (const portal of this.#portals.values())
      if (portal.depth > depth) this.closePortal(portal.name)
  }

  /** CLOSE ALL; the unnamed portal may be the one that runs it. */
  closeNamedPortals(): void {
    for (const name of this.#portals.keys()) if (name !== "") this.closePortal(name)
  }

  /** Portals whose unread rows hold a lease. */
  get streaming(): readonly ResultCursor[] {
    if (this.#portals.size === 0) return none
    return [...this.#portals.values()]
      .flatMap((portal) => portal.run?.cursor ?? [])
      .filter((cursor) => cursor.holdsStream)
  }

  #checkRoom(count: number, what: string): void {
    if (count < this.#namedObjectsMax) return
    throw new GatewayError({
      sqlState: SqlState.ProgramLimitExceeded,
      reason: "portal_spool_full",
      message: `too many ${what} in one session`,
      hint: `At most ${this.#namedObjectsMax} can be kept; close those that are done.`,
    })
  }
}

const none: readonly ResultCursor[] = []

/** Objects, maps and names around what a client sent. */
const objectBytes = 512

/** A text, and the tree that it was parsed to: measured at ten to thirty times the text, of which equal texts share one. */
export function preparedBytes(sql: string): number {
  return objectBytes + 2 * sql.length
}

export function portalBytes({ values }: Parameters): number {
  let bytes = objectBytes
  for (const value of values) bytes += 64 + (value?.length ?? 0)
  return bytes
}

/** DEALLOCATE and DISCARD ALL end statements that were prepared by Parse, whichever protocol sends them. */
export function deallocatePrepared(command: SessionCommand, objects: NamedObjects): void {
  if (command.kind === "discard" && command.target === "all") objects.closeAllPrepared()
  if (command.kind !== "deallocate") return
  if (command.name === undefined) {
    objects.closeAllPrepared()
    return
  }
  objects.prepared(command.name)
  objects.closePrepared(command.name)
}
