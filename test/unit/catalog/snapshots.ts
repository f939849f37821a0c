import type { CatalogRelation, CatalogSnapshot, Volatility } from "../../../src/core/catalog.ts"
import { type RelationName, type RelationRef, relationName } from "../../../src/core/relation.ts"

/** Small catalogues for the tests of this room. */

export type RelationTraits = Partial<Omit<CatalogRelation, "name" | "schema" | "relation">>

export type SnapshotTraits = {
  /** `[schema, name, traits]`. */
  readonly relations?: readonly (readonly [string, string, RelationTraits?])[]
  readonly functions?: Readonly<Record<string, Volatility>>
  readonly implicitSchemas?: readonly string[]
  readonly foldsCase?: boolean
  readonly version?: string
}

export function snapshot(traits: SnapshotTraits = {}): CatalogSnapshot {
  const relations = new Map<RelationName, CatalogRelation>()
  for (const [schema, relation, more = {}] of traits.relations ?? []) {
    const name = relationName(schema, relation)
    relations.set(name, {
      name,
      schema,
      relation,
      kind: "table",
      dependsOn: [],
      volatileDefinition: false,
      ...more,
    })
  }
  return {
    relations,
    functions: new Map(Object.entries(traits.functions ?? {})),
    implicitSchemas: traits.implicitSchemas ?? ["pg_catalog"],
    foldsCase: traits.foldsCase ?? false,
    userOperators: new Set(),
    version: traits.version ?? "1",
  }
}

/** `catalog.schema.name`, each part as parsed; parts may not contain dots. */
export function ref(text: string): RelationRef {
  const parts = text.split(".")
  return { catalog: parts.at(-3), schema: parts.at(-2), name: parts.at(-1) ?? "" }
}

export function names(...texts: string[]): RelationName[] {
  return texts as RelationName[]
}
