import type { SettingsView } from "../core/settings.ts"
import type { IsolationLevel } from "../core/statement.ts"
import type { Leased, Router } from "../route/router.ts"

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * The warehouse's side of one explicit transaction. Most transactions of BI tools never need one: their reads come from the
 * cache or run by themselves under READ COMMITTED. It is opened ("pinned" to a lease) by the first statement whose answer
 * depends on being inside it: a snapshot isolation level, the transaction's clock, a volatile function.
 */
export class TransactionScope {
  readonly isolation: IsolationLevel | undefined
  #leased: Leased | undefined
  #settings: SettingsView | undefined
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
  async pin(router: Router, settings: SettingsView, signal: AbortSignal): Promise<Leased> {
    this.#settings = settings
    if (this.#leased !== undefined) return this.#leased
    const leased = await router.lease({ signal })
    try {
      await leased.lease.connection.beginTransaction(this.isolation, signal)
      for (const name of this.#savepoints)
        await command(leased, `SAVEPOINT ${quoted(name)}`, settings)
    } catch (error) {
      leased.lease[Symbol.dispose]()
      throw error
    }
    this.#leased = leased
    return leased
  }

  async savepoint(name: string): Promise<void> {
    this.#savepoints.push(name)
    await this.#forward(`SAVEPOINT ${quoted(name)}`)
  }

  async release(name: string): Promise<void> {
    this.#savepoints.length = Math.max(0, this.#savepoints.lastIndexOf(name))
    await this.#forward(`RELEASE SAVEPOINT ${quoted(name)}`)
  }

  async rollbackTo(name: string): Promise<void> {
    this.#savepoints.length = this.#savepoints.lastIndexOf(name) + 1
    await this.#forward(`ROLLBACK TO SAVEPOINT ${quoted(name)}`)
  }

  async #forward(text: string): Promise<void> {
    if (this.#leased === undefined || this.#settings === undefined) return
    // DuckDB has no savepoints: the transaction is given up, and opened anew by the next statement that needs one.
    if (this.#leased.lease.warehouse.engine === "postgres")
      await command(this.#leased, text, this.#settings)
    else await this.end()
  }

  /** Ends it on the warehouse and gives the lease back. Reads need no COMMIT. Harmless when nothing was opened. */
  async end(): Promise<void> {
    const leased = this.#leased
    if (leased === undefined) return
    this.#leased = undefined
    try {
      await leased.lease.connection.endTransaction()
    } finally {
      leased.lease[Symbol.dispose]()
    }
  }
}

async function command(leased: Leased, text: string, settings: SettingsView): Promise<void> {
  using rows = await leased.lease.connection.run({
    statement: { text, ast: {}, keepsPositions: false },
    parameters: { types: [], formats: [], values: [] },
    resultFormats: [],
    settings,
    statementTimeoutMs: 0,
    signal: new AbortController().signal,
  })
  while ((await rows.next()) !== undefined);
}
