import type { Parameters } from "../../core/parameters.ts"
import type { Ast } from "../../core/statement.ts"
import {
  call,
  type Fields,
  fieldsOf,
  lastName,
  listOf,
  type Node,
  nodeFields,
  string,
  textOf,
} from "./ast-nodes.ts"
import { adaptCall } from "./dialect-calls.ts"
import { undefinedRelation, unsupported } from "./dialect-errors.ts"
import { assertRelation, assertTableFunction } from "./dialect-guard.ts"
import { outputLabel } from "./dialect-labels.ts"
import { adaptNameField, adaptNameList, isReservedName } from "./dialect-names.ts"
import { adaptOperator } from "./dialect-operators.ts"
import { nameRecursiveQueries } from "./dialect-recursion.ts"
import { assertRecursion } from "./dialect-recursion-check.ts"
import { adaptCast } from "./dialect-types.ts"
import { parameterLiteral } from "./parameter-values.ts"

/**
 * A judged PostgreSQL statement as DuckDB's: what both read alike stays, what DuckDB lacks or means otherwise is rewritten
 * or refused (0A000), what reaches past the file is refused (42501, 42P01). Undefined when nothing changes. Parts that
 * stay are shared with the tree that came in, which is not changed.
 */
export function adaptStatement(ast: Ast, parameters: Parameters | undefined): Ast | undefined {
  if (parameters !== undefined && parameters.values.length > 0) return adapt(ast, parameters)
  const known = withoutParameters.get(ast)
  if (known !== undefined) return known.adapted
  const adapted = adapt(ast, parameters)
  withoutParameters.set(ast, { adapted })
  return adapted
}

/** Bounded by the lives of the trees. The same tree gives the same object, so that its emitter's memo finds it. */
const withoutParameters = new WeakMap<Ast, { readonly adapted: Ast | undefined }>()

function adapt(ast: Ast, parameters: Parameters | undefined): Ast | undefined {
  const named = nameRecursiveQueries(nameTopLevelValues(ast))
  const adapted = new Adapter(parameters).node(named, true)
  return adapted === ast ? undefined : (adapted as Ast)
}

/** `VALUES ...` as a statement of its own: its columns are named by a query around it. */
function nameTopLevelValues(ast: Ast): Ast {
  const select = nodeFields(ast, "SelectStmt")
  if (select === undefined || listOf(select["valuesLists"]).length === 0) return ast
  const { valuesLists, ...outer } = select
  const plain = { limitOption: "LIMIT_OPTION_DEFAULT", op: "SETOP_NONE" }
  const subquery = { SelectStmt: { valuesLists, ...plain } }
  const star = { ColumnRef: { fields: [{ A_Star: {} }] } }
  return {
    SelectStmt: {
      ...outer,
      targetList: [{ ResTarget: { val: star } }],
      fromClause: [{ RangeSubselect: { subquery } }],
    },
  }
}

/** What a node becomes; its parts are in DuckDB's dialect already. `undefined` = stays. */
type Rule = (fields: Fields, guardsDivision: boolean) => Node | undefined

const rules: Readonly<Record<string, Rule>> = {
  A_Expr: adaptOperator,
  ColumnRef: (fields) => {
    const names = adaptNameList(fields["fields"])
    return names === fields["fields"] ? undefined : { ColumnRef: { ...fields, fields: names } }
  },
  FuncCall: adaptCall,
  TypeCast: adaptCast,
  RangeVar: adaptRangeVar,
  SQLValueFunction: adaptValueFunction,
  A_Indirection: adaptIndirection,
  BooleanTest: adaptBooleanTest,
  CollateClause: adaptCollate,
  A_Const: (fields) => {
    if ("bsval" in fields) throw unsupported("a bit string literal")
    return undefined
  },
  XmlExpr: () => refuse("XML"),
  JsonTable: () => refuse("JSON_TABLE"),
  RangeTableFunc: () => refuse("XMLTABLE"),
  CurrentOfExpr: () => refuse("WHERE CURRENT OF"),
}

function refuse(construct: string): never {
  throw unsupported(construct)
}

class Adapter {
  readonly #parameters: Parameters | undefined

  constructor(parameters: Parameters | undefined) {
    this.#parameters = parameters
  }

  /** `guardsDivision`: false inside of conditions, where a row that divides by zero falls away by itself. */
  node(value: unknown, guardsDivision: boolean): unknown {
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) return this.#list(value, guardsDivision)
    const fields = fieldsOf(value)
    for (const tag in fields) {
      if (isTag(tag)) return this.#tagged(fields, tag, fieldsOf(fields[tag]), guardsDivision)
      break
    }
    return this.#fields(fields, guardsDivision)
  }

  #list(items: readonly unknown[], guardsDivision: boolean): readonly unknown[] {
    let changed: unknown[] | undefined
    for (let index = 0; index < items.length; index++) {
      const item = items[index]
      const adapted = this.node(item, guardsDivision)
      if (adapted === item) continue
      changed ??= [...items]
      changed[index] = adapted
    }
    return changed ?? items
  }

  #fields(fields: Fields, guardsDivision: boolean): Fields {
    let changed: Record<string, unknown> | undefined
    for (const key in fields) {
      const value = fields[key]
      const adapted = this.#field(key, value, guardsDivision)
      if (adapted === value) continue
      changed ??= { ...fields }
      changed[key] = adapted
    }
    return changed ?? fields
  }

  #field(key: string, value: unknown, guardsDivision: boolean): unknown {
    const named = adaptNameField(key, value)
    if (typeof named !== "object" || named === null) return named
    // The operands of UNION and the like stand in the tree without a tag of their own; those of a join have one.
    if ((key === "larg" || key === "rarg") && isUntagged(named)) {
      return this.#select(fieldsOf(named))
    }
    const isCondition = key === "whereClause" || key === "quals" || key === "agg_filter"
    return this.node(named, guardsDivision && !isCondition)
  }

  #tagged(node: Fields, tag: string, fields: Fields, guardsDivision: boolean): unknown {
    if (tag === "ParamRef") return this.#parameter(node, fields)
    if (tag === "SelectStmt") {
      const adapted = this.#select(fields)
      return adapted === fields ? node : { SelectStmt: adapted }
    }
    if (tag === "RangeFunction") return this.#rangeFunction(node, fields, guardsDivision)
    const inner = this.#fields(fields, guardsDivision)
    const replaced = rules[tag]?.(inner, guardsDivision)
    if (replaced !== undefined) return replaced
    return inner === fields ? node : { [tag]: inner }
  }

  #parameter(node: Fields, fields: Fields): unknown {
    if (this.#parameters === undefined) return node
    const number = typeof fields["number"] === "number" ? fields["number"] : 0
    return this.node(parameterLiteral(this.#parameters, number), true)
  }

  #select(fields: Fields): Fields {
    if (fields["withClause"] !== undefined) assertRecursion(fields["withClause"])
    const labels = listOf(fields["targetList"]).map(missingLabel)
    const adapted = this.#fields(fields, true)
    if (adapted["limitOption"] === "LIMIT_OPTION_WITH_TIES") throw unsupported("WITH TIES")
    const targets = listOf(adapted["targetList"])
    const labelled = targets.map((target, index) => labelTarget(target, labels[index]))
    const isRelabelled = labelled.some((target, index) => target !== targets[index])
    const from = listOf(adapted["fromClause"])
    const named = from.map(nameValuesColumns)
    const isRenamed = named.some((item, index) => item !== from[index])
    if (!isRelabelled && !isRenamed) return adapted
    return {
      ...adapted,
      ...(isRelabelled ? { targetList: labelled } : {}),
      ...(isRenamed ? { fromClause: named } : {}),
    }
  }

  /** A function in FROM names its one column by its alias in PostgreSQL, always by itself in DuckDB. */
  #rangeFunction(node: Fields, fields: Fields, guardsDivision: boolean): Node {
    const functions = listOf(fields["functions"])
    const [called] = listOf(nodeFields(functions[0], "List")?.["items"])
    const function_ = nodeFields(called, "FuncCall")
    if (functions.length !== 1 || function_ === undefined) throw unsupported("ROWS FROM")
    if (listOf(fields["coldeflist"]).length > 0) throw unsupported("a column definition list")
    const name = lastName(function_["funcname"])
    assertTableFunction(name)
    const inner = this.#fields(fields, guardsDivision)
    const alias = fieldsOf(inner["alias"])
    if (listOf(alias["colnames"]).length > 0) {
      return inner === fields ? node : { RangeFunction: inner }
    }
    const aliasName = textOf(alias["aliasname"]) || name
    const columns = fields["ordinality"] === true ? [aliasName, "ordinality"] : [aliasName]
    const colnames = columns.map((column) => string(column))
    return { RangeFunction: { ...inner, alias: { aliasname: aliasName, colnames } } }
  }
}

function isUntagged(value: unknown): boolean {
  for (const key in fieldsOf(value)) return !isTag(key)
  return true
}

function isTag(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 65 && first <= 90
}

/** PostgreSQL's name for an output column that has none and is no plain column. */
function missingLabel(target: unknown): string | undefined {
  const fields = nodeFields(target, "ResTarget")
  if (fields === undefined || textOf(fields["name"]) !== "") return undefined
  const isColumn = nodeFields(fields["val"], "ColumnRef") !== undefined
  const label = outputLabel(fields["val"])
  // A column's name is its label in both engines, unless it had to be put in capitals.
  return isColumn && !isReservedName(label) ? undefined : label
}

function labelTarget(target: unknown, label: string | undefined): unknown {
  const fields = nodeFields(target, "ResTarget")
  if (fields === undefined) return target
  const called = nodeFields(fields["val"], "FuncCall")
  const isSeries = lastName(called?.["funcname"]) === "generate_series"
  // In DuckDB's SELECT list the series is one list value.
  const val = isSeries ? call("unnest", [fields["val"]]) : fields["val"]
  if (label === undefined && !isSeries) return target
  return { ResTarget: { ...fields, ...(label === undefined ? {} : { name: label }), val } }
}

/** Columns of VALUES are column1, column2, ... in PostgreSQL, and col0, col1, ... in DuckDB. */
function nameValuesColumns(item: unknown): unknown {
  const range = nodeFields(item, "RangeSubselect")
  const select = nodeFields(range?.["subquery"], "SelectStmt")
  const firstRow = nodeFields(listOf(select?.["valuesLists"])[0], "List")
  if (range === undefined || firstRow === undefined) return item
  const alias = fieldsOf(range["alias"])
  const given = listOf(alias["colnames"])
  const width = listOf(firstRow["items"]).length
  if (given.length >= width) return item
  const colnames = Array.from(
    { length: width },
    (_, index) => given[index] ?? string(`column${index + 1}`),
  )
  const aliasname = textOf(alias["aliasname"]) || "values"
  return { RangeSubselect: { ...range, alias: { aliasname, colnames } } }
}

function adaptRangeVar(fields: Fields): Node | undefined {
  assertRelation(fields)
  const { catalogname, inh, ...rest } = fields
  // The gateway has checked that the database named is this one; DuckDB knows it under the file's name.
  if (catalogname === undefined && inh === true) return undefined
  if (textOf(rest["relname"]) === "") throw undefinedRelation("")
  return { RangeVar: { ...rest, inh: true } }
}

/** `(expression)[i]`: the emitter leaves out the parentheses, so it is written as a call. Columns need none. */
function adaptIndirection(fields: Fields): Node | undefined {
  const { arg } = fields
  if (nodeFields(arg, "ColumnRef") !== undefined) return undefined
  const steps = listOf(fields["indirection"]).map((step) => nodeFields(step, "A_Indices"))
  let found = arg as Node
  for (const step of steps) {
    if (step === undefined || step["is_slice"] === true) return undefined
    found = call("list_extract", [found, step["uidx"]])
  }
  return found
}

/** As calls: `SELECT CURRENT_DATE AS "current_date"` makes DuckDB take the word for the column that it labels. */
const clockFunctions: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: "today",
  SVFOP_CURRENT_TIME: "get_current_time",
  SVFOP_CURRENT_TIMESTAMP: "now",
  SVFOP_LOCALTIME: "current_localtime",
  SVFOP_LOCALTIMESTAMP: "current_localtimestamp",
}

function adaptValueFunction(fields: Fields): Node {
  const op = textOf(fields["op"])
  const name = clockFunctions[op]
  if (name !== undefined) return call(name, [])
  const construct = op.replace(/^SVFOP_/, "").replace(/_N$/, " with a precision")
  throw unsupported(`${construct} within a larger query`)
}

function adaptBooleanTest(fields: Fields): Node | undefined {
  const kind = fields["booltesttype"]
  if (kind !== "IS_UNKNOWN" && kind !== "IS_NOT_UNKNOWN") return undefined
  const nulltesttype = kind === "IS_UNKNOWN" ? "IS_NULL" : "IS_NOT_NULL"
  return { NullTest: { arg: fields["arg"], nulltesttype } }
}

/** DuckDB compares text by its bytes, which is PostgreSQL's collation "C". */
function adaptCollate(fields: Fields): Node | undefined {
  const name = lastName(fields["collname"])
  if (/^(?:C|POSIX|default|ucs_basic|C\.utf-?8)$/i.test(name)) return fields["arg"] as Node
  throw unsupported(`collation "${name}"`)
}
