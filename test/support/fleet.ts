import { type CacheKey, cacheKey } from "../../src/cache/key.ts"
import type { MemoryTokenStore } from "../../src/cache/memory-token-store.ts"
import { ResultCache } from "../../src/cache/result-cache.ts"
import type { SealingKeys } from "../../src/cache/shared/sealing.ts"
import type { SharedStore } from "../../src/cache/shared/shared-store.ts"
import { SharedTier, type SharedTierLimits } from "../../src/cache/shared/shared-tier.ts"
import { TtlClasses } from "../../src/cache/ttl-classes.ts"
import { noParameters } from "../../src/core/parameters.ts"
import type { RelationName } from "../../src/core/relation.ts"
import type { RowStream } from "../../src/core/result.ts"
import { commandComplete } from "../../src/wire/backend-messages.ts"

const fleetLimits: SharedTierLimits = {
  entryBytesMax: 100_000,
  warehouseMsMin: 0,
  storeBytesInFlightMax: 200_000,
  leaseMs: 60_000,
  waitersMax: 10,
  clockSkewMsMax: 2_000,
  circuit: { failuresMax: 3, openMs: 50, openMsMax: 100 },
}

export type InstanceOptions = {
  readonly tokens: MemoryTokenStore
  readonly store: SharedStore
  readonly limits?: Partial<SharedTierLimits>
  readonly keys?: SealingKeys
  readonly ttlMs?: number
  /** What its wall clock is ahead of the others'. */
  readonly wallAheadMs?: number
}

export type Outcome =
  | {
      readonly kind: "hit_l1" | "hit_l2" | "coalesced"
      readonly rows: string
      readonly ageMs: number
    }
  | { readonly kind: "ran"; readonly rows: RowStream }
  | { readonly kind: "waited_out" | "alone" }

const nowMs = (): number => performance.now()

const relation = "s.orders" as RelationName

/** One gateway's cache as the spine uses it, with the tokens and the store that a fleet shares. */
export class Instance {
  readonly cache: ResultCache
  readonly tier: SharedTier
  readonly skipped: string[] = []
  readonly #tokens: MemoryTokenStore

  constructor({ tokens, store, limits, keys, ttlMs = 60_000, wallAheadMs = 0 }: InstanceOptions) {
    this.#tokens = tokens
    this.tier = new SharedTier({
      store,
      limits: { ...fleetLimits, ...limits },
      keys,
      nowMs,
      wallMs: () => Date.now() + wallAheadMs,
    })
    this.cache = new ResultCache({
      memory: { memoryBytesMax: 1_000_000, entryBytesMax: 500_000, entriesMax: 1_000 },
      flights: { flightsMax: 100, followersMax: 100 },
      fillBytesMax: 1_000_000,
      tokens,
      ttl: new TtlClasses([], ttlMs),
      commandComplete,
      nowMs,
      events: {
        filled: () => {},
        refused: () => {},
        skipped: (reason) => this.skipped.push(reason),
      },
      shared: this.tier,
    })
  }

  key(canonical: string): CacheKey {
    return cacheKey({
      warehouse: "w",
      origin: "o",
      canonical,
      scope: "",
      resolution: "",
      settingsDigest: "",
      rowLimit: 0,
      dateBucket: undefined,
      parameters: noParameters,
      resultFormats: [],
      vector: this.#tokens.vector([relation]),
    })
  }

  /** Asks as pipeline/answer.ts does. `run` is the warehouse. */
  async ask(
    canonical: string,
    run: (signal: AbortSignal) => RowStream | Promise<RowStream>,
    more: {
      readonly waitMsMax?: number
      readonly signal?: AbortSignal
      readonly isRefresh?: boolean
      /** Nothing older from the shared tier; memory is not asked for its age here. */
      readonly ageMsMax?: number
      readonly wasCut?: () => boolean
    } = {},
  ): Promise<Outcome> {
    const { waitMsMax = 10_000, signal = new AbortController().signal } = more
    const key = this.key(canonical)
    const vector = this.#tokens.vector([relation])
    const capturedAtMs = performance.now()
    const known = more.isRefresh === true ? undefined : this.cache.lookup(key)
    if (known !== undefined) return told("hit_l1", known)
    const seat = this.cache.join(key)
    if (seat.role === "follower") {
      const followed = await seat.wait(signal, waitMsMax)
      return followed.kind === "stored" ? told("coalesced", followed.entry) : { kind: "alone" }
    }
    const request = { key, seat, relations: [relation], signal }
    const recalled =
      more.isRefresh === true
        ? { kind: "run" as const, flight: this.tier.unclaimed(key) }
        : await this.cache.recall(this.tier, {
            ...request,
            waitMsMax,
            ageMsMax: more.ageMsMax ?? Number.POSITIVE_INFINITY,
          })
    if (recalled.kind === "hit") return told("hit_l2", recalled.entry)
    if (recalled.kind === "waited_out") {
      seat.abandon()
      return { kind: "waited_out" }
    }
    const rows = await this.cache.lead({
      ...request,
      vector,
      capturedAtMs,
      run: async (runSignal) => run(runSignal),
      flight: recalled.flight,
      ...(more.wasCut === undefined ? {} : { wasCut: more.wasCut }),
    })
    return { kind: "ran", rows }
  }
}

function told(
  kind: "hit_l1" | "hit_l2" | "coalesced",
  entry: {
    readonly result: { readonly wire?: { whole: Buffer } | undefined }
    readonly createdAtMs: number
  },
): Outcome {
  const rows = entry.result.wire?.whole.toString("hex") ?? ""
  return { kind, rows, ageMs: performance.now() - entry.createdAtMs }
}
