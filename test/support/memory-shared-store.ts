import {
  type FlightClaim,
  type Found,
  type SharedStore,
  SharedStoreError,
} from "../../src/cache/shared/shared-store.ts"

/**
 * What RedisSharedStore does, in memory: the same tests run over both. `fails` makes every call reject; `entries`
 * shows and takes what stands under a name.
 */
export class MemorySharedStore implements SharedStore {
  readonly entries = new Map<string, { value: Buffer; expiresAtMs: number }>()
  readonly flights = new Map<string, { owner: string; expiresAtMs: number }>()
  readonly calls: string[] = []
  fails: "timeout" | "unreachable" | "refused" | undefined
  isClosed = false

  async find(name: string, { owner, leaseMs }: FlightClaim): Promise<Found> {
    await this.#called("find")
    const entry = this.entries.get(name)
    const nowMs = performance.now()
    if (entry !== undefined && entry.expiresAtMs > nowMs)
      return { kind: "value", value: entry.value, ttlMs: entry.expiresAtMs - nowMs }
    const flight = this.flights.get(name)
    if (flight === undefined || flight.expiresAtMs <= nowMs) {
      this.flights.set(name, { owner, expiresAtMs: nowMs + leaseMs })
      return { kind: "leading" }
    }
    return { kind: flight.owner === "-" ? "alone" : "busy" }
  }

  async put(name: string, value: Buffer, options: { ttlMs: number; owner: string }): Promise<void> {
    await this.#called("put")
    const { ttlMs, owner } = options
    this.entries.set(name, { value: Buffer.from(value), expiresAtMs: performance.now() + ttlMs })
    if (this.flights.get(name)?.owner === owner) this.flights.delete(name)
  }

  async remove(name: string): Promise<void> {
    await this.#called("remove")
    this.entries.delete(name)
  }

  async leave(name: string, options: { owner: string; aloneMs: number }): Promise<void> {
    await this.#called("leave")
    if (this.flights.get(name)?.owner !== options.owner) return
    const expiresAtMs = performance.now() + options.aloneMs
    if (options.aloneMs > 0) this.flights.set(name, { owner: "-", expiresAtMs })
    else this.flights.delete(name)
  }

  async extend(name: string, { owner, leaseMs }: FlightClaim): Promise<boolean> {
    await this.#called("extend")
    if (this.flights.get(name)?.owner !== owner) return false
    this.flights.set(name, { owner, expiresAtMs: performance.now() + leaseMs })
    return true
  }

  close(): void {
    this.isClosed = true
  }

  async #called(call: string): Promise<void> {
    this.calls.push(call)
    await Promise.resolve()
    if (this.fails !== undefined) throw new SharedStoreError(this.fails, undefined)
  }
}
