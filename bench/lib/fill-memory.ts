import { CacheKey, KeyHead } from "../../src/cache/key.ts"
import { MemoryTier } from "../../src/cache/memory-tier.ts"
import type { RelationName } from "../../src/core/relation.ts"

/**
 * Loaded by `--import` before a gateway: behind the first answer that the gateway keeps, as many more as
 * BENCH_ENTRIES says are put into its memory, over BENCH_RELATIONS relations `bench.t0`, `bench.t1` and so on. They share that answer's
 * bytes; keys, objects and the index of relations are their own, which is what an invalidation has to do with.
 */
const count = Number(process.env["BENCH_ENTRIES"] ?? "0")
const relationCount = Number(process.env["BENCH_RELATIONS"] ?? "1")

// oxlint-disable-next-line typescript/unbound-method -- called with its tier below
const set = MemoryTier.prototype.set
let isFilled = false

MemoryTier.prototype.set = function filled(entry, nowMs) {
  if (!isFilled) {
    isFilled = true
    for (let index = 0; index < count; index += 1) {
      const key = new CacheKey(new KeyHead(`bench ${index}`), "")
      const relations = [`bench.t${index % relationCount}` as RelationName]
      set.call(this, { ...entry, key, relations, expiresAtMs: nowMs + 86_400_000 }, nowMs)
    }
  }
  return set.call(this, entry, nowMs)
}
