import { conditionForms, forms, literals, sharedForms, wordLists } from "./query-generator-forms.ts"
import type { Random } from "./query-generator-random.ts"
import type { ColumnType } from "./query-generator-schema.ts"

/** A column that an expression may name, as written in the statement. */
export type ScopeColumn = { readonly sql: string; readonly type: ColumnType }

/** Values that become `$n` instead of literals, in order of their number. */
export type ParameterSink = {
  /** The text that stands for a value of this type: `$3`, or `$3::date`. */
  take(type: ColumnType): string
}

/** Types that ORDER BY, GROUP BY, DISTINCT and comparisons take. */
export const orderableTypes: readonly ColumnType[] = (Object.keys(literals) as ColumnType[]).filter(
  (type) => type !== "json",
)

const placeholder = /\{([a-zA-Z0-9]+(?:\[\])?)\}/g

function isType(name: string): name is ColumnType {
  return Object.hasOwn(forms, name)
}

function wordsOf(name: string): readonly string[] | undefined {
  return Object.hasOwn(wordLists, name) ? wordLists[name as keyof typeof wordLists] : undefined
}

/** Makes expressions over the columns in scope, by the vocabulary of query-generator-forms.ts. */
export class Expressions {
  readonly #random: Random
  readonly #scope: readonly ScopeColumn[]
  readonly #parameters: ParameterSink | undefined

  constructor(random: Random, scope: readonly ScopeColumn[], parameters?: ParameterSink) {
    this.#random = random
    this.#scope = scope
    this.#parameters = parameters
  }

  column(type: ColumnType): string | undefined {
    const fitting = this.#scope.filter((column) => column.type === type)
    return fitting.length === 0 ? undefined : this.#random.pick(fitting).sql
  }

  literal(type: ColumnType): string {
    if (this.#parameters !== undefined && this.#random.chance(0.6))
      return this.#parameters.take(type)
    if (this.#random.chance(0.04)) return "NULL"
    return this.#random.pick(literals[type])
  }

  any(depth: number, types: readonly ColumnType[] = orderableTypes): string {
    return this.of(this.#random.pick(types), depth)
  }

  /** An expression of this type, `depth` forms deep at most. */
  of(type: ColumnType, depth: number): string {
    const column = this.column(type)
    if (depth <= 0 || this.#random.chance(0.25)) {
      if (column !== undefined && this.#random.chance(0.8)) return column
      return this.literal(type)
    }
    const isShared = type !== "json" && this.#random.chance(0.12)
    return this.#filled(this.#random.pick(isShared ? sharedForms : forms[type]), type, depth - 1)
  }

  /** A boolean expression. */
  condition(depth: number): string {
    // The last three forms nest conditions; at the bottom they are left out.
    const fitting = depth > 0 ? conditionForms : conditionForms.slice(0, -3)
    return this.#filled(
      this.#random.pick(fitting),
      this.#random.pick(orderableTypes),
      Math.min(depth - 1, 1),
    )
  }

  #filled(form: string, self: ColumnType, depth: number): string {
    return form.replaceAll(placeholder, (whole, name: string) => {
      if (name === "self") return this.of(self, depth)
      if (name === "any") return this.any(depth)
      if (name === "condition") return this.condition(depth)
      if (isType(name)) return this.of(name, depth)
      const words = wordsOf(name)
      return words === undefined ? whole : this.#random.pick(words)
    })
  }
}
