import type { MemoryTier } from "../cache/memory-tier.ts"
import type { StoredEntry } from "../cache/stored-entry.ts"

export type RefreshAheadLimits = {
  /** Hits that make an entry popular; 0 = none is. */
  readonly aheadHitsMin: number
  /** Last share of its life in which it is due. */
  readonly aheadShare: number
}

/** Rooms.isDueAhead. `nowMs` is the clock of entries. */
export function dueAhead(
  { aheadHitsMin, aheadShare }: RefreshAheadLimits,
  memory: MemoryTier,
  nowMs: () => number,
): (entry: StoredEntry) => boolean {
  if (aheadHitsMin === 0) return () => false
  return (entry) => {
    const { createdAtMs, expiresAtMs } = entry
    const leftMs = expiresAtMs - nowMs()
    if (leftMs > (expiresAtMs - createdAtMs) * aheadShare) return false
    return memory.hitsOf(entry) >= aheadHitsMin
  }
}
