import { createHash } from "node:crypto"
import type { DuckDBMaterializedResult, DuckDBValue } from "@duckdb/node-api"
import type {
  CatalogInterest,
  CatalogRelation,
  CatalogSnapshot,
  Volatility,
} from "../../core/catalog.ts"
import type { MirrorSchema } from "../../core/mirror.ts"
import { postgresCatalogue } from "../../core/postgres-catalogue.ts"
import { type RelationName, relationName } from "../../core/relation.ts"
import { dialectFunctions } from "./dialect-functions.ts"
import { readMirror } from "./mirror-reader.ts"
import { implicitSchemas } from "./session-settings.ts"
import { type ViewGrammar, viewDefinition, type WithoutDatabase } from "./view-definitions.ts"
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
  options: { readonly interest: CatalogInterest; readonly grammar: ViewGrammar | undefined } = {
    interest: [],
    grammar: undefined,
  },
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
  const database = String((await rowsOf(source, "SELECT current_database()", signal))[0]?.[0])
  const names = namesOf(relations, functions, database)
  for (const [index, view] of views.entries()) addView(relations, names, view, found[index])
  const mirror = await readMirror((sql) => source.query(sql, signal))
  for (const { name, columns } of mirror.relations) {
    const relation = relations.get(name)
    if (relation !== undefined)
      relations.set(name, {
        ...relation,
        columns: columns.map((column) => column.name),
        columnTypes: columns.map((column) => column.typeOid),
      })
  }
  if (options.grammar !== undefined && options.interest.length > 0) {
    const tree = async (sql: string): Promise<unknown> => {
      const text = `SELECT json_serialize_sql('${sql.replaceAll("'", "''")}')`
      return JSON.parse(String((await rowsOf(source, text, signal))[0]?.[0]))
    }
    const above = new Set(viewsAbove(relations, options.interest))
    for (const [index, { schema, relation: name }] of views.entries()) {
      const relation = relations.get(relationName(schema, name))
      const text = found[index]
      if (relation === undefined || text === undefined || !above.has(relation.name)) continue
      const { columns = [] } = relation
      const schemaOf = (read: string): string | undefined => names.schemaOf(schema, read)
      const { withoutDatabase } = names
      const view = { ...text, relation: name, columns, schemaOf, withoutDatabase }
      const definition = await viewDefinition(view, options.grammar, tree)
      relations.set(relation.name, { ...relation, definition })
    }
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

type Names = {
  readonly relations: ReadonlyMap<string, RelationName>
  readonly functions: ReadonlyMap<string, Volatility>
  /** Last parts of the names of users' macros. */
  readonly macros: ReadonlySet<string>
  /** Where a view of `schema` finds a relation that it names without one; undefined when that depends on who reads. */
  readonly schemaOf: (schema: string, name: string) => string | undefined
  readonly withoutDatabase: WithoutDatabase
}

/**
 * DuckDB keeps a view's text as it was written, so names in it may be unqualified. It looks them up in the view's own schema, then along the
 * search_path of whoever reads the view, then in main: one that is not in the view's schema is certain only when main
 * alone has it.
 */
function namesOf(
  relations: ReadonlyMap<RelationName, CatalogRelation>,
  functions: ReadonlyMap<string, Volatility>,
  database: string,
): Names {
  const isDatabase = (name: string): boolean => name.toLowerCase() === database.toLowerCase()
  const hasSchema = [...relations.values()].some(({ schema }) => isDatabase(schema))
  const withoutDatabase: WithoutDatabase = ({ catalog, schema }) => {
    if (isDatabase(catalog)) return { catalog: "", schema }
    return catalog === "" && isDatabase(schema) && !hasSchema
      ? { catalog, schema: "main" }
      : { catalog, schema }
  }
  const bySchema = new Map<string, RelationName>()
  const schemas = new Map<string, string[]>()
  for (const { name, schema, relation } of relations.values()) {
    bySchema.set(relationName(schema, relation).toLowerCase(), name)
    const folded = relation.toLowerCase()
    schemas.set(folded, [...(schemas.get(folded) ?? []), schema])
  }
  const macros = new Set<string>()
  for (const full of functions.keys())
    if (!full.startsWith("pg_catalog."))
      macros.add(full.slice(full.lastIndexOf(".") + 1).toLowerCase())
  const schemaOf = (schema: string, name: string): string | undefined => {
    const having = schemas.get(name.toLowerCase()) ?? []
    const own = having.find((other) => other.toLowerCase() === schema.toLowerCase())
    if (own !== undefined) return own
    const [only, ...more] = having
    return only?.toLowerCase() === "main" && more.length === 0 ? only : undefined
  }
  return { relations: bySchema, functions, macros, schemaOf, withoutDatabase }
}

function viewsAbove(
  relations: ReadonlyMap<RelationName, CatalogRelation>,
  interest: CatalogInterest,
): ReadonlySet<RelationName> {
  const above = new Set<string>(
    interest.map(({ schema, relation }) => relationName(schema, relation).toLowerCase()),
  )
  const views = new Set<RelationName>()
  let size = -1
  while (size < above.size) {
    size = above.size
    for (const { name, dependsOn } of relations.values())
      if (dependsOn.some((source) => above.has(source.toLowerCase()))) {
        above.add(name.toLowerCase())
        views.add(name)
      }
  }
  return views
}

/** What a view reads and whether all of it is known. */
function addView(
  relations: Map<RelationName, CatalogRelation>,
  names: Names,
  view: ViewRow,
  references: SerializedReferences | undefined,
): void {
  const name = relationName(view.schema, view.relation)
  const relation = relations.get(name)
  if (relation === undefined) return
  const dependsOn = new Set<RelationName>()
  let isKnown = references !== undefined
  for (const written of references?.relations ?? []) {
    const { schema: own } = names.withoutDatabase({ catalog: "", schema: written.schema })
    const reference = { ...written, schema: own }
    const isQualified = reference.schema !== ""
    const certain = isQualified ? reference.schema : names.schemaOf(view.schema, reference.name)
    // Uncertain ones count as read from main, so that at least its invalidations are heard.
    const schema = certain ?? "main"
    const found = names.relations.get(relationName(schema, reference.name).toLowerCase())
    if (found !== undefined) dependsOn.add(found)
    if (found !== undefined && certain !== undefined) continue
    else if (found !== undefined) isKnown = false
    else if (!reference.mayBeCte) isKnown = false
  }
  for (const called of references?.functions ?? []) {
    const function_ = called.toLowerCase()
    const volatility = names.functions.get(relationName("pg_catalog", function_))
    if (volatility !== "immutable" || unsafeInViews.has(function_)) isKnown = false
    // A macro of a user's may stand in front of a function of the system's.
    if (names.macros.has(function_)) isKnown = false
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
