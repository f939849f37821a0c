import { RedisSharedStore } from "../cache/shared/redis-shared-store.ts"
import { SealingKeys } from "../cache/shared/sealing.ts"
import { SharedStoreError } from "../cache/shared/shared-store.ts"
import { SharedTier } from "../cache/shared/shared-tier.ts"
import type { Configuration } from "../config/configuration.ts"
import type { Log } from "../observe/log.ts"
import type { Metrics } from "../observe/metrics.ts"

/** A claim on a run ends so long after its holder died; what others then wait in vain. */
const flightLeaseMs = 5_000

const circuitLimits = { failuresMax: 5, openMs: 1_000, openMsMax: 30_000 }

/** What instances of one version share. Undefined: there is no Redis, or it is for invalidations only. */
export function buildSharedTier(
  { cache, redis }: Configuration,
  version: string,
  log: Log,
): SharedTier | undefined {
  const { shared } = cache
  if (redis === undefined || !cache.enabled || !shared.enabled) return undefined
  const [active, ...others] = shared.sealing.map(({ id, secret }) => ({
    id,
    secret: Buffer.from(secret, "hex"),
  }))
  return new SharedTier({
    store: new RedisSharedStore({
      settings: redis,
      // Another version may write other bytes for the same key.
      namespace: version,
      findTimeoutMs: shared.commandTimeoutMs,
      events: connectionLog(log),
    }),
    limits: {
      entryBytesMax: shared.entryBytesMax,
      warehouseMsMin: shared.warehouseMsMin,
      storeBytesInFlightMax: shared.storeBytesInFlightMax,
      waitersMax: shared.waitersMax,
      clockSkewMsMax: shared.clockSkewMsMax,
      leaseMs: flightLeaseMs,
      circuit: circuitLimits,
    },
    keys: active === undefined ? undefined : new SealingKeys(active, others),
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    failed: throttled((call, error) =>
      log.warn("the shared cache did not do what it was asked", { call, ...whyOf(error) }),
    ),
  })
}

const sealFailures = ["not_sealed_alike", "unknown_seal_key", "seal_broken"] as const

/** Every attempt to dial that fails is a loss again; one is worth a line. */
function connectionLog(log: Log): { readonly ready: () => void; readonly lost: () => void } {
  let isUp = false
  return {
    ready: () => {
      isUp = true
      log.info("the shared cache is connected")
    },
    lost: () => {
      if (isUp) log.warn("the shared cache has lost its connection")
      isUp = false
    },
  }
}

/** Without a stack, which is the same for all of them. */
function whyOf(error: unknown): { readonly reason: string; readonly cause: string } {
  const reason = error instanceof SharedStoreError ? error.kind : "unexpected"
  const cause = error instanceof SharedStoreError ? error.cause : error
  return { reason, cause: cause instanceof Error ? cause.message : String(cause) }
}

/** A failure says the same as the next one: one of each call within so long is logged. */
const failureLogMs = 30_000

function throttled(
  log: (call: "find" | "put" | "remove", error: unknown) => void,
): (call: "find" | "put" | "remove", error: unknown) => void {
  const loggedAtMs = new Map<string, number>()
  return (call, error) => {
    const nowMs = performance.now()
    if (nowMs - (loggedAtMs.get(call) ?? Number.NEGATIVE_INFINITY) < failureLogMs) return
    loggedAtMs.set(call, nowMs)
    log(call, error)
  }
}

/** Its counters, read at every scrape. */
export function registerSharedTier(metrics: Metrics, shared: SharedTier): void {
  const { counters, circuit } = shared
  metrics.source("cache_requests_total", () =>
    Object.entries(counters.requests).map(([result, value]) => ({ labels: ["l2", result], value })),
  )
  metrics.source("cache_seal_failures_total", () =>
    sealFailures.map((reason) => ({ labels: [reason], value: counters.requests[reason] })),
  )
  metrics.source("cache_shared_stores_total", () =>
    Object.entries(counters.stores).map(([result, value]) => ({ labels: [result], value })),
  )
  metrics.source("cache_shared_waits_total", () =>
    Object.entries(counters.waits).map(([result, value]) => ({ labels: [result], value })),
  )
  metrics.source("cache_shared_bytes_total", () => [
    { labels: ["read"], value: counters.readBytes },
    { labels: ["written"], value: counters.writtenBytes },
  ])
  metrics.source("cache_shared_circuit_open", () => [{ labels: [], value: circuit.isOpen ? 1 : 0 }])
  metrics.source("cache_shared_circuit_opens_total", () => [
    { labels: [], value: circuit.openCount },
  ])
  metrics.source("warehouse_seconds_saved_total", () => [
    { labels: [], value: counters.savedMs / 1000 },
  ])
}
