import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName } from "../core/relation.ts"

/** Everything a read of some relations depends on. */
export type Expansion = {
  /** The relations themselves and, through views and parents, all they show rows of. Distinct and sorted. */
  readonly relations: readonly RelationName[]
  /** A view among them calls something that is not known to be immutable, or its definition could not be read. */
  readonly volatileDefinition: boolean
  /** One of them keeps its rows elsewhere, where no invalidation of ours is heard. */
  readonly foreignTable: boolean
  /** One of them belongs to pg_catalog or information_schema. */
  readonly system: boolean
  /** One of them is named by another but missing in the snapshot. */
  readonly incomplete: boolean
}

const systemSchemas = new Set(["pg_catalog", "information_schema", "pg_toast"])

/** Closures kept per snapshot; above it they are computed again, which costs microseconds. */
const memoEntriesMax = 20_000

const memoBySnapshot = new WeakMap<CatalogSnapshot, Map<string, Expansion>>()

/** The transitive closure over `dependsOn`; harmless on cycles. The same object for the same names and snapshot. */
export function expand(names: readonly RelationName[], snapshot: CatalogSnapshot): Expansion {
  let memo = memoBySnapshot.get(snapshot)
  if (memo === undefined) {
    memo = new Map()
    memoBySnapshot.set(snapshot, memo)
  }
  // Relation names hold no NUL: PostgreSQL's identifiers cannot.
  const memoKey = names.join("\0")
  const known = memo.get(memoKey)
  if (known !== undefined) return known
  const expansion = computeExpansion(names, snapshot)
  if (memo.size >= memoEntriesMax) memo.clear()
  memo.set(memoKey, expansion)
  return expansion
}

function computeExpansion(names: readonly RelationName[], snapshot: CatalogSnapshot): Expansion {
  const relations = [...downward(names, snapshot)].toSorted()
  let volatileDefinition = false
  let foreignTable = false
  let system = false
  let incomplete = false
  for (const name of relations) {
    const relation = snapshot.relations.get(name)
    if (relation === undefined) {
      incomplete = true
      continue
    }
    volatileDefinition ||= relation.volatileDefinition
    foreignTable ||= relation.kind === "foreign_table"
    system ||= systemSchemas.has(relation.schema)
  }
  return { relations, volatileDefinition, foreignTable, system, incomplete }
}

/** The names and everything below them: a view's sources, a parent's children. An invalidation of a view raises all of these. */
export function downward(
  names: readonly RelationName[],
  snapshot: CatalogSnapshot,
): Set<RelationName> {
  return closure(names, (name) => snapshot.relations.get(name)?.dependsOn ?? [])
}

const dependentsBySnapshot = new WeakMap<
  CatalogSnapshot,
  ReadonlyMap<RelationName, readonly RelationName[]>
>()

/** Relations above these, without themselves, sorted: the views over them, and parents of which they are a child. */
export function dependentsOf(
  names: readonly RelationName[],
  snapshot: CatalogSnapshot,
): readonly RelationName[] {
  const above = dependentsMap(snapshot)
  const all = closure(names, (name) => above.get(name) ?? [])
  for (const name of names) all.delete(name)
  return [...all].toSorted()
}

function dependentsMap(
  snapshot: CatalogSnapshot,
): ReadonlyMap<RelationName, readonly RelationName[]> {
  const known = dependentsBySnapshot.get(snapshot)
  if (known !== undefined) return known
  const above = new Map<RelationName, RelationName[]>()
  for (const relation of snapshot.relations.values())
    for (const source of relation.dependsOn) {
      const dependents = above.get(source)
      if (dependents === undefined) above.set(source, [relation.name])
      else dependents.push(relation.name)
    }
  dependentsBySnapshot.set(snapshot, above)
  return above
}

function closure(
  names: readonly RelationName[],
  neighbours: (name: RelationName) => readonly RelationName[],
): Set<RelationName> {
  const seen = new Set(names)
  // A Set visits what is added while it is being walked, so this is the whole closure and each name is visited once.
  for (const name of seen) for (const next of neighbours(name)) seen.add(next)
  return seen
}
