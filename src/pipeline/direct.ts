import { unprovableFence } from "../cache/token-store.ts"
import { downward, expand } from "../catalog/expand.ts"
import { findRelation, partsOf } from "../catalog/relation-key.ts"
import { resolveRelations } from "../catalog/resolve.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import { type RelationName, type RelationRef, relationName } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { FunctionRef, ReadTraits, Statement } from "../core/statement.ts"
import { isOwnSessionFunction } from "../policy/forbidden-functions.ts"
import { judgeWrite } from "../policy/judge-write.ts"
import { type WriteEffect, writeEffect } from "../sql/write-effect.ts"
import { fenceNow } from "./fence.ts"
import { catalogueRelation, type PlanContext, planFor } from "./plan.ts"
import { refusal } from "./refusal.ts"
import type { Rooms } from "./rooms.ts"

/**
 * The spine for sessions that write: parse -> judge -> forward, and after the commit -> tokens. Nothing is looked up or
 * stored, because a transaction that writes sees rows that nobody else may see yet.
 */

/** What a statement may have changed when its transaction commits. */
export type Written = {
  readonly relations: readonly RelationRef[] | "everything"
  readonly changesSchema: boolean
}

export const nothingWritten: Written = { relations: [], changesSchema: false }
export const everythingWritten: Written = { relations: "everything", changesSchema: true }

export type Admission = {
  readonly written: Written
  readonly prepares: string | undefined
  readonly executes: string | undefined
}

export type DirectContext = {
  readonly identity: Identity
  /** The schemas that unqualified names are looked up in; undefined while only the warehouse knows them. */
  readonly searchPath: readonly string[] | undefined
  /** Names of relations that this session made: the catalogue does not know those of an open transaction. */
  readonly ownNames: Set<string>
}

/** True for an identity whose statements may be forwarded at all. */
export function mayWrite(identity: Identity, rooms: Rooms): boolean {
  return rooms.engine === "postgres" && rooms.policy().of(identity).mayWrite
}

/** Functions of the system's that change data though they stand in a read: sequences, large objects. */
const writingFunctions: ReadonlySet<string> = new Set([
  "nextval",
  "setval",
  "currval",
  "lastval",
  "lo_create",
  "lo_creat",
  "lo_from_bytea",
  "lo_put",
  "lo_unlink",
  "lowrite",
])

/**
 * True for a read that changes more than its answer: by a lock or a setting of the session it runs in, a sequence, a function
 * of a user's that may write. It needs a connection of the session's own.
 */
export function changesSomething({ functions }: ReadTraits, rooms: Rooms): boolean {
  const snapshot = rooms.catalog.current()
  return functions.some(
    (call) =>
      isOwnSessionFunction(call.name) ||
      writingFunctions.has(call.name) ||
      (snapshot !== undefined && mayWriteItself(call, snapshot)),
  )
}

/**
 * True for a read whose answer belongs to its transaction, such as now(): the writes that follow must share that transaction,
 * so that it has to begin on the session's own connection.
 */
export function belongsToTransaction(
  statement: Statement,
  context: PlanContext,
  rooms: Rooms,
): boolean {
  const snapshot = rooms.catalog.current()
  if (snapshot === undefined) return true
  const { cacheability } = planFor(statement, context, snapshot, rooms)
  return cacheability.kind === "bypass" && cacheability.needsTransaction
}

const effects = new WeakMap<Statement, WriteEffect>()

function effectOf(statement: Statement): WriteEffect {
  let effect = effects.get(statement)
  if (effect === undefined) {
    effect = writeEffect(statement.ast)
    effects.set(statement, effect)
  }
  return effect
}

/** Judges one statement of a session that writes. Throws the refusal; what comes back is what its commit will change. */
export function admit(
  statement: Statement,
  context: DirectContext,
  snapshot: CatalogSnapshot,
  rooms: Rooms,
): Admission {
  const effect = effectOf(statement)
  const policy = rooms.policy().of(context.identity)
  for (const name of effect.temporary) context.ownNames.add(name)
  const isUnrestricted = policy.allow.matchesEverything && policy.deny.isEmpty
  const { relations, expanded } = isUnrestricted
    ? { relations: asSystem(effect.relations), expanded: [] }
    : named(effect, context, snapshot, rooms)
  const { functions, prepares, executes } = effect
  const { command } = statement
  const isOpen = functions.some((call) => mayWriteItself(call, snapshot))
  // What such a function does is in no text of the statement.
  const kind = isOpen && effect.kind !== "server" ? "code" : effect.kind
  const verdict = judgeWrite({ command, kind, relations, expanded, functions }, policy)
  if (verdict.kind === "refused") throw refusal(verdict)
  if (effect.kind === "definition")
    for (const { name } of effect.relations) context.ownNames.add(name)
  const written: Written = {
    relations: isOpen ? "everything" : effect.written,
    changesSchema: effect.changesSchema || isOpen,
  }
  return { written, prepares, executes }
}

/** The relations of pg_catalog that are meant: it is searched first, whatever the path says. */
function asSystem(relations: readonly RelationRef[]): readonly RelationName[] {
  return relations
    .filter(({ schema }) => schema === undefined || schema === "pg_catalog")
    .map(({ name }) => relationName("pg_catalog", name))
}

/** Every name as the relation it means; one that nothing has stands where CREATE would make it. */
function named(
  effect: WriteEffect,
  context: DirectContext,
  snapshot: CatalogSnapshot,
  rooms: Rooms,
): { relations: readonly RelationName[]; expanded: readonly RelationName[] } {
  const { searchPath, ownNames } = context
  if (searchPath === undefined && effect.relations.some(({ schema }) => schema === undefined))
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "construct_unsupported",
      message: "it is not known yet which search_path holds for this statement",
      hint: "Name schemas, or wait for the answer to the statement before this one.",
    })
  const path = searchPath ?? []
  const resolution = resolveRelations(effect.relations, {
    snapshot,
    searchPath: path,
    database: rooms.warehouse,
  })
  const made = resolution.unknown
    .filter(({ schema, name }) => schema !== undefined || !ownNames.has(name))
    .map(({ schema, name }) => relationName(schema ?? path[0] ?? "public", name))
  return {
    relations: [...resolution.resolved, ...made],
    expanded: [...expand(resolution.resolved, snapshot).relations, ...made],
  }
}

const writersBySnapshot = new WeakMap<CatalogSnapshot, ReadonlySet<string>>()

/** A function of a user's may write whatever its owner likes unless it is declared not to; the system's own do not. */
function mayWriteItself({ schema, name }: FunctionRef, snapshot: CatalogSnapshot): boolean {
  if (schema === "pg_catalog") return false
  let writers = writersBySnapshot.get(snapshot)
  if (writers === undefined) {
    const volatile = [...snapshot.functions]
      .filter(([, volatility]) => volatility === "volatile")
      .map(([full]) => partsOf(full))
    const users = volatile.filter((parts) => !systemSchemas.has(parts.schema))
    writers = new Set(users.map((parts) => parts.name))
    writersBySnapshot.set(snapshot, writers)
  }
  return writers.has(name)
}

const systemSchemas: ReadonlySet<string> = new Set(["pg_catalog", "information_schema"])

/** Both together. */
export function addWritten(left: Written, right: Written): Written {
  if (left === nothingWritten) return right
  if (right === nothingWritten) return left
  const changesSchema = left.changesSchema || right.changesSchema
  if (left.relations === "everything" || right.relations === "everything")
    return { relations: "everything", changesSchema }
  return { relations: [...left.relations, ...right.relations], changesSchema }
}

export function isNothing({ relations, changesSchema }: Written): boolean {
  return relations.length === 0 && !changesSchema
}

/** How long a commit waits for the catalogue to be read again before its names count as unknown, which makes everything cold. */
const catalogWaitMsMax = 10_000

/**
 * What a commit has changed is told to the tokens, before the client hears of the commit: nobody who learns of it from the
 * client can be served an older answer. Rejects when the tokens could not be made durable; then nothing may be acknowledged.
 */
export async function publish(written: Written, rooms: Rooms): Promise<void> {
  if (isNothing(written)) return
  const snapshot = await snapshotAfter(written, rooms)
  const names = snapshot === undefined ? undefined : namesOf(written, snapshot)
  // Without replicas nobody asks for the position, which costs a round trip at every commit.
  const fence = { fence: rooms.router.hasReplicas ? await fenceNow(rooms) : unprovableFence }
  if (names === undefined) {
    const renewed = await rooms.tokens.renewEpoch(fence)
    await renewed.settled
    rooms.cache.memory.clear()
    return
  }
  const raised = written.changesSchema ? [...names, catalogueRelation] : names
  const receipt = await rooms.tokens.raise(raised, fence)
  await receipt.settled
  rooms.cache.memory.forget(raised)
}

async function snapshotAfter(
  { changesSchema }: Written,
  rooms: Rooms,
): Promise<CatalogSnapshot | undefined> {
  if (!changesSchema) return rooms.catalog.current()
  try {
    return await rooms.catalog.refreshNow(AbortSignal.timeout(catalogWaitMsMax))
  } catch {
    rooms.catalog.markStale()
    return undefined
  }
}

/** Undefined when the text did not tell, or triggers, rules or cascades reach further than it tells. */
function namesOf(
  { relations }: Written,
  snapshot: CatalogSnapshot,
): readonly RelationName[] | undefined {
  if (relations === "everything") return undefined
  const direct = new Set<RelationName>()
  for (const ref of relations) for (const name of meant(ref, snapshot)) direct.add(name)
  const all = [...downward([...direct], snapshot)]
  const reachesFurther = all.some((name) => snapshot.relations.get(name)?.hasSideEffects === true)
  return reachesFurther ? undefined : all
}

/** An unqualified name stands for every relation of that name: one token too many costs a query, one too few a stale answer. */
function meant(ref: RelationRef, snapshot: CatalogSnapshot): readonly RelationName[] {
  if (ref.schema !== undefined) {
    const found = findRelation(snapshot, ref.schema, ref.name)
    return found === undefined ? [] : [found]
  }
  const found: RelationName[] = []
  for (const { relation, name } of snapshot.relations.values())
    if (relation === ref.name) found.push(name)
  return found
}
