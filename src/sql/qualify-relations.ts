import type { Ast } from "../core/statement.ts"
import { type Fields, fieldsOf, isFields, listOf, nodeFields } from "./ast.ts"
import { emitTree } from "./emit.ts"
import { type CteScope, openWith, relationOf } from "./relations.ts"

/**
 * A query with a schema in front of every relation that has none, CTEs left alone; proven to parse to that. Undefined when a
 * name has no schema to be found in. Throws 0A000 when it cannot be emitted.
 */
export function qualifyRelations(
  ast: Ast,
  schemaOf: (name: string) => string | undefined,
): string | undefined {
  const qualified = new Qualifier(schemaOf).tree(ast)
  return qualified === undefined ? undefined : emitTree(qualified).text
}

class Qualifier {
  readonly #schemaOf: (name: string) => string | undefined
  #isComplete = true

  constructor(schemaOf: (name: string) => string | undefined) {
    this.#schemaOf = schemaOf
  }

  tree(ast: Ast): Ast | undefined {
    const tree = fieldsOf(this.#value(ast, undefined))
    return this.#isComplete ? tree : undefined
  }

  #value(value: unknown, scope: CteScope | undefined): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#value(item, scope))
    if (!isFields(value)) return value
    const relation = nodeFields(value, "RangeVar")
    if (relation !== undefined) return { RangeVar: this.#relation(relation, scope) }
    const opened = "withClause" in value ? openWith(value["withClause"], scope) : undefined
    const inner = opened?.scope ?? scope
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [
        key,
        opened !== undefined && key === "withClause"
          ? this.#ctes(fieldsOf(child), opened.ctes)
          : this.#value(child, inner),
      ]),
    )
  }

  #ctes(clause: Fields, ctes: ReturnType<typeof openWith>["ctes"]): Fields {
    const items = ctes.map(({ cte, scope }) => ({ CommonTableExpr: this.#value(cte, scope) }))
    return { ...clause, ctes: items.length === 0 ? listOf(clause["ctes"]) : items }
  }

  #relation(fields: Fields, scope: CteScope | undefined): Fields {
    const ref = relationOf(fields, scope)
    if (ref === undefined || ref.schema !== undefined) return fields
    const schema = ref.catalog === undefined ? this.#schemaOf(ref.name) : undefined
    if (schema === undefined) this.#isComplete = false
    return { ...fields, schemaname: schema }
  }
}
