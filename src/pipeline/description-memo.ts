import type { StatementDescription } from "../core/result.ts"

/** Descriptions kept; each is the size of its RowDescription, about 1 kB. */
const descriptionsMax = 2_000

/** What the warehouse said about statements, by everything that can change it. Oldest first to go. */
export class DescriptionMemo {
  readonly #known = new Map<string, StatementDescription>()

  get(id: string): StatementDescription | undefined {
    return this.#known.get(id)
  }

  set(id: string, description: StatementDescription): void {
    if (this.#known.size >= descriptionsMax) {
      const [oldest] = this.#known.keys()
      if (oldest !== undefined) this.#known.delete(oldest)
    }
    this.#known.set(id, description)
  }
}
