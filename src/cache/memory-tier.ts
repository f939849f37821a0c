import { LRUCache } from "lru-cache"
import type { RelationName } from "../core/relation.ts"
import type { CacheKey } from "./key.ts"
import { RelationIndex } from "./relation-index.ts"
import type { StoredEntry } from "./stored-entry.ts"

export type MemoryTierLimits = {
  /** All entries together, with their keys and objects. */
  readonly memoryBytesMax: number
  /** One entry. */
  readonly entryBytesMax: number
  /** Slots are allocated in advance at about 30 bytes each. */
  readonly entriesMax: number
}

/** Why an entry left. */
export type EvictionReason = "capacity" | "replaced" | "expired" | "invalidated"

/** Why an entry was not taken. */
export type RefusalReason = "too_large" | "not_worth_it" | "expired"

/** Counters since start, for metrics. Read them; only the tier writes. */
export type MemoryTierCounters = {
  hits: number
  /** Warehouse time that the hits would have cost. */
  savedMs: number
  misses: number
  /** Found by digest, but of other material; counted as misses too. */
  collisions: number
  stored: number
  readonly evictions: Record<EvictionReason, number>
  readonly refusals: Record<RefusalReason, number>
}

/** An entry in the tier. `worthMs` is what an entry that wants its place has to outbid. */
type Slot = { readonly entry: StoredEntry; worthMs: number; hits: number }

/** Least worth of any entry, so that the walk over those to be evicted is bounded: a newcomer of n ms looks at n of them. */
const worthMsMin = 1

/** However costly a newcomer was, it evicts at most this many others. */
const victimsMax = 4096

/** Entries removed in one go after an invalidation, 2 to 20 µs each. The rest follows in later turns of the event loop. */
const sweepEntriesMax = 100

/**
 * Results in the memory of this process, least recently used first to go, bounded by bytes.
 *
 * Entries are found by digest and compared by full key material, so that a collision cannot mix two of them. Nothing here decides
 * freshness: tokens are part of the material, and `forget` only frees what can no longer be found.
 *
 * **Admission** weighs cost against bytes. While there is room, everything is taken. Under pressure a newcomer must have
 * cost the warehouse at least as many milliseconds as all entries together that it would push out, so one large cheap
 * result does not displace many small costly ones. An entry that wins such a comparison loses half of its worth, and a hit
 * gives it back: what nobody asks for any more yields after a few attempts, however costly it once was.
 */
export class MemoryTier {
  readonly counters: MemoryTierCounters = {
    hits: 0,
    savedMs: 0,
    misses: 0,
    collisions: 0,
    stored: 0,
    evictions: { capacity: 0, replaced: 0, expired: 0, invalidated: 0 },
    refusals: { too_large: 0, not_worth_it: 0, expired: 0 },
  }
  readonly #limits: MemoryTierLimits
  readonly #slots: LRUCache<string, Slot>
  readonly #index = new RelationIndex<Slot>()
  readonly #condemned: Set<Slot>[] = []
  /** Why `delete` is being called; read by the dispose handler. */
  #deletionReason: EvictionReason = "expired"
  #sweep: NodeJS.Immediate | undefined

  constructor(limits: MemoryTierLimits) {
    this.#limits = limits
    this.#slots = new LRUCache<string, Slot>({
      max: limits.entriesMax,
      maxSize: limits.memoryBytesMax,
      sizeCalculation: (slot) => slot.entry.bytes,
      dispose: (slot, _lookup, reason) => this.#disposed(slot, reason),
    })
  }

  get bytes(): number {
    return this.#slots.calculatedSize
  }

  get entries(): number {
    return this.#slots.size
  }

  /** The entry under exactly this key, if it has not expired. `nowMs` is of the clock that entries were made with. */
  get(key: CacheKey, nowMs: number): StoredEntry | undefined {
    const slot = this.#slots.get(key.lookup)
    if (slot === undefined) {
      this.counters.misses += 1
      return undefined
    }
    if (!slot.entry.key.equals(key)) {
      this.counters.collisions += 1
      this.counters.misses += 1
      return undefined
    }
    if (nowMs >= slot.entry.expiresAtMs) {
      if (nowMs >= slot.entry.keepUntilMs) this.#delete(slot, "expired")
      this.counters.misses += 1
      return undefined
    }
    slot.worthMs = worthOf(slot.entry)
    slot.hits += 1
    this.counters.hits += 1
    this.counters.savedMs += slot.entry.warehouseMs
    return slot.entry
  }

  /**
   * The entry under exactly this key that is still kept, expired or not. Whether its age allows to serve it is the caller's to
   * decide; it is counted as nothing here.
   */
  kept(key: CacheKey, nowMs: number): StoredEntry | undefined {
    const entry = this.#slots.get(key.lookup)?.entry
    return entry?.key.equals(key) && nowMs < entry.keepUntilMs ? entry : undefined
  }

  /** Hits of this very entry so far; 0 for one that is not here. */
  hitsOf(entry: StoredEntry): number {
    const slot = this.#slots.peek(entry.key.lookup)
    return slot?.entry === entry ? slot.hits : 0
  }

  /** Takes the entry, or says why not. Entries pushed out by it are gone when this returns. */
  set(entry: StoredEntry, nowMs: number): RefusalReason | undefined {
    const refusal = this.#refusal(entry, nowMs)
    if (refusal !== undefined) {
      this.counters.refusals[refusal] += 1
      return refusal
    }
    const slot = { entry, worthMs: worthOf(entry), hits: 0 }
    this.#slots.set(entry.key.lookup, slot)
    this.#index.add(slot, entry.relations)
    this.counters.stored += 1
    return undefined
  }

  /** Takes this very entry away; false when it has gone already, or another stands in its place. */
  drop(entry: StoredEntry): boolean {
    const slot = this.#slots.peek(entry.key.lookup)
    if (slot?.entry !== entry) return false
    this.#delete(slot, "invalidated")
    return true
  }

  /** Live entries that depend on at least one of the relations. */
  countOf(relations: readonly RelationName[]): number {
    return this.#index.countOf(relations)
  }

  /**
   * Frees the entries that depend on these relations, after their tokens were raised, and returns how many there were. They
   * are no longer counted when this returns; their memory is given back within a few turns of the event loop.
   */
  forget(relations: readonly RelationName[]): number {
    const count = this.#index.countOf(relations)
    for (const relation of relations) {
      const slots = this.#index.detach(relation)
      if (slots !== undefined) this.#condemned.push(slots)
    }
    this.#sweepSome()
    return count
  }

  clear(): void {
    this.#deletionReason = "invalidated"
    this.#slots.clear()
    this.#condemned.length = 0
  }

  close(): void {
    if (this.#sweep !== undefined) clearImmediate(this.#sweep)
    this.clear()
  }

  #refusal(entry: StoredEntry, nowMs: number): RefusalReason | undefined {
    if (nowMs >= entry.expiresAtMs) return "expired"
    const { entryBytesMax, memoryBytesMax } = this.#limits
    if (entry.bytes > Math.min(entryBytesMax, memoryBytesMax)) return "too_large"
    if (this.#slots.has(entry.key.lookup)) return undefined
    return this.#outbids(entry, nowMs) ? undefined : "not_worth_it"
  }

  #outbids(entry: StoredEntry, nowMs: number): boolean {
    let missingBytes = this.#slots.calculatedSize + entry.bytes - this.#limits.memoryBytesMax
    let missingSlots = this.#slots.size + 1 - this.#limits.entriesMax
    if (missingBytes <= 0 && missingSlots <= 0) return true
    let budgetMs = worthOf(entry)
    const victims: Slot[] = []
    for (const slot of this.#slots.rvalues()) {
      if (slot === undefined) continue
      victims.push(slot)
      budgetMs -= nowMs >= slot.entry.expiresAtMs ? 0 : slot.worthMs
      if (budgetMs < 0 || victims.length > victimsMax) break
      missingBytes -= slot.entry.bytes
      missingSlots -= 1
      if (missingBytes <= 0 && missingSlots <= 0) return true
    }
    for (const slot of victims) slot.worthMs /= 2
    return false
  }

  #sweepSome(): void {
    if (this.#sweep !== undefined) clearImmediate(this.#sweep)
    this.#sweep = undefined
    let left = sweepEntriesMax
    for (let slots = this.#condemned.at(-1); slots !== undefined; slots = this.#condemned.at(-1)) {
      for (const slot of slots) {
        if (left === 0) {
          this.#sweep = setImmediate(() => this.#sweepSome())
          return
        }
        left -= 1
        slots.delete(slot)
        this.#delete(slot, "invalidated")
      }
      this.#condemned.pop()
    }
  }

  #delete(slot: Slot, reason: EvictionReason): void {
    const { lookup } = slot.entry.key
    if (this.#slots.peek(lookup) !== slot) return
    this.#deletionReason = reason
    this.#slots.delete(lookup)
  }

  #disposed(slot: Slot, reason: LRUCache.DisposeReason): void {
    this.#index.remove(slot, slot.entry.relations)
    if (reason === "evict") this.counters.evictions.capacity += 1
    else if (reason === "set") this.counters.evictions.replaced += 1
    else this.counters.evictions[this.#deletionReason] += 1
  }
}

function worthOf(entry: StoredEntry): number {
  return Math.max(worthMsMin, entry.warehouseMs)
}
