import type { RelationName } from "../core/relation.ts"
import { lengthDelimited } from "./length-delimited.ts"
import { type PastToken, pastAfter, pastVectors, type Token } from "./soft-window.ts"
import { type TokenVector, unprovableFence } from "./token-store.ts"

type Memo = { readonly revision: number; readonly vector: TokenVector }

/** Stands for the token of a relation that was never raised in this epoch. No real token is empty. */
const baseToken = ""

/**
 * The tokens of one epoch as an instance holds them, and the vectors made of them. It decides nothing: when a token
 * changes, and whether it may be trusted, is the store's business.
 */
export class TokenMap {
  readonly #tokens = new Map<RelationName, Token>()
  /** By identity of the list: a statement's plan keeps one, and asks with it at every execution. */
  readonly #vectors = new WeakMap<readonly RelationName[], Memo>()
  #epoch: string
  /** What all relations of this epoch must wait for: the latest fence of the epochs before. */
  #epochFence: string | undefined
  #revision = 0
  /** No window of this epoch is open after it. */
  #pastUntilMs = Number.NEGATIVE_INFINITY

  constructor(epoch: string) {
    this.#epoch = epoch
  }

  get revision(): number {
    return this.#revision
  }

  get epoch(): string {
    return this.#epoch
  }

  get size(): number {
    return this.#tokens.size
  }

  get(relation: RelationName): Token | undefined {
    return this.#tokens.get(relation)
  }

  relations(): Iterable<RelationName> {
    return this.#tokens.keys()
  }

  /** Vectors made before are made anew from here on. */
  touch(): void {
    this.#revision += 1
  }

  set(relation: RelationName, token: Token): void {
    this.#tokens.set(relation, token)
    const [latest] = token.past ?? []
    if (latest !== undefined) this.#pastUntilMs = Math.max(this.#pastUntilMs, latest.untilMs)
    this.#revision += 1
  }

  startEpoch(epoch: string, fence: string | undefined): void {
    this.#epoch = epoch
    this.#epochFence = fence
    this.#tokens.clear()
    this.#pastUntilMs = Number.NEGATIVE_INFINITY
    this.#revision += 1
  }

  /** What a token must remember that replaces the relation's softly. */
  pastOf(relation: RelationName, untilMs: number): readonly PastToken[] {
    return pastAfter(this.#tokens.get(relation), baseToken, untilMs)
  }

  /** TokenStore.pastVectors. */
  pastVectors(relations: readonly RelationName[], nowMs: number): readonly TokenVector[] {
    if (nowMs >= this.#pastUntilMs) return noVectors
    const epoch = this.#epoch
    const texts = pastVectors(sortedOnce(relations), this.#tokens, {
      epoch,
      baseText: baseToken,
      nowMs,
    })
    return texts.map((text) => ({ text, epoch, fences: [unprovableFence] }))
  }

  /** A fence that is known better now. */
  setEpochFence(fence: string | undefined): void {
    if (fence === this.#epochFence) return
    this.#epochFence = fence
    this.#revision += 1
  }

  vector(relations: readonly RelationName[]): TokenVector {
    const last = this.#vectors.get(relations)
    if (last?.revision === this.#revision) return last.vector
    const vector = this.#makeVector(relations)
    this.#vectors.set(relations, { revision: this.#revision, vector })
    return vector
  }

  #makeVector(relations: readonly RelationName[]): TokenVector {
    const sorted = sortedOnce(relations)
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
}

const noVectors: readonly TokenVector[] = []

function sortedOnce(relations: readonly RelationName[]): readonly RelationName[] {
  return relations.length < 2 ? relations : [...new Set(relations)].toSorted()
}
