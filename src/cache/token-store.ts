import { latestPosition } from "../core/position.ts"
import type { RelationName } from "../core/relation.ts"

/**
 * The data versions that one read depends on, taken before an endpoint is chosen and before the query runs
 * (docs/ARCHITECTURE.md, invalidation): a result is stored under the vector that was captured first, so an invalidation
 * that arrives meanwhile leaves it under a key nobody asks for any more.
 */
export type TokenVector = {
  /** Epoch and the sorted (relation, token) pairs in a length-delimited spelling: equal texts mean equal vectors. */
  readonly text: string
  /** Random; a new one makes everything cold. */
  readonly epoch: string
  /** Positions a replica must have replayed before it may answer for this vector; empty = any. */
  readonly fences: readonly string[]
}

/** How far an invalidation has come among the instances. */
export type InstanceCount = {
  readonly known: number
  readonly confirmed: number
  readonly leaseExpired: number
}

export type RaiseReceipt = {
  /** Unique and time-ordered: `inv_...`. */
  readonly id: string
  /** Wall clock, milliseconds since 1970. */
  readonly appliedAtMs: number
  /** How far it has come by now. */
  progress(): InstanceCount
  /**
   * Resolves when no instance can hand out a vector with an older token: each has confirmed, or its lease is over. That takes a
   * lease at most. Rejects only when the store is closed before.
   */
  readonly settled: Promise<InstanceCount>
}

export type RaiseOptions = {
  /** The primary's WAL insert position, read before the call; a replica below it still shows the old rows. */
  readonly fence?: string | undefined
  /**
   * Soft: entries under the tokens that are replaced may be served for so long, counted from the raise. Undefined = hard, which also ends
   * what earlier soft raises allowed.
   */
  readonly maxStaleMs?: number | undefined
}

/**
 * Keeps one unique monotone token per relation and one epoch. Tokens are never reused, not after a restart and not after a
 * wall clock that went backwards, because an entry is found by the tokens it was stored under.
 */
export interface TokenStore {
  /** Changes whenever a token or the epoch changes. Callers memoise vectors on it. */
  readonly revision: number
  /** True while this instance may trust the tokens it holds. When false, reads bypass every cache. Checked when serving. */
  isUsable(): boolean
  /**
   * The vector over these relations; their order and repetitions do not matter. Synchronous: the map is held in memory. The
   * list must not be changed afterwards, because vectors are memoised by it.
   */
  vector(relations: readonly RelationName[]): TokenVector
  /**
   * The vectors in force before soft raises whose time is not over, newest first; mostly none. An entry under one of them may be
   * served, marked as stale, in the same turn of the event loop; nothing may be stored under it. Ask `isUsable` first.
   */
  pastVectors(relations: readonly RelationName[]): readonly TokenVector[]
  /**
   * Gives each relation a new token. Resolves when the tokens are durable; once the receipt has settled, no vector that any
   * instance hands out holds an older one. Rejects with a GatewayError when they could not be made durable, or when that is
   * not known; then the caller must not acknowledge, and may repeat.
   */
  raise(relations: readonly RelationName[], options?: RaiseOptions): Promise<RaiseReceipt>
  /** Starts a new epoch: every relation, named or not, is cold. Resolves as `raise` does. */
  renewEpoch(options?: RaiseOptions): Promise<RaiseReceipt>
  /** True when the relation has had a token of its own in this epoch. */
  knows(relation: RelationName): boolean
  /** Relations with a token of their own in this epoch. */
  relations(): Iterable<RelationName>
  /** Epochs begun since the start: times that everything became cold. */
  readonly epochCount: number
  /** Times that the lease ran out: reads bypassed every cache until Redis was heard again. */
  readonly leaseExpiredCount: number
  /** `isUsable` is false for good and `raise` rejects at once; resolves when no other instance waits for this one any more. */
  close(): Promise<void>
}

/** A fence that no replica ever satisfies: the primary must answer. */
export const unprovableFence = "unprovable"

/** The later one of two fences. Two of which one is no position cannot be ordered: only the primary is certain to satisfy both. */
export function laterFence(
  left: string | undefined,
  right: string | undefined,
): string | undefined {
  if (left === undefined || left === right) return right
  if (right === undefined) return left
  return latestPosition([left, right]) ?? unprovableFence
}
