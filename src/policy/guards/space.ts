import { type Restriction, together } from "./bounds.ts"

/** A condition on one output column that whoever reads a query sets on it. */
export type Pushed = { readonly column: string; readonly restriction: Restriction }

/** One query as far as conditions on its rows go. */
export interface Block {
  /** Names of its output columns in their order, "" for one that is not known; undefined when none is. */
  readonly outputs: readonly string[] | undefined
  /** False where conditions of a reader cannot be put to what it reads. */
  readonly takesConditions: boolean
  /** True when it certainly has an output of this name that is a column of something restrictable. */
  shows(name: string): boolean
  /** Conditions of its reader, which hold for its rows as if they were its own where the engine can put them there. */
  push(conditions: readonly Pushed[]): void
}

/** One item of FROM whose rows conditions can restrict. */
export class Entry {
  /** The name by which columns are qualified; undefined: none can be. */
  readonly qualifier: string | undefined
  /** Schema of a relation without an alias: its columns may be qualified with it. */
  readonly schema: string | undefined
  /** Visible names in their order; undefined when they are not known. */
  readonly columns: readonly string[] | undefined
  /** The query that it stands for: a sub-select, a view, a WITH query. */
  readonly block: Block | undefined
  /** The block's own names of its outputs, by visible ones. */
  readonly #inner: ReadonlyMap<string, string>
  /** By visible column name. */
  readonly restrictions = new Map<string, Restriction>()

  constructor(parts: {
    readonly qualifier: string | undefined
    readonly schema?: string | undefined
    readonly columns: readonly string[] | undefined
    /** `AS t(a, b)`: names in the place of the first columns'. */
    readonly renamed?: readonly string[]
    readonly block?: Block | undefined
  }) {
    const { columns, renamed = [] } = parts
    this.qualifier = parts.qualifier
    this.schema = parts.schema
    this.columns = columns?.map((column, place) => renamed[place] ?? column)
    this.block = columns === undefined && renamed.length > 0 ? undefined : parts.block
    const outputs = parts.block?.outputs ?? []
    this.#inner = new Map(outputs.map((output, place) => [this.columns?.[place] ?? output, output]))
  }

  restrict(column: string, restriction: Restriction): void {
    this.restrictions.set(column, together(this.restrictions.get(column), restriction))
  }

  /** True when it certainly has a column of this name. */
  has(name: string): boolean {
    if (this.columns !== undefined) return this.columns.includes(name)
    return this.block?.shows(name) ?? false
  }

  mayHave(name: string): boolean {
    return this.columns === undefined || this.columns.includes(name) || this.columns.includes("")
  }

  /** What is put to the query that it stands for. */
  conditions(): readonly Pushed[] {
    return [...this.restrictions].flatMap(([name, restriction]) => {
      const column = this.columns === undefined ? name : this.#inner.get(name)
      return column === undefined ? [] : [{ column, restriction }]
    })
  }
}

/** What a column's name stands for. Columns that USING joins are one name for several. */
export type Binding = {
  /** A condition on the name restricts these. */
  readonly primary: readonly Entry[]
  /** An equality restricts these as well, because the join makes them equal. */
  readonly equal: readonly Entry[]
}

const nothing: Binding = { primary: [], equal: [] }

/** FROM as names see it. */
export type Space =
  | { readonly kind: "entry"; readonly entry: Entry }
  /** Items side by side, or joined with ON: a name stands in one of them. */
  | { readonly kind: "list"; readonly items: readonly Space[] }
  | {
      readonly kind: "merged"
      readonly left: Space
      readonly right: Space
      readonly type: JoinType
      /** Undefined: NATURAL. */
      readonly using: ReadonlySet<string> | undefined
    }

export type JoinType = "inner" | "left" | "right" | "full"

/** Undefined: no item is known to have it, or several have, which the engine refuses. */
export function resolveName(space: Space, name: string): Binding | undefined {
  switch (space.kind) {
    case "entry":
      return space.entry.has(name) ? { primary: [space.entry], equal: [] } : undefined
    case "list": {
      const found = space.items.flatMap((item) => resolveName(item, name) ?? [])
      return found.length === 1 ? found[0] : undefined
    }
    default:
      return resolveMerged(space, name)
  }
}

function resolveMerged(
  space: Extract<Space, { kind: "merged" }>,
  name: string,
): Binding | undefined {
  const left = resolveName(space.left, name)
  const right = resolveName(space.right, name)
  const isMerged =
    space.using === undefined
      ? mayHave(space.left, name) && mayHave(space.right, name)
      : space.using.has(name)
  if (!isMerged) return left !== undefined && right !== undefined ? undefined : (left ?? right)
  if (left === undefined && right === undefined) return undefined
  switch (space.type) {
    case "inner":
    case "left":
      return merged(left ?? nothing, right ?? nothing)
    case "right":
      return merged(right ?? nothing, left ?? nothing)
    // COALESCE of both: a row of either side may be without the other.
    default:
      return nothing
  }
}

/** The joined column is the leading side's own; a constant that it equals, the other side equals, too. */
function merged(leading: Binding, other: Binding): Binding {
  return {
    primary: leading.primary,
    equal: [...leading.equal, ...other.primary, ...other.equal],
  }
}

function mayHave(space: Space, name: string): boolean {
  switch (space.kind) {
    case "entry":
      return space.entry.mayHave(name)
    case "list":
      return space.items.some((item) => mayHave(item, name))
    default:
      return mayHave(space.left, name) || mayHave(space.right, name)
  }
}

export function entriesOf(space: Space): readonly Entry[] {
  switch (space.kind) {
    case "entry":
      return [space.entry]
    case "list":
      return space.items.flatMap(entriesOf)
    default:
      return [...entriesOf(space.left), ...entriesOf(space.right)]
  }
}

/** `[schema.]qualifier.name`; undefined when not exactly one item is called so. */
export function resolveQualified(
  space: Space,
  parts: { readonly schema: string | undefined; readonly qualifier: string; readonly name: string },
): Binding | undefined {
  const found = entriesOf(space).filter(
    ({ qualifier, schema }) =>
      qualifier === parts.qualifier && (parts.schema === undefined || parts.schema === schema),
  )
  const [only, ...more] = found
  if (only === undefined || more.length > 0 || !only.has(parts.name)) return undefined
  return { primary: [only], equal: [] }
}
