import { Catalog } from "../catalog/catalog.ts"
import { PgliteCatalogue } from "../catalog/shadow/pglite-catalogue.ts"
import type { Configuration, WarehouseConfiguration } from "../config/configuration.ts"
import type { ShadowCatalogue } from "../core/shadow-catalogue.ts"
import type { Ast } from "../core/statement.ts"
import type { Log } from "../observe/log.ts"
import { DescriptionMemo } from "../pipeline/description-memo.ts"
import { EstimateMemo } from "../pipeline/estimate.ts"
import type { InvalidationTarget } from "../pipeline/invalidate.ts"
import { PlanMemo } from "../pipeline/plan-memo.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { Verifier } from "../pipeline/verify/verifier.ts"
import { WantedRelations } from "../pipeline/wanted-relations.ts"
import { catalogueInterest } from "../policy/catalogue-relations.ts"
import { ClassGate } from "../pool/class-gate.ts"
import { Pool, type PoolEvents } from "../pool/pool.ts"
import { WriteSlots } from "../pool/write-slots.ts"
import { type Endpoint, Router } from "../route/router.ts"
import { emitTree } from "../sql/emit.ts"
import { parseTrees } from "../sql/parser.ts"
import { qualifyRelations } from "../sql/qualify-relations.ts"
import { DuckdbAdapter } from "../warehouse/duckdb/adapter.ts"
import { PostgresAdapter } from "../warehouse/postgres/adapter.ts"
import type { Warehouse } from "../warehouse/warehouse.ts"
import type { RedisCommandEnded } from "./build-tokens.ts"
import { originOf } from "./origin.ts"
import type { PolicyWatch } from "./policy-watch.ts"

export type BuiltWarehouse = InvalidationTarget & {
  readonly pool: Pool
  readonly warehouse: Warehouse
  readonly replicas: readonly { readonly pool: Pool; readonly warehouse: Warehouse }[]
  readonly shadow: ShadowCatalogue | undefined
}

export type BuildEvents = {
  readonly poolWaited: (warehouse: string, waitMs: number) => void
  readonly redisCommandEnded: RedisCommandEnded
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

export function buildWarehouse(name: string, parts: BuildParts): BuiltWarehouse {
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
