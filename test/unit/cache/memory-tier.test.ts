import { deepEqual, equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { array, assert as check, nat, property, record } from "fast-check"
import { MemoryTier } from "../../../src/cache/memory-tier.ts"
import type { RelationName } from "../../../src/core/relation.ts"
import { collidingKeys, entry, items, keyOf, orders, settled, users } from "./entries.ts"

function tier(memoryBytesMax: number, entriesMax = 20_000): MemoryTier {
  return new MemoryTier({ memoryBytesMax, entryBytesMax: memoryBytesMax, entriesMax })
}

it("an entry is found by its material until it expires, and then no more", () => {
  const memory = tier(10_000)
  const stored = entry({ material: "a", expiresAtMs: 100 })
  equal(memory.set(stored, 0), undefined)
  equal(memory.get(keyOf("a"), 99), stored)
  equal(memory.get(keyOf("b"), 99), undefined)
  equal(memory.get(keyOf("a"), 100), undefined)
  equal(memory.get(keyOf("a"), 99), undefined, "an expired entry is gone")
  equal(memory.entries, 0)
  equal(memory.bytes, 0)
  const { hits, misses, evictions } = memory.counters
  deepEqual({ hits, misses, expired: evictions.expired }, { hits: 1, misses: 3, expired: 1 })
})

it("materials that share a digest prefix or length are never mixed up", () => {
  const memory = tier(1_000_000)
  for (const material of ["ab", "ba", "AB", "ab ", ""]) memory.set(entry({ material }), 0)
  for (const material of ["ab", "ba", "AB", "ab ", ""])
    equal(memory.get(keyOf(material), 1)?.key.head.text, material)
})

it("a key with another's digest but other material finds nothing, and is counted", () => {
  const memory = tier(10_000)
  const [stored, asked] = collidingKeys()
  memory.set({ ...entry({ material: "x" }), key: stored }, 0)
  equal(memory.get(asked, 0), undefined)
  ok(memory.get(stored, 0))
  const { hits, misses, collisions } = memory.counters
  deepEqual({ hits, misses, collisions }, { hits: 1, misses: 1, collisions: 1 })
})

it("an entry above entryBytesMax and one that has expired already are refused", () => {
  const memory = new MemoryTier({ memoryBytesMax: 10_000, entryBytesMax: 500, entriesMax: 10 })
  equal(memory.set(entry({ material: "a", bytes: 501 }), 0), "too_large")
  equal(memory.set(entry({ material: "b", bytes: 500 }), 0), undefined)
  equal(memory.set(entry({ material: "c", bytes: 10, expiresAtMs: 5 }), 5), "expired")
  deepEqual(memory.counters.refusals, { too_large: 1, not_worth_it: 0, expired: 1 })
})

it("while there is room everything is taken, however cheap", () => {
  const memory = tier(1_000)
  for (let n = 0; n < 10; n += 1)
    equal(memory.set(entry({ material: `${n}`, bytes: 100, warehouseMs: 0 }), 0), undefined)
  equal(memory.bytes, 1_000)
})

it("under pressure the least recently used of equal worth goes first", () => {
  const memory = tier(300)
  for (const material of ["a", "b", "c"]) memory.set(entry({ material, bytes: 100 }), 0)
  memory.get(keyOf("a"), 0)
  memory.set(entry({ material: "d", bytes: 100 }), 0)
  deepEqual(
    ["a", "b", "c", "d"].map((material) => memory.get(keyOf(material), 0) !== undefined),
    [true, false, true, true],
  )
  equal(memory.counters.evictions.capacity, 1)
})

it("a huge cheap result does not push out many small costly ones", () => {
  const memory = tier(1_000)
  for (let n = 0; n < 10; n += 1)
    memory.set(entry({ material: `${n}`, bytes: 100, warehouseMs: 200 }), 0)
  equal(memory.set(entry({ material: "huge", bytes: 900, warehouseMs: 300 }), 0), "not_worth_it")
  equal(memory.entries, 10)
  equal(memory.set(entry({ material: "costly", bytes: 900, warehouseMs: 5_000 }), 0), undefined)
  equal(memory.entries, 2)
})

it("entries that nobody asks for lose against repeated newcomers, those in use do not", () => {
  const memory = tier(200)
  memory.set(entry({ material: "dead", bytes: 100, warehouseMs: 60_000 }), 0)
  memory.set(entry({ material: "used", bytes: 100, warehouseMs: 60_000 }), 0)
  let attempts = 0
  while (memory.set(entry({ material: `n${attempts}`, bytes: 100, warehouseMs: 1 }), 0)) {
    attempts += 1
    ok(memory.get(keyOf("used"), 0))
    ok(attempts < 20)
  }
  equal(memory.get(keyOf("dead"), 0), undefined)
  ok(memory.get(keyOf("used"), 0))
})

it("a hit gives an entry back the worth that it lost", () => {
  const memory = tier(100)
  const newcomer = entry({ material: "new", bytes: 100, warehouseMs: 30 })
  memory.set(entry({ material: "used", bytes: 100, warehouseMs: 100 }), 0)
  for (let n = 0; n < 10; n += 1) {
    equal(memory.set(newcomer, 0), "not_worth_it", "worth 100, then 50")
    ok(memory.get(keyOf("used"), 0))
  }
  equal(memory.set(newcomer, 0), "not_worth_it")
  equal(memory.set(newcomer, 0), "not_worth_it")
  equal(memory.set(newcomer, 0), undefined, "worth 25 without a hit")
})

it("an expired entry never holds its place against a newcomer", () => {
  const memory = tier(100)
  memory.set(entry({ material: "a", bytes: 100, warehouseMs: 60_000, expiresAtMs: 10 }), 0)
  equal(memory.set(entry({ material: "b", bytes: 100, warehouseMs: 1 }), 10), undefined)
})

it("the number of entries is bounded too", () => {
  const memory = tier(1_000_000, 3)
  for (const material of ["a", "b", "c", "d"]) memory.set(entry({ material }), 0)
  equal(memory.entries, 3)
})

it("storing a key again replaces its entry and its place in the index", () => {
  const memory = tier(10_000)
  memory.set(entry({ material: "a", relations: [orders] }), 0)
  memory.set(entry({ material: "a", relations: [items] }), 0)
  equal(memory.entries, 1)
  equal(memory.countOf([orders]), 0)
  equal(memory.countOf([items]), 1)
  equal(memory.counters.evictions.replaced, 1)
})

it("counts over several relations count an entry once", () => {
  const memory = tier(100_000)
  memory.set(entry({ material: "a", relations: [orders, items] }), 0)
  memory.set(entry({ material: "b", relations: [items] }), 0)
  memory.set(entry({ material: "c", relations: [] }), 0)
  equal(memory.countOf([orders, items, orders]), 2)
  equal(memory.countOf([orders]), 1)
  equal(memory.countOf([users]), 0)
  equal(memory.countOf([]), 0)
})

it("forgetting a relation frees its entries, returns their number, and leaves the others", async () => {
  const memory = tier(100_000)
  memory.set(entry({ material: "a", relations: [orders, items] }), 0)
  memory.set(entry({ material: "b", relations: [items] }), 0)
  memory.set(entry({ material: "c", relations: [users] }), 0)
  equal(memory.forget([orders, items]), 2)
  equal(memory.countOf([orders, items]), 0)
  await settled()
  equal(memory.entries, 1)
  ok(memory.get(keyOf("c"), 0))
  equal(memory.forget([orders]), 0)
  equal(memory.counters.evictions.invalidated, 2)
})

it("forgetting very many entries is spread over turns of the event loop and spares what is stored meanwhile", async () => {
  const memory = tier(100_000_000)
  for (let n = 0; n < 12_000; n += 1) memory.set(entry({ material: `${n}`, bytes: 100 }), 0)
  equal(memory.forget([orders]), 12_000)
  equal(memory.countOf([orders]), 0)
  ok(memory.entries > 0, "not all in one turn")
  memory.set(entry({ material: "new", bytes: 100 }), 0)
  for (let turn = 0; turn < 200; turn += 1) await settled()
  equal(memory.entries, 1)
  equal(memory.countOf([orders]), 1)
  ok(memory.get(keyOf("new"), 0))
  memory.close()
  equal(memory.entries, 0)
})

it("an entry that is stored again while its predecessor waits to be freed stays", async () => {
  const memory = tier(100_000_000)
  for (let n = 0; n < 1_500; n += 1) memory.set(entry({ material: `${n}`, bytes: 100 }), 0)
  memory.forget([orders])
  memory.set(entry({ material: "1499", bytes: 100 }), 0)
  for (let turn = 0; turn < 50; turn += 1) await settled()
  equal(memory.entries, 1)
  ok(memory.get(keyOf("1499"), 0))
})

it("the index and the byte count always agree with the entries that can be found", () => {
  const relations = ["r.0", "r.1", "r.2"] as RelationName[]
  const step = record({
    kind: nat(5),
    material: nat(12),
    relation: nat(2),
    size: nat(90),
    at: nat(40),
  })
  check(
    property(array(step, { maxLength: 60 }), (steps) => {
      const memory = tier(400, 100)
      for (const { kind, material, relation, size, at } of steps) {
        const own = relations.slice(relation)
        if (kind === 0) memory.forget(own)
        else if (kind === 1) memory.get(keyOf(`${material}`), at)
        else
          memory.set(
            entry({
              material: `${material}`,
              relations: own,
              bytes: size + 10,
              expiresAtMs: at + 5,
              warehouseMs: size,
            }),
            at,
          )
      }
      let bytes = 0
      const counts = new Map<RelationName, number>()
      let count = 0
      for (let material = 0; material <= 12; material += 1) {
        const found = memory.get(keyOf(`${material}`), -1)
        if (found === undefined) continue
        count += 1
        bytes += found.bytes
        for (const name of found.relations) counts.set(name, (counts.get(name) ?? 0) + 1)
      }
      equal(memory.entries, count)
      equal(memory.bytes, bytes)
      ok(bytes <= 400)
      for (const name of relations) equal(memory.countOf([name]), counts.get(name) ?? 0)
    }),
    { numRuns: 500 },
  )
})

it("drop takes this very entry and no other that has come into its place", () => {
  const memory = tier(10_000)
  const [wrong, right] = [entry({ material: "a" }), entry({ material: "a" })]
  memory.set(wrong, 0)
  memory.set(right, 0)
  equal(memory.drop(wrong), false)
  equal(memory.get(keyOf("a"), 0), right)
  equal(memory.drop(right), true)
  equal(memory.drop(right), false)
  deepEqual([memory.get(keyOf("a"), 0), memory.entries, memory.bytes], [undefined, 0, 0])
  equal(memory.countOf(right.relations), 0)
})

it("an expired entry is kept for readers who may have it, is no hit, and gives way to any newcomer", () => {
  const memory = new MemoryTier({ memoryBytesMax: 4_000, entryBytesMax: 4_000, entriesMax: 1 })
  const late = entry({ material: "late", expiresAtMs: 100, keepUntilMs: 200, warehouseMs: 9_000 })
  memory.set(late, 0)
  equal(memory.kept(late.key, 50), late)
  equal(memory.get(late.key, 100), undefined)
  equal(memory.kept(late.key, 199), late)
  equal(memory.kept(late.key, 200), undefined)
  equal(memory.counters.hits, 0)
  equal(memory.get(late.key, 200), undefined)
  equal(memory.entries, 0)
  memory.set(late, 0)
  equal(memory.set(entry({ material: "new", warehouseMs: 1 }), 150), undefined)
  equal(memory.kept(late.key, 150), undefined)
})

it("dropping an entry that another one has replaced leaves the other", () => {
  const memory = new MemoryTier({ memoryBytesMax: 40_000, entryBytesMax: 4_000, entriesMax: 10 })
  const [before, after] = [entry({ material: "a" }), entry({ material: "a" })]
  memory.set(before, 0)
  memory.set(after, 0)
  memory.drop(before)
  equal(memory.kept(after.key, 0), after)
  memory.drop(after)
  equal(memory.entries, 0)
})
