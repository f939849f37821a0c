import {
  call,
  cast,
  type Fields,
  integer,
  integerConstant,
  lastName,
  listOf,
  type Node,
  nodeFields,
  not,
  number,
  operator,
  string,
  stringConstant,
  text,
  when,
} from "./ast-nodes.ts"
import { unsupported } from "./dialect-errors.ts"
import { arrayOf, isNonZeroNumber } from "./dialect-types.ts"

/**
 * In PostgreSQL's regular expressions the dot matches a line break and ^ and $ are the ends of the text (manual, 9.7.3);
 * in RE2 that is option s.
 */
export const regexOptions = "s"

const regexOperators: Readonly<Record<string, { options: string; isNegated: boolean }>> = {
  "~": { options: regexOptions, isNegated: false },
  "~*": { options: `i${regexOptions}`, isNegated: false },
  "!~": { options: regexOptions, isNegated: true },
  "!~*": { options: `i${regexOptions}`, isNegated: true },
}

const functionOperators: Readonly<Record<string, string>> = { "#": "xor" }
const prefixFunctions: Readonly<Record<string, string>> = {
  "@": "abs",
  "|/": "sqrt",
  "||/": "cbrt",
}

/** Operators of PostgreSQL that DuckDB lacks or gives another meaning. */
const refused: ReadonlySet<string> = new Set([
  "#>",
  "#>>",
  "#-",
  "?",
  "?|",
  "?&",
  "@?",
  "@@",
  "^@",
  "-|-",
  "~<~",
  "~>~",
  "**",
  "//",
  "***",
  "<->",
  "<=>",
  "@>",
  "<@",
  "&&",
])

const likeFunctions: Readonly<Record<string, string>> = {
  "~~": "like_escape",
  "!~~": "not_like_escape",
  "~~*": "ilike_escape",
  "!~~*": "not_ilike_escape",
}

/** An operator expression for DuckDB; undefined when it may stay. Operands are already in DuckDB's dialect. */
export function adaptOperator(fields: Fields, guardsDivision: boolean): Node | undefined {
  const name = lastName(fields["name"])
  const { lexpr, rexpr } = fields
  switch (fields["kind"]) {
    case "AEXPR_LIKE":
    case "AEXPR_ILIKE":
      return adaptLike(name, lexpr, rexpr)
    case "AEXPR_SIMILAR":
      return adaptSimilar(name, lexpr, rexpr)
    case "AEXPR_OP_ANY":
    case "AEXPR_OP_ALL": {
      if (!/^(?:=|<>|<|<=|>|>=)$/.test(name)) throw unsupported(`operator ${name} with ANY or ALL`)
      const literal = stringConstant(rexpr)
      return literal === undefined ? undefined : quantifiedLiteral(fields, name, literal)
    }
    case "AEXPR_BETWEEN_SYM":
    case "AEXPR_NOT_BETWEEN_SYM":
      return adaptSymmetric(fields)
    case "AEXPR_OP":
      return lexpr === undefined
        ? adaptPrefix(name, rexpr)
        : adaptBinary({ name, lexpr, rexpr }, guardsDivision)
    default:
      return undefined
  }
}

/** `x = ANY ('{1,2}')` as `x IN ('1', '2')`: each string then takes the type of x, as the whole literal does in PostgreSQL. */
function quantifiedLiteral(fields: Fields, name: string, literal: string): Node {
  const isAny = fields["kind"] === "AEXPR_OP_ANY"
  if (!(isAny && name === "=") && !(!isAny && name === "<>")) {
    throw unsupported(`operator ${name} with ANY or ALL over a literal`, "Cast the array.")
  }
  const items = listOf(nodeFields(arrayOf(literal), "A_ArrayExpr")?.["elements"])
  if (items.length === 0) return { A_Const: { boolval: isAny ? {} : { boolval: true } } }
  const { lexpr } = fields
  const inName = [string(name)]
  return { A_Expr: { kind: "AEXPR_IN", name: inName, lexpr, rexpr: { List: { items } } } }
}

function adaptPrefix(name: string, operand: unknown): Node | undefined {
  const replacement = prefixFunctions[name]
  return replacement === undefined ? undefined : call(replacement, [operand])
}

type Binary = { readonly name: string; readonly lexpr: unknown; readonly rexpr: unknown }

function adaptBinary({ name, lexpr, rexpr }: Binary, guardsDivision: boolean): Node | undefined {
  if (refused.has(name)) throw unsupported(`operator ${name}`)
  const regex = regexOperators[name]
  if (regex !== undefined) {
    const matches = call("regexp_matches", [lexpr, rexpr, text(regex.options)])
    return regex.isNegated ? not(matches) : matches
  }
  const replacement = functionOperators[name]
  if (replacement !== undefined) return call(replacement, [lexpr, rexpr])
  // `->` binds looser than `=` in DuckDB, and it reads strings that start with $ or / as paths.
  if (name === "->") return call("json_extract", [lexpr, jsonKey(rexpr)])
  if (name === "->>") return call("json_extract_string", [lexpr, jsonKey(rexpr)])
  if (/^[-+*/%]$/.test(name)) return adaptArithmetic({ name, lexpr, rexpr }, guardsDivision)
  return undefined
}

function adaptArithmetic(
  { name, lexpr, rexpr }: Binary,
  guardsDivision: boolean,
): Node | undefined {
  const left = numberOfLiteral(lexpr)
  const right = numberOfLiteral(rexpr)
  const isGuarded = (name === "/" || name === "%") && guardsDivision
  const guarded = isGuarded ? guardDivision(name, left, right) : undefined
  if (guarded !== undefined || (left === lexpr && right === rexpr)) return guarded
  return operator(name, left, right)
}

/** DuckDB cannot choose a type for `'41' + 1`, which is what an undeclared parameter looks like. */
function numberOfLiteral(operand: unknown): unknown {
  const literal = stringConstant(operand)
  if (literal === undefined || !/^\d{1,30}(?:\.\d{1,30})?$/.test(literal)) return operand
  const isSmall = /^\d{1,9}$/.test(literal)
  return isSmall ? integer(Number(literal)) : number(literal)
}

function jsonKey(key: unknown): unknown {
  const literal = stringConstant(key)
  if (literal === undefined) return key
  return text(`$."${literal.replaceAll('"', String.raw`\"`)}"`)
}

/** Divisions inside divisions double the text at each level. */
const divisionDepthMax = 7

/**
 * DuckDB answers NULL to a division by zero, PostgreSQL only where the dividend is NULL. A divisor that cannot be zero is
 * left alone.
 */
export function guardDivision(name: string, lexpr: unknown, rexpr: unknown): Node | undefined {
  if (isNonZeroNumber(rexpr) || isNullIfZero(rexpr)) return undefined
  if (divisionDepth([lexpr, rexpr]) > divisionDepthMax)
    throw unsupported("a division nested this deeply")
  const isZero = operator("=", rexpr, { A_Const: { ival: {} } })
  const isValue: Node = { NullTest: { arg: lexpr, nulltesttype: "IS_NOT_NULL" } }
  const fails: Node = { BoolExpr: { boolop: "AND_EXPR", args: [isZero, isValue] } }
  const isConstant = isNonNullConstant(lexpr)
  return when(
    isConstant ? isZero : fails,
    call("error", [text("division by zero")]),
    operator(name, lexpr, rexpr),
  )
}

function isNonNullConstant(node: unknown): boolean {
  const constant = nodeFields(node, "A_Const")
  return constant !== undefined && constant["isnull"] !== true
}

function isNullIfZero(node: unknown): boolean {
  const expression = nodeFields(node, "A_Expr")
  if (expression?.["kind"] !== "AEXPR_NULLIF") return false
  const other = expression["rexpr"]
  if (integerConstant(other) === 0) return true
  const constant = nodeFields(other, "A_Const")
  return constant !== undefined && "fval" in constant && !isNonZeroNumber(other)
}

function divisionDepth(node: unknown): number {
  if (Array.isArray(node)) return Math.max(0, ...node.map(divisionDepth))
  if (typeof node !== "object" || node === null) return 0
  const inner = Math.max(0, ...Object.values(node).map(divisionDepth))
  const expression = nodeFields(node, "A_Expr")
  const name = lastName(expression?.["name"])
  return inner + (name === "/" || name === "%" ? 1 : 0)
}

/** LIKE without ESCAPE has the backslash as escape in PostgreSQL, and none in DuckDB. */
function adaptLike(name: string, lexpr: unknown, rexpr: unknown): Node | undefined {
  const replacement = likeFunctions[name]
  if (replacement === undefined) throw unsupported(`operator ${name}`)
  const escaped = nodeFields(rexpr, "FuncCall")
  if (escaped !== undefined && lastName(escaped["funcname"]) === "like_escape") {
    const [pattern, escape] = listOf(escaped["args"])
    return call(replacement, [lexpr, pattern, escape])
  }
  const literal = stringConstant(rexpr)
  if (literal !== undefined && !literal.includes("\\")) return undefined
  return call(replacement, [lexpr, rexpr, text("\\")])
}

/** SIMILAR TO in PostgreSQL mixes LIKE and regular expressions (manual, 9.7.2); DuckDB takes a plain regular expression. */
function adaptSimilar(name: string, lexpr: unknown, rexpr: unknown): Node {
  const escaped = nodeFields(rexpr, "FuncCall")
  const args = listOf(escaped?.["args"])
  const pattern = stringConstant(args[0])
  if (pattern === undefined || args.length > 1) throw unsupported("SIMILAR TO with this pattern")
  const regex = `^(?:${similarToRegex(pattern)})$`
  const matches = call("regexp_matches", [cast(lexpr, "text"), text(regex), text(regexOptions)])
  return name === "!~" ? not(matches) : matches
}

function similarToRegex(pattern: string): string {
  let out = ""
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at] ?? ""
    if (character === "\\") {
      at++
      out += `\\${pattern[at] ?? "\\"}`
    } else if (character === "%") out += ".*"
    else if (character === "_") out += "."
    else if (character === "[") {
      const end = pattern.indexOf("]", at + 2)
      if (end === -1) throw unsupported("SIMILAR TO with this pattern")
      out += pattern.slice(at, end + 1)
      at = end
    } else if (/[.^$]/.test(character)) out += `\\${character}`
    else out += character
  }
  return out
}

function adaptSymmetric(fields: Fields): Node {
  const [low, high] = listOf(nodeFields(fields["rexpr"], "List")?.["items"])
  const between = (from: unknown, to: unknown): Node => ({
    A_Expr: {
      kind: "AEXPR_BETWEEN",
      name: [{ String: { sval: "BETWEEN" } }],
      lexpr: fields["lexpr"],
      rexpr: { List: { items: [from, to] } },
    },
  })
  const either: Node = {
    BoolExpr: { boolop: "OR_EXPR", args: [between(low, high), between(high, low)] },
  }
  return fields["kind"] === "AEXPR_NOT_BETWEEN_SYM" ? not(either) : either
}
