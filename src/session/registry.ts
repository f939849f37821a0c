import { randomInt } from "node:crypto"
import { isSameCancelKey, makeCancelKey } from "../wire/cancel-key.ts"
import type { Backend } from "./backend.ts"

type Entry = {
  readonly key: Buffer
  /** Undefined until the startup settings were applied: nothing runs there yet. */
  backend: Backend | undefined
}

/** Process ids are positive int4 values (PostgreSQL manual, 54.7: BackendKeyData). */
const processIdMax = 2 ** 31 - 1

/**
 * Virtual process ids and cancel keys of the sessions alive here. Ids are drawn at random, so that those of several gateway
 * instances behind one load balancer are unlikely to meet, and never name a process of the warehouse.
 */
export class SessionRegistry {
  readonly #entries = new Map<number, Entry>()
  /** The warehouse's process ids of connections that belong to one session, with the ids that clients know these sessions by. */
  readonly #direct = new Map<number, number>()

  get size(): number {
    return this.#entries.size
  }

  add(protocolMinor: number): { processId: number; key: Buffer } {
    let processId = randomInt(1, processIdMax)
    while (this.#entries.has(processId)) processId = randomInt(1, processIdMax)
    const key = makeCancelKey(protocolMinor)
    this.#entries.set(processId, { key, backend: undefined })
    return { processId, key }
  }

  /** From now on the session can be seen and signalled. */
  open(processId: number, backend: Backend): void {
    const entry = this.#entries.get(processId)
    if (entry !== undefined) entry.backend = backend
  }

  /** The session has a connection of its own, whose process the warehouse names in notifications. */
  owns(processId: number, warehouseProcessId: number): void {
    this.#direct.set(warehouseProcessId, processId)
  }

  disowns(warehouseProcessId: number): void {
    this.#direct.delete(warehouseProcessId)
  }

  /** The id that a warehouse's process is known by here; its own for a process that is no session of ours. */
  knownAs(warehouseProcessId: number): number {
    return this.#direct.get(warehouseProcessId) ?? warehouseProcessId
  }

  remove(processId: number): void {
    this.#entries.delete(processId)
  }

  find(processId: number): Backend | undefined {
    return this.#entries.get(processId)?.backend
  }

  /** Every open session, oldest first. */
  *backends(): IterableIterator<Backend> {
    for (const { backend } of this.#entries.values()) if (backend !== undefined) yield backend
  }

  /** CancelRequest: silent whether it matched or not, as PostgreSQL is; the comparison takes constant time. */
  cancel(processId: number, key: Buffer): boolean {
    const entry = this.#entries.get(processId)
    if (entry === undefined || !isSameCancelKey(entry.key, key)) return false
    entry.backend?.cancelByClient()
    return true
  }
}
