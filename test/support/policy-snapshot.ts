import type { CatalogRelation, CatalogSnapshot, Volatility } from "../../src/core/catalog.ts"
import { type RelationName, relationName } from "../../src/core/relation.ts"

export type TableParts = Partial<Omit<CatalogRelation, "name" | "schema" | "relation">>

/** A relation of a catalogue that no engine was asked for. */
export function catalogRelation(
  schema: string,
  relation: string,
  parts: TableParts = {},
): CatalogRelation {
  const name = relationName(schema, relation)
  return {
    kind: "table",
    dependsOn: [],
    volatileDefinition: false,
    ...parts,
    name,
    schema,
    relation,
  }
}

/** Functions that every snapshot made here has beside its own. */
const systemFunctions: Readonly<Record<string, Volatility>> = {
  count: "immutable",
  date_trunc: "stable",
  left: "immutable",
  length: "immutable",
  lower: "immutable",
  now: "stable",
  pg_relation_size: "volatile",
  pg_table_is_visible: "stable",
  sum: "immutable",
  table_to_xml: "stable",
  to_timestamp: "stable",
  upper: "immutable",
}

export function policySnapshot(
  relations: readonly CatalogRelation[],
  parts: Partial<CatalogSnapshot> & {
    readonly usersFunctions?: Readonly<Record<string, Volatility>>
  } = {},
): CatalogSnapshot {
  const { usersFunctions = {}, ...rest } = parts
  const functions = new Map<string, Volatility>(Object.entries(usersFunctions))
  for (const [name, volatility] of Object.entries(systemFunctions))
    functions.set(relationName("pg_catalog", name), volatility)
  return {
    relations: new Map(relations.map((relation) => [relation.name, relation])),
    functions,
    implicitSchemas: ["pg_catalog"],
    foldsCase: false,
    userOperators: new Set(),
    version: "1",
    ...rest,
  }
}

export function named(text: string): RelationName {
  return text as RelationName
}
