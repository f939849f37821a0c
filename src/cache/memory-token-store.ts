import { randomBytes } from "node:crypto"
import type { RelationName } from "../core/relation.ts"
import { storeClosed } from "./store-errors.ts"
import { TokenMap } from "./token-map.ts"
import { TokenSource } from "./token-source.ts"
import {
  laterFence,
  type RaiseOptions,
  type RaiseReceipt,
  type TokenStore,
  type TokenVector,
} from "./token-store.ts"

export type MemoryTokenStoreOptions = {
  /** Relations that may hold a token of their own; one more starts a new epoch. Default 100,000 (about 20 MB). */
  readonly tokensMax?: number
  readonly nowMs?: () => number
  /** Monotonic: the clock of soft windows. */
  readonly clockMs?: () => number
  /** Part of every token; random unless given. */
  readonly instance?: string
}

const tokensMaxDefault = 100_000

/** Tokens of a single instance without Redis. They die with the process, as the memory tier does that they guard. */
export class MemoryTokenStore implements TokenStore {
  readonly #map = new TokenMap(newEpoch())
  readonly #tokensMax: number
  readonly #source: TokenSource
  readonly #nowMs: () => number
  readonly #clockMs: () => number
  #latestFence: string | undefined
  #overflowCount = 0
  #epochCount = 0
  #isClosed = false

  constructor(options: MemoryTokenStoreOptions = {}) {
    this.#tokensMax = options.tokensMax ?? tokensMaxDefault
    this.#nowMs = options.nowMs ?? Date.now
    this.#clockMs = options.clockMs ?? (() => performance.now())
    this.#source = new TokenSource(this.#nowMs, options.instance)
  }

  get revision(): number {
    return this.#map.revision
  }

  get epochCount(): number {
    return this.#epochCount
  }

  /** A single instance trusts itself for ever. */
  get leaseExpiredCount(): number {
    return 0
  }

  /** How often `tokensMax` was exceeded, each time at the price of a cold cache. */
  get overflowCount(): number {
    return this.#overflowCount
  }

  isUsable(): boolean {
    return !this.#isClosed
  }

  vector(relations: readonly RelationName[]): TokenVector {
    return this.#map.vector(relations)
  }

  pastVectors(relations: readonly RelationName[]): readonly TokenVector[] {
    return this.#map.pastVectors(relations, this.#clockMs())
  }

  async raise(
    relations: readonly RelationName[],
    options: RaiseOptions = {},
  ): Promise<RaiseReceipt> {
    this.#throwIfClosed()
    this.#latestFence = laterFence(this.#latestFence, options.fence)
    const { maxStaleMs } = options
    const text = this.#source.next()
    for (const relation of new Set(relations)) {
      const fence = laterFence(this.#map.get(relation)?.fence, options.fence)
      const past =
        maxStaleMs === undefined
          ? undefined
          : this.#map.pastOf(relation, this.#clockMs() + maxStaleMs)
      this.#map.set(relation, { text, fence, ...(past === undefined ? {} : { past }) })
    }
    if (this.#map.size > this.#tokensMax) {
      this.#overflowCount += 1
      this.#startEpoch()
    }
    return this.#receipt()
  }

  async renewEpoch(options: RaiseOptions = {}): Promise<RaiseReceipt> {
    this.#throwIfClosed()
    this.#latestFence = laterFence(this.#latestFence, options.fence)
    this.#startEpoch()
    return this.#receipt()
  }

  knows(relation: RelationName): boolean {
    return this.#map.get(relation) !== undefined
  }

  relations(): Iterable<RelationName> {
    return this.#map.relations()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#map.touch()
  }

  #startEpoch(): void {
    this.#epochCount += 1
    this.#map.startEpoch(newEpoch(), this.#latestFence)
  }

  #receipt(): RaiseReceipt {
    this.#map.touch()
    const instances = { known: 1, confirmed: 1, leaseExpired: 0 }
    return {
      id: `inv_${this.#source.next()}`,
      appliedAtMs: this.#nowMs(),
      progress: () => instances,
      settled: Promise.resolve(instances),
    }
  }

  #throwIfClosed(): void {
    if (this.#isClosed) throw storeClosed()
  }
}

function newEpoch(): string {
  return randomBytes(16).toString("hex")
}
