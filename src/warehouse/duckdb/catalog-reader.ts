import { createHash } from "node:crypto"
import type { DuckDBMaterializedResult, DuckDBValue } from "@duckdb/node-api"
import type { CatalogRelation, CatalogSnapshot, Volatility } from "../../core/catalog.ts"
import type { MirrorSchema } from "../../core/mirror.ts"
import { postgresCatalogue } from "../../core/postgres-catalogue.ts"
import { type RelationName, relationName } from "../../core/relation.ts"
import { dialectFunctions } from "./dialect-functions.ts"
import { readMirror } from "./mirror-reader.ts"
import { implicitSchemas } from "./session-settings.ts"
import { type SerializedReferences, viewReferences } from "./view-references.ts"

/** What the reader needs of a connection: whole results of the gateway's own SQL. */
export type CatalogSource = {
  query(sql: string, signal: AbortSignal): Promise<DuckDBMaterializedResult>
}

const relationsSql = `
  SELECT schema_name, table_name, 'table', NULL FROM duckdb_tables()
  WHERE database_name = current_database() AND NOT internal AND NOT temporary
  UNION ALL
  SELECT schema_name, view_name, 'view', sql FROM duckdb_views()
  WHERE database_name = current_database() AND NOT internal AND NOT temporary
  ORDER BY ALL`

/**
 * Stability is null for macros and table functions. The system's own macros are expressions over its functions, mostly
 * of pg_catalog; what they read is not known here, so only those that the gateway knows count as better than volatile.
 */
const functionsSql = `
  SELECT function_name, function_type, stability, internal, schema_name FROM duckdb_functions()
  WHERE (internal OR database_name = current_database())
    AND function_type IN ('scalar', 'aggregate', 'macro', 'table', 'table_macro')
  GROUP BY ALL ORDER BY ALL`

type ViewRow = { readonly schema: string; readonly relation: string; readonly sql: string }

/** Reads relations, what views are made of, and functions. All of it comes from one opening of the file. */
export async function readDuckdbCatalog(
  source: CatalogSource,
  signal: AbortSignal,
): Promise<CatalogSnapshot> {
  const functions = readFunctions(await rowsOf(source, functionsSql, signal))
  const relations = new Map<RelationName, CatalogRelation>()
  const views: ViewRow[] = []
  for (const [schema, relation, kind, sql] of await rowsOf(source, relationsSql, signal)) {
    const name = relationName(String(schema), String(relation))
    relations.set(name, {
      name,
      schema: String(schema),
      relation: String(relation),
      kind: kind === "table" ? "table" : "view",
      dependsOn: [],
      volatileDefinition: false,
    })
    if (kind === "view") {
      views.push({ schema: String(schema), relation: String(relation), sql: String(sql) })
    }
  }
  const found = await viewReferences(
    views.map((view) => view.sql),
    async (sql) => String((await rowsOf(source, sql, signal))[0]?.[0]),
  )
  for (const [index, view] of views.entries()) addView(relations, functions, view, found[index])
  const mirror = await readMirror((sql) => source.query(sql, signal))
  for (const { name, columns } of mirror.relations) {
    const relation = relations.get(name)
    if (relation !== undefined)
      relations.set(name, { ...relation, columns: columns.map((column) => column.name) })
  }
  // After the views: what DuckDB has of its own under these names is never read by a client.
  for (const relation of postgresCatalogue()) relations.set(relation.name, relation)
  return snapshotOf(relations, functions, mirror)
}

async function rowsOf(
  source: CatalogSource,
  sql: string,
  signal: AbortSignal,
): Promise<readonly DuckDBValue[][]> {
  return (await source.query(sql, signal)).getRows()
}

const rank: Readonly<Record<Volatility, number>> = { immutable: 0, stable: 1, volatile: 2 }

/** Table functions that answer from their arguments alone. */
const pureTableFunctions = new Set(["range", "generate_series", "unnest", "repeat", "json_each"])

function volatilityOf(name: string, type: string, stability: DuckDBValue): Volatility {
  if (stability === "CONSISTENT") return "immutable"
  if (stability === "CONSISTENT_WITHIN_QUERY") return "stable"
  const isPure =
    (type === "table" && pureTableFunctions.has(name)) || (type === "macro" && pureMacros.has(name))
  return isPure ? "immutable" : "volatile"
}

/** Functions that DuckDB calls CONSISTENT although the clock, the session or a setting outside the cache key decides. */
const unsafeInViews: ReadonlySet<string> = new Set([
  "age",
  "current_localtime",
  "current_localtimestamp",
  "current_setting",
  "getvariable",
  "query",
  "query_table",
  "version",
])

/** Macros of the system that are expressions over their arguments. Others stay volatile. */
const pureMacros: ReadonlySet<string> = new Set([
  "array_append",
  "array_prepend",
  "array_reverse",
  "array_to_string",
  "date_add",
  "days_in_month",
  "fdiv",
  "fmod",
  "geomean",
  "geometric_mean",
  "json",
  "json_group_array",
  "json_group_object",
  "list_append",
  "list_avg",
  "list_count",
  "list_max",
  "list_median",
  "list_min",
  "list_prepend",
  "list_reverse",
  "list_string_agg",
  "list_sum",
  "nullif",
  "round_even",
  "roundbankers",
  "split_part",
  "wavg",
  "weighted_avg",
])

function readFunctions(rows: readonly DuckDBValue[][]): Map<string, Volatility> {
  const functions = new Map<string, Volatility>()
  for (const [nameValue, typeValue, stability, isInternal, schema] of rows) {
    const name = String(nameValue)
    const key = relationName(isInternal === true ? "pg_catalog" : String(schema), name)
    const found = volatilityOf(name, String(typeValue), stability ?? null)
    const known = functions.get(key)
    if (known === undefined || rank[known] < rank[found]) functions.set(key, found)
  }
  // What the dialect translates carries PostgreSQL's name, and PostgreSQL's volatility with it.
  for (const [name, volatility] of dialectFunctions) {
    const key = relationName("pg_catalog", name)
    if (!functions.has(key)) functions.set(key, volatility)
  }
  return functions
}

/**
 * DuckDB keeps a view's text as it was written, so names in it may be unqualified: they are looked up in the view's own
 * schema and then in main, and under any search_path of the reader; a name that neither has leaves the view unknown.
 */
function addView(
  relations: Map<RelationName, CatalogRelation>,
  functions: ReadonlyMap<string, Volatility>,
  view: ViewRow,
  references: SerializedReferences | undefined,
): void {
  const name = relationName(view.schema, view.relation)
  const relation = relations.get(name)
  if (relation === undefined) return
  const byFoldedName = new Map([...relations.keys()].map((key) => [key.toLowerCase(), key]))
  const dependsOn = new Set<RelationName>()
  let isKnown = references !== undefined
  for (const reference of references?.relations ?? []) {
    const schemas = reference.schema === "" ? [view.schema, "main"] : [reference.schema]
    const found = schemas
      .map((schema) => byFoldedName.get(relationName(schema, reference.name).toLowerCase()))
      .find((key) => key !== undefined)
    if (found !== undefined) dependsOn.add(found)
    else if (!reference.mayBeCte) isKnown = false
  }
  for (const called of references?.functions ?? []) {
    const function_ = called.toLowerCase()
    const volatility = functions.get(relationName("pg_catalog", function_))
    if (volatility !== "immutable" || unsafeInViews.has(function_)) isKnown = false
  }
  relations.set(name, {
    ...relation,
    dependsOn: [...dependsOn],
    volatileDefinition: !isKnown,
    opaque: isKnown ? [] : ["?"],
  })
}

function snapshotOf(
  relations: ReadonlyMap<RelationName, CatalogRelation>,
  functions: ReadonlyMap<string, Volatility>,
  mirror: MirrorSchema,
): CatalogSnapshot {
  const digest = createHash("sha256")
  digest.update(JSON.stringify([...relations.values()]))
  digest.update(JSON.stringify([...functions]))
  digest.update(JSON.stringify(implicitSchemas))
  digest.update(JSON.stringify(mirror))
  return {
    relations,
    functions,
    implicitSchemas,
    foldsCase: true,
    // DuckDB has no CREATE OPERATOR and no CREATE CAST.
    userOperators: new Set(),
    mirror,
    version: digest.digest("hex"),
  }
}
