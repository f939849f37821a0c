import { ResultCache } from "../cache/result-cache.ts"
import type { SharedTier } from "../cache/shared/shared-tier.ts"
import { TtlClasses } from "../cache/ttl-classes.ts"
import type { Configuration } from "../config/configuration.ts"
import type { FillSkipReason } from "../core/observation.ts"
import type { SettingsView } from "../core/settings.ts"
import type { Log } from "../observe/log.ts"
import { ClaimLookups, type LookupTarget } from "../pipeline/claim-lookups.ts"
import { dueAhead } from "../pipeline/refresh-ahead.ts"
import { Refreshes } from "../pipeline/refreshes.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { SessionSettings, type SettingDefaults, settingDefaults } from "../session/settings.ts"
import { loadParser } from "../sql/parser.ts"
import { StatementMemo } from "../sql/statement-memo.ts"
import { commandComplete } from "../wire/backend-messages.ts"
import { applyNews, type BuiltTokens, buildTokens, positionNow } from "./build-tokens.ts"
import { type BuildEvents, type BuiltWarehouse, buildWarehouse } from "./build-warehouse.ts"
import { PolicySource } from "./policies.ts"
import { PolicyWatch } from "./policy-watch.ts"

/** Followers, flights and fills that one process may have under way; far above what its pools can run. */
const flightsMax = 10_000
const followersMax = 10_000
/** Results being gathered at one time, as a multiple of the largest entry. */
const fillsInMemory = 16

const parseWaitMsMax = 10_000

/** A warehouse that is down fails look-ups by the thousand; one line in so long is written. */
const lookupLogMs = 1_000

const nowMs = (): number => performance.now()

export type WarehouseRoute = {
  readonly rooms: Rooms
  readonly defaults: () => SettingDefaults
  readonly requiresIdentity: boolean
}

export type Built = {
  readonly warehouses: readonly BuiltWarehouse[]
  /** By the database name of a startup packet. */
  readonly routes: ReadonlyMap<string, WarehouseRoute>
  readonly cache: ResultCache
  readonly refreshes: Refreshes
  readonly tokens: BuiltTokens["store"]
  readonly isRedisUp: BuiltTokens["isRedisUp"]
  readonly skippedFills: ReadonlyMap<FillSkipReason, number>
  readonly policies: PolicySource
  readonly policyWatch: PolicyWatch
  close(): Promise<void>
}

/** Everything from the parser to the warehouse, without a listener: for the gateway and for `explain`. */
export async function buildRooms(
  configuration: Configuration,
  log: Log,
  events: BuildEvents = { poolWaited: () => {}, redisCommandEnded: () => {} },
  sharedTier?: SharedTier,
): Promise<Built> {
  await loadParser()
  const { cache: cacheLimits, sql } = configuration
  const statements = new StatementMemo({
    entriesMax: sql.memoEntriesMax,
    bytesMax: sql.memoBytesMax,
    statementBytesMax: sql.statementBytesMax,
    offLoopBytes: sql.offLoopBytes,
    workerWaitMsMax: parseWaitMsMax,
  })
  const warehouses: BuiltWarehouse[] = []
  const { store: tokens, isRedisUp } = buildTokens(configuration.redis, {
    log,
    commandEnded: events.redisCommandEnded,
    // Nothing comes before the next turn, when all is built.
    onNews: (news) => applyNews(news, cache, warehouses),
    position: () => positionNow(warehouses),
  })
  const ttl = new TtlClasses(
    [
      { pattern: "pg_catalog.*", ttlMs: cacheLimits.catalogTtlMs },
      ...cacheLimits.ttlClasses.map(({ relations, ...times }) => ({
        pattern: relations,
        ...times,
      })),
    ],
    cacheLimits.defaultTtlMs,
  )
  const skippedFills = new Map<FillSkipReason, number>()
  const cache = new ResultCache({
    memory: {
      memoryBytesMax: cacheLimits.memoryBytesMax,
      entryBytesMax: cacheLimits.entryBytesMax,
      entriesMax: cacheLimits.entriesMax,
    },
    flights: { flightsMax, followersMax },
    fillBytesMax: cacheLimits.entryBytesMax * fillsInMemory,
    tokens,
    ttl,
    commandComplete,
    nowMs,
    shared: sharedTier,
    events: {
      filled: () => {},
      refused: () => {},
      skipped: (reason) => skippedFills.set(reason, (skippedFills.get(reason) ?? 0) + 1),
    },
  })
  const refreshes = new Refreshes(
    {
      refreshesMax: cacheLimits.refresh.refreshesMax,
      resultBytesMax: cacheLimits.entryBytesMax,
    },
    nowMs,
  )
  const isDueAhead = dueAhead(cacheLimits.refresh, cache.memory, nowMs)
  const policies = new PolicySource(configuration, log.child("policies"))
  const lookupTargets = new Map<string, LookupTarget>()
  let quietUntilMs = 0
  const claims = new ClaimLookups(
    (name) => lookupTargets.get(name ?? [...lookupTargets.keys()][0] ?? ""),
    {
      failed: (error) => {
        if (nowMs() < quietUntilMs) return
        quietUntilMs = nowMs() + lookupLogMs
        log.error("claims could not be looked up; who needs them is refused", { error })
      },
    },
  )
  const shared = {
    statements,
    tokens,
    ttl,
    cache,
    nowMs,
    claims,
    refreshes,
    isDueAhead,
    policy: () => policies.current,
  }
  const watch = new PolicyWatch(Object.keys(configuration.warehouses), log.child("policies"))
  for (const [name, warehouse] of Object.entries(configuration.warehouses))
    warehouses.push(buildWarehouse(name, { configuration, warehouse, log, events, shared, watch }))
  for (const built of warehouses) lookupTargets.set(built.rooms.warehouse, lookupTargetOf(built))
  // What the catalogue had to know for the policies before may not do for these.
  policies.onChanged(() => {
    for (const { rooms } of warehouses) {
      rooms.catalog.markStale()
      rooms.catalog.refreshNow().catch(() => undefined)
    }
  })
  const routes = new Map<string, WarehouseRoute>()
  for (const built of warehouses) {
    const settings = configuration.warehouses[built.rooms.warehouse]
    for (const database of settings?.databases ?? [])
      routes.set(database, routeOf(built, settings?.requireIdentity === true))
  }
  return {
    warehouses,
    routes,
    cache,
    refreshes,
    tokens,
    isRedisUp,
    skippedFills,
    policies,
    policyWatch: watch,
    close: async () => {
      policies.close()
      for (const { rooms } of warehouses) {
        rooms.catalog.close()
        rooms.verifier?.close()
      }
      await Promise.all(warehouses.map(async ({ shadow }) => shadow?.close()))
      await Promise.all(
        warehouses.flatMap(({ rooms }) =>
          rooms.router.endpoints.map(({ pool }) => pool.close(drainMsMax)),
        ),
      )
      await Promise.all(
        warehouses.flatMap(({ warehouse, replicas }) => [
          warehouse.close(),
          ...replicas.map((replica) => replica.warehouse.close()),
        ]),
      )
      await tokens.close()
      cache.close()
      await statements.close()
    },
  }
}

const drainMsMax = 2_000

function routeOf(built: BuiltWarehouse, requiresIdentity: boolean): WarehouseRoute {
  let known: ReadonlyMap<string, string> | undefined
  let defaults: SettingDefaults | undefined
  return {
    requiresIdentity,
    rooms: built.rooms,
    defaults: () => {
      const { parameters } = built.rooms.serverFacts()
      if (parameters !== known || defaults === undefined) {
        known = parameters
        defaults = settingDefaults(parameters)
      }
      return defaults
    },
  }
}

/** Asked under the settings of a session that has set nothing; relations are named with their schemas. */
function lookupTargetOf({ rooms }: BuiltWarehouse): LookupTarget {
  let parameters: ReadonlyMap<string, string> | undefined
  let view: SettingsView | undefined
  return {
    rooms,
    settings: () => {
      const facts = rooms.serverFacts()
      if (facts.parameters !== parameters || view === undefined) {
        parameters = facts.parameters
        view = new SessionSettings(settingDefaults(parameters), "sluice", rooms.mayHaveSchema).view
      }
      return view
    },
  }
}
