import { InvariantViolation } from "../core/errors.ts"
import type { Warehouse, WarehouseConnection } from "../warehouse/warehouse.ts"

export type LeaseInit = {
  readonly connection: WarehouseConnection
  readonly warehouse: Warehouse
  readonly endpoint: string
  readonly onDispose: () => void
  readonly onMisuse: (error: InvariantViolation) => void
}

/**
 * Exclusive use of one warehouse connection, until disposed of. Disposing gives the connection back at once; the pool cleans
 * it in the background and counts it as used until then. Disposing a second time is a bug of ours: it is reported by
 * `PoolEvents.misused` and has no other effect (throwing there would hide the error that is unwinding). Reading
 * `connection` after disposal throws, since somebody else may own it by then.
 */
export class Lease {
  readonly warehouse: Warehouse
  readonly endpoint: string
  readonly #connection: WarehouseConnection
  readonly #onDispose: () => void
  readonly #onMisuse: (error: InvariantViolation) => void
  #onReturned: (() => void) | undefined
  #isDisposed = false

  constructor(init: LeaseInit) {
    this.#connection = init.connection
    this.warehouse = init.warehouse
    this.endpoint = init.endpoint
    this.#onDispose = init.onDispose
    this.#onMisuse = init.onMisuse
  }

  get connection(): WarehouseConnection {
    if (this.#isDisposed) throw new InvariantViolation("a lease was used after its disposal")
    return this.#connection
  }

  /** Has the callback called once, when the lease is disposed of. */
  whenReturned(callback: () => void): void {
    this.#onReturned = callback
  }

  [Symbol.dispose](): void {
    if (this.#isDisposed) {
      this.#onMisuse(new InvariantViolation("a lease was disposed of twice"))
      return
    }
    this.#isDisposed = true
    this.#onDispose()
    this.#onReturned?.()
  }
}
