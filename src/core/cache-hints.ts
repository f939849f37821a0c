/**
 * What a reader wants of the cache. `refresh` runs on the warehouse and stores the result; `only` never asks the warehouse: what
 * is not there is refused.
 */
export type CacheUse = "on" | "only" | "refresh" | "off"

/** What comments at the beginning or the end of a statement ask for: `sluice: cache=off ttl=60 bucket=5m`. */
export type CacheHints = {
  readonly use: CacheUse | undefined
  /** No stored answer older than this; 0 = none. */
  readonly ttlMs: number | undefined
  /** Length of the time bucket that now() may be bound to; 0 = none. */
  readonly timeBucketMs: number | undefined
  /** Words that are no hint, shortened, for the NOTICE that names them. */
  readonly unknown: readonly string[]
}

/** From the least reduction of caching to the greatest. */
const reductions: readonly CacheUse[] = ["on", "only", "refresh", "off"]

/** True when `wanted` lets the cache do no more than `given` does. */
export function reduces(wanted: CacheUse, given: CacheUse): boolean {
  return reductions.indexOf(wanted) >= reductions.indexOf(given)
}
