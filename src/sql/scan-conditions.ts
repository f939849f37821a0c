import {
  booleanConstant,
  type Fields,
  fieldsOf,
  isFields,
  listOf,
  nameParts,
  nodeFields,
  numberOf,
  stringConstant,
  textOf,
} from "./ast.ts"

/** A constant of the text, by what it is before any column gives it a type. */
export type ScanConstant =
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  /** A string without a type of its own; the column it is compared with decides. */
  | { readonly kind: "text"; readonly text: string }
  /** Written as `YYYY-MM-DD` or `YYYY-MM-DD hh:mm[:ss[.ffffff]]`, and a date that there is. */
  | { readonly kind: "date" | "timestamp" | "timestamptz"; readonly text: string }

export type ScanOperator = "=" | "<>" | "<" | "<=" | ">" | ">=" | "in" | "null" | "not null"

/** `column operator constants`: what a SELECT wants of the rows of one relation. `null` and `not null` have no constant. */
export type ScanCondition = {
  readonly column: string
  readonly operator: ScanOperator
  readonly constants: readonly ScanConstant[]
}

/** Conditions of one SELECT that are looked at; the others only run outside. */
const conditionsMax = 32
/** Constants of one IN. */
const constantsMax = 200

/**
 * For each RangeVar in FROM (its fields) the conditions among the ANDed ones of WHERE that are about a column of it alone.
 * Rows of it that do not meet them cannot come into the SELECT's result: relations on the side of an outer join that is filled
 * up with nulls have none. A name without a table counts only when nothing else stands in FROM.
 */
export function scanConditions(select: Fields): ReadonlyMap<Fields, readonly ScanCondition[]> {
  const found = new Map<Fields, ScanCondition[]>()
  const tables = new Map<string, Fields>()
  const from = listOf(select["fromClause"])
  for (const item of from) collect(item, tables)
  const only = from.length === 1 ? nodeFields(from[0], "RangeVar") : undefined
  for (const term of terms(select["whereClause"]).slice(0, conditionsMax))
    for (const { table, condition } of conditionsOf(term)) {
      const relation = table === undefined ? only : tables.get(table)
      if (relation === undefined || hasColumnNames(relation)) continue
      const known = found.get(relation)
      if (known === undefined) found.set(relation, [condition])
      else known.push(condition)
    }
  return found
}

function hasColumnNames(relation: Fields): boolean {
  return "colnames" in fieldsOf(relation["alias"])
}

/** Relations whose rows all have to meet WHERE, by the names that they have there. */
function collect(item: unknown, tables: Map<string, Fields>): void {
  const relation = nodeFields(item, "RangeVar")
  if (relation !== undefined) {
    const alias = textOf(fieldsOf(relation["alias"])["aliasname"])
    tables.set(alias === "" ? textOf(relation["relname"]) : alias, relation)
    return
  }
  const join = nodeFields(item, "JoinExpr")
  // The alias of a join hides the names inside of it.
  if (join === undefined || "alias" in join) return
  const type = textOf(join["jointype"])
  if (type === "JOIN_INNER" || type === "JOIN_LEFT") collect(join["larg"], tables)
  if (type === "JOIN_INNER" || type === "JOIN_RIGHT") collect(join["rarg"], tables)
}

/** The operands of AND at the top, through ANDs in parentheses. */
function terms(where: unknown): readonly unknown[] {
  const conjunction = nodeFields(where, "BoolExpr")
  if (conjunction === undefined) return where === undefined ? [] : [where]
  if (conjunction["boolop"] !== "AND_EXPR") return []
  return listOf(conjunction["args"]).flatMap((arg) => terms(arg))
}

type Found = { readonly table: string | undefined; readonly condition: ScanCondition }
type Column = { readonly table: string | undefined; readonly column: string }

function conditionsOf(term: unknown): readonly Found[] {
  const test = nodeFields(term, "NullTest")
  if (test !== undefined) {
    const operator = test["nulltesttype"] === "IS_NULL" ? "null" : "not null"
    return made(columnOf(test["arg"]), operator, [])
  }
  const expression = nodeFields(term, "A_Expr")
  if (expression === undefined) return []
  const { kind, lexpr, rexpr } = expression
  const [name = "", ...more] = nameParts(expression["name"])
  if (more.length > 0) return []
  if (kind === "AEXPR_OP") return comparison(name, lexpr, rexpr)
  const column = columnOf(lexpr)
  const items = listOf(nodeFields(rexpr, "List")?.["items"])
  if (kind === "AEXPR_IN" && name === "=") return made(column, "in", items)
  const [low, high] = items
  if (kind !== "AEXPR_BETWEEN" || low === undefined || high === undefined) return []
  return [...made(column, ">=", [low]), ...made(column, "<=", [high])]
}

/** Each comparison with the column on its left, by the sign that it has with the column on its right. */
const flipped: ReadonlyMap<string, ScanOperator> = new Map([
  ["=", "="],
  ["<>", "<>"],
  ["<", ">"],
  ["<=", ">="],
  [">", "<"],
  [">=", "<="],
])

function comparison(name: string, left: unknown, right: unknown): readonly Found[] {
  const reverse = flipped.get(name)
  if (reverse === undefined) return []
  const operator = flipped.get(reverse)
  const found = operator === undefined ? [] : made(columnOf(left), operator, [right])
  return found.length > 0 ? found : made(columnOf(right), reverse, [left])
}

function made(
  column: Column | undefined,
  operator: ScanOperator,
  values: readonly unknown[],
): readonly Found[] {
  if (column === undefined || values.length > constantsMax) return []
  const constants: ScanConstant[] = []
  for (const value of values) {
    const constant = constantOf(value)
    if (constant === undefined) return []
    constants.push(constant)
  }
  return [{ table: column.table, condition: { column: column.column, operator, constants } }]
}

function columnOf(value: unknown): Column | undefined {
  const parts = nameParts(nodeFields(value, "ColumnRef")?.["fields"])
  if (parts.includes("")) return undefined
  const [first, second] = parts
  if (first === undefined || parts.length > 2) return undefined
  return second === undefined
    ? { table: undefined, column: first }
    : { table: first, column: second }
}

const timeTypes: ReadonlyMap<string, "date" | "timestamp" | "timestamptz"> = new Map([
  ["date", "date"],
  ["timestamp", "timestamp"],
  ["timestamptz", "timestamptz"],
])

function constantOf(value: unknown): ScanConstant | undefined {
  const text = stringConstant(value)
  if (text !== undefined) return { kind: "text", text }
  const truth = booleanConstant(value)
  if (truth !== undefined) return { kind: "boolean", value: truth }
  const constant = nodeFields(value, "A_Const")
  if (constant !== undefined) return numberConstant(constant)
  const cast = nodeFields(value, "TypeCast")
  if (cast !== undefined) return castOf(cast)
  const called = nodeFields(value, "FuncCall")
  return called === undefined ? undefined : callOf(called)
}

function numberConstant(constant: Fields): ScanConstant | undefined {
  if (isFields(constant["ival"]))
    return { kind: "number", text: numberOf(constant["ival"]["ival"]).toString() }
  const decimal = fieldsOf(constant["fval"])["fval"]
  return typeof decimal === "string" ? { kind: "number", text: decimal } : undefined
}

function castOf({ arg, typeName }: Fields): ScanConstant | undefined {
  const type = fieldsOf(typeName)
  const kind = timeTypes.get(nameParts(type["names"]).at(-1) ?? "")
  if (kind === undefined || "typmods" in type || "arrayBounds" in type) return undefined
  return timeOf(kind, stringConstant(arg), kind === "date" ? "date" : "either")
}

/** What Superset writes around dates and times. */
function callOf(called: Fields): ScanConstant | undefined {
  const [value, template, ...more] = listOf(called["args"]).map((arg) => stringConstant(arg))
  const name = nameParts(called["funcname"]).join(".").replace("pg_catalog.", "")
  if (more.length > 0) return undefined
  if (name === "to_date" && template === "YYYY-MM-DD") return timeOf("date", value, "date")
  if (name !== "to_timestamp" || template !== "YYYY-MM-DD HH24:MI:SS.US") return undefined
  return timeOf("timestamptz", value, "microseconds")
}

const timeForms = {
  date: /^\d{4}-\d\d-\d\d$/,
  either: /^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?$/,
  microseconds: /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/,
}

function timeOf(
  kind: "date" | "timestamp" | "timestamptz",
  text: string | undefined,
  form: keyof typeof timeForms,
): ScanConstant | undefined {
  if (text === undefined || !timeForms[form].test(text) || !isTime(text)) return undefined
  return { kind, text }
}

/** A date, or date and time, in ISO form that every engine reads and none refuses: `2024-02-30` is none. */
export function isTime(text: string): boolean {
  if (!timeForms.either.test(text)) return false
  const date = text.slice(0, 10)
  const [hour = 0, minute = 0, second = 0] = text.slice(11).split(":").map(Number)
  if (hour > 23 || minute > 59 || second >= 60 || date < "0001") return false
  const read = new Date(`${date}T00:00:00Z`)
  return !Number.isNaN(read.getTime()) && read.toISOString().startsWith(date)
}
