import type { CatalogInterest } from "../core/catalog.ts"

/** Relations asked for; each costs the catalogue its columns, about 1 kB. */
const wantedMax = 10_000

/**
 * Relations of which the catalogue is to know the columns because a statement needed them: those that row rules of tokens
 * are about, which no file names. It only grows, so that nothing is asked for twice; what comes above the bound is not read, and its
 * readers stay refused.
 */
export class WantedRelations {
  readonly #wanted = new Map<string, CatalogInterest[number]>()

  /** True when one of them was not asked for before. */
  add(relations: CatalogInterest): boolean {
    let isNew = false
    for (const { schema, relation } of relations) {
      const id = JSON.stringify([schema, relation])
      if (this.#wanted.has(id) || this.#wanted.size >= wantedMax) continue
      this.#wanted.set(id, { schema, relation })
      isNew = true
    }
    return isNew
  }

  get all(): CatalogInterest {
    return [...this.#wanted.values()]
  }
}
