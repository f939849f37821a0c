import type { RelationName } from "../core/relation.ts"
import { relationMatchesGlob } from "./glob.ts"

/** Relations whose `schema.name` matches `pattern` may be served for `ttlMs`; 0 = never cached. */
export type TtlClass = {
  readonly pattern: string
  readonly ttlMs: number
  /** now() may be the start of a bucket of this length; 0 = never, undefined = whatever holds without a class. */
  readonly timeBucketMs?: number | undefined
  /** After that, for so long while one run makes it anew. Left out = 0. */
  readonly staleWhileRevalidateMs?: number
  /** After that, for so long while the warehouse cannot be reached. Left out = 0. */
  readonly staleIfErrorMs?: number
}

type Figure = "ttlMs" | "staleWhileRevalidateMs" | "staleIfErrorMs"

/** Expiry is spread over the last tenth of the TTL, so that entries filled together do not expire together. */
const jitterShareMax = 0.1

/** Relations whose class is remembered; the memo starts anew above it. */
const memoEntriesMax = 10_000

/** The TTL of an entry is the least one among the relations it depends on. The first class that matches a relation counts. */
export class TtlClasses {
  readonly #classes: readonly TtlClass[]
  readonly #default: TtlClass
  readonly #memo = new Map<RelationName, TtlClass>()

  constructor(classes: readonly TtlClass[], defaultTtlMs: number) {
    this.#classes = classes
    this.#default = { pattern: "", ttlMs: defaultTtlMs }
  }

  /** 0 means: do not cache (`ttl_zero`). An entry without relations gets the default. */
  ttlMs(relations: readonly RelationName[]): number {
    return this.#least(relations, "ttlMs")
  }

  /** Time past the TTL in which an entry may be served while it is made anew; the least one of its relations. */
  staleWhileRevalidateMs(relations: readonly RelationName[]): number {
    return this.#least(relations, "staleWhileRevalidateMs")
  }

  /** Time past the TTL in which an entry may be served when the warehouse cannot be reached. */
  staleIfErrorMs(relations: readonly RelationName[]): number {
    return this.#least(relations, "staleIfErrorMs")
  }

  /** Time past the TTL in which an entry may be of use. */
  keepMs(relations: readonly RelationName[]): number {
    return Math.max(this.staleWhileRevalidateMs(relations), this.staleIfErrorMs(relations))
  }

  /** Pattern of the class that decides `ttlMs`; undefined when the default does. */
  decidingPattern(relations: readonly RelationName[]): string | undefined {
    const leastMs = this.ttlMs(relations)
    const deciding = relations.find((relation) => this.#classOf(relation).ttlMs === leastMs)
    if (deciding === undefined) return undefined
    const found = this.#classOf(deciding)
    return found === this.#default ? undefined : found.pattern
  }

  /** The least time bucket of all relations; `otherwiseMs` for those whose class names none. 0 means: now() stays what it is. */
  timeBucketMs(relations: readonly RelationName[], otherwiseMs: number): number {
    if (relations.length === 0) return otherwiseMs
    const buckets = relations.map((relation) => this.#classOf(relation).timeBucketMs ?? otherwiseMs)
    return Math.min(...buckets)
  }

  #least(relations: readonly RelationName[], figure: Figure): number {
    let leastMs = Number.POSITIVE_INFINITY
    for (const relation of relations)
      leastMs = Math.min(leastMs, this.#classOf(relation)[figure] ?? 0)
    return leastMs === Number.POSITIVE_INFINITY ? (this.#default[figure] ?? 0) : leastMs
  }

  #classOf(relation: RelationName): TtlClass {
    const known = this.#memo.get(relation)
    if (known !== undefined) return known
    const found =
      this.#classes.find((item) => relationMatchesGlob(item.pattern, relation)) ?? this.#default
    if (this.#memo.size >= memoEntriesMax) this.#memo.clear()
    this.#memo.set(relation, found)
    return found
  }
}

/**
 * The TTL less a share of up to 10 % that follows from the key's digest: the same on every instance, and never more than was
 * promised.
 */
export function jitteredTtlMs(ttlMs: number, digest: string): number {
  const share = Number.parseInt(digest.slice(0, 8), 16) / 0x1_0000_0000
  return ttlMs * (1 - jitterShareMax * share)
}
