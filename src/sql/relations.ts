import type { RelationRef } from "../core/relation.ts"
import { type Fields, fieldsOf, listOf, nodeFields, textOf } from "./ast.ts"

/**
 * PostgreSQL's scoping of names in FROM: an unqualified name is a CTE when one is visible, a relation otherwise; a
 * qualified name is never a CTE. Identifiers come folded, unquoted and cut to 63 bytes by the grammar, so that comparison
 * is exact.
 */
export type CteScope = {
  readonly names: ReadonlySet<string>
  readonly outer: CteScope | undefined
}

export function isCteVisible(name: string, scope: CteScope | undefined): boolean {
  for (let at = scope; at !== undefined; at = at.outer) if (at.names.has(name)) return true
  return false
}

export type ScopedCte = {
  /** Fields of the CommonTableExpr. */
  readonly cte: Fields
  /** What the CTE's own query sees. */
  readonly scope: CteScope | undefined
}

export type OpenedWith = {
  readonly ctes: readonly ScopedCte[]
  /** What the rest of the statement sees. */
  readonly scope: CteScope | undefined
}

/**
 * The scopes that a WITH clause opens. WITH RECURSIVE: every name is visible in every query of the clause, its own
 * included. Without: a query sees only the names before it, so that `WITH t AS (SELECT * FROM t)` reads the table t.
 */
export function openWith(withClause: unknown, outer: CteScope | undefined): OpenedWith {
  const clause = fieldsOf(withClause)
  const items = listOf(clause["ctes"]).map((item) => nodeFields(item, "CommonTableExpr") ?? {})
  if (items.length === 0) return { ctes: [], scope: outer }

  const names = items.map((cte) => textOf(cte["ctename"]))
  const all: CteScope = { names: new Set(names), outer }
  if (clause["recursive"] === true) {
    return { ctes: items.map((cte) => ({ cte, scope: all })), scope: all }
  }
  const ctes: ScopedCte[] = []
  let visible = outer
  for (const [index, cte] of items.entries()) {
    ctes.push({ cte, scope: visible })
    // One link a CTE: a set copied for each of n CTEs would cost n * n.
    visible = { names: new Set([names[index] ?? ""]), outer: visible }
  }
  return { ctes, scope: all }
}

/** The relation that a RangeVar names, or undefined when it names a visible CTE. */
export function relationOf(rangeVar: Fields, scope: CteScope | undefined): RelationRef | undefined {
  const name = textOf(rangeVar["relname"])
  const schema = textOf(rangeVar["schemaname"])
  const catalog = textOf(rangeVar["catalogname"])
  if (schema === "" && catalog === "" && isCteVisible(name, scope)) return undefined
  return {
    catalog: catalog === "" ? undefined : catalog,
    schema: schema === "" ? undefined : schema,
    name,
  }
}
