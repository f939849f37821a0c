import { randomBytes } from "node:crypto"
import { GatewayError } from "../core/errors.ts"
import type { RelationName } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import { lengthDelimited } from "./length-delimited.ts"
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
  /** Part of every token; random unless given. */
  readonly instance?: string
}

type Memo = { readonly revision: number; readonly vector: TokenVector }

type Token = { readonly text: string; readonly fence: string | undefined }

const tokensMaxDefault = 100_000

/** Stands for the token of a relation that was never raised in this epoch. No real token is empty. */
const baseToken = ""

/** Tokens of a single instance without Redis. They die with the process, as the memory tier does that they guard. */
export class MemoryTokenStore implements TokenStore {
  readonly #tokens = new Map<RelationName, Token>()
  /** By identity of the list: a statement's plan keeps one, and asks with it at every execution. */
  readonly #vectors = new WeakMap<readonly RelationName[], Memo>()
  readonly #tokensMax: number
  readonly #source: TokenSource
  readonly #nowMs: () => number
  #epoch = newEpoch()
  /** What all relations of this epoch must wait for: the latest fence of the epochs before. */
  #epochFence: string | undefined
  #latestFence: string | undefined
  #revision = 0
  #overflowCount = 0
  #epochCount = 0
  #isClosed = false

  constructor(options: MemoryTokenStoreOptions = {}) {
    this.#tokensMax = options.tokensMax ?? tokensMaxDefault
    this.#nowMs = options.nowMs ?? Date.now
    this.#source = new TokenSource(this.#nowMs, options.instance)
  }

  get revision(): number {
    return this.#revision
  }

  /** Epochs begun since the start: times that everything became cold. */
  get epochCount(): number {
    return this.#epochCount
  }

  /** How often `tokensMax` was exceeded, each time at the price of a cold cache. */
  get overflowCount(): number {
    return this.#overflowCount
  }

  isUsable(): boolean {
    return !this.#isClosed
  }

  vector(relations: readonly RelationName[]): TokenVector {
    const last = this.#vectors.get(relations)
    if (last?.revision === this.#revision) return last.vector
    const vector = this.#makeVector(relations)
    this.#vectors.set(relations, { revision: this.#revision, vector })
    return vector
  }

  async raise(
    relations: readonly RelationName[],
    options: RaiseOptions = {},
  ): Promise<RaiseReceipt> {
    this.#throwIfClosed()
    this.#latestFence = laterFence(this.#latestFence, options.fence)
    for (const relation of relations) {
      const before = this.#tokens.get(relation)
      const fence = laterFence(before?.fence, options.fence)
      this.#tokens.set(relation, { text: this.#source.next(), fence })
    }
    if (this.#tokens.size > this.#tokensMax) {
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
    return this.#tokens.has(relation)
  }

  relations(): Iterable<RelationName> {
    return this.#tokens.keys()
  }

  close(): void {
    this.#isClosed = true
    this.#revision += 1
  }

  #makeVector(relations: readonly RelationName[]): TokenVector {
    const sorted = relations.length < 2 ? relations : [...new Set(relations)].toSorted()
    let text = lengthDelimited(this.#epoch)
    const fences = new Set<string>()
    if (this.#epochFence !== undefined) fences.add(this.#epochFence)
    for (const relation of sorted) {
      const token = this.#tokens.get(relation)
      text += lengthDelimited(relation) + lengthDelimited(token?.text ?? baseToken)
      if (token?.fence !== undefined) fences.add(token.fence)
    }
    return { text, epoch: this.#epoch, fences: [...fences] }
  }

  #startEpoch(): void {
    this.#epochCount += 1
    this.#epoch = newEpoch()
    this.#epochFence = this.#latestFence
    this.#tokens.clear()
  }

  #receipt(): RaiseReceipt {
    this.#revision += 1
    return {
      id: `inv_${this.#source.next()}`,
      appliedAtMs: this.#nowMs(),
      instances: { known: 1, confirmed: 1, leaseExpired: 0 },
    }
  }

  #throwIfClosed(): void {
    if (!this.#isClosed) return
    throw new GatewayError({
      sqlState: SqlState.AdminShutdown,
      reason: "draining",
      message: "the gateway is shutting down; the invalidation was not applied",
      safeToRetry: true,
    })
  }
}

function newEpoch(): string {
  return randomBytes(16).toString("hex")
}
