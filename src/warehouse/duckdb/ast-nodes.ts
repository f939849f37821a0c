/**
 * Reading and building libpg-query's trees, as far as this dialect needs it. A node is an object with one key, its tag;
 * fields with default values are left out. Built nodes are what the parser itself makes of their text, since the
 * pipeline compares.
 */

export type Fields = Readonly<Record<string, unknown>>
export type Node = Fields

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : noFields
}

const noFields: Fields = {}
const noItems: readonly unknown[] = []

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : noItems
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : ""
}

/** Fields of `value` when it is a node of this tag. */
export function nodeFields(value: unknown, tag: string): Fields | undefined {
  const found = fieldsOf(value)
  return tag in found ? fieldsOf(found[tag]) : undefined
}

/** Parts of a name list. */
export function nameParts(value: unknown): readonly string[] {
  return listOf(value).map((item) => textOf(nodeFields(item, "String")?.["sval"]))
}

export function lastName(value: unknown): string {
  return nameParts(value).at(-1) ?? ""
}

/** Value of a string literal, or undefined. */
export function stringConstant(value: unknown): string | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined || !("sval" in constant)) return undefined
  return textOf(fieldsOf(constant["sval"])["sval"])
}

/** Value of a whole-number literal within 32 bits, or undefined. */
export function integerConstant(value: unknown): number | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined || !("ival" in constant)) return undefined
  const found = fieldsOf(constant["ival"])["ival"]
  return typeof found === "number" ? found : 0
}

/** Text of a literal that is no whole number within 32 bits (`1.5`, `9999999999`), or undefined. */
export function decimalConstant(value: unknown): string | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined || !("fval" in constant)) return undefined
  return textOf(fieldsOf(constant["fval"])["fval"])
}

export function string(sval: string): Node {
  return { String: { sval } }
}

export function text(sval: string): Node {
  return { A_Const: { sval: { sval } } }
}

export function integer(ival: number): Node {
  return { A_Const: { ival: { ival } } }
}

/** A numeric literal as written; negative ones as the parser has them. */
export function number(fval: string): Node {
  return { A_Const: { fval: { fval } } }
}

export const nullConstant: Node = { A_Const: { isnull: true } }

/** The parser leaves an empty list of arguments out, and what is emitted is compared with what it reads. */
export function call(name: string, args: readonly unknown[]): Node {
  const head = { funcname: [string(name)], funcformat: "COERCE_EXPLICIT_CALL" }
  return { FuncCall: args.length === 0 ? head : { ...head, args } }
}

export function operator(name: string, lexpr: unknown, rexpr: unknown): Node {
  return { A_Expr: { kind: "AEXPR_OP", name: [string(name)], lexpr, rexpr } }
}

export function not(arg: unknown): Node {
  return { BoolExpr: { boolop: "NOT_EXPR", args: [arg] } }
}

/** Types that the grammar has words of its own for live in pg_catalog; all others are plain names. */
const grammarTypes: ReadonlySet<string> = new Set([
  "bool",
  "bpchar",
  "float4",
  "float8",
  "int2",
  "int4",
  "int8",
  "interval",
  "json",
  "numeric",
  "time",
  "timestamp",
  "timestamptz",
  "timetz",
  "varchar",
])

/** A type by pg_type's name. */
export function typeName(name: string, typmods: readonly number[] = [], isArray = false): Fields {
  const plain = string(name)
  return {
    names: grammarTypes.has(name) ? [string("pg_catalog"), plain] : [plain],
    ...(typmods.length === 0 ? {} : { typmods: typmods.map((modifier) => integer(modifier)) }),
    typemod: -1,
    ...(isArray ? { arrayBounds: [{ Integer: { ival: -1 } }] } : {}),
  }
}

export function cast(
  arg: unknown,
  name: string,
  typmods: readonly number[] = [],
  isArray = false,
): Node {
  return { TypeCast: { arg, typeName: typeName(name, typmods, isArray) } }
}

/** `CASE WHEN condition THEN result [ELSE otherwise] END`. */
export function when(condition: unknown, result: unknown, otherwise?: unknown): Node {
  return {
    CaseExpr: {
      args: [{ CaseWhen: { expr: condition, result } }],
      ...(otherwise === undefined ? {} : { defresult: otherwise }),
    },
  }
}

/** Operands joined by `||`; at least one. */
export function concatenation(parts: readonly Node[]): Node {
  return parts.reduce((left, right) => operator("||", left, right))
}
