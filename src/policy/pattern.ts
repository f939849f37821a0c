import type { RelationName } from "../core/relation.ts"

/** Patterns of relation rules, compiled: `*` for everything, `schema.*` for a schema, a full name for itself. */
export class RelationPatterns {
  readonly #everything: boolean
  readonly #schemas: ReadonlySet<string>
  readonly #names: ReadonlySet<string>

  constructor(patterns: readonly string[]) {
    this.#everything = patterns.includes("*")
    this.#schemas = new Set(
      patterns.filter((pattern) => pattern.endsWith(".*")).map((pattern) => pattern.slice(0, -1)),
    )
    this.#names = new Set(patterns)
  }

  get matchesEverything(): boolean {
    return this.#everything
  }

  get isEmpty(): boolean {
    return this.#names.size === 0
  }

  /** The patterns as they were given. */
  get patterns(): readonly string[] {
    return [...this.#names]
  }

  /** True when the pattern is this very name, not one that covers many. */
  names(name: RelationName): boolean {
    return this.#names.has(name)
  }

  matches(name: RelationName): boolean {
    return this.#everything || this.#names.has(name) || this.#schemas.has(schemaPrefix(name))
  }
}

/** `schema.` of a full name; a quoted schema part may hold dots of its own. */
function schemaPrefix(name: RelationName): string {
  if (!name.startsWith('"')) return name.slice(0, name.indexOf(".") + 1)
  for (let index = 1; index < name.length; index += 1) {
    if (name[index] !== '"') continue
    if (name[index + 1] === '"') index += 1
    else return name.slice(0, index + 2)
  }
  return name
}
