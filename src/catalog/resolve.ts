import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName, RelationRef } from "../core/relation.ts"
import { findRelation, folded } from "./relation-key.ts"

/** Where unqualified names are looked up. */
export type NameScope = {
  readonly snapshot: CatalogSnapshot
  /** The session's search_path, `"$user"` already resolved. */
  readonly searchPath: readonly string[]
  /** Name of the connected database, which alone may qualify a name; undefined = none may. */
  readonly database: string | undefined
}

export type Resolution = {
  /** Distinct, in the order of first mention. */
  readonly resolved: readonly RelationName[]
  /** References to nothing the snapshot knows. They may exist by now, so nothing that names them may be cached. */
  readonly unknown: readonly RelationRef[]
}

/** Resolves names by PostgreSQL's rules (manual, 5.10.3 and 5.10.5); CTE names must have been taken out before. */
export function resolveRelations(refs: readonly RelationRef[], scope: NameScope): Resolution {
  const schemas = effectivePath(scope)
  const resolved = new Set<RelationName>()
  const unknown: RelationRef[] = []
  for (const ref of refs) {
    const name = resolveOne(ref, scope, schemas)
    if (name === undefined) unknown.push(ref)
    else resolved.add(name)
  }
  return { resolved: [...resolved], unknown }
}

function resolveOne(
  ref: RelationRef,
  scope: NameScope,
  schemas: readonly string[],
): RelationName | undefined {
  const { snapshot } = scope
  if (ref.catalog !== undefined && !isDatabase(ref.catalog, scope)) return undefined
  if (ref.schema !== undefined) return findRelation(snapshot, ref.schema, ref.name)
  for (const schema of schemas) {
    const found = findRelation(snapshot, schema, ref.name)
    if (found !== undefined) return found
  }
  return undefined
}

function isDatabase(catalog: string, { database, snapshot }: NameScope): boolean {
  return database !== undefined && folded(snapshot, catalog) === folded(snapshot, database)
}

/**
 * Schemas in the order they are searched: implicit ones first, unless the path lists them at a place of their own. pg_temp
 * is left out: Sluice lets no client make temporary tables, and warehouse connections have none.
 */
export function effectivePath({
  snapshot,
  searchPath,
}: Pick<NameScope, "snapshot" | "searchPath">): readonly string[] {
  const listed = searchPath.filter((schema) => !isTemporary(schema))
  const listedNames = new Set(listed.map((schema) => folded(snapshot, schema)))
  const implicit = snapshot.implicitSchemas.filter(
    (schema) => !listedNames.has(folded(snapshot, schema)),
  )
  return [...implicit, ...listed]
}

function isTemporary(schema: string): boolean {
  return schema === "pg_temp" || schema.startsWith("pg_temp_")
}
