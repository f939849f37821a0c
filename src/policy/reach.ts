import { dependentsOf } from "../catalog/expand.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName } from "../core/relation.ts"
import type { ReaderRule } from "./relation-policy.ts"

/**
 * How far one reader's rules reach in a catalogue. A rule holds for its relation, for the rows that children hold of it (a partition read by
 * name is the partitioned table's), and for whatever shows or was made of either.
 */
export class Reach {
  readonly #snapshot: CatalogSnapshot
  readonly #rules: ReadonlyMap<RelationName, ReaderRule>

  constructor(rules: ReadonlyMap<RelationName, ReaderRule>, snapshot: CatalogSnapshot) {
    this.#rules = rules
    this.#snapshot = snapshot
  }

  ruleOf(name: RelationName): ReaderRule | undefined {
    return this.#rules.get(name)
  }

  /** Rules of the tables whose child it is, directly or not. */
  parentRules(name: RelationName): readonly ReaderRule[] {
    return this.#parents(name).flatMap((parent) => this.#rules.get(parent) ?? [])
  }

  /** True when some rule holds for the relation or for anything below it. */
  touches(name: RelationName): boolean {
    return this.#governs(name) || this.hidesBelow(name)
  }

  /** A rule for what it shows or was made of: sources of a view or a materialised view, children that have one of their own. */
  hidesBelow(name: RelationName): boolean {
    const isView = this.#isView(name)
    const seen = new Set([name])
    for (const at of seen) {
      if (
        at !== name &&
        (isView || this.#isView(at) ? this.#governs(at) : this.#governsAlone(at, name))
      )
        return true
      const relation = this.#snapshot.relations.get(at)
      for (const below of [...(relation?.dependsOn ?? []), ...(relation?.madeOf ?? [])])
        seen.add(below)
    }
    return false
  }

  /** A child that two ways lead to would be read twice by a union. */
  hasSharedChildren(name: RelationName): boolean {
    const pending: RelationName[] = [name]
    const seen = new Set<RelationName>()
    for (let at = pending.pop(); at !== undefined; at = pending.pop())
      for (const child of this.#snapshot.relations.get(at)?.dependsOn ?? []) {
        if (seen.has(child)) return true
        seen.add(child)
        pending.push(child)
      }
    return false
  }

  #governs(name: RelationName): boolean {
    return this.#rules.has(name) || this.parentRules(name).length > 0
  }

  /** A rule for a child that does not hold for all rows of `parent` anyway. */
  #governsAlone(child: RelationName, parent: RelationName): boolean {
    if (this.#rules.has(child)) return true
    const covered = new Set([parent, ...this.#parents(parent)])
    return this.#parents(child).some((above) => this.#rules.has(above) && !covered.has(above))
  }

  #parents(name: RelationName): readonly RelationName[] {
    if (this.#isView(name)) return []
    return dependentsOf([name], this.#snapshot).filter((above) => !this.#isView(above))
  }

  #isView(name: RelationName): boolean {
    const kind = this.#snapshot.relations.get(name)?.kind
    return kind === "view" || kind === "materialized_view"
  }
}
