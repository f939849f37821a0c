import {
  call,
  cast,
  decimalConstant,
  type Fields,
  fieldsOf,
  integer,
  integerConstant,
  lastName,
  listOf,
  type Node,
  nameParts,
  nodeFields,
  nullConstant,
  stringConstant,
  text,
} from "./ast-nodes.ts"
import { unsupported } from "./dialect-errors.ts"
import { duckdbInterval } from "./interval-literal.ts"

/** Types of pg_catalog that DuckDB lacks, or whose name means something else there. */
const refusedTypes: ReadonlySet<string> = new Set([
  "bit",
  "box",
  "char",
  "cidr",
  "circle",
  "daterange",
  "hstore",
  "inet",
  "int4range",
  "int8range",
  "jsonpath",
  "line",
  "lseg",
  "macaddr",
  "macaddr8",
  "money",
  "numrange",
  "oidvector",
  "path",
  "pg_lsn",
  "point",
  "polygon",
  "regclass",
  "regcollation",
  "regconfig",
  "regnamespace",
  "regoper",
  "regoperator",
  "regproc",
  "regprocedure",
  "regrole",
  "regtype",
  "tsquery",
  "tsrange",
  "tstzrange",
  "tsvector",
  "varbit",
  "xid",
  "xml",
])

const renamedTypes: Readonly<Record<string, string>> = {
  jsonb: "json",
  name: "text",
  oid: "int8",
  int: "int4",
  bigint: "int8",
  smallint: "int2",
  string: "text",
}

/** Bits of an interval's typmod, shifted as the grammar has them (INTERVAL_MASK, timestamp.h). */
const intervalFields: Readonly<Record<number, string>> = {
  2: "month",
  4: "year",
  8: "day",
  1024: "hour",
  2048: "minute",
  4096: "second",
}

/** A cast for DuckDB; undefined when it may stay as it is. `arg` is already in DuckDB's dialect. */
export function adaptCast(fields: Fields): Node | undefined {
  const type = fieldsOf(fields["typeName"])
  const names = nameParts(type["names"])
  // A type in a schema of its own is a user's (an ENUM) and DuckDB's own business.
  if (names.length > 1 && names[0] !== "pg_catalog") return undefined
  const name = names.at(-1) ?? ""
  const { arg } = fields
  const literal = stringConstant(arg)
  const depth = listOf(type["arrayBounds"]).length
  if (depth > 0) {
    const renamed = elementName(name)
    if (literal !== undefined) return cast(arrayOf(literal), renamed, [], true)
    return renamed === name ? undefined : cast(arg, renamed, [], true)
  }
  const typmods = listOf(type["typmods"])
  switch (name) {
    case "numeric":
      return typmods.length > 0 ? undefined : castToNumeric(arg)
    case "interval":
      return castToInterval(literal, typmods)
    case "bytea":
      return literal === undefined ? undefined : byteaLiteral(literal)
    case "varchar":
      return typmods.length === 0 ? undefined : cutTo(arg, typmods, "left")
    case "bpchar":
      return cutTo(arg, typmods.length === 0 ? [integer(1)] : typmods, "rpad")
    case "date":
    case "timestamp":
    case "timestamptz":
      if (typmods.length > 0) throw unsupported(`a precision of ${name}`)
      return dateLiteral(fields, name, literal)
    default:
  }
  const renamed = elementName(name)
  if (typmods.length > 0) throw unsupported(`type ${name} with a modifier`)
  return renamed === name ? undefined : cast(arg, renamed)
}

function elementName(name: string): string {
  if (refusedTypes.has(name)) throw unsupported(`type ${name}`)
  return renamedTypes[name] ?? name
}

/**
 * numeric without precision is unlimited in PostgreSQL and DECIMAL(18,3) in DuckDB, which would round. A literal keeps its
 * own digits; everything else takes DuckDB's widest type with ten digits behind the point.
 */
function castToNumeric(arg: unknown): Node {
  const whole = integerConstant(arg)
  const literal = stringConstant(arg) ?? decimalConstant(arg) ?? whole?.toString()
  const trimmed = literal?.trim() ?? ""
  if (/^-?(?:\d+\.?\d*|\.\d+)$/.test(trimmed) && trimmed.length <= 38) {
    const digits = trimmed.replace(/^-/, "").replace(".", "")
    const fraction = trimmed.split(".")[1]?.length ?? 0
    return cast(text(trimmed), "numeric", [Math.max(digits.length, fraction, 1), fraction])
  }
  return cast(arg, "numeric", [38, 10])
}

function castToInterval(
  literal: string | undefined,
  typmods: readonly unknown[],
): Node | undefined {
  if (typmods.length > 0) {
    const field = intervalFields[integerConstant(typmods[0]) ?? 0]
    const isNumber = literal !== undefined && /^\s*-?\d+(?:\.\d+)?\s*$/.test(literal)
    if (field === undefined || !isNumber) throw unsupported("an interval's field restriction")
    return cast(text(duckdbInterval(`${literal.trim()} ${field}`) ?? literal), "interval")
  }
  if (literal === undefined) return undefined
  const found = duckdbInterval(literal)
  if (found === undefined) {
    throw unsupported(`the interval "${literal}"`, "Write it as '1 year 2 months 3 days 04:05:06'.")
  }
  return found === literal ? undefined : cast(text(found), "interval")
}

/** DuckDB's blob literals escape each byte; anything outside of printable ASCII goes that way. */
function byteaLiteral(literal: string): Node {
  if (!literal.startsWith("\\x")) {
    if (literal.includes("\\")) throw unsupported("bytea's escape format")
    return cast(text(literal), "bytea")
  }
  const hex = literal.slice(2).replaceAll(/\s/g, "")
  if (hex.length % 2 !== 0 || /[^0-9a-f]/i.test(hex)) {
    throw unsupported(`the bytea literal "${literal.slice(0, 20)}"`)
  }
  return cast(text(hex.replaceAll(/../g, String.raw`\x$&`)), "bytea")
}

/** varchar(n) cuts silently in an explicit cast, char(n) pads as well; DuckDB ignores both lengths. */
function cutTo(arg: unknown, typmods: readonly unknown[], how: "left" | "rpad"): Node {
  const length = integerConstant(typmods[0])
  if (length === undefined) throw unsupported("a computed length")
  const asText = cast(arg, "text")
  if (how === "left") return call("left", [asText, integer(length)])
  return call("rpad", [asText, integer(length), text(" ")])
}

const withoutSeconds = /^(\s*\d{4,}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{2})(\s*(?:[+-]\d|Z\b).*)$/i

/**
 * DuckDB wants the era in parentheses, and without them reads the year as one after Christ. It wants seconds where an
 * offset follows the time.
 */
function dateLiteral(fields: Fields, name: string, literal: string | undefined): Node | undefined {
  if (literal === undefined) return undefined
  let rewritten = literal
  if (name !== "date") rewritten = rewritten.replace(withoutSeconds, "$1:00$2")
  rewritten = rewritten.replace(/^(\s*[\d-]+)(.*?)\s+BC\s*$/i, "$1 (BC)$2")
  return rewritten === literal ? undefined : { TypeCast: { ...fields, arg: text(rewritten) } }
}

/** An array literal (manual, 8.15.2) as ARRAY[...]: elements as string literals that the outer cast converts. */
export function arrayOf(literal: string): Node {
  const reader = { text: literal.trim(), at: 0 }
  const node = readArray(reader)
  if (reader.at !== reader.text.length) throw malformedArray(literal)
  return node
}

type Reader = { readonly text: string; at: number }

function readArray(reader: Reader): Node {
  if (reader.text[reader.at] !== "{") throw malformedArray(reader.text)
  reader.at++
  const elements: Node[] = []
  skipSpace(reader)
  if (reader.text[reader.at] === "}") {
    reader.at++
    return { A_ArrayExpr: {} }
  }
  for (;;) {
    skipSpace(reader)
    elements.push(reader.text[reader.at] === "{" ? readArray(reader) : readElement(reader))
    skipSpace(reader)
    const next = reader.text[reader.at]
    reader.at++
    if (next === "}") return { A_ArrayExpr: { elements } }
    if (next !== ",") throw malformedArray(reader.text)
  }
}

function skipSpace(reader: Reader): void {
  while (/\s/.test(reader.text[reader.at] ?? "")) reader.at++
}

function readElement(reader: Reader): Node {
  const quoted = /"((?:[^"\\]|\\.)*)"/sy
  quoted.lastIndex = reader.at
  const inQuotes = quoted.exec(reader.text)
  if (inQuotes !== null) {
    reader.at = quoted.lastIndex
    return text((inQuotes[1] ?? "").replaceAll(/\\(.)/gs, "$1"))
  }
  const plain = /(?:[^{},"\\]|\\.)+/sy
  plain.lastIndex = reader.at
  const found = plain.exec(reader.text)
  if (found === null) throw malformedArray(reader.text)
  reader.at = plain.lastIndex
  const value = found[0].trim()
  if (value.toUpperCase() === "NULL") return nullConstant
  return text(value.replaceAll(/\\(.)/gs, "$1"))
}

function malformedArray(literal: string): Error {
  return unsupported(`the array literal "${literal.slice(0, 40)}"`)
}

/** True for an expression that can be seen to be a date. */
export function isDateExpression(node: unknown): boolean {
  const typeCast = nodeFields(node, "TypeCast")
  if (typeCast !== undefined) {
    const type = fieldsOf(typeCast["typeName"])
    return lastName(type["names"]) === "date" && listOf(type["arrayBounds"]).length === 0
  }
  const called = nodeFields(node, "FuncCall")
  return (
    called !== undefined && ["make_date", "to_date", "today"].includes(lastName(called["funcname"]))
  )
}

/** A number that is not zero, as it stands in the text. */
export function isNonZeroNumber(node: unknown): boolean {
  const whole = integerConstant(node)
  if (whole !== undefined) return whole !== 0
  const constant = nodeFields(node, "A_Const")
  if (constant !== undefined && "fval" in constant) {
    return Number(fieldsOf(constant["fval"])["fval"]) !== 0
  }
  const typeCast = nodeFields(node, "TypeCast")
  const name = lastName(fieldsOf(typeCast?.["typeName"])["names"])
  return /^(?:float|int|numeric)/.test(name) && isNonZeroNumber(typeCast?.["arg"])
}
