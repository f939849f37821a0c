import type { FunctionRef } from "../core/statement.ts"
import { type Fields, isFields, isTag, listOf, nameParts, textOf } from "../sql/ast.ts"
import { ExpressionProblem, type PolicyExpression, readExpression } from "./expression.ts"

/** A predicate out of a token: columns, constants, and nothing else but what is listed here. */
export type GuestClause = {
  readonly expression: PolicyExpression
  /** Its functions, which must not be somebody's own on the reader's search_path. */
  readonly functions: readonly FunctionRef[]
  /** Its operators, which must not be, either. */
  readonly operators: readonly string[]
  /** Its columns as written: `name`, or `relation.name`. */
  readonly columns: readonly (readonly string[])[]
}

/** Nodes that a clause may have; a sub-query, a parameter, a window, a setting or a field of a row is none of them. */
const allowedNodes = words(`
  A_ArrayExpr A_Const A_Expr BoolExpr BooleanTest CaseExpr CaseWhen CoalesceExpr ColumnRef FuncCall
  List MinMaxExpr NullTest SQLValueFunction TypeCast
`)

const allowedOperators = words("= <> < <= > >= + - * / % || ~~ !~~ ~~* !~~* ~ !~ ~* !~* && @> <@")

/** As the grammar names them, behind pg_catalog. */
const allowedTypes = words(`
  bool bpchar date float4 float8 int2 int4 int8 interval numeric text time timestamp timestamptz uuid varchar
`)

const allowedFunctions = words(`
  abs btrim ceil ceiling char_length concat date_part date_trunc extract floor left length like_escape lower
  ltrim make_date mod now position replace right round rtrim split_part starts_with strpos substr
  substring timezone to_date to_timestamp trim upper
`)

const allowedValues = words(`
  SVFOP_CURRENT_DATE SVFOP_CURRENT_TIMESTAMP SVFOP_LOCALTIMESTAMP
`)

/** Throws an {@link ExpressionProblem} for everything that is not proven to look at nothing but columns of its own row. */
export function readGuestClause(source: string): GuestClause {
  const expression = readExpression(source)
  if (expression.claims.length > 0) throw new ExpressionProblem("has a clause with a place :name")
  const found: Found = { functions: [], operators: [], columns: [] }
  const pending: unknown[] = [expression.ast]
  while (pending.length > 0) {
    const value = pending.pop()
    if (Array.isArray(value)) pending.push(...value)
    else if (isFields(value))
      for (const [key, child] of Object.entries(value)) {
        const fields = isTag(key) && isFields(child) ? child : undefined
        if (fields !== undefined) checkNode(key, fields, found)
        if (key === "typeName" && isFields(child)) checkType(child)
        // Names are no expressions.
        if (!nameFields.has(key) && key !== "ColumnRef" && key !== "A_Const") pending.push(child)
      }
  }
  return { expression, ...found }
}

const nameFields = words("typeName funcname")

type Found = {
  readonly functions: FunctionRef[]
  readonly operators: string[]
  readonly columns: (readonly string[])[]
}

function checkNode(tag: string, fields: Fields, found: Found): void {
  switch (tag) {
    case "ColumnRef":
      found.columns.push(columnParts(fields))
      return
    case "A_Expr":
      found.operators.push(...allowedOperator(fields))
      return
    case "FuncCall":
      found.functions.push(allowedCall(fields))
      return
    case "SQLValueFunction":
      if (!allowedValues.has(textOf(fields["op"]))) throw notAllowed("a function about the session")
      return
    case "String":
      // The name of an operator.
      return
    default:
      if (!allowedNodes.has(tag)) throw notAllowed(tag)
  }
}

function columnParts(fields: Fields): readonly string[] {
  const parts = nameParts(fields["fields"])
  if (parts.length < 1 || parts.length > 2 || parts.includes(""))
    throw notAllowed("a name that is no column's")
  return parts
}

function allowedOperator(fields: Fields): readonly string[] {
  // IN, LIKE and NULLIF name an operator as well; BETWEEN its own word.
  const kind = textOf(fields["kind"])
  if (kind.includes("BETWEEN")) return ["<=", ">="]
  const [name, ...more] = nameParts(fields["name"])
  if (name === undefined || more.length > 0 || !allowedOperators.has(name))
    throw notAllowed("an operator that is not listed")
  return [name]
}

/** Plain calls only: no DISTINCT, ORDER BY, FILTER, OVER, WITHIN GROUP, VARIADIC, `f(*)`. */
const callFields = words("funcname args funcformat location")

function allowedCall(fields: Fields): FunctionRef {
  const parts = nameParts(fields["funcname"])
  const [name = ""] = parts.slice(-1)
  const schema = parts.length > 1 ? parts[0] : undefined
  const isPlain = Object.keys(fields).every((key) => callFields.has(key))
  if (!isPlain || parts.length > 2 || (schema ?? "pg_catalog") !== "pg_catalog")
    throw notAllowed("a call that is not plain")
  if (!allowedFunctions.has(name)) throw notAllowed("a function that is not listed")
  return { schema, name, argumentCount: listOf(fields["args"]).length }
}

function checkType(fields: Fields): void {
  const parts = nameParts(fields["names"])
  const [name = ""] = parts.slice(-1)
  const isOfSystem = parts.length === 1 || (parts.length === 2 && parts[0] === "pg_catalog")
  const isConstant = listOf(fields["typmods"]).every((item) => isFields(item) && "A_Const" in item)
  const isPlain = fields["setof"] !== true && !("pct_type" in fields) && isConstant
  if (!isOfSystem || !isPlain || !allowedTypes.has(name))
    throw notAllowed("a type that is not listed")
}

/** Names kinds of things only: the clause's own words are its issuer's. */
function notAllowed(what: string): ExpressionProblem {
  return new ExpressionProblem(`has a clause with what guests' rules may not have: ${what}`)
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/))
}
