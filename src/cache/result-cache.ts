import type { FillSkipReason } from "../core/observation.ts"
import type { RelationName } from "../core/relation.ts"
import type { RowStream, StoredResult } from "../core/result.ts"
import { FillBudget } from "./fill-budget.ts"
import type { CacheKey } from "./key.ts"
import { leadFill } from "./lead-fill.ts"
import { MemoryTier, type MemoryTierLimits, type RefusalReason } from "./memory-tier.ts"
import { isSameResult } from "./same-result.ts"
import type { SharedFlight } from "./shared/shared-flight.ts"
import type { SharedTier } from "./shared/shared-tier.ts"
import {
  type LeaderSeat,
  type Seat,
  SingleFlight,
  type SingleFlightLimits,
} from "./single-flight.ts"
import { entryBytes, packResult, type StoredEntry } from "./stored-entry.ts"
import type { TokenStore, TokenVector } from "./token-store.ts"
import { jitteredTtlMs, type TtlClasses } from "./ttl-classes.ts"

export type ResultCacheOptions = {
  readonly memory: MemoryTierLimits
  readonly flights: SingleFlightLimits
  /** Results being gathered, all fills together. */
  readonly fillBytesMax: number
  readonly tokens: TokenStore
  readonly ttl: TtlClasses
  /** CommandComplete as a whole message for a tag: wire/ knows it, this room does not. */
  readonly commandComplete: (tag: string) => Buffer
  /** Milliseconds of one monotonic clock, the same for every time handed in here. */
  readonly nowMs: () => number
  readonly events?: ResultCacheEvents
  /** What all instances share; undefined for one that is alone. */
  readonly shared?: SharedTier | undefined
}

/** For metrics. Called synchronously; must not throw. */
export type ResultCacheEvents = {
  filled(entry: StoredEntry): void
  skipped(reason: FillSkipReason): void
  refused(reason: RefusalReason): void
}

export type LeadRequest = {
  readonly key: CacheKey
  readonly seat: LeaderSeat
  /** The vector that is part of `key`, and the relations it was taken over. */
  readonly vector: TokenVector
  readonly relations: readonly RelationName[]
  /** When the vector was captured. */
  readonly capturedAtMs: number
  /** The leader's client: cancel, deadline, closed socket. */
  readonly signal: AbortSignal
  /** Must take its signal from here, not from the client: followers may need the run after the client has gone. */
  readonly run: (signal: AbortSignal) => Promise<RowStream>
  /** Asked once the rows have ended: true when a row limit cut them. */
  readonly wasCut?: () => boolean
  /** What the run makes anew: kept bytes are taken from it if they are the same, and it goes when the new entry comes. */
  readonly replaces?: StoredEntry | undefined
  /** The duty towards other instances that `recall` gave. */
  readonly flight?: SharedFlight | undefined
}

export type RecallRequest = Pick<LeadRequest, "key" | "seat" | "relations" | "signal"> & {
  /** Nothing older than this for the asker; Infinity = the TTL decides. */
  readonly ageMsMax: number
  /** Longest wait for another instance's run. */
  readonly waitMsMax: number
}

/** What the shared tier had for a leader. */
export type RecallOutcome =
  /** In memory now; the seat is settled. */
  | { readonly kind: "hit"; readonly entry: StoredEntry }
  /** The leader runs, and hands the flight to `lead`. */
  | { readonly kind: "run"; readonly flight: SharedFlight }
  /** Another instance's run took longer than `waitMsMax`; else as `run`. */
  | { readonly kind: "waited_out"; readonly flight: SharedFlight }

/**
 * The cache as the spine uses it: `lookup`, and on a miss `join`; the leader calls `lead`, followers wait on their seat.
 * The caller checks `tokens.isUsable()` and captures the vector before anything else, and makes the key from it.
 */
export class ResultCache {
  readonly memory: MemoryTier
  readonly flights: SingleFlight
  readonly budget: FillBudget
  readonly shared: SharedTier | undefined
  /** Refreshes that gave the bytes that were there: they are kept once, under the new key. */
  identicalCount = 0
  readonly #options: ResultCacheOptions

  constructor(options: ResultCacheOptions) {
    this.#options = options
    this.memory = new MemoryTier(options.memory)
    this.flights = new SingleFlight(options.flights)
    this.budget = new FillBudget(options.fillBytesMax)
    this.shared = options.shared
  }

  /** Synchronous, well below a microsecond; what it returns may be sent as it is. */
  lookup(key: CacheKey): StoredEntry | undefined {
    return this.memory.get(key, this.#options.nowMs())
  }

  join(key: CacheKey): Seat {
    return this.flights.join(key)
  }

  /** Asks the shared tier in a leader's name. Never rejects; the seat is left unsettled but for a hit. */
  async recall(shared: SharedTier, request: RecallRequest): Promise<RecallOutcome> {
    const { key, seat, relations, ageMsMax, signal, waitMsMax } = request
    const { nowMs, ttl } = this.#options
    const ttlMs = Math.min(jitteredTtlMs(ttl.ttlMs(relations), key.digest), ageMsMax)
    const recall = await shared.recall({ key, ttlMs, waitMsMax, signal })
    if (recall.kind !== "hit") return recall
    const { result, ...times } = recall.recalled
    const entry = this.#made(request, this.#packed(result), times)
    // Whether memory has room for it or not, whoever waits for it gets it.
    this.memory.set(entry, nowMs())
    seat.complete(entry)
    return { kind: "hit", entry }
  }

  /**
   * Runs the statement and returns the rows for the caller's own client; a whole result is stored on the way. Rejects with
   * what `run` rejects with, or with the reason of `signal`. Settles the seat on every path.
   */
  lead(request: LeadRequest): Promise<RowStream> {
    const { seat, signal, run, flight } = request
    const startedMs = this.#options.nowMs()
    return leadFill({
      seat,
      signal,
      run,
      budget: this.budget,
      entryBytesMax: this.#options.memory.entryBytesMax,
      finish: (result) => this.#finish(request, result, this.#options.nowMs() - startedMs),
      skipped: (reason) => {
        flight?.leave(reason)
        this.#options.events?.skipped(reason)
      },
    })
  }

  /** For an entry that was found to be wrong: here and in the shared tier. The memory of other instances keeps theirs. */
  drop(entry: StoredEntry): boolean {
    this.shared?.drop(entry.key)
    return this.memory.drop(entry)
  }

  close(): void {
    this.shared?.close()
    this.memory.close()
  }

  #finish(
    request: LeadRequest,
    result: StoredResult,
    warehouseMs: number,
  ): StoredEntry | undefined {
    const { events, nowMs } = this.#options
    if (request.wasCut?.() === true) {
      request.flight?.leave("row_limit_cut")
      events?.skipped("row_limit_cut")
      return undefined
    }
    const entry = this.#entry(request, result, warehouseMs)
    if (!this.#isCurrent(request)) {
      // Followers took the same vector, before the invalidation was acknowledged: they may have it, later readers may not.
      request.flight?.leave("token_changed")
      events?.skipped("token_changed")
      return entry
    }
    if (request.replaces?.key.equals(entry.key) === false) this.memory.drop(request.replaces)
    const refusal = this.memory.set(entry, nowMs())
    if (refusal === undefined) events?.filled(entry)
    else events?.refused(refusal)
    request.flight?.share(entry)
    return entry
  }

  #entry(request: LeadRequest, result: StoredResult, warehouseMs: number): StoredEntry {
    const { key, relations, capturedAtMs } = request
    const ttlMs = jitteredTtlMs(this.#options.ttl.ttlMs(relations), key.digest)
    const expiresAtMs = capturedAtMs + ttlMs
    const known = request.replaces?.result
    const isSame = known !== undefined && isSameResult(known, result)
    if (isSame) this.identicalCount += 1
    const times = { createdAtMs: capturedAtMs, expiresAtMs, warehouseMs }
    return this.#made(request, isSame ? known : this.#packed(result), times)
  }

  #packed(gathered: StoredResult): StoredResult {
    return packResult(gathered, this.#options.commandComplete(gathered.tag))
  }

  #made(
    { key, relations }: Pick<LeadRequest, "key" | "relations">,
    result: StoredResult,
    times: Pick<StoredEntry, "createdAtMs" | "expiresAtMs" | "warehouseMs">,
  ): StoredEntry {
    const bytes = entryBytes(result, key.lookup.length + key.head.text.length, relations.length)
    const keepUntilMs = times.expiresAtMs + this.#options.ttl.keepMs(relations)
    return { key, result, ...times, keepUntilMs, relations, bytes }
  }

  /** An entry under raised tokens could never be found again: storing it would only cost memory. */
  #isCurrent(request: LeadRequest): boolean {
    return this.#options.tokens.vector(request.relations).text === request.vector.text
  }
}
