import type { InvalidationRequest, RelationFreshness } from "../core/invalidation.ts"
import type { RelationName } from "../core/relation.ts"

/** Relations whose last invalidation is remembered; the one invalidated longest ago goes first. */
const relationsMax = 10_000

type Known = Omit<RelationFreshness, "entriesNow">

/** When each relation was last invalidated, and by whom: for people and dashboards, never for correctness. */
export class RelationFreshnessLog {
  /** In order of invalidation, the latest last. */
  readonly #known = new Map<RelationName, Known>()

  note(
    relation: RelationName,
    what: {
      readonly invalidatedAt: string
      readonly id: string
      readonly source: InvalidationRequest["source"]
      readonly entriesThen: number
    },
  ): void {
    this.#known.delete(relation)
    this.#known.set(relation, { relation, ...what })
    if (this.#known.size <= relationsMax) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  /** The latest first. `names` restricts to these. */
  list(names: ReadonlySet<RelationName> | undefined, limit: number): readonly Known[] {
    const all = [...this.#known.values()].toReversed()
    const wanted = names === undefined ? all : all.filter(({ relation }) => names.has(relation))
    return wanted.slice(0, limit)
  }
}
