import { dependentsOf } from "../../catalog/expand.ts"
import { folded } from "../../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../../core/catalog.ts"
import type { RelationName } from "../../core/relation.ts"
import { isFields, nameParts, nodeFields } from "../../sql/ast.ts"
import type { PolicyExpression } from "../expression.ts"
import { RelationPatterns } from "../pattern.ts"
import type { Finding, LintSubject, Located } from "./finding.ts"

/** Names shown of a list. */
const namesShownMax = 8

type Governed = ReadonlyMap<RelationName, Located>

/** Relations beside governed ones that readers under policies may read as they are, and what shows governed ones. */
export function lintGaps(
  subject: LintSubject,
  governed: Governed,
  snapshot: CatalogSnapshot,
): readonly Finding[] {
  const showing = showingGoverned(governed, snapshot)
  const findings: Finding[] = []
  for (const name of showing)
    if (!governed.has(name)) findings.push(showsGoverned(name, governed, snapshot))
  const isCovered = (name: RelationName): boolean => governed.has(name) || showing.has(name)
  for (const [schema, columns] of filterColumnsBySchema(governed, snapshot)) {
    const open = openIn(subject, schema, snapshot).filter(({ name }) => !isCovered(name))
    findings.push(...ungoverned(schema, columns, open, snapshot))
  }
  return findings
}

/** Views and parents over governed relations, materialised views made of them, and what stands over those. */
function showingGoverned(governed: Governed, snapshot: CatalogSnapshot): Set<RelationName> {
  const showing = new Set(dependentsOf([...governed.keys()], snapshot))
  const copies = [...snapshot.relations.values()].filter(({ madeOf = [] }) =>
    madeOf.some((source) => governed.has(source) || showing.has(source)),
  )
  for (const { name } of copies) showing.add(name)
  const names = copies.map(({ name }) => name)
  for (const name of dependentsOf(names, snapshot)) showing.add(name)
  return showing
}

/** Columns that filters compare, by the schema of their relations: what has such a column holds rows of the same kind. */
function filterColumnsBySchema(
  governed: Governed,
  snapshot: CatalogSnapshot,
): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>()
  for (const [name, { policy }] of governed) {
    const schema = snapshot.relations.get(name)?.schema ?? ""
    const columns = found.get(schema) ?? new Set()
    found.set(schema, columns)
    // Those that are compared with claims tell readers apart; `deleted_at IS NULL` does not.
    for (const { filter } of policy.rowFilters.filter((one) => one.filter.claims.length > 0))
      for (const column of ownColumns(filter)) columns.add(folded(snapshot, column))
  }
  return found
}

/** Columns of the governed relation that an expression names outside of its sub-selects. */
export function ownColumns({ ast }: PolicyExpression): readonly string[] {
  const found: string[] = []
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) walk(item)
    if (!isFields(value)) return
    const reference = nodeFields(value, "ColumnRef")
    if (reference !== undefined) found.push(nameParts(reference["fields"]).at(-1) ?? "")
    const link = nodeFields(value, "SubLink")
    for (const child of Object.values(link === undefined ? value : { test: link["testexpr"] }))
      walk(child)
  }
  walk(ast)
  return found
}

/** What somebody from whom policies hide something may read of a schema. */
function openIn(
  { roles, policies }: LintSubject,
  schema: string,
  snapshot: CatalogSnapshot,
): readonly CatalogRelation[] {
  const restricted = roles
    .filter(({ name }) => policies.rulesFor([name]) !== undefined)
    .map(({ relations: { allow, deny } }) => ({
      allow: new RelationPatterns(allow),
      deny: new RelationPatterns(deny),
    }))
  return [...snapshot.relations.values()].filter(
    (relation) =>
      relation.schema === schema &&
      relation.kind !== "sequence" &&
      restricted.some(
        ({ allow, deny }) => allow.matches(relation.name) && !deny.matches(relation.name),
      ),
  )
}

function ungoverned(
  schema: string,
  filterColumns: ReadonlySet<string>,
  open: readonly CatalogRelation[],
  snapshot: CatalogSnapshot,
): readonly Finding[] {
  const sharing = (relation: CatalogRelation): string | undefined =>
    relation.columns?.find((column) => filterColumns.has(folded(snapshot, column)))
  const alike = open.flatMap((relation): readonly Finding[] => {
    const column = sharing(relation)
    if (column === undefined) return []
    const message = `${relation.name} has no policy, and the column "${column}", by which others of its schema are filtered`
    return [{ level: "warning", code: "relation_ungoverned", path: ["relations"], message }]
  })
  const others = open.filter((relation) => sharing(relation) === undefined).map(({ name }) => name)
  if (others.length === 0) return alike
  const shown = others.toSorted().slice(0, namesShownMax).join(", ")
  const more = others.length > namesShownMax ? ` and ${others.length - namesShownMax} more` : ""
  const message = `${schema} has relations without a policy that readers under policies may read: ${shown}${more}`
  return [...alike, { level: "info", code: "relation_ungoverned", path: ["relations"], message }]
}

function showsGoverned(name: RelationName, governed: Governed, snapshot: CatalogSnapshot): Finding {
  const relation = snapshot.relations.get(name)
  const what = relation?.kind === "materialized_view" ? "a copy" : "a view or parent"
  const below = [...(relation?.dependsOn ?? []), ...(relation?.madeOf ?? [])]
  const located = below.map((one) => governed.get(one)).find((one) => one !== undefined)
  return {
    level: "info",
    code: "shows_governed",
    path: located?.path ?? ["relations"],
    message: `${name} is ${what} of governed relations: readers see it through their policies, or not at all`,
  }
}
