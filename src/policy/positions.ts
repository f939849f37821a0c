import { fieldsOf, isFields, listOf, nodeFields } from "../sql/ast.ts"

/**
 * True when a query has a star whose columns are told apart by their places: names for them in front or behind, or another branch of
 * a set operation; or reads a relation under other names, by place. A column that is left out would then move the ones behind it under other names.
 */
export function countsColumns(query: unknown): boolean {
  const found = { star: false, places: false }
  look(query, found)
  return found.star && found.places
}

const placeKeys = ["colnames", "aliascolnames", "larg"] as const

function look(value: unknown, found: { star: boolean; places: boolean }): void {
  if (Array.isArray(value)) {
    for (const item of value) look(item, found)
    return
  }
  if (!isFields(value)) return
  const fields = listOf(nodeFields(value, "ColumnRef")?.["fields"])
  if (fields.some((part) => nodeFields(part, "A_Star") !== undefined)) found.star = true
  // `larg` of a join is a relation, which has a tag of its own; that of a set operation has none.
  if (placeKeys.some((key) => (key === "larg" ? "op" in value && key in value : key in value)))
    found.places = true
  // Names behind a relation or a join, and what both sides of a natural join have, go by all its columns without any star.
  const source = nodeFields(value, "RangeVar") ?? nodeFields(value, "JoinExpr")
  if (
    source !== undefined &&
    ("colnames" in fieldsOf(source["alias"]) || source["isNatural"] === true)
  )
    found.star = found.places = true
  for (const key in value) look(value[key], found)
}
