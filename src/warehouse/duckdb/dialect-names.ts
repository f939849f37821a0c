import { fieldsOf, listOf, nodeFields, string } from "./ast-nodes.ts"

/**
 * Words that DuckDB reserves and PostgreSQL does not, so that the emitter leaves them bare (found by trying each of
 * duckdb_keywords() as a column, an alias and a relation). In capitals the emitter has to quote them, and DuckDB, which
 * does not look at case, finds what was meant.
 */
const reservedWords: ReadonlySet<string> = new Set([
  "anti",
  "asof",
  "at",
  "by",
  "describe",
  "glob",
  "lambda",
  "pivot",
  "pivot_longer",
  "pivot_wider",
  "positional",
  "qualify",
  "semi",
  "show",
  "summarize",
  "unpack",
  "unpivot",
])

/** Fields that hold a name as plain text, and fields that hold a list of name nodes. */
const nameFields: ReadonlySet<string> = new Set(["aliasname", "ctename", "relname", "schemaname"])
const nameLists: ReadonlySet<string> = new Set(["aliascolnames", "colnames", "usingClause"])

/** The value of a field, with reserved words in capitals; the same value when there are none. */
export function adaptNameField(key: string, value: unknown): unknown {
  if (nameFields.has(key)) {
    return typeof value === "string" && reservedWords.has(value) ? value.toUpperCase() : value
  }
  return nameLists.has(key) ? adaptNameList(value) : value
}

/** A list of name nodes, such as the parts of a column reference. */
export function adaptNameList(value: unknown): unknown {
  const items = listOf(value)
  const hasReserved = items.some((item) => reservedWords.has(nameOf(item)))
  if (!hasReserved) return value
  return items.map((item) => {
    const name = nameOf(item)
    return reservedWords.has(name) ? string(name.toUpperCase()) : item
  })
}

function nameOf(item: unknown): string {
  const name = fieldsOf(nodeFields(item, "String"))["sval"]
  return typeof name === "string" ? name : ""
}

export function isReservedName(name: string): boolean {
  return reservedWords.has(name)
}
