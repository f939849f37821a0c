import type { DirectConnection, DirectOptions } from "../core/direct.ts"
import type { Warehouse } from "../warehouse/warehouse.ts"
import { noWrites, writeSessionsFull } from "./pool-errors.ts"

/**
 * Connections of sessions that write, counted apart from the pool's: each belongs to one session until it is closed, so that
 * they must neither wait for readers nor starve them.
 */
export class WriteSlots {
  readonly #name: string
  readonly #warehouse: Warehouse
  readonly #writeSessionsMax: number
  /** Open, or being opened. */
  #count = 0

  constructor(init: {
    /** Name of the endpoint, for messages. */
    readonly name: string
    readonly warehouse: Warehouse
    readonly writeSessionsMax: number
  }) {
    this.#name = init.name
    this.#warehouse = init.warehouse
    this.#writeSessionsMax = init.writeSessionsMax
  }

  get count(): number {
    return this.#count
  }

  /**
   * Rejects with 53300 (`write_sessions_full`), 25006 (`write_on_read_route`) where the engine takes no writes, 08006, or the
   * signal's reason. The slot is free again when the connection was closed by its holder.
   */
  async open(options: DirectOptions): Promise<DirectConnection> {
    options.signal.throwIfAborted()
    if (this.#warehouse.openDirect === undefined) throw noWrites()
    if (this.#count >= this.#writeSessionsMax)
      throw writeSessionsFull(this.#name, this.#writeSessionsMax)
    this.#count += 1
    try {
      return this.#counted(await this.#warehouse.openDirect(options))
    } catch (error) {
      this.#count -= 1
      throw error
    }
  }

  #counted(connection: DirectConnection): DirectConnection {
    let isCounted = true
    return {
      processId: connection.processId,
      send: (bytes) => connection.send(bytes),
      next: () => connection.next(),
      cancel: () => connection.cancel(),
      close: () => {
        if (isCounted) this.#count -= 1
        isCounted = false
        connection.close()
      },
    }
  }
}
