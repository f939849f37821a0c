import type { CacheUse } from "../core/cache-hints.ts"
import type { StatementReport } from "../core/observation.ts"
import { AbortScope } from "../pipeline/abort-scope.ts"
import { mayWrite } from "../pipeline/direct.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { TransactionScope } from "../pipeline/transaction-scope.ts"
import type { BackendOrigin } from "./backend.ts"
import type { NamedObjects } from "./named-objects.ts"
import type { SessionRegistry } from "./registry.ts"
import type { ResultCursor } from "./result-cursor.ts"
import type { MemoryShare } from "./session-memory.ts"
import { durationMs } from "./setting-values.ts"
import type { SessionSettings } from "./settings.ts"
import type { SqlCursors } from "./sql-cursors.ts"
import type { SessionTransaction } from "./transaction.ts"
import type { Users } from "./users.ts"

/** Who and where: fixed at login. */
export type SessionOrigin = BackendOrigin & {
  readonly rooms: Rooms
  /** All sessions of this process, for what one may see of and do to another. */
  readonly registry: SessionRegistry
  /** Who may log in now, and as whom. */
  readonly users: Users
}

export type SessionLimits = {
  /** Bytes of unread rows of all open cursors kept aside while another statement of the same transaction runs. */
  readonly spoolBytesMax: number
  /** Unsent bytes after which a session produces nothing more until the client reads. */
  readonly outputBytesMax: number
  /** Bytes received and not yet processed after which a session stops reading. */
  readonly pendingBytesMax: number
  /** Reads that these bytes came in: a byte that comes alone costs some hundred. */
  readonly pendingChunksMax: number
  /** Named prepared statements and portals of one session. */
  readonly namedObjectsMax: number
  /** 0 = none. */
  readonly idleSessionTimeoutMs: number
  readonly idleInTransactionTimeoutMs: number
}

/** What the parts of one session share. */
export class SessionState {
  readonly origin: SessionOrigin
  readonly settings: SessionSettings
  readonly transaction: SessionTransaction
  readonly cursors: SqlCursors
  readonly objects: NamedObjects
  readonly limits: SessionLimits
  readonly memory: MemoryShare
  /** The warehouse's side of the explicit transaction; undefined outside one. */
  scope: TransactionScope | undefined
  /** Of the statement that runs now, or of the next one. */
  abort = new AbortScope()
  /** When the explicit transaction began; milliseconds since 1970. */
  transactionStartMs = 0
  /** Report of the last statement that asked for data: `SHOW sluice.last`. */
  lastReport: StatementReport | undefined

  /** Its role may write: statements that are not reads go to a connection of the session's own (direct/). */
  readonly mayWrite: boolean

  constructor(
    origin: SessionOrigin,
    parts: {
      readonly settings: SessionSettings
      readonly transaction: SessionTransaction
      readonly cursors: SqlCursors
      readonly objects: NamedObjects
      readonly limits: SessionLimits
      readonly memory: MemoryShare
    },
  ) {
    this.origin = origin
    this.mayWrite = mayWrite(origin.identity, origin.rooms)
    this.settings = parts.settings
    this.transaction = parts.transaction
    this.cursors = parts.cursors
    this.objects = parts.objects
    this.limits = parts.limits
    this.memory = parts.memory
  }

  /**
   * A transaction that is pinned to one connection needs it for its next statement: rows of suspended portals and open
   * cursors that are still unread there are read into memory first.
   */
  get mustSpool(): boolean {
    return this.scope?.isPinned === true && this.#streaming.length > 0
  }

  async spool(): Promise<void> {
    for (const cursor of this.#streaming) await cursor.spool(this.limits.spoolBytesMax, this.memory)
  }

  get #streaming(): readonly ResultCursor[] {
    return [...this.cursors.streaming, ...this.objects.streaming]
  }

  openScope(): void {
    this.transactionStartMs = Date.now()
    this.scope = new TransactionScope(
      this.transaction.isolation ??
        defaultIsolation(this.settings.get("default_transaction_isolation")),
    )
  }

  get statementTimeoutMs(): number {
    return this.durationOf("statement_timeout")
  }

  /** A setting that is a duration; milliseconds. */
  durationOf(name: string): number {
    const text = this.settings.values.get(name) ?? "0"
    return text === "0" ? 0 : durationMs(name, text)
  }

  get tellsStale(): boolean {
    return this.settings.values.get("sluice.stale_notice") === "on"
  }

  get caching(): CacheUse {
    const value = this.settings.values.get("sluice.cache")
    return value === "off" || value === "refresh" || value === "only" ? value : "on"
  }
}

function defaultIsolation(text: string): "repeatable read" | "serializable" | undefined {
  return text === "repeatable read" || text === "serializable" ? text : undefined
}

/** The implicit transaction of a string or of a batch has ended well. A promise where cursors WITH HOLD read their rows first. */
export function endImplicitTransaction(state: SessionState): void | Promise<void> {
  const { cursors, transaction, limits, memory } = state
  if (transaction.isExplicit || cursors.isEmpty) return transaction.endImplicit()
  return cursors.commit(limits.spoolBytesMax, memory).then(() => transaction.endImplicit())
}
