import type { CatalogSnapshot } from "../core/catalog.ts"
import type { Log } from "../observe/log.ts"
import type { RelationPolicies } from "../policy/relation-policy.ts"
import { unmatchedIn } from "../policy/rules-by-relation.ts"

/** Names shown in one line of the log. */
const namesShownMax = 20

type Missing = { readonly relations: ReadonlySet<string>; readonly columns: ReadonlySet<string> }

/**
 * Compares policies with the catalogues as they are read: a policy whose relation no warehouse has protects nothing, and one whose
 * column is gone refuses its readers. Both are told in the log when they change, and counted for the metric.
 */
export class PolicyWatch {
  readonly #log: Log
  readonly #warehouses: ReadonlySet<string>
  /** What each warehouse lacks, as its newest catalogue says. */
  readonly #missing = new Map<string, Missing>()
  #told = ""

  constructor(warehouses: readonly string[], log: Log) {
    this.#warehouses = new Set(warehouses)
    this.#log = log
  }

  /** Relations with a policy that none of the warehouses has; 0 until each of them was asked. */
  get unmatchedRelations(): number {
    return this.#everywhere().length
  }

  /** A catalogue was read. Tells when this, or a reload of the policies, changed what is missing. */
  catalogRead(
    warehouse: string,
    snapshot: CatalogSnapshot,
    policies: RelationPolicies | undefined,
  ): void {
    if (policies === undefined) return
    const { relations, columns } = unmatchedIn(policies, snapshot)
    this.#missing.set(warehouse, {
      relations: new Set(relations.map(({ schema, relation }) => `${schema}.${relation}`)),
      columns: new Set(
        columns.map(({ policy, column }) => `${policy.schema}.${policy.relation}.${column}`),
      ),
    })
    if (this.#missing.size === this.#warehouses.size) this.#tell()
  }

  #everywhere(): readonly string[] {
    if (this.#missing.size < this.#warehouses.size) return []
    const [first, ...others] = this.#missing.values()
    const names = [...(first?.relations ?? [])]
    return names.filter((name) => others.every(({ relations }) => relations.has(name)))
  }

  #tell(): void {
    const relations = this.#everywhere()
    const columns = [...this.#missing].flatMap(([warehouse, missing]) =>
      [...missing.columns].map((column) => `${warehouse}: ${column}`),
    )
    const found = JSON.stringify([relations, columns])
    if (found === this.#told || (this.#told === "" && found === "[[],[]]")) return
    this.#told = found
    if (relations.length > 0)
      this.#log.warn("policies name relations that no warehouse has: they protect nothing", {
        count: relations.length,
        relations: relations.slice(0, namesShownMax),
      })
    if (columns.length > 0)
      this.#log.warn("policies name columns that are not there: their readers are refused", {
        count: columns.length,
        columns: columns.slice(0, namesShownMax),
      })
    if (relations.length === 0 && columns.length === 0)
      this.#log.info("all relations and columns that the policies name are there")
  }
}
