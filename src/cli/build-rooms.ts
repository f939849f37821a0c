import { ResultCache } from "../cache/result-cache.ts"
import type { SharedTier } from "../cache/shared/shared-tier.ts"
import { TtlClasses } from "../cache/ttl-classes.ts"
import { Catalog } from "../catalog/catalog.ts"
import { PgliteCatalogue } from "../catalog/shadow/pglite-catalogue.ts"
import type { Configuration, WarehouseConfiguration } from "../config/configuration.ts"
import type { FillSkipReason } from "../core/observation.ts"
import type { SettingsView } from "../core/settings.ts"
import type { ShadowCatalogue } from "../core/shadow-catalogue.ts"
import type { Ast } from "../core/statement.ts"
import type { Log } from "../observe/log.ts"
import { ClaimLookups, type LookupTarget } from "../pipeline/claim-lookups.ts"
import { DescriptionMemo } from "../pipeline/description-memo.ts"
import { EstimateMemo } from "../pipeline/estimate.ts"
import type { InvalidationTarget } from "../pipeline/invalidate.ts"
import { PlanMemo } from "../pipeline/plan-memo.ts"
import { dueAhead } from "../pipeline/refresh-ahead.ts"
import { Refreshes } from "../pipeline/refreshes.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { Verifier } from "../pipeline/verify/verifier.ts"
import { WantedRelations } from "../pipeline/wanted-relations.ts"
import { catalogueInterest } from "../policy/catalogue-relations.ts"
import { ClassGate } from "../pool/class-gate.ts"
import { Pool, type PoolEvents } from "../pool/pool.ts"
import { WriteSlots } from "../pool/write-slots.ts"
import { type Endpoint, Router } from "../route/router.ts"
import { SessionSettings, type SettingDefaults, settingDefaults } from "../session/settings.ts"
import { emitTree } from "../sql/emit.ts"
import { loadParser, parseTrees } from "../sql/parser.ts"
import { qualifyRelations } from "../sql/qualify-relations.ts"
import { StatementMemo } from "../sql/statement-memo.ts"
import { DuckdbAdapter } from "../warehouse/duckdb/adapter.ts"
import { PostgresAdapter } from "../warehouse/postgres/adapter.ts"
import type { Warehouse } from "../warehouse/warehouse.ts"
import { commandComplete } from "../wire/backend-messages.ts"
import {
  applyNews,
  type BuiltTokens,
  buildTokens,
  positionNow,
  type RedisCommandEnded,
} from "./build-tokens.ts"
import { originOf } from "./origin.ts"
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

export type BuiltWarehouse = InvalidationTarget & {
  readonly pool: Pool
  readonly warehouse: Warehouse
  readonly replicas: readonly { readonly pool: Pool; readonly warehouse: Warehouse }[]
  readonly shadow: ShadowCatalogue | undefined
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

export type BuildEvents = {
  readonly poolWaited: (warehouse: string, waitMs: number) => void
  readonly redisCommandEnded: RedisCommandEnded
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

type SharedRooms = Pick<
  Rooms,
  | "statements"
  | "tokens"
  | "ttl"
  | "cache"
  | "nowMs"
  | "claims"
  | "policy"
  | "refreshes"
  | "isDueAhead"
>

type BuildParts = {
  readonly configuration: Configuration
  readonly warehouse: WarehouseConfiguration
  readonly log: Log
  readonly events: BuildEvents
  readonly shared: SharedRooms
  readonly watch: PolicyWatch
}

function buildWarehouse(name: string, parts: BuildParts): BuiltWarehouse {
  const { configuration, warehouse: settings, shared } = parts
  const warehouse = adapterOf(name, settings)
  const pool = new Pool({
    name: `${name}/primary`,
    warehouse,
    limits: settings.pool,
    events: poolEvents(name, parts.log.child("pool"), parts.events),
  })
  const writeSlots = new WriteSlots({
    name: `${name}/primary`,
    warehouse,
    writeSessionsMax: settings.pool.writeSessionsMax,
  })
  const replicas = replicasOf(name, parts)
  const router = new Router(
    [{ name: `${name}/primary`, role: "primary", pool }, ...replicas],
    writeSlots,
    gatesOf(configuration, settings.pool.waitMsMax),
  )
  const wanted = new WantedRelations()
  const catalog = new Catalog({
    load: async (signal) => {
      const { lease } = await router.lease({ signal })
      using held = lease
      const policies = shared.policy().relations
      const own = warehouse.engine === "postgres" ? catalogueInterest : []
      const snapshot = await warehouse.readCatalog(held.connection, signal, [
        ...own,
        ...(policies?.interest ?? []),
        ...wanted.all,
      ])
      parts.watch.catalogRead(name, snapshot, policies)
      return snapshot
    },
    refreshMs: settings.catalogRefreshMs,
    minIntervalMs: 1_000,
    backoffMs: 250,
    backoffMsMax: 10_000,
    loadTimeoutMs: 30_000,
  })
  const shadow = shadowOf(name, warehouse, parts.log)
  const rooms: Rooms = {
    ...shared,
    warehouse: name,
    engine: warehouse.engine,
    serverFacts: () => warehouse.serverFacts,
    hasSchema: (schema) => hasSchema(catalog, schema),
    mayHaveSchema: (schema) => catalog.current()?.schemas?.has(schema) ?? true,
    catalog,
    wanted,
    isCacheEnabled: configuration.cache.enabled,
    ...originOf(settings),
    router,
    shadow,
    plans: new PlanMemo(),
    descriptions: new DescriptionMemo(),
    estimates: new EstimateMemo(shared.nowMs),
    checkedSettings: new Map(),
    followerWaitMsMax: configuration.cache.followerWaitMsMax,
    timeBucketMs: configuration.cache.timeBucketMs,
    verifier: verifierOf(name, parts, () => rooms),
    wallMs: () => Date.now(),
  }
  return {
    rooms,
    pool,
    warehouse,
    replicas,
    shadow,
    onInvalidated: () => warehouse.onInvalidated(),
  }
}

/** Runs a sample of one warehouse's hits again; none unless the configuration asks for it. */
function verifierOf(
  name: string,
  { configuration, log }: BuildParts,
  rooms: () => Rooms,
): Verifier | undefined {
  const { verify } = configuration.cache
  if (verify.share === 0) return undefined
  const own = log.child("verify")
  return new Verifier({
    limits: verify,
    rooms,
    events: {
      mismatched: (mismatch) =>
        own.error("a stored answer differs from the warehouse's", { ...mismatch }),
      failed: (error) =>
        own.info("a stored answer could not be compared", { warehouse: name, error }),
    },
  })
}

/** Standbys, each with an adapter and a pool of its own. */
function replicasOf(
  name: string,
  { warehouse: settings, log, events }: BuildParts,
): readonly (Endpoint & { readonly warehouse: Warehouse })[] {
  if (settings.engine !== "postgres") return []
  return settings.replicas.map((replica) => {
    const endpoint = `${name}/${replica.name}`
    const warehouse = new PostgresAdapter({
      name: endpoint,
      uri: replica.uri,
      connectTimeoutMs: settings.pool.connectTimeoutMs,
    })
    const pool = new Pool({
      name: endpoint,
      warehouse,
      limits: settings.pool,
      events: poolEvents(name, log.child("pool"), events),
    })
    return { name: endpoint, role: "replica", pool, warehouse }
  })
}

/** One warehouse's gates: a class is limited at each warehouse by itself. */
function gatesOf({ classes }: Configuration, waitMsMax: number): ReadonlyMap<string, ClassGate> {
  return new Map(
    Object.entries(classes)
      .filter(([, { concurrencyMax }]) => concurrencyMax > 0)
      .map(([name, { concurrencyMax, waitersMax }]) => [
        name,
        new ClassGate(name, { concurrencyMax, waitersMax, waitMsMax }),
      ]),
  )
}

/** Nothing is started here: the first statement that needs it does. */
function shadowOf(name: string, warehouse: Warehouse, log: Log): ShadowCatalogue | undefined {
  if (warehouse.engine !== "duckdb") return undefined
  const { versionText, serverVersion } = warehouse.serverFacts
  return new PgliteCatalogue({
    versionText,
    serverVersion,
    onSkipped: (reasons) =>
      log.warn("parts of the schema are not shown in pg_catalog", { warehouse: name, reasons }),
    onStartFailed: (error) =>
      log.error("the shadow catalogue did not start", { warehouse: name, error }),
  })
}

/** Schemas without relations are not in the snapshot; the engines' default ones are taken to exist. */
function hasSchema(catalog: Catalog, schema: string): boolean {
  if (schema === "public" || schema === "main") return true
  const snapshot = catalog.current()
  if (snapshot === undefined) return true
  if (snapshot.schemas !== undefined) return snapshot.schemas.has(schema)
  for (const relation of snapshot.relations.values()) if (relation.schema === schema) return true
  return false
}

function adapterOf(name: string, settings: WarehouseConfiguration): Warehouse {
  return settings.engine === "postgres"
    ? new PostgresAdapter({
        name,
        uri: settings.uri,
        writeUri: settings.writeUri,
        connectTimeoutMs: settings.pool.connectTimeoutMs,
      })
    : new DuckdbAdapter(settings, viewGrammar)
}

const viewGrammar = {
  parse: parseTrees,
  emit: (ast: Ast): string => emitTree(ast).text,
  qualify: qualifyRelations,
}

function poolEvents(name: string, log: Log, events: BuildEvents): PoolEvents {
  return {
    waited: (waitMs) => events.poolWaited(name, waitMs),
    connected: (connectMs) =>
      log.debug("connected to the warehouse", { warehouse: name, connectMs }),
    connectFailed: (error) =>
      log.warn("cannot connect to the warehouse", { warehouse: name, error }),
    closed: (reason) => log.debug("closed a warehouse connection", { warehouse: name, reason }),
    misused: (error) => log.error("a lease was misused", { warehouse: name, error }),
  }
}
