import type { RelationName } from "../core/relation.ts"

/** Which items depend on which relations. Bounded by its user: an item is in it exactly as long as in the user's own store. */
export class RelationIndex<Item extends object> {
  readonly #items = new Map<RelationName, Set<Item>>()

  add(item: Item, relations: readonly RelationName[]): void {
    for (const relation of relations) {
      const items = this.#items.get(relation)
      if (items === undefined) this.#items.set(relation, new Set([item]))
      else items.add(item)
    }
  }

  remove(item: Item, relations: readonly RelationName[]): void {
    for (const relation of relations) {
      const items = this.#items.get(relation)
      if (items?.delete(item) && items.size === 0) this.#items.delete(relation)
    }
  }

  /** Distinct items that depend on at least one of the relations. Costs nothing for the relation with the most of them. */
  countOf(relations: readonly RelationName[]): number {
    let largest: ReadonlySet<Item> = new Set()
    const sets: ReadonlySet<Item>[] = []
    for (const relation of new Set(relations)) {
      const items = this.#items.get(relation)
      if (items === undefined) continue
      sets.push(items)
      if (items.size > largest.size) largest = items
    }
    if (sets.length < 2) return largest.size
    const others = new Set<Item>()
    for (const items of sets) {
      if (items === largest) continue
      for (const item of items) if (!largest.has(item)) others.add(item)
    }
    return largest.size + others.size
  }

  /** Takes all items of a relation out from under it; they stay under their other relations. */
  detach(relation: RelationName): Set<Item> | undefined {
    const items = this.#items.get(relation)
    this.#items.delete(relation)
    return items
  }
}
