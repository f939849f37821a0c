import type { GatewayError } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import type { Completion, EarlyNotice, RowBatch, RowStream } from "../core/result.ts"
import type { Leased } from "../route/router.ts"
import type { Deadline } from "./deadline.ts"
import { LimitedRows } from "./row-limit.ts"

type Held = {
  readonly leased: Leased
  /** The lease belongs to the transaction and stays with it. */
  readonly isPinned: boolean
  readonly deadline: Deadline
  readonly mapError: (thrown: unknown) => GatewayError
  readonly queueMs: number
  readonly warehouseMs: number
}

/** Rows from the warehouse with what must be given back after them. */
export class WarehouseRows implements RowStream {
  /** Filled until the rows have ended. */
  readonly remarks: Remark[]
  readonly endpoint: string
  readonly queueMs: number
  readonly warehouseMs: number
  readonly #rows: RowStream
  #held: Held | undefined
  readonly #mapError: Held["mapError"]

  constructor(limitedRows: { readonly rows: RowStream; readonly remarks: Remark[] }, held: Held) {
    this.#rows = limitedRows.rows
    this.remarks = limitedRows.remarks
    this.#held = held
    this.#mapError = held.mapError
    this.endpoint = held.leased.route.endpoint
    this.queueMs = held.queueMs
    this.warehouseMs = held.warehouseMs
  }

  get description(): Buffer | undefined {
    return this.#rows.description
  }

  get notices(): readonly EarlyNotice[] | undefined {
    return this.#rows.notices
  }

  get completion(): Completion {
    return this.#rows.completion
  }

  /** True when a limit left rows out: such a result is not stored. */
  get isCut(): boolean {
    return this.#rows instanceof LimitedRows && this.#rows.isCut
  }

  async next(): Promise<RowBatch | undefined> {
    try {
      const batch = await this.#rows.next()
      if (batch === undefined) this.#giveBack()
      return batch
    } catch (thrown) {
      this[Symbol.dispose]()
      throw this.#mapError(thrown)
    }
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]()
    this.#giveBack()
  }

  #giveBack(): void {
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    held.deadline[Symbol.dispose]()
    if (!held.isPinned) held.leased.lease[Symbol.dispose]()
  }
}
