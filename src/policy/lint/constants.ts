import type { Ast } from "../../core/statement.ts"
import { isFields, listOf, nodeFields, nodeOf } from "../../sql/ast.ts"
import { type Finding, filtersOf, type LintSubject, locatedPolicies } from "./finding.ts"

/** Filters that are the same for every row. Needs no warehouse; true and false are told where the text alone shows them. */
export function lintConstants(subject: LintSubject): readonly Finding[] {
  return locatedPolicies(subject).flatMap((located) =>
    filtersOf(located).flatMap(({ filter, path }): readonly Finding[] => {
      if (readsColumns(filter.filter.ast)) return []
      const value = valueOf(filter.filter.ast)
      return [{ level: "warning", code: "filter_constant", path, message: meaning(value) }]
    }),
  )
}

function meaning(value: boolean | undefined): string {
  if (value === true) return "is true for every row: it hides nothing"
  if (value === false) return "is never true: it hides every row"
  return "names no column: it shows all rows or none"
}

/** A sub-select counts, too: what it reads may change. */
function readsColumns(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(readsColumns)
  if (!isFields(value)) return false
  if ("ColumnRef" in value || "SubLink" in value) return true
  return Object.values(value).some(readsColumns)
}

/** Truth of constants under AND, OR, NOT and comparisons of equal kinds; undefined for what is not worked out here. */
function valueOf(ast: Ast | undefined): boolean | undefined {
  const node = nodeOf(ast)
  if (node === undefined) return undefined
  const { tag, fields } = node
  if (tag === "A_Const" && isFields(fields["boolval"])) return fields["boolval"]["boolval"] === true
  if (tag === "BoolExpr") return boolean(String(fields["boolop"]), listOf(fields["args"]))
  if (tag === "A_Expr" && fields["kind"] === "AEXPR_OP") return comparison(fields)
  return undefined
}

function boolean(operator: string, args: readonly unknown[]): boolean | undefined {
  const values = args.map((arg) => valueOf(isFields(arg) ? arg : undefined))
  if (operator === "NOT_EXPR") return values[0] === undefined ? undefined : !values[0]
  const decides = operator === "OR_EXPR"
  if (values.includes(decides)) return decides
  return values.includes(undefined) ? undefined : !decides
}

function comparison(fields: Readonly<Record<string, unknown>>): boolean | undefined {
  const [operator] = listOf(fields["name"]).map((part) => nodeFields(part, "String")?.["sval"])
  const [left, right] = [constantText(fields["lexpr"]), constantText(fields["rexpr"])]
  if (left === undefined || right === undefined) return undefined
  if (operator === "=") return left === right
  if (operator === "<>") return left !== right
  return undefined
}

function constantText(value: unknown): string | undefined {
  const constant = nodeFields(value, "A_Const")
  if (constant === undefined) return undefined
  const { location: _, ...rest } = constant
  return JSON.stringify(rest)
}
