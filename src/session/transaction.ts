import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { IsolationLevel, TransactionMode } from "../core/statement.ts"
import type { SessionSettings, SettingsMark } from "./settings.ts"

/** Savepoints one transaction may hold open; each keeps a settings mark. */
const savepointsMax = 10_000

type Savepoint = { readonly name: string; readonly mark: SettingsMark }

/**
 * The session's transaction as the client sees it. It is virtual: the warehouse learns of it only when a statement must run
 * inside one (pipeline/transaction-scope.ts).
 *
 *   idle ──BEGIN──▶ open ──error──▶ failed
 *    ▲               │ ▲              │
 *    └──COMMIT/ROLLBACK┘└─ROLLBACK TO─┘
 *    └───────────────COMMIT (as ROLLBACK) / ROLLBACK──┘
 */
export class SessionTransaction {
  readonly #settings: SessionSettings
  #state: "idle" | "open" | "failed" = "idle"
  #start: SettingsMark | undefined
  /** Where the implicit transaction of a simple Query or of an unsynced batch began. */
  #implicitStart: SettingsMark | undefined
  #isImplicitBlock = false
  /** The batch has executed a statement, and its transaction goes on until Sync. */
  #isPipelined = false
  #savepoints: Savepoint[] = []
  isolation: IsolationLevel | undefined
  /** As BEGIN asked for; what later commands changed of it stands in `isolation`. */
  mode: TransactionMode | undefined

  constructor(settings: SessionSettings) {
    this.#settings = settings
  }

  get status(): "I" | "T" | "E" {
    if (this.#state === "idle") return "I"
    return this.#state === "open" ? "T" : "E"
  }

  get isExplicit(): boolean {
    return this.#state !== "idle"
  }

  get savepoints(): readonly Savepoint[] {
    return this.#savepoints
  }

  /** Settings as they were at BEGIN. */
  get start(): SettingsMark | undefined {
    return this.#start
  }

  get savepointNames(): readonly string[] {
    return this.#savepoints.map((savepoint) => savepoint.name)
  }

  /**
   * True inside BEGIN ... COMMIT, between the statements of one simple Query of several, and behind the first statement that a
   * batch has executed: both are blocks, too.
   */
  get isInBlock(): boolean {
    return this.isExplicit || this.#isImplicitBlock || this.#isPipelined
  }

  /** A batch's own transaction is open, and a simple Query before its Sync belongs to it. */
  get isPipelined(): boolean {
    return this.#isPipelined
  }

  /** What ReadyForQuery says. */
  get reportedStatus(): "I" | "T" | "E" {
    return this.#isPipelined ? "T" : this.status
  }

  /** Called before the first statement of a simple Query, and after every Sync. `isBlock`: several statements follow. */
  beginImplicit(isBlock = false): void {
    this.#implicitStart = this.#settings.mark()
    this.#isImplicitBlock = isBlock
    this.#isPipelined = false
  }

  /**
   * A batch's Execute has ended (XACT_FLAGS_PIPELINING, postgres.c). `endsTransaction`: what was executed commits by itself, so
   * that the next message begins a transaction anew.
   */
  executed(endsTransaction: boolean): void {
    if (this.#state !== "idle") return
    if (endsTransaction) this.beginImplicit()
    else this.#isPipelined = true
  }

  /** The implicit transaction ended well. */
  endImplicit(): void {
    if (this.#state === "idle") this.#settings.endLocal()
    this.#implicitStart = undefined
  }

  begin(isolation: IsolationLevel | undefined, mode?: TransactionMode): void {
    this.#state = "open"
    this.#isPipelined = false
    // Within an implicit transaction BEGIN makes it explicit; what was SET before is part of it (PostgreSQL manual, 54.2.2.1).
    this.#start = this.#implicitStart ?? this.#settings.mark()
    this.isolation = isolation
    this.mode = mode
  }

  commit(): void {
    this.#settings.endLocal()
    this.#end()
  }

  rollback(): void {
    if (this.#start !== undefined) this.#settings.restore(this.#start)
    this.#settings.endLocal()
    this.#end()
  }

  /**
   * An error: an open transaction fails, and settings are back at once to what they were at its innermost savepoint or at its
   * start; an implicit one is undone.
   */
  fail(): void {
    this.#isPipelined = false
    if (this.#state === "open") {
      this.#state = "failed"
      const mark = this.#savepoints.at(-1)?.mark ?? this.#start
      if (mark !== undefined) this.#settings.restore(mark)
    } else if (this.#state === "idle" && this.#implicitStart !== undefined)
      this.#settings.restore(this.#implicitStart)
  }

  savepoint(name: string): void {
    if (this.#savepoints.length >= savepointsMax)
      throw new GatewayError({
        sqlState: SqlState.ProgramLimitExceeded,
        reason: "transaction_state",
        message: `too many savepoints in one transaction`,
        hint: `At most ${savepointsMax} are kept.`,
      })
    this.#savepoints.push({ name, mark: this.#settings.mark() })
  }

  release(name: string): void {
    this.#savepoints.length = this.#indexOf(name)
  }

  rollbackTo(name: string): void {
    const index = this.#indexOf(name)
    const savepoint = this.#savepoints[index]
    if (savepoint !== undefined) this.#settings.restore(savepoint.mark)
    this.#savepoints.length = index + 1
    this.#state = "open"
  }

  #indexOf(name: string): number {
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name)
    if (index >= 0) return index
    throw new GatewayError({
      sqlState: SqlState.InvalidSavepointSpecification,
      reason: "transaction_state",
      message: `savepoint "${name}" does not exist`,
    })
  }

  #end(): void {
    this.#isPipelined = false
    this.#state = "idle"
    this.#start = undefined
    this.#savepoints = []
    this.isolation = undefined
    this.mode = undefined
    this.#implicitStart = this.#settings.mark()
  }
}
