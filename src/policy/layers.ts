import type { CatalogRelation } from "../core/catalog.ts"
import { isFields, listOf, nodeFields, textOf } from "../sql/ast.ts"
import type { KeyedRelation } from "../sql/group-by-key.ts"
import type { ReaderRule } from "./relation-policy.ts"

/** What rules call their relation: one rule's own name for it, so that a parent's filter may qualify its columns. */
export function nameFor(relation: CatalogRelation, rules: readonly ReaderRule[]): string {
  const [only, ...more] = rules
  return only !== undefined && more.length === 0 ? only.policy.relation : relation.relation
}

/** What is left of a relation's columns under a rule. */
export function withoutColumns(relation: CatalogRelation, rule: ReaderRule): CatalogRelation {
  return withoutThese(relation, rule.deniedColumns)
}

export function withoutThese(
  relation: CatalogRelation,
  hidden: ReadonlySet<string>,
): CatalogRelation {
  const { columns, columnTypes } = relation
  const isLeft = (_: unknown, index: number): boolean => !hidden.has(columns?.[index] ?? "")
  return {
    ...relation,
    columns: columns?.filter(isLeft),
    columnTypes: columnTypes?.filter(isLeft),
  }
}

/** Masks and denials of a rule for columns that are still there; its filter has been applied before. */
export function withinColumns(rule: ReaderRule, { columns = [] }: CatalogRelation): ReaderRule {
  return {
    ...rule,
    rows: { kind: "none" },
    guest: [],
    masks: rule.masks.filter(({ column }) => columns.includes(column)),
    deniedColumns: new Set([...rule.deniedColumns].filter((column) => columns.includes(column))),
  }
}

/** A rule without what it says of columns that are hidden anyway. */
export function exceptFor(rule: ReaderRule, hidden: ReadonlySet<string>): ReaderRule {
  if (hidden.size === 0) return rule
  return {
    ...rule,
    masks: rule.masks.filter(({ column }) => !hidden.has(column)),
    deniedColumns: new Set([...rule.deniedColumns].filter((column) => !hidden.has(column))),
  }
}

/** True when a filter of these rules reads a column by a name that `masked` has. */
export function filtersBy(rules: readonly ReaderRule[], masked: ReadonlySet<string>): boolean {
  return rules.some(({ rows, guest }) => {
    const filters = rows.kind === "filtered" ? [...rows.permissive, ...rows.restrictive] : []
    const trees = [
      ...filters.map(({ filter }) => filter.ast),
      ...guest.map((each) => each.expression.ast),
    ]
    return trees.some((tree) => mentions(tree, masked))
  })
}

function mentions(value: unknown, names: ReadonlySet<string>): boolean {
  if (Array.isArray(value)) return value.some((item) => mentions(item, names))
  if (!isFields(value)) return false
  const fields = nodeFields(value, "ColumnRef")?.["fields"]
  if (fields === undefined) return Object.values(value).some((item) => mentions(item, names))
  return listOf(fields).some(
    (part) =>
      nodeFields(part, "A_Star") !== undefined ||
      names.has(textOf(nodeFields(part, "String")?.["sval"])),
  )
}

/** The primary key as the reader sees it: only where each row is shown with its key as it is. */
export function keyedBy(
  { primaryKey, columns = [], dependsOn, kind }: CatalogRelation,
  rules: readonly ReaderRule[],
): KeyedRelation | undefined {
  // A parent's key does not hold for its inheritance children; a partitioned table's does.
  if (primaryKey === undefined || (kind !== "partitioned_table" && dependsOn.length > 0))
    return undefined
  const denied = new Set(rules.flatMap(({ deniedColumns }) => [...deniedColumns]))
  const masked = new Set(rules.flatMap(({ masks }) => masks.map(({ column }) => column)))
  if (primaryKey.some((column) => denied.has(column) || masked.has(column))) return undefined
  return { key: primaryKey, columns: columns.filter((column) => !denied.has(column)) }
}
