/**
 * Reading libpg-query's JSON trees without trusting their shape. A node is an object with one key, its tag (`SelectStmt`,
 * `A_Expr`: tags begin with a capital, fields do not); fields with default values (false, 0, "") are left out.
 */

export type Fields = Readonly<Record<string, unknown>>

export type TreeNode = { readonly tag: string; readonly fields: Fields }

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

const noFields: Fields = {}

export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : noFields
}

const noItems: readonly unknown[] = []

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : noItems
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : ""
}

export function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0
}

/** The node in `{Tag: {...}}`, or undefined when the value is no node. */
export function nodeOf(value: unknown): TreeNode | undefined {
  if (!isFields(value)) return undefined
  for (const tag in value) {
    return isTag(tag) ? { tag, fields: fieldsOf(value[tag]) } : undefined
  }
  return undefined
}

export function isTag(key: string): boolean {
  const first = key.charCodeAt(0)
  return first >= 65 && first <= 90
}

/** Fields of `value` when it is a node of this tag. */
export function nodeFields(value: unknown, tag: string): Fields | undefined {
  return isFields(value) && tag in value ? fieldsOf(value[tag]) : undefined
}

/** Parts of a name list: `[{String:{sval:"pg_catalog"}},{String:{sval:"now"}}]`. */
export function nameParts(value: unknown): readonly string[] {
  return listOf(value).map((item) => textOf(nodeFields(item, "String")?.["sval"]))
}

/** Value of a constant that is a plain string literal, or undefined. */
export function stringConstant(value: unknown): string | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined || !("sval" in constant)) return undefined
  return textOf(fieldsOf(constant["sval"])["sval"])
}

/** Value of a constant TRUE or FALSE, or undefined. */
export function booleanConstant(value: unknown): boolean | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined || !("boolval" in constant)) return undefined
  return fieldsOf(constant["boolval"])["boolval"] === true
}

/** Value of a whole-number constant within 32 bits, or undefined; the parser leaves a 0 out. */
export function integerConstant(value: unknown): number | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined || !("ival" in constant)) return undefined
  return numberOf(fieldsOf(constant["ival"])["ival"])
}
