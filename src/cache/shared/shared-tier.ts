import { randomBytes } from "node:crypto"
import { setTimeout as sleep } from "node:timers/promises"
import type { StoredResult } from "../../core/result.ts"
import type { CacheKey } from "../key.ts"
import type { StoredEntry } from "../stored-entry.ts"
import { Circuit, type CircuitLimits } from "./circuit.ts"
import {
  newCounters,
  type RequestResult,
  type SharedCounters,
  type StoreResult,
  type WaitResult,
} from "./shared-counters.ts"
import { SharedFlight } from "./shared-flight.ts"
import { type Found, type SharedStore, SharedStoreError } from "./shared-store.ts"
import { openValue, packValue, type ValueOptions } from "./shared-value.ts"

export type SharedTierLimits = {
  /** Largest result shared, unpacked. */
  readonly entryBytesMax: number
  /** A result that took the warehouse less is not worth a place: to fetch it would take as long. */
  readonly warehouseMsMin: number
  /** Results on their way to the store, all together, unpacked. */
  readonly storeBytesInFlightMax: number
  /** A claim on a run ends so long after its holder was last heard of. */
  readonly leaseMs: number
  /** Runs of other instances that are waited for at one time; one more runs by itself. */
  readonly waitersMax: number
  /** How far the wall clocks of two instances may differ. */
  readonly clockSkewMsMax: number
  readonly circuit: CircuitLimits
}

export type SharedTierOptions = {
  readonly store: SharedStore
  readonly limits: SharedTierLimits
  readonly keys: ValueOptions["keys"]
  /** The clock of entries, monotonic. */
  readonly nowMs: () => number
  /** Milliseconds since 1970. */
  readonly wallMs: () => number
  /** For the log: what the store rejected with. */
  readonly failed?: (call: "find" | "put" | "remove", error: unknown) => void
}

export type RecallRequest = {
  readonly key: CacheKey
  /** Life of an entry under this key, from its query's start. */
  readonly ttlMs: number
  readonly waitMsMax: number
  readonly signal: AbortSignal
}

/** An entry as it came back, in the terms of this process's clock. */
export type Recalled = {
  readonly result: StoredResult
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly warehouseMs: number
}

export type Recall =
  | { readonly kind: "hit"; readonly recalled: Recalled }
  /** Not there: the caller runs, and must settle the flight. */
  | { readonly kind: "run"; readonly flight: SharedFlight }
  /** Another instance still runs it after `waitMsMax`. */
  | { readonly kind: "waited_out"; readonly flight: SharedFlight }

/** The first pause before an unfinished run is looked at again, and the longest; each is half as long again as the last. */
const pollMsMin = 4
const pollMsMax = 100

/** After a run that could not be shared, followers do not wait for one another for so long. */
const aloneMs = 2_000

/** Beside its rows, what an envelope holds at most: material, description, notices. */
const envelopeExtraBytes = 1024 * 1024

/**
 * Results that all instances of a fleet share, behind the memory of each.
 *
 * **Why it cannot give a wrong row.** A value is found under the digest of a key that holds the token vector, and is used
 * only if its full key material is the asker's. Nothing is deleted for correctness. Whoever gets an old value here asked with
 * the tokens of before, and so began to ask before the invalidation was acknowledged.
 *
 * **Age.** An envelope tells its creation by the writer's wall clock; the store itself counts down what the writer gave it
 * to live. The shorter one holds, so that neither a skewed clock nor a store that was put back to an earlier state prolongs
 * a life alone. A creation further ahead than `clockSkewMsMax` is a miss.
 *
 * **Failure.** Whatever goes wrong is a miss and a counter; after some failures in a row the circuit opens and nobody asks
 * for a while. A run's failure is never stored; it only tells followers on other instances to run by themselves.
 */
export class SharedTier {
  readonly counters: SharedCounters = newCounters()
  readonly circuit: Circuit
  readonly #options: SharedTierOptions
  readonly #value: ValueOptions
  readonly #instance = randomBytes(8).toString("hex")
  #claims = 0
  #waiters = 0
  #storeBytes = 0

  constructor(options: SharedTierOptions) {
    this.#options = options
    this.circuit = new Circuit(options.limits.circuit, options.nowMs)
    this.#value = {
      keys: options.keys,
      envelopeBytesMax: options.limits.entryBytesMax + envelopeExtraBytes,
    }
  }

  /** Bytes on their way to the store, unpacked. */
  get storeBytes(): number {
    return this.#storeBytes
  }

  /** Runs of other instances that are waited for now. */
  get waiters(): number {
    return this.#waiters
  }

  /** Never rejects. Takes one round trip, or as long as another instance's run, at most `waitMsMax`. */
  async recall(request: RecallRequest): Promise<Recall> {
    const { key } = request
    const owner = this.#newOwner()
    let found = await this.#find(key, owner)
    let wait: WaitResult | undefined
    if (found?.kind === "busy") {
      ;({ found, wait } = await this.#waitFor(request, owner))
    }
    if (found?.kind === "value") {
      const recalled = await this.#open(found, request)
      if (wait !== undefined) this.counters.waits[recalled === undefined ? "alone" : wait] += 1
      if (recalled !== undefined) return { kind: "hit", recalled }
      return { kind: "run", flight: this.unclaimed(key) }
    }
    if (wait !== undefined) this.counters.waits[wait] += 1
    this.#count(found === undefined ? undefined : "miss")
    if (wait === "timeout") return { kind: "waited_out", flight: this.unclaimed(key) }
    // A claim whose answer did not come may have been made all the same: then it is given up by its owner's name.
    if (found === undefined || found.kind === "leading")
      return { kind: "run", flight: this.#claimed(key, owner) }
    return { kind: "run", flight: this.unclaimed(key) }
  }

  /** A run that nobody waits for, but whose result is shared. */
  unclaimed(key: CacheKey): SharedFlight {
    return this.#flight(key, this.#newOwner(), undefined)
  }

  /** Takes the value away; returns at once. While the store cannot be asked it stays until its life ends. */
  drop(key: CacheKey): void {
    if (this.circuit.isOpen) return
    this.#options.store
      .remove(key.digest)
      .catch((thrown: unknown) => this.#options.failed?.("remove", thrown))
  }

  close(): void {
    this.#options.store.close()
  }

  #newOwner(): string {
    this.#claims += 1
    return `${this.#instance}-${this.#claims}`
  }

  #claimed(key: CacheKey, owner: string): SharedFlight {
    return this.#flight(key, owner, this.#options.limits.leaseMs / 3)
  }

  #flight(key: CacheKey, owner: string, extendMs: number | undefined): SharedFlight {
    const { store, limits } = this.#options
    const { leaseMs } = limits
    return new SharedFlight(
      {
        share: (entry) => void this.#share(entry, owner),
        leave: (isCancelled) => {
          if (extendMs === undefined || this.circuit.isOpen) return
          // Should it fail, the claim ends by itself.
          store.leave(key.digest, { owner, aloneMs: isCancelled ? 0 : aloneMs }).catch(() => {})
        },
        extend: () => store.extend(key.digest, { owner, leaseMs }),
      },
      extendMs,
    )
  }

  /** Undefined, and counted, when the store cannot be asked. */
  async #find(key: CacheKey, owner: string): Promise<Found | undefined> {
    if (!this.circuit.enter()) {
      this.#count("circuit_open")
      return undefined
    }
    const { store, limits } = this.#options
    try {
      const found = await store.find(key.digest, { owner, leaseMs: limits.leaseMs })
      this.circuit.succeeded()
      return found
    } catch (thrown) {
      this.#options.failed?.("find", thrown)
      this.#count(this.#failure(thrown))
      return undefined
    }
  }

  #failure(thrown: unknown): "timeout" | "error" {
    const isRefused = thrown instanceof SharedStoreError && thrown.kind === "refused"
    if (isRefused) this.circuit.succeeded()
    else this.circuit.failed()
    return isTimeout(thrown) ? "timeout" : "error"
  }

  async #waitFor(
    { key, waitMsMax, signal }: RecallRequest,
    owner: string,
  ): Promise<{ readonly found: Found | undefined; readonly wait: WaitResult }> {
    const { nowMs, limits } = this.#options
    const busy = { kind: "busy" } as const
    if (this.#waiters >= limits.waitersMax) return { found: busy, wait: "crowded" }
    const deadlineMs = nowMs() + waitMsMax
    this.#waiters += 1
    try {
      for (let pauseMs = pollMsMin; ; pauseMs = Math.min(pauseMs * 1.5, pollMsMax)) {
        const leftMs = deadlineMs - nowMs()
        if (leftMs <= 0) return { found: busy, wait: "timeout" }
        await sleep(Math.min(pauseMs, leftMs), undefined, { signal })
        const found = await this.#find(key, owner)
        if (found?.kind === "busy") continue
        return { found, wait: waitResults[found?.kind ?? "alone"] }
      }
    } catch {
      // The client has gone; whoever runs next sees it by the signal.
      return { found: busy, wait: "left" }
    } finally {
      this.#waiters -= 1
    }
  }

  async #open(
    found: Extract<Found, { kind: "value" }>,
    { key, ttlMs }: RecallRequest,
  ): Promise<Recalled | undefined> {
    const { value, ttlMs: storeTtlMs } = found
    const { nowMs, wallMs, limits } = this.#options
    this.counters.readBytes += value.length
    const digest = Buffer.from(key.digest, "hex")
    const opened = await openValue(value, { material: key.material, digest }, this.#value)
    if (opened.kind === "refused") {
      this.#count(opened.reason)
      return undefined
    }
    const { createdWallMs, warehouseMs, result } = opened.envelope
    const ageMs = wallMs() - createdWallMs
    if (ageMs < -limits.clockSkewMsMax) {
      this.#count("from_future")
      return undefined
    }
    const leftMs = Math.min(ttlMs - Math.max(0, ageMs), storeTtlMs)
    if (leftMs <= 0) {
      this.#count("expired")
      return undefined
    }
    this.#count("hit")
    this.counters.savedMs += warehouseMs
    const now = nowMs()
    return {
      result,
      createdAtMs: now - Math.max(0, ageMs),
      expiresAtMs: now + leftMs,
      warehouseMs,
    }
  }

  async #share(entry: StoredEntry, owner: string): Promise<void> {
    const result = await this.#store(entry, owner)
    this.counters.stores[result] += 1
    if (result === "stored" || result === "circuit_open") return
    const { store } = this.#options
    store.leave(entry.key.digest, { owner, aloneMs }).catch(() => {})
  }

  async #store(entry: StoredEntry, owner: string): Promise<StoreResult> {
    const { limits, nowMs, wallMs, store } = this.#options
    const { key, result, warehouseMs } = entry
    if (result.byteCount > limits.entryBytesMax) return "too_large"
    if (warehouseMs < limits.warehouseMsMin) return "not_worth_it"
    const bytes = entry.bytes
    if (this.#storeBytes + bytes > limits.storeBytesInFlightMax) return "busy"
    if (this.circuit.isOpen) return "circuit_open"
    this.#storeBytes += bytes
    try {
      const createdWallMs = wallMs() - (nowMs() - entry.createdAtMs)
      const envelope = { material: key.material, createdWallMs, warehouseMs, result }
      const value = await packValue(envelope, Buffer.from(key.digest, "hex"), this.#value)
      const ttlMs = Math.floor(entry.expiresAtMs - nowMs())
      if (ttlMs < 1) return "expired"
      await store.put(key.digest, value, { ttlMs, owner })
      this.counters.writtenBytes += value.length
      return "stored"
    } catch (thrown) {
      this.#options.failed?.("put", thrown)
      // Only look-ups move the circuit: a large value may be slow on a line that is good for small ones.
      return isTimeout(thrown) ? "timeout" : "error"
    } finally {
      this.#storeBytes -= bytes
    }
  }

  #count(result: RequestResult | undefined): void {
    if (result !== undefined) this.counters.requests[result] += 1
  }
}

const waitResults: Readonly<Record<Exclude<Found["kind"], "busy">, WaitResult>> = {
  value: "served",
  leading: "led",
  alone: "alone",
}

function isTimeout(thrown: unknown): boolean {
  return thrown instanceof SharedStoreError && thrown.kind === "timeout"
}
