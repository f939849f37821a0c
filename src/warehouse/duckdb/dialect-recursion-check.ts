import { type Fields, fieldsOf, listOf, nodeFields, textOf } from "./ast-nodes.ts"
import { unsupported } from "./dialect-errors.ts"

/**
 * WITH RECURSIVE: in PostgreSQL every name of the clause is seen in all of its queries (manual, SELECT). DuckDB sees the
 * names before, and a query's own name only behind its UNION; elsewhere the same name is a table to it, which nobody has
 * judged. It is asked when every query of the clause has a name of its own (dialect-recursion.ts), and tells of the name as it was written. Throws 0A000 for a clause that the two read differently.
 */
export function assertRecursion(withClause: unknown): void {
  const clause = fieldsOf(withClause)
  if (clause["recursive"] !== true) return
  const ctes = listOf(clause["ctes"]).map((item) => nodeFields(item, "CommonTableExpr") ?? {})
  const names = ctes.map((cte) => textOf(cte["ctename"]).toLowerCase())
  for (const [index, cte] of ctes.entries()) {
    const query = nodeFields(cte["ctequery"], "SelectStmt") ?? {}
    const later = new Set(names.slice(index + 1))
    const own = new Set(names.slice(index))
    const isUnion = query["op"] === "SETOP_UNION"
    for (const key in query) {
      const unseen = isUnion && key === "rarg" ? later : own
      const name = namedIn(query[key], unseen)
      if (name !== undefined) throw unsupported(`"${name}" at this place of WITH RECURSIVE`, hint)
    }
  }
}

const hint =
  "Name a query of the clause only in later ones, and in itself only behind its UNION, on the right side."

/** The first relation without a schema that has one of these names, however deep. */
function namedIn(value: unknown, names: ReadonlySet<string>): string | undefined {
  if (typeof value !== "object" || value === null) return undefined
  if (Array.isArray(value)) {
    for (const item of value) {
      const found = namedIn(item, names)
      if (found !== undefined) return found
    }
    return undefined
  }
  const relation = nodeFields(value, "RangeVar")
  if (relation !== undefined) {
    const name = textOf(relation["relname"])
    const written = textOf(fieldsOf(relation["alias"])["aliasname"]) || name
    const isPlain = textOf(relation["schemaname"]) === ""
    return isPlain && names.has(name.toLowerCase()) ? written : undefined
  }
  const fields: Fields = fieldsOf(value)
  for (const key in fields) {
    const found = namedIn(fields[key], names)
    if (found !== undefined) return found
  }
  return undefined
}
