import type { IsolationLevel } from "../core/statement.ts"
import type { Leased, RouteOptions, Router } from "../route/router.ts"

/**
 * The warehouse's side of one explicit transaction. Most transactions of BI tools never need one: their reads come from the
 * cache or run by themselves under READ COMMITTED. It is opened ("pinned" to a lease) by the first statement whose answer
 * depends on being inside it: a snapshot isolation level, the transaction's clock, a volatile function.
 */
export class TransactionScope {
  readonly isolation: IsolationLevel | undefined
  /** True once a statement asked for data: the isolation level cannot change any more (PostgreSQL manual, SET TRANSACTION). */
  hasQueried = false
  /** The instant that stands for now() in this transaction, once a statement was bound to it. */
  boundTimeMs: number | undefined
  /** True once a statement has read the warehouse's own clock: no other may be bound to a bucket after it. */
  hasReadClock = false
  #leased: Leased | undefined
  #savepoints: string[] = []

  constructor(isolation: IsolationLevel | undefined) {
    this.isolation = isolation
  }

  get isPinned(): boolean {
    return this.#leased !== undefined
  }

  /** One snapshot for the whole transaction: nothing may come from, or go to, the shared cache. */
  get needsSnapshot(): boolean {
    return this.isolation === "repeatable read" || this.isolation === "serializable"
  }

  /** True for the lease that stays with the transaction after a statement. */
  owns(leased: Leased): boolean {
    return this.#leased === leased
  }

  /** The transaction's own lease, opened when it does not exist yet. */
  async pin(router: Router, options: RouteOptions): Promise<Leased> {
    if (this.#leased !== undefined) return this.#leased
    const leased = await router.lease(options)
    try {
      await leased.lease.connection.beginTransaction(this.isolation, options.signal)
      for (const name of this.#savepoints)
        await leased.lease.connection.savepoint({ kind: "savepoint", name })
    } catch (error) {
      leased.lease[Symbol.dispose]()
      throw error
    }
    this.#leased = leased
    return leased
  }

  async savepoint(name: string): Promise<void> {
    this.#savepoints.push(name)
    await this.#forward({ kind: "savepoint", name })
  }

  async release(name: string): Promise<void> {
    this.#savepoints.length = Math.max(0, this.#savepoints.lastIndexOf(name))
    await this.#forward({ kind: "release", name })
  }

  async rollbackTo(name: string): Promise<void> {
    this.#savepoints.length = this.#savepoints.lastIndexOf(name) + 1
    await this.#forward({ kind: "rollback_to", name })
  }

  async #forward(
    command: Parameters<Leased["lease"]["connection"]["savepoint"]>[0],
  ): Promise<void> {
    if (this.#leased === undefined) return
    const outcome = await this.#leased.lease.connection.savepoint(command)
    if (outcome === "transaction_ended") await this.end()
  }

  /**
   * Ends it on the warehouse and gives the lease back. Harmless when nothing was opened, and never an error of the client's
   * COMMIT or ROLLBACK: reads have nothing to lose with their connection, and a connection that failed is closed by the pool.
   */
  async end(): Promise<void> {
    const leased = this.#leased
    if (leased === undefined) return
    this.#leased = undefined
    using held = leased.lease
    await held.connection.endTransaction().catch(() => undefined)
  }
}
