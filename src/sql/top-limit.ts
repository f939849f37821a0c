import type { Ast } from "../core/statement.ts"
import { fieldsOf, integerConstant, nodeFields, numberOf, textOf } from "./ast.ts"

/** How many rows a query asks for at its top level. */
export type TopLimit =
  | { readonly kind: "none" }
  /** `LIMIT 10`, `FETCH FIRST 10 ROWS ONLY`; LIMIT ALL and LIMIT NULL are `Infinity`. */
  | { readonly kind: "constant"; readonly rows: number; readonly location: number }
  /** A parameter, an expression, WITH TIES. */
  | { readonly kind: "other" }

const wholeNumber = /^\d+$/

function constantRows(count: unknown): number | undefined {
  const constant = nodeFields(count, "A_Const")
  if (constant === undefined) return undefined
  if (constant["isnull"] === true) return Number.POSITIVE_INFINITY
  if ("fval" in constant) {
    const digits = textOf(fieldsOf(constant["fval"])["fval"])
    return wholeNumber.test(digits) ? Number(digits) : undefined
  }
  return integerConstant(count)
}

export function topLimit(query: Ast): TopLimit {
  const select = nodeFields(query, "SelectStmt")
  if (select === undefined || select["limitOption"] === "LIMIT_OPTION_WITH_TIES") {
    return { kind: "other" }
  }
  const count = select["limitCount"]
  if (count === undefined) return { kind: "none" }
  const rows = constantRows(count)
  if (rows === undefined) return { kind: "other" }
  const location = nodeFields(count, "A_Const")?.["location"]
  return { kind: "constant", rows, location: numberOf(location) }
}

const int4Max = 2_147_483_647

/** The same query with this constant limit at its top level. */
export function withLimit(query: Ast, rows: number): Ast {
  const value = rows <= int4Max ? { ival: { ival: rows } } : { fval: { fval: String(rows) } }
  return {
    SelectStmt: {
      ...nodeFields(query, "SelectStmt"),
      limitCount: { A_Const: value },
      limitOption: "LIMIT_OPTION_COUNT",
    },
  }
}
