import type { RelationName } from "./relation.ts"

/** One item of POST /v1/invalidations. Names as the producer wrote them; one resolver turns them into relations. */
export type InvalidationItem =
  | { readonly kind: "relation"; readonly relation: string }
  | { readonly kind: "schema"; readonly schema: string }
  /** `*` and `?` over `schema.name`; `marts.daily_*`. */
  | { readonly kind: "glob"; readonly glob: string }
  /** A name for several patterns (`control.tags` of the configuration). */
  | { readonly kind: "tag"; readonly tag: string }

export type InvalidationRequest = {
  readonly items: readonly InvalidationItem[]
  /** Restricts to one configured warehouse; undefined = all of them. */
  readonly warehouse: string | undefined
  readonly isDryRun: boolean
  /** `cluster`: answered when every live instance confirmed; `none`: as soon as the tokens are durable. */
  readonly wait: "cluster" | "none"
  readonly timeoutMs: number
  /** Soft: results from before may be served for so long, counted from the call. Undefined = hard. */
  readonly maxStaleMs?: number | undefined
  readonly source: {
    readonly kind: string
    readonly job: string | undefined
    readonly runId: string | undefined
  }
}

export type InvalidatedItem = {
  /** The item as it was written. */
  readonly item: string
  /** The item's kind, for the answer's key; taken for `relation` when left out. */
  readonly kind?: InvalidationItem["kind"]
  /** Relations that got a new token, by full name, prefixed with the warehouse when more than one is configured. */
  readonly resolved: readonly RelationName[]
  /** Views over them, whose cached answers are cold now too. */
  readonly dependents: readonly RelationName[]
  /** Entries of this instance's memory tier that can no longer be found. */
  readonly entries: number
}

export type InvalidationOutcome = {
  readonly id: string
  readonly status: "applied" | "pending" | "dry_run"
  readonly appliedAt: string
  readonly items: readonly InvalidatedItem[]
  /** Items that named nothing known. They are no error: a load may come before the first query. */
  readonly unmatched: readonly string[]
  readonly instances: {
    readonly known: number
    readonly confirmed: number
    readonly leaseExpired: number
  }
}

/** When the data of a relation was last said to be new, and by whom. */
export type RelationFreshness = {
  readonly relation: RelationName
  /** RFC 3339. */
  readonly invalidatedAt: string
  /** The invalidation's id. */
  readonly id: string
  readonly source: InvalidationRequest["source"]
  /** Entries of this instance's memory tier that depended on it then. */
  readonly entriesThen: number
  /** Entries of this instance's memory tier that depend on it now. */
  readonly entriesNow: number
}

/** What control/ needs of the pipeline. Rejects with 08006-style GatewayErrors (503) when tokens could not be made durable. */
export interface Invalidator {
  invalidate(request: InvalidationRequest): Promise<InvalidationOutcome>
  find(id: string): InvalidationOutcome | undefined
  /** Outcomes applied at or after the time, oldest first, bounded by `limit`. */
  since(timeMs: number, limit: number): readonly InvalidationOutcome[]
  /** The relations invalidated last, latest first, bounded by `limit`; with a name, those that it means. */
  relations(name: string | undefined, limit: number): readonly RelationFreshness[]
}
