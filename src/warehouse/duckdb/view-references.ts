/** What a view's text names, as DuckDB's own parser reads it. */
export type SerializedReferences = {
  readonly relations: readonly ReferencedName[]
  /** Names of functions, operators included (`+` is one). */
  readonly functions: readonly string[]
  /** The text behind `CREATE VIEW name AS`. */
  readonly query: string
  /** Columns are named in front of AS. */
  readonly namesColumns: boolean
}

export type ReferencedName = {
  /** Empty when the name is not qualified. */
  readonly schema: string
  readonly name: string
  /** The text has a CTE of this name, which may or may not be what is meant. */
  readonly mayBeCte: boolean
}

/**
 * The queries of views as trees, by json_serialize_sql (built into the bindings; it parses and does not run). It takes a
 * SELECT only, so the `CREATE VIEW name (columns) AS` before it is cut off at the first AS behind which a query parses. One
 * undefined for each view that cannot be read with certainty.
 */
export async function viewReferences(
  definitions: readonly string[],
  ask: (sql: string) => Promise<string>,
): Promise<readonly (SerializedReferences | undefined)[]> {
  const found: (SerializedReferences | undefined)[] = []
  for (const definition of definitions) found.push(await referencesOf(definition, ask))
  return found
}

/** A name may hold the word AS; more of them than this is no name. */
const candidatesMax = 8

async function referencesOf(
  definition: string,
  ask: (sql: string) => Promise<string>,
): Promise<SerializedReferences | undefined> {
  const starts = [...definition.matchAll(/\sAS\s/gi)].slice(0, candidatesMax)
  for (const start of starts) {
    const query = definition.slice(start.index + start[0].length).replace(/;\s*$/, "")
    const text = await ask(`SELECT json_serialize_sql('${query.replaceAll("'", "''")}')`)
    const tree: unknown = JSON.parse(text)
    if (fields(tree)["error"] !== false) continue
    const statements = fields(tree)["statements"]
    if (!Array.isArray(statements) || statements.length !== 1) continue
    const head = definition.slice(0, start.index)
    return collect(statements[0], { query, namesColumns: head.trimEnd().endsWith(")") })
  }
  return undefined
}

type Fields = Readonly<Record<string, unknown>>

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {}
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

type Collected = {
  readonly relations: Map<string, Omit<ReferencedName, "mayBeCte">>
  readonly functions: Set<string>
  isCertain: boolean
}

/**
 * A CTE's name hides a table's, but not inside its own definition. Scopes are not followed here: whoever reads the result
 * counts a table of that name, if there is one, as read.
 */
function collect(
  tree: unknown,
  written: Pick<SerializedReferences, "query" | "namesColumns">,
): SerializedReferences | undefined {
  const collected: Collected = { relations: new Map(), functions: new Set(), isCertain: true }
  const cteNames = new Set<string>()
  walk(tree, collected, cteNames)
  if (!collected.isCertain) return undefined
  const relations = [...collected.relations.values()].map(({ schema, name }) => ({
    schema,
    name,
    mayBeCte: schema === "" && cteNames.has(name.toLowerCase()),
  }))
  return { ...written, relations, functions: [...collected.functions] }
}

function walk(node: unknown, into: Collected, cteNames: Set<string>): void {
  if (Array.isArray(node)) {
    for (const item of node) walk(item, into, cteNames)
    return
  }
  if (typeof node !== "object" || node === null) return
  const found = fields(node)
  visit(found, into, cteNames)
  for (const value of Object.values(found)) walk(value, into, cteNames)
}

function visit(node: Fields, into: Collected, cteNames: Set<string>): void {
  const ctes = fields(node["cte_map"])["map"]
  if (Array.isArray(ctes)) {
    for (const cte of ctes) cteNames.add(text(fields(cte)["key"]).toLowerCase())
  }
  switch (node["type"]) {
    case "BASE_TABLE": {
      // Another catalog's relation, or one as of another time, is nothing this snapshot can stand for.
      if (text(node["catalog_name"]) !== "" && node["schema_name"] === "") into.isCertain = false
      if (node["at_clause"] !== null) into.isCertain = false
      const schema = text(node["schema_name"])
      const name = text(node["table_name"])
      into.relations.set(JSON.stringify([schema, name]), { schema, name })
      break
    }
    case "FUNCTION":
    case "WINDOW_AGGREGATE":
      into.functions.add(text(node["function_name"]))
      break
    case "TABLE_FUNCTION":
    case "SHOW_REF":
    case "PIVOT":
      // The function itself is visited as a node of its own; what SHOW or PIVOT reads is not followed.
      if (node["type"] !== "TABLE_FUNCTION") into.isCertain = false
      break
    default:
  }
}
