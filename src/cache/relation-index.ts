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

  /** Distinct items that depend on at least one of the relations. */
  countOf(relations: readonly RelationName[]): number {
    const sets: Set<Item>[] = []
    for (const relation of new Set(relations)) {
      const items = this.#items.get(relation)
      if (items !== undefined) sets.push(items)
    }
    const [only] = sets
    if (sets.length < 2) return only?.size ?? 0
    const distinct = new Set<Item>()
    for (const items of sets) for (const item of items) distinct.add(item)
    return distinct.size
  }

  /** Takes all items of a relation out from under it; they stay under their other relations. */
  detach(relation: RelationName): Set<Item> | undefined {
    const items = this.#items.get(relation)
    this.#items.delete(relation)
    return items
  }
}
