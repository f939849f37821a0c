import type { Ast } from "../../core/statement.ts"
import { fieldsOf, nameParts, nodeFields, string, textOf } from "./ast-nodes.ts"
import { adaptStatement } from "./dialect.ts"

/** PostgreSQL's grammar, in which policies read a view's query. */
export type ViewGrammar = {
  /** Trees of a text; throws for what does not parse. */
  readonly parse: (text: string) => readonly Ast[]
  /** SQL that parses to this tree; throws when there is none. */
  readonly emit: (ast: Ast) => string
  /** The query with a schema in front of every relation's name; undefined when one has none. */
  readonly qualify: (ast: Ast, schemaOf: (name: string) => string | undefined) => string | undefined
}

export type ViewToDefine = {
  readonly relation: string
  /** Behind `CREATE VIEW name AS`. */
  readonly query: string
  /** The command names its columns in front of AS. */
  readonly namesColumns: boolean
  /** As DuckDB describes them. */
  readonly columns: readonly string[]
  readonly schemaOf: (name: string) => string | undefined
  readonly withoutDatabase: WithoutDatabase
}

/** A relation's catalogue and schema as a text names them, empty where it does not. */
export type Qualifiers = { readonly catalog: string; readonly schema: string }

/** The same without the file's own name in front: `mart.sales.t` is `sales.t`, and `mart.t` is `main.t` where no schema is called mart. */
export type WithoutDatabase = (qualifiers: Qualifiers) => Qualifiers

/**
 * A view's query in PostgreSQL's grammar, or undefined when it means anything else there. DuckDB itself is the judge: the
 * text that it would be sent has to parse to the very tree of the view's own text, so that an operator that binds otherwise, a function that
 * the dialect rewrites, or a literal of another type ends here. `tree` is the answer of json_serialize_sql, parsed.
 */
export async function viewDefinition(
  view: ViewToDefine,
  grammar: ViewGrammar,
  tree: (query: string) => Promise<unknown>,
): Promise<string | undefined> {
  const { query, relation, columns, namesColumns, withoutDatabase } = view
  try {
    const [parsed, ...more] = grammar.parse(query)
    if (nodeFields(parsed, "SelectStmt") === undefined || more.length > 0) return undefined
    const ast = fieldsOf(ownNames(divisionsAsCalls(parsed), withoutDatabase))
    const sent = grammar.emit(adaptStatement(ast, undefined) ?? ast)
    const comparison = new Comparison(withoutDatabase)
    if (!comparison.isSame(await tree(query), await tree(sent))) return undefined
    const qualified = grammar.qualify(ast, view.schemaOf)
    if (qualified === undefined || columns.length === 0) return undefined
    const hasOtherNames =
      namesColumns || comparison.isLabelled || columns.some((name) => name !== name.toLowerCase())
    if (!hasOtherNames) return qualified
    const list = columns.map((name) => `"${name.replaceAll('"', '""')}"`).join(", ")
    const alias = `"${relation.replaceAll('"', '""')}"`
    return `SELECT ${list} FROM (${qualified}) AS ${alias} (${list})`
  } catch {
    // Not PostgreSQL's grammar (EXCLUDE, PIVOT, lambdas), or refused by the dialect.
    return undefined
  }
}

/** Operators that sessions here read as PostgreSQL's (`integer_division`, an error for a zero): views were read before that. */
const dividing: ReadonlySet<string> = new Set(["/", "//", "%"])

/** `a / b` as `"/"(a, b)`, which is the same function whatever the session's settings are. */
function divisionsAsCalls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(divisionsAsCalls)
  if (typeof value !== "object" || value === null) return value
  const expression = nodeFields(value, "A_Expr")
  const [name = "", ...more] = nameParts(expression?.["name"])
  if (expression?.["kind"] === "AEXPR_OP" && more.length === 0 && dividing.has(name)) {
    const args = [expression["lexpr"], expression["rexpr"]].map(divisionsAsCalls)
    return { FuncCall: { funcname: [string(name)], args, funcformat: "COERCE_EXPLICIT_CALL" } }
  }
  return Object.fromEntries(
    Object.entries(fieldsOf(value)).map(([key, child]) => [key, divisionsAsCalls(child)]),
  )
}

/** Relations without the file's name in front, which dbt writes into every view. */
function ownNames(value: unknown, withoutDatabase: WithoutDatabase): unknown {
  if (Array.isArray(value)) return value.map((item) => ownNames(item, withoutDatabase))
  if (typeof value !== "object" || value === null) return value
  const relation = nodeFields(value, "RangeVar")
  if (relation !== undefined) {
    const { catalogname, schemaname, ...rest } = relation
    const named = withoutDatabase({ catalog: textOf(catalogname), schema: textOf(schemaname) })
    const catalog = named.catalog === "" ? {} : { catalogname: named.catalog }
    const schema = named.schema === "" ? {} : { schemaname: named.schema }
    return { RangeVar: { ...rest, ...catalog, ...schema } }
  }
  return Object.fromEntries(
    Object.entries(fieldsOf(value)).map(([key, child]) => [key, ownNames(child, withoutDatabase)]),
  )
}

type Fields = Readonly<Record<string, unknown>>

/** Keys whose strings are names, which DuckDB compares without regard to case. */
const nameKeys: ReadonlySet<string> = new Set([
  "alias",
  "catalog_name",
  "column_name_alias",
  "column_names",
  "function_name",
  "key",
  "schema_name",
  "table_name",
  "using_columns",
])

/** Two trees of json_serialize_sql, without regard to where things stood, and to labels that only the second one has. */
class Comparison {
  readonly #labels = new Set<string>()
  readonly #columns = new Set<string>()
  readonly #withoutDatabase: WithoutDatabase

  constructor(withoutDatabase: WithoutDatabase) {
    this.#withoutDatabase = withoutDatabase
  }

  /** The second tree names results that the first one leaves to the engine. */
  get isLabelled(): boolean {
    return this.#labels.size > 0
  }

  isSame(left: unknown, right: unknown): boolean {
    if (!this.#same(left, right, "")) return false
    // A label is a name that ORDER BY and others could mean by now.
    return ![...this.#labels].some((label) => this.#columns.has(label))
  }

  #same(left: unknown, right: unknown, key: string): boolean {
    if (Array.isArray(left)) {
      if (!Array.isArray(right) || left.length !== right.length) return false
      return left.every((item, index) => this.#same(item, right[index], key))
    }
    if (typeof left === "object" && left !== null)
      return typeof right === "object" && right !== null && !Array.isArray(right)
        ? this.#sameFields(left as Fields, right as Fields)
        : false
    if (typeof left !== "string" || typeof right !== "string") return left === right
    if (!nameKeys.has(key)) return left === right
    if (key === "alias" && left === "" && right !== "") {
      this.#labels.add(right.toLowerCase())
      return true
    }
    if (key === "column_names") this.#columns.add(left.toLowerCase())
    return left.toLowerCase() === right.toLowerCase()
  }

  #sameFields(written: Fields, right: Fields): boolean {
    const left = written["type"] === "BASE_TABLE" ? this.#ownName(written) : written
    const keys = new Set([...Object.keys(left), ...Object.keys(right)])
    keys.delete("query_location")
    if (dividing.has(String(left["function_name"]))) keys.delete("is_operator")
    return [...keys].every((key) => this.#same(left[key], right[key], key))
  }

  #ownName(table: Fields): Fields {
    const { catalog_name, schema_name } = table
    const named = { catalog: textOf(catalog_name), schema: textOf(schema_name) }
    const { catalog, schema } = this.#withoutDatabase(named)
    return { ...table, catalog_name: catalog, schema_name: schema }
  }
}
