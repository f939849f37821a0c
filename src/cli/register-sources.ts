import type { Metrics } from "../observe/metrics.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import type { PoolStats } from "../pool/pool.ts"
import type { Listener } from "../session/listener.ts"
import type { Built } from "./build-rooms.ts"
import { registerSharedTier } from "./shared-cache.ts"

/** One for each server of the warehouse. */
function poolStats({ router }: Rooms): readonly PoolStats[] {
  return router.endpoints.map(({ pool }) => pool.stats())
}

/** Figures that are read at scrape time, so that no room has to know of metrics. */
export function registerSources(metrics: Metrics, built: Built, listener: Listener): void {
  const { cache, refreshes, isRedisUp, policies, policyWatch, skippedFills, tokens, warehouses } =
    built
  metrics.source("policy_reloads_total", () =>
    Object.entries(policies.counts).map(([result, value]) => ({ labels: [result], value })),
  )
  metrics.source("policy_unmatched_relations", () => [
    { labels: [], value: policyWatch.unmatchedRelations },
  ])
  metrics.source("cache_verify_total", () =>
    warehouses.flatMap(({ rooms: { warehouse, verifier } }) =>
      Object.entries(verifier?.counts ?? {}).map(([result, value]) => ({
        labels: [warehouse, result],
        value,
      })),
    ),
  )
  metrics.source("client_connections", () => [
    { labels: ["login"], value: listener.counts.logins },
    { labels: ["closing"], value: listener.counts.closing },
    { labels: ["active"], value: listener.counts.active },
    { labels: ["idle"], value: listener.counts.sessions - listener.counts.active },
  ])
  metrics.source("session_bytes", () => [{ labels: [], value: listener.keptBytes }])
  metrics.source("connections_refused_total", () =>
    Object.entries(listener.refusals).map(([limit, value]) => ({ labels: [limit], value })),
  )
  metrics.source("logins_delayed_total", () => [{ labels: [], value: listener.delayedLogins }])
  metrics.source("queries_in_flight", () => [{ labels: [], value: listener.counts.active }])
  metrics.source("warehouse_connections", () =>
    warehouses.flatMap(({ rooms }) => {
      const stats = poolStats(rooms)
      const labelled = (state: string, value: number) => ({
        labels: [rooms.warehouse, state],
        value,
      })
      return [
        labelled(
          "idle",
          stats.reduce((sum, { idle }) => sum + idle, 0),
        ),
        labelled(
          "leased",
          stats.reduce((sum, { leased }) => sum + leased, 0),
        ),
        labelled(
          "opening",
          stats.reduce((sum, { connecting }) => sum + connecting, 0),
        ),
      ]
    }),
  )
  metrics.source("pool_waiters", () =>
    warehouses.map(({ rooms }) => ({
      labels: [rooms.warehouse],
      value: poolStats(rooms).reduce((sum, { waiters }) => sum + waiters, 0),
    })),
  )
  metrics.source("routing_decisions_total", () =>
    warehouses.flatMap(({ rooms }) =>
      [...rooms.router.counters.routed].map(([label, value]) => ({
        labels: [rooms.warehouse, ...label.split(" ")],
        value,
      })),
    ),
  )
  metrics.source("fence_rejections_total", () =>
    warehouses.map(({ rooms }) => ({
      labels: [rooms.warehouse],
      value: rooms.router.counters.fenceRejections,
    })),
  )
  metrics.source("warehouse_up", () =>
    warehouses.map(({ rooms, pool }) => ({
      labels: [rooms.warehouse],
      value: pool.stats().up ? 1 : 0,
    })),
  )
  metrics.source("cache_entries", () => [{ labels: ["l1"], value: cache.memory.entries }])
  metrics.source("cache_bytes", () => [{ labels: ["l1"], value: cache.memory.bytes }])
  metrics.source("cache_evictions_total", () =>
    Object.entries(cache.memory.counters.evictions).map(([reason, value]) => ({
      labels: ["l1", reason],
      value,
    })),
  )
  metrics.source("warehouse_seconds_saved_total", () => [
    { labels: [], value: cache.memory.counters.savedMs / 1000 },
  ])
  metrics.source("redis_up", () =>
    isRedisUp === undefined ? [] : [{ labels: [], value: isRedisUp() ? 1 : 0 }],
  )
  metrics.source("lease_expired_total", () => [{ labels: [], value: tokens.leaseExpiredCount }])
  metrics.source("cache_stale_served_total", () =>
    Object.entries(refreshes.served).map(([kind, value]) => ({ labels: [kind], value })),
  )
  metrics.source("cache_refreshes_total", () =>
    Object.entries(refreshes.counters).map(([result, value]) => ({ labels: [result], value })),
  )
  metrics.source("cache_refreshes_running", () => [{ labels: [], value: refreshes.running }])
  metrics.source("cache_refreshes_identical_total", () => [
    { labels: [], value: cache.identicalCount },
  ])
  if (cache.shared !== undefined) registerSharedTier(metrics, cache.shared)
  metrics.source("epoch_changes_total", () => [{ labels: [], value: tokens.epochCount }])
  metrics.source("cache_fill_skipped_total", () =>
    [...skippedFills].map(([reason, value]) => ({ labels: [reason], value })),
  )
}
