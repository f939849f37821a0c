import type { Ast } from "../core/statement.ts"
import { fieldsOf, listOf, nodeFields, textOf } from "./ast.ts"

/** True for an EXPLAIN that may run its statement: one that names ANALYZE, with whatever value. */
export function isAnalyze(ast: Ast): boolean {
  return optionsOf(ast).some(({ name }) => name === "analyze")
}

/** False for an EXPLAIN that asks for another format than lines of text. */
export function isTextFormat(ast: Ast): boolean {
  return optionsOf(ast).every(({ name, value }) => name !== "format" || value === "text")
}

function optionsOf(ast: Ast): readonly { readonly name: string; readonly value: string }[] {
  return listOf(nodeFields(ast, "ExplainStmt")?.["options"]).map((item) => {
    const option = nodeFields(item, "DefElem") ?? {}
    const value = textOf(fieldsOf(fieldsOf(option["arg"])["String"])["sval"])
    return { name: textOf(option["defname"]).toLowerCase(), value: value.toLowerCase() }
  })
}
