import type { CatalogSnapshot } from "../core/catalog.ts"
import { type RelationName, relationName } from "../core/relation.ts"

/** The two parts of a relation's full name as the catalogue spells them. */
export type NameParts = { readonly schema: string; readonly name: string }

/** `relationName`'s inverse: unquotes both parts. Text that it never made is taken as one part, without a schema. */
export function partsOf(full: string): NameParts {
  const match = /^("(?:[^"]|"")*"|[^".]*)\.("(?:[^"]|"")*"|[^".]*)$/.exec(full)
  const [, schema, name] = match ?? []
  if (schema === undefined || name === undefined) return { schema: "", name: full }
  return { schema: unquoted(schema), name: unquoted(name) }
}

function unquoted(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part
}

/** How a snapshot compares names: as they are, or without regard to case where the engine does so. */
export function folded(snapshot: CatalogSnapshot, text: string): string {
  return snapshot.foldsCase ? text.toLowerCase() : text
}

/** Finds a relation of the snapshot by schema and name. */
export function findRelation(
  snapshot: CatalogSnapshot,
  schema: string,
  name: string,
): RelationName | undefined {
  if (!snapshot.foldsCase) {
    const exact = relationName(schema, name)
    return snapshot.relations.has(exact) ? exact : undefined
  }
  return foldedRelations(snapshot).get(foldedKey(schema, name))
}

/** Volatility by schema and name, with the snapshot's comparison of names. */
export function findFunction(snapshot: CatalogSnapshot, schema: string, name: string) {
  if (!snapshot.foldsCase) return snapshot.functions.get(relationName(schema, name))
  return foldedFunctions(snapshot).get(foldedKey(schema, name))
}

function foldedKey(schema: string, name: string): string {
  return relationName(schema.toLowerCase(), name.toLowerCase())
}

const relationsBySnapshot = new WeakMap<CatalogSnapshot, ReadonlyMap<string, RelationName>>()

function foldedRelations(snapshot: CatalogSnapshot): ReadonlyMap<string, RelationName> {
  const known = relationsBySnapshot.get(snapshot)
  if (known !== undefined) return known
  const map = new Map<string, RelationName>()
  for (const relation of snapshot.relations.values())
    map.set(foldedKey(relation.schema, relation.relation), relation.name)
  relationsBySnapshot.set(snapshot, map)
  return map
}

type FunctionMap = CatalogSnapshot["functions"]

const functionsBySnapshot = new WeakMap<CatalogSnapshot, FunctionMap>()

const volatilityRank = { immutable: 0, stable: 1, volatile: 2 }

/** Names that differ in case only are one name to the engine: the worst of them counts. */
function foldedFunctions(snapshot: CatalogSnapshot): FunctionMap {
  const known = functionsBySnapshot.get(snapshot)
  if (known !== undefined) return known
  const map = new Map<string, "immutable" | "stable" | "volatile">()
  for (const [full, volatility] of snapshot.functions) {
    const { schema, name } = partsOf(full)
    const key = foldedKey(schema, name)
    const other = map.get(key)
    if (other === undefined || volatilityRank[other] < volatilityRank[volatility])
      map.set(key, volatility)
  }
  functionsBySnapshot.set(snapshot, map)
  return map
}
