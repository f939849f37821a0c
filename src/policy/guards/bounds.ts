import {
  type Fields,
  fieldsOf,
  listOf,
  nameParts,
  nodeFields,
  nodeOf,
  stringConstant,
  textOf,
} from "../../sql/ast.ts"

/** How far a column is restricted by conditions that a row must all meet. */
export type Restriction = {
  readonly equality: boolean
  /** A lower bound. */
  readonly min: boolean
  /** An upper bound. */
  readonly max: boolean
}

/** One condition of the form `column compared with constants`. */
export type Bound = { readonly column: Fields; readonly restriction: Restriction }

/** True for a call whose value is the same for a whole statement when its arguments are constants. */
export type IsStableCall = (call: {
  readonly schema: string | undefined
  readonly name: string
}) => boolean

const equality: Restriction = { equality: true, min: true, max: true }
const lower: Restriction = { equality: false, min: true, max: false }
const upper: Restriction = { equality: false, min: false, max: true }
const between: Restriction = { equality: false, min: true, max: true }

/** What `column <operator> constant` restricts, and `constant <operator> column`. */
const comparisons: ReadonlyMap<
  string,
  { readonly columnFirst: Restriction; readonly columnLast: Restriction }
> = new Map([
  ["=", { columnFirst: equality, columnLast: equality }],
  [">", { columnFirst: lower, columnLast: upper }],
  [">=", { columnFirst: lower, columnLast: upper }],
  ["<", { columnFirst: upper, columnLast: lower }],
  ["<=", { columnFirst: upper, columnLast: lower }],
])

/** Conditions that must all hold for the whole to hold; AND under OR or NOT is one condition. */
export function conjunctsOf(condition: unknown): readonly unknown[] {
  const found: unknown[] = []
  const pending = [condition]
  while (pending.length > 0) {
    const at = pending.pop()
    const both = nodeFields(at, "BoolExpr")
    if (both?.["boolop"] === "AND_EXPR") pending.push(...listOf(both["args"]))
    else if (at !== undefined) found.push(at)
  }
  return found
}

/** Undefined for whatever does not compare a bare column with constants. */
export function boundOf(condition: unknown, isStable: IsStableCall): Bound | undefined {
  const expression = nodeFields(condition, "A_Expr")
  if (expression === undefined) return undefined
  const operator = operatorOf(expression)
  const { lexpr, rexpr } = expression
  const restriction = restrictionOf(textOf(expression["kind"]), operator, rexpr, isStable)
  const column = nodeFields(lexpr, "ColumnRef")
  if (column !== undefined && restriction !== undefined) return { column, restriction }
  const last = nodeFields(rexpr, "ColumnRef")
  if (expression["kind"] !== "AEXPR_OP" || last === undefined) return undefined
  const flipped = comparisons.get(operator)?.columnLast
  if (flipped === undefined || !isConstant(lexpr, isStable)) return undefined
  return { column: last, restriction: flipped }
}

/** Operators of other schemas than pg_catalog mean whatever their author wanted: no name. */
function operatorOf(expression: Fields): string {
  const parts = nameParts(expression["name"])
  const isSystems = parts.length === 1 || (parts.length === 2 && parts[0] === "pg_catalog")
  return isSystems ? (parts.at(-1) ?? "") : ""
}

function restrictionOf(
  kind: string,
  operator: string,
  right: unknown,
  isStable: IsStableCall,
): Restriction | undefined {
  switch (kind) {
    case "AEXPR_OP":
      return isConstant(right, isStable) ? comparisons.get(operator)?.columnFirst : undefined
    case "AEXPR_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
      return isConstantList(right, isStable) ? between : undefined
    case "AEXPR_IN":
      return operator === "=" && isConstantList(right, isStable) ? equality : undefined
    case "AEXPR_OP_ANY":
      return operator === "=" && isConstantArray(right, isStable) ? equality : undefined
    default:
      return undefined
  }
}

function isConstantList(value: unknown, isStable: IsStableCall): boolean {
  const items = listOf(nodeFields(value, "List")?.["items"] ?? value)
  return items.length > 0 && items.every((item) => isConstant(item, isStable))
}

function isConstantArray(value: unknown, isStable: IsStableCall): boolean {
  const cast = nodeFields(value, "TypeCast")
  if (cast !== undefined) return isConstantArray(cast["arg"], isStable)
  const array = nodeFields(value, "A_ArrayExpr")
  if (array !== undefined) return isConstantList(array["elements"], isStable)
  return isConstant(value, isStable)
}

/** Bounds that every row meets are none. */
const endless = /^\s*[+-]?inf(?:inity)?\s*$/i

/**
 * A literal, a parameter, or what stable functions and arithmetic make of these: `current_date - 7`. NULL is none, and
 * neither is an endless date. Recursive: the parser limits the depth.
 */
function isConstant(value: unknown, isStable: IsStableCall): boolean {
  const node = nodeOf(value)
  if (node === undefined) return false
  const { tag, fields } = node
  const all = (items: unknown): boolean => listOf(items).every((item) => isConstant(item, isStable))
  switch (tag) {
    case "A_Const":
      return fields["isnull"] !== true && !endless.test(stringConstant(value) ?? "")
    case "ParamRef":
      return true
    case "TypeCast":
      return isConstant(fields["arg"], isStable)
    case "SQLValueFunction":
      return /^SVFOP_(?:CURRENT_DATE|CURRENT_TIME|LOCALTIME)/.test(textOf(fields["op"]))
    case "A_Expr": {
      const { lexpr, rexpr } = fields
      const isArithmetic =
        fields["kind"] === "AEXPR_OP" && /^(?:[-+*/%]|\|\|)$/.test(operatorOf(fields))
      const isLeft = lexpr === undefined || isConstant(lexpr, isStable)
      return isArithmetic && isLeft && isConstant(rexpr, isStable)
    }
    case "FuncCall":
      return isStable(callOf(fields)) && isPlainCall(fields) && all(fields["args"])
    case "CoalesceExpr":
    case "MinMaxExpr":
      return all(fields["args"])
    case "CollateClause":
      return isConstant(fields["arg"], isStable)
    default:
      return false
  }
}

function callOf(fields: Fields): { readonly schema: string | undefined; readonly name: string } {
  const parts = nameParts(fields["funcname"])
  return { schema: parts.at(-2), name: parts.at(-1) ?? "" }
}

/** No aggregate's or window's trimmings. */
function isPlainCall(fields: Fields): boolean {
  return !["over", "agg_filter", "agg_order", "agg_star", "agg_within_group"].some(
    (key) => key in fields,
  )
}

/** A column reference's parts; `undefined` for what ends in `*` or holds anything but names. */
export function columnParts(column: Fields): readonly string[] | undefined {
  const items = listOf(column["fields"])
  if (items.some((item) => fieldsOf(item)["String"] === undefined)) return undefined
  return nameParts(items)
}

/** What two sets of conditions restrict together. */
export function together(left: Restriction | undefined, right: Restriction): Restriction {
  if (left === undefined) return right
  return {
    equality: left.equality || right.equality,
    min: left.min || right.min,
    max: left.max || right.max,
  }
}
