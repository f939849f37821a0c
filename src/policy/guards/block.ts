import { type Fields, fieldsOf, listOf, nodeFields, textOf } from "../../sql/ast.ts"
import { boundOf, columnParts, conjunctsOf, type IsStableCall, type Restriction } from "./bounds.ts"
import {
  type Binding,
  type Block,
  type Entry,
  type Pushed,
  resolveName,
  resolveQualified,
  type Space,
} from "./space.ts"

/** `SELECT ... FROM ... WHERE`, without set operations. */
export class SelectBlock implements Block {
  readonly outputs: readonly string[] | undefined
  readonly #select: Fields
  readonly #space: Space
  readonly takesConditions: boolean

  constructor(select: Fields, space: Space) {
    this.#select = select
    this.#space = space
    this.outputs = this.#outputs()
    this.takesConditions = takesConditions(select)
  }

  shows(name: string): boolean {
    return this.#lineage(name) !== undefined
  }

  push(conditions: readonly Pushed[]): void {
    if (!this.takesConditions) return
    for (const { column, restriction } of conditions) restrict(this.#lineage(column), restriction)
  }

  /** What an output column is, when it is a column of FROM and nothing else. */
  #lineage(name: string): Column | undefined {
    const explicit = this.#targets().filter((target) => labelOf(target) === name)
    const stars = this.#targets()
      .map(starOf)
      .filter((star) => star !== undefined)
    const [only, ...more] = explicit
    if (more.length > 0 || (only !== undefined && stars.length > 0)) return undefined
    if (only !== undefined) {
      const column = nodeFields(only["val"], "ColumnRef")
      return column === undefined ? undefined : columnOf(this.#space, column)
    }
    const [star, ...others] = stars
    if (star === undefined || others.length > 0) return undefined
    return columnOf(this.#space, { fields: [...star, name].map((sval) => ({ String: { sval } })) })
  }

  #targets(): readonly Fields[] {
    return listOf(this.#select["targetList"]).map((item) => nodeFields(item, "ResTarget") ?? {})
  }

  #outputs(): readonly string[] | undefined {
    const names: string[] = []
    for (const target of this.#targets()) {
      const star = starOf(target)
      const label = star === undefined ? labelOf(target) : undefined
      if (star === undefined) {
        // What the engine calls an expression without a name, nobody need know; it is none of the others' names.
        names.push(label ?? "")
        continue
      }
      const columns = star.length === 0 ? soleColumns(this.#space) : undefined
      if (columns === undefined) return undefined
      names.push(...columns)
    }
    return names
  }
}

/**
 * UNION, INTERSECT: a condition on a column is one on the same place of both sides. PostgreSQL's planner puts none to EXCEPT, nor to
 * any side when one of them takes none (recurse_pushdown_safe, allpaths.c).
 */
export class SetBlock implements Block {
  readonly outputs: readonly string[] | undefined
  readonly #branches: readonly Block[]
  readonly takesConditions: boolean

  constructor(select: Fields, branches: readonly Block[]) {
    this.#branches = branches
    this.outputs = branches[0]?.outputs
    this.takesConditions =
      takesConditions(select) &&
      select["op"] !== "SETOP_EXCEPT" &&
      branches.every((branch) => branch.takesConditions)
  }

  shows(name: string): boolean {
    return this.#branches[0]?.shows(name) ?? false
  }

  push(conditions: readonly Pushed[]): void {
    if (!this.takesConditions) return
    for (const branch of this.#branches) {
      const here = conditions.flatMap(({ column, restriction }) => {
        const name = outputAt(branch, placeOf(this.outputs, column))
        return name === undefined ? [] : [{ column: name, restriction }]
      })
      branch.push(here)
    }
  }
}

function placeOf(outputs: readonly string[] | undefined, name: string): number | undefined {
  const place = outputs?.indexOf(name) ?? -1
  return place < 0 || outputs?.lastIndexOf(name) !== place ? undefined : place
}

function outputAt({ outputs }: Block, place: number | undefined): string | undefined {
  const name = place === undefined ? undefined : outputs?.[place]
  return name === undefined || placeOf(outputs, name) !== place ? undefined : name
}

/** Columns of a FROM with one item. */
function soleColumns(space: Space): readonly string[] | undefined {
  if (space.kind === "entry") return space.entry.columns
  if (space.kind === "list" && space.items.length === 1) {
    const [only] = space.items
    return only === undefined ? undefined : soleColumns(only)
  }
  return undefined
}

/**
 * Conditions from outside may be put before these: where a limit, a window, DISTINCT ON or grouping sets see the rows first,
 * they see all of them.
 */
function takesConditions(select: Fields): boolean {
  if ("limitCount" in select || "limitOffset" in select || "windowClause" in select) return false
  const distinct = listOf(select["distinctClause"])
  if (distinct.some((item) => Object.keys(fieldsOf(item)).length > 0)) return false
  if (listOf(select["groupClause"]).some((item) => nodeFields(item, "GroupingSet") !== undefined))
    return false
  return !hasWindow(select["targetList"]) && !hasWindow(select["sortClause"])
}

/** A window function's call; those of sub-queries count as well, which is too much and never too little. */
function hasWindow(tree: unknown): boolean {
  const pending: unknown[] = [tree]
  while (pending.length > 0) {
    const at = pending.pop()
    if (Array.isArray(at)) pending.push(...at)
    else if (typeof at === "object" && at !== null) {
      if ("over" in at) return true
      pending.push(...Object.values(at))
    }
  }
  return false
}

function labelOf(target: Fields): string | undefined {
  const name = textOf(target["name"])
  if (name !== "") return name
  const column = nodeFields(target["val"], "ColumnRef")
  return column === undefined ? undefined : columnParts(column)?.at(-1)
}

/** The names before `*`, none for a bare one; undefined for what is no star. */
function starOf(target: Fields): readonly string[] | undefined {
  const items = listOf(nodeFields(target["val"], "ColumnRef")?.["fields"])
  if (nodeFields(items.at(-1), "A_Star") === undefined) return undefined
  return columnParts({ fields: items.slice(0, -1) }) ?? ["", ""]
}

/** A column of FROM: under which name, and whose. */
type Column = { readonly name: string; readonly binding: Binding }

function columnOf(space: Space, reference: Fields): Column | undefined {
  const parts = columnParts(reference)
  const name = parts?.at(-1)
  if (parts === undefined || name === undefined || parts.length > 3) return undefined
  const binding =
    parts.length === 1
      ? resolveName(space, name)
      : resolveQualified(space, { schema: parts.at(-3), qualifier: parts.at(-2) ?? "", name })
  return binding === undefined ? undefined : { name, binding }
}

/**
 * Notes what a condition that all rows of `space` meet restricts. `within`: the items of which that holds, where rows of
 * others come through without a match.
 */
export function restrictBy(
  condition: unknown,
  space: Space,
  isStable: IsStableCall,
  within?: ReadonlySet<Entry>,
): void {
  for (const conjunct of conjunctsOf(condition)) {
    const bound = boundOf(conjunct, isStable)
    if (bound !== undefined) restrict(columnOf(space, bound.column), bound.restriction, within)
  }
}

function restrict(
  column: Column | undefined,
  restriction: Restriction,
  within?: ReadonlySet<Entry>,
): void {
  if (column === undefined) return
  const { primary, equal } = column.binding
  for (const entry of restriction.equality ? [...primary, ...equal] : primary)
    if (within === undefined || within.has(entry)) entry.restrict(column.name, restriction)
}
