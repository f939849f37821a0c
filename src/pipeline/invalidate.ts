import { relationMatchesGlob } from "../cache/glob.ts"
import { type InstanceCount, type RaiseReceipt, unprovableFence } from "../cache/token-store.ts"
import type { Catalog } from "../catalog/catalog.ts"
import { dependentsOf, downward } from "../catalog/expand.ts"
import { resolveNames } from "../catalog/resolve-names.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import { unreachable } from "../core/errors.ts"
import type {
  InvalidatedItem,
  InvalidationItem,
  InvalidationOutcome,
  InvalidationRequest,
  Invalidator,
  RelationFreshness,
} from "../core/invalidation.ts"
import type { RelationName } from "../core/relation.ts"
import { fenceNow } from "./fence.ts"
import { catalogueRelation } from "./plan.ts"
import { RelationFreshnessLog } from "./relation-freshness.ts"
import type { Rooms } from "./rooms.ts"

/** Outcomes kept for GET /v1/invalidations. */
const outcomesMax = 1_000

export type InvalidatorOptions = {
  readonly targets: readonly InvalidationTarget[]
  /** Patterns of relations by tag (`control.tags`). */
  readonly tags: ReadonlyMap<string, readonly string[]>
  readonly wallMs: () => number
}

export type InvalidationTarget = {
  readonly rooms: Rooms
  /** The engine must not answer later statements from what it has open now. */
  readonly onInvalidated: () => void
}

/** A warehouse and the names that the items mean in it. */
type Resolved = {
  readonly target: InvalidationTarget
  readonly snapshot: CatalogSnapshot | undefined
  /** Learned after the call, like the names: whatever was committed before it lies at or before it. */
  readonly fence: string | undefined
}

/**
 * Invalidation as one instance carries it out. The order is what the promise rests on (docs/ARCHITECTURE.md, freshness): the engine is
 * told to show new data, names are re-read, tokens are raised, all instances have them, and only then the caller is answered
 * that it is applied. A read that starts after that takes the new tokens, and whatever is still in flight is stored under the old ones, where nobody looks.
 */
export class LocalInvalidator implements Invalidator {
  readonly #targets: readonly InvalidationTarget[]
  readonly #outcomes = new Map<string, InvalidationOutcome>()
  readonly #wallMs: () => number
  readonly #tags: ReadonlyMap<string, readonly string[]>
  readonly #freshness = new RelationFreshnessLog()
  #dryRuns = 0

  constructor({ targets, tags, wallMs }: InvalidatorOptions) {
    this.#targets = targets
    this.#tags = tags
    this.#wallMs = wallMs
  }

  async invalidate(request: InvalidationRequest): Promise<InvalidationOutcome> {
    const startedAtMs = performance.now()
    const targets = this.#targets.filter(
      ({ rooms }) => request.warehouse === undefined || rooms.warehouse === request.warehouse,
    )
    const resolved = request.isDryRun
      ? targets.map((target) => ({
          target,
          snapshot: target.rooms.catalog.current(),
          fence: undefined,
        }))
      : await Promise.all(targets.map((target) => reread(target, request.timeoutMs)))
    const items = request.items.map((item) => this.#item(item, resolved))
    const unmatched = items.filter((item) => item.resolved.length === 0).map((item) => item.item)
    const outcome = request.isDryRun
      ? this.#dryRun(items, unmatched)
      : await this.#apply({ ...request, startedAtMs }, { items, unmatched, resolved })
    if (outcome.status === "applied") this.#keep(outcome, request.source)
    return outcome
  }

  find(id: string): InvalidationOutcome | undefined {
    return this.#outcomes.get(id)
  }

  since(timeMs: number, limit: number): readonly InvalidationOutcome[] {
    const found = [...this.#outcomes.values()].filter(
      (outcome) => Date.parse(outcome.appliedAt) >= timeMs,
    )
    return found.slice(0, limit)
  }

  async #apply(
    request: InvalidationRequest & { readonly startedAtMs: number },
    found: {
      readonly items: readonly InvalidatedItem[]
      readonly unmatched: readonly string[]
      readonly resolved: readonly Resolved[]
    },
  ): Promise<InvalidationOutcome> {
    const { items, unmatched, resolved } = found
    const [first] = resolved
    if (first === undefined) return { ...this.#dryRun(items, unmatched), status: "applied" }
    const names = [...new Set(items.flatMap((item) => item.resolved))]
    const { tokens, cache } = first.target.rooms
    const { maxStaleMs } = request
    // Without a catalogue nobody knows which relations a name stands for: everything becomes cold.
    const isBlind = resolved.some((entry) => entry.snapshot === undefined)
    const fences = resolved.map((entry) => entry.fence)
    const shared = fences.length === 1 ? fences[0] : unprovableFence
    let receipt: RaiseReceipt
    if (isBlind) {
      receipt = await tokens.renewEpoch({ fence: shared })
      cache.memory.clear()
    } else {
      for (const [index, { snapshot }] of resolved.entries()) {
        const own = names.filter((name) => isOnlyIn(name, snapshot, resolved))
        if (resolved.length > 1 && own.length > 0)
          // oxlint-disable-next-line no-await-in-loop -- a warehouse after the other, all of them before the answer
          await tokens.raise(own, { fence: fences[index], maxStaleMs })
      }
      const rest = resolved.length === 1 ? names : names.filter((name) => isShared(name, resolved))
      if (maxStaleMs === undefined) {
        receipt = await tokens.raise([...rest, catalogueRelation], { fence: shared })
        cache.memory.forget([...names, catalogueRelation])
      } else {
        if (rest.length > 0) await tokens.raise(rest, { fence: shared, maxStaleMs })
        // What tables there are is never told from before.
        receipt = await tokens.raise([catalogueRelation], { fence: shared })
        cache.memory.forget([catalogueRelation])
      }
    }
    // The last receipt settles for all of them: who has applied its change has applied those before.
    const outcome = (
      status: "applied" | "pending",
      instances: InstanceCount,
    ): InvalidationOutcome => ({
      id: receipt.id,
      status,
      appliedAt: new Date(receipt.appliedAtMs).toISOString(),
      items,
      unmatched,
      instances,
    })
    const waitMs =
      request.wait === "none" ? 0 : request.timeoutMs - (performance.now() - request.startedAtMs)
    const instances = await within(waitMs, receipt.settled)
    if (instances !== undefined) return outcome("applied", instances)
    const pending = outcome("pending", receipt.progress())
    this.#keep(pending, request.source)
    receipt.settled.then(
      (later) => this.#keep(outcome("applied", later), request.source),
      // Shutting down: nobody will ask any more.
      () => undefined,
    )
    return pending
  }

  #dryRun(items: readonly InvalidatedItem[], unmatched: readonly string[]): InvalidationOutcome {
    this.#dryRuns += 1
    return {
      id: `dry_${this.#dryRuns}`,
      status: "dry_run",
      appliedAt: new Date(this.#wallMs()).toISOString(),
      items,
      unmatched,
      instances: { known: 1, confirmed: 0, leaseExpired: 0 },
    }
  }

  relations(name: string | undefined, limit: number): readonly RelationFreshness[] {
    const names = name === undefined ? undefined : new Set(this.#named(name))
    return this.#freshness.list(names, limit).map((known) => ({
      ...known,
      entriesNow: this.#entriesOf(known.relation),
    }))
  }

  #named(name: string): readonly RelationName[] {
    return this.#targets.flatMap(({ rooms }) => {
      const snapshot = rooms.catalog.current()
      return snapshot === undefined ? [] : resolveNames(name, snapshot, rooms.warehouse)
    })
  }

  #entriesOf(relation: RelationName): number {
    return this.#targets[0]?.rooms.cache.memory.countOf([relation]) ?? 0
  }

  #keep(outcome: InvalidationOutcome, source: InvalidationRequest["source"]): void {
    const { id, appliedAt: invalidatedAt } = outcome
    for (const { resolved, entries } of outcome.items)
      for (const relation of resolved)
        this.#freshness.note(relation, { invalidatedAt, id, source, entriesThen: entries })

    if (this.#outcomes.size >= outcomesMax) {
      const [oldest] = this.#outcomes.keys()
      if (oldest !== undefined) this.#outcomes.delete(oldest)
    }
    this.#outcomes.set(outcome.id, outcome)
  }

  #item(item: InvalidationItem, resolved: readonly Resolved[]): InvalidatedItem {
    const names = new Set<RelationName>()
    const dependents = new Set<RelationName>()
    for (const { target, snapshot } of resolved) {
      if (snapshot === undefined) continue
      const direct = matches(item, snapshot, {
        warehouse: target.rooms.warehouse,
        tags: this.#tags,
      })
      // An event for a view reaches the tables it shows, one for a partitioned table its partitions.
      for (const name of downward(direct, snapshot)) names.add(name)
      for (const name of dependentsOf(direct, snapshot)) dependents.add(name)
    }
    const all = [...names].toSorted()
    const entries = resolved[0]?.target.rooms.cache.memory.countOf(all) ?? 0
    return {
      kind: item.kind,
      item: textOf(item),
      resolved: all,
      dependents: [...dependents].filter((name) => !names.has(name)).toSorted(),
      entries,
    }
  }
}

/** What the promise gives within the time; undefined when it takes longer. */
async function within<Value>(ms: number, promise: Promise<Value>): Promise<Value | undefined> {
  const { promise: over, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), Math.max(0, ms))
  try {
    return await Promise.race([promise, over])
  } finally {
    clearTimeout(timer)
  }
}

function textOf(item: InvalidationItem): string {
  switch (item.kind) {
    case "relation":
      return item.relation
    case "schema":
      return item.schema
    case "glob":
      return item.glob
    case "tag":
      return item.tag
    default:
      return unreachable(item)
  }
}

function matches(
  item: InvalidationItem,
  snapshot: CatalogSnapshot,
  {
    warehouse,
    tags,
  }: { readonly warehouse: string; readonly tags: ReadonlyMap<string, readonly string[]> },
): readonly RelationName[] {
  if (item.kind === "relation") return resolveNames(item.relation, snapshot, warehouse)
  const all = [...snapshot.relations.values()]
  if (item.kind === "schema")
    return all
      .filter((relation) => isSameName(relation.schema, item.schema, snapshot))
      .map((relation) => relation.name)
  const globs = item.kind === "glob" ? [item.glob] : (tags.get(item.tag) ?? [])
  return all
    .filter((relation) => globs.some((glob) => relationMatchesGlob(glob, relation.name)))
    .map((relation) => relation.name)
}

function isSameName(left: string, right: string, snapshot: CatalogSnapshot): boolean {
  return snapshot.foldsCase ? left.toLowerCase() === right.toLowerCase() : left === right
}

/** Every invalidation re-reads names and views, because a load may have replaced them. */
async function reread(target: InvalidationTarget, timeoutMs: number): Promise<Resolved> {
  target.onInvalidated()
  const [snapshot, fence] = await Promise.all([
    namesNow(target.rooms.catalog, timeoutMs),
    fenceNow(target.rooms),
  ])
  return { target, snapshot, fence }
}

async function namesNow(catalog: Catalog, timeoutMs: number): Promise<CatalogSnapshot | undefined> {
  const known = catalog.current()
  try {
    return await catalog.refreshNow(AbortSignal.timeout(timeoutMs))
  } catch {
    // The names as they were known last still serve to raise tokens; reads wait until the catalogue can be read again.
    catalog.markStale()
    return known
  }
}

/** Relations are told apart by name only, so that one name in two warehouses has one token, and no position of one of them speaks for it. */
function isShared(name: RelationName, resolved: readonly Resolved[]): boolean {
  return resolved.filter(({ snapshot }) => snapshot?.relations.has(name)).length !== 1
}

function isOnlyIn(
  name: RelationName,
  snapshot: CatalogSnapshot | undefined,
  resolved: readonly Resolved[],
): boolean {
  return snapshot?.relations.has(name) === true && !isShared(name, resolved)
}
