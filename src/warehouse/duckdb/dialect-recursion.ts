import { type Fields, fieldsOf, listOf, nodeFields, textOf } from "./ast-nodes.ts"

/** What names of WITH RECURSIVE are called where they are visible; other names are not in it. */
type Names = ReadonlyMap<string, string>

const noNames: Names = new Map()

/**
 * A tree in which every query of a WITH RECURSIVE has a name that no relation has, and is read by that. In PostgreSQL all names
 * of such a clause are visible in all of its queries; to DuckDB a name means the table of that name in front of its own
 * UNION and in earlier queries, and that table is not what was judged. Under the new name it is simply not there. The same
 * object where there is no such clause.
 */
export function nameRecursiveQueries<Tree extends object>(tree: Tree): Tree {
  return new Renaming().walk(tree, noNames) as Tree
}

class Renaming {
  #count = 0

  walk(value: unknown, names: Names): unknown {
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) {
      const items = value.map((item) => this.walk(item, names))
      return items.some((item, index) => item !== value[index]) ? items : value
    }
    const fields = fieldsOf(value)
    const range = nodeFields(value, "RangeVar")
    if (range !== undefined) return renamedRange(fields, range, names)
    const clause = fieldsOf(fields["withClause"])
    const opened = "withClause" in fields ? this.#opened(clause, names) : undefined
    let changed: Record<string, unknown> | undefined
    for (const key in fields) {
      const child = fields[key]
      const walked =
        opened !== undefined && key === "withClause"
          ? opened.clause
          : this.walk(child, opened?.names ?? names)
      if (walked === child) continue
      changed ??= { ...fields }
      changed[key] = walked
    }
    return changed ?? value
  }

  /** The clause with its queries renamed, and what the statement around it sees. */
  #opened(clause: Fields, outer: Names): { readonly clause: Fields; readonly names: Names } {
    const items = listOf(clause["ctes"])
    const isRecursive = clause["recursive"] === true
    const names = new Map(outer)
    if (isRecursive)
      for (const item of items) {
        this.#count += 1
        names.set(nameOf(item), `sluice_recursive_${this.#count}`)
      }
    const walked = items.map((item) => {
      const query = nodeFields(item, "CommonTableExpr")
      const inner = this.walk(query, names)
      const name = nameOf(item)
      // Without RECURSIVE a name is visible behind its query only, and hides one of a clause further out.
      if (!isRecursive) names.delete(name)
      const ctename = names.get(name) ?? name
      if (inner === query && ctename === name) return item
      return { CommonTableExpr: { ...fieldsOf(inner), ctename } }
    })
    const isChanged = walked.some((item, index) => item !== items[index])
    return { clause: isChanged ? { ...clause, ctes: walked } : clause, names }
  }
}

function nameOf(item: unknown): string {
  return textOf(nodeFields(item, "CommonTableExpr")?.["ctename"])
}

function renamedRange(node: Fields, range: Fields, names: Names): Fields {
  const name = textOf(range["relname"])
  const isQualified = textOf(range["schemaname"]) !== "" || textOf(range["catalogname"]) !== ""
  const given = names.get(name)
  if (isQualified || given === undefined) return node
  return { RangeVar: { ...range, relname: given, alias: range["alias"] ?? { aliasname: name } } }
}
