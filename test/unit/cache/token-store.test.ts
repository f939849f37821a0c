import { deepEqual, equal, notEqual } from "node:assert/strict"
import { it } from "node:test"
import { array, assert as check, integer, property } from "fast-check"
import { MemoryTokenStore } from "../../../src/cache/memory-token-store.ts"
import { TokenSource } from "../../../src/cache/token-source.ts"
import { laterFence, unprovableFence } from "../../../src/cache/token-store.ts"
import { softWindowCases } from "./soft-window-cases.ts"
import { items, orders, tokenStoreCases, users } from "./token-store-cases.ts"

for (const { title, check: checkCase } of [...tokenStoreCases, ...softWindowCases])
  it(`in memory, ${title}`, () => checkCase(async (options) => new MemoryTokenStore(options)))

it("tokens grow in the order they are made and never repeat, whatever the wall clock does", () => {
  check(
    property(array(integer({ min: 0, max: 2 ** 44 }), { minLength: 1 }), (times) => {
      let at = 0
      const source = new TokenSource(() => times[at++ % times.length] ?? 0, "i1")
      const tokens = times.flatMap(() => [source.next(), source.next()])
      deepEqual(tokens.toSorted(), tokens)
      equal(new Set(tokens).size, tokens.length)
    }),
  )
})

it("two instances never make the same token", () => {
  notEqual(new TokenSource(() => 5).next(), new TokenSource(() => 5).next())
})

it("a token applies at the call already, so that a read between call and answer is not older than the call", async () => {
  const store = new MemoryTokenStore()
  const before = store.vector([orders]).text
  const raised = store.raise([orders])
  notEqual(store.vector([orders]).text, before)
  await raised
})

it("two stores, as before and after a restart, never share a vector", () => {
  notEqual(
    new MemoryTokenStore().vector([orders]).text,
    new MemoryTokenStore().vector([orders]).text,
  )
})

it("one relation too many starts a new epoch instead of forgetting a token", async () => {
  const store = new MemoryTokenStore({ tokensMax: 2 })
  const cold = store.vector([orders]).text
  await store.raise([orders, items], { fence: "0/20" })
  const before = [orders, items, users].map((relation) => store.vector([relation]).text)
  equal(store.overflowCount, 0)
  await store.raise([users])
  equal(store.overflowCount, 1)
  const after = [orders, items, users].map((relation) => store.vector([relation]).text)
  equal(new Set([cold, ...before, ...after]).size, 7)
  deepEqual(store.vector([items]).fences, ["0/20"], "fences of dropped tokens hold for all")
})

it("a vector carries the fences of its relations and the latest one of each", async () => {
  const store = new MemoryTokenStore()
  deepEqual(store.vector([orders]).fences, [])
  await store.raise([orders], { fence: "0/FF" })
  await store.raise([items], { fence: "1/0" })
  await store.raise([orders], { fence: "0/A" })
  await store.raise([orders])
  deepEqual(store.vector([orders]).fences, ["0/FF"])
  deepEqual(store.vector([orders, items]).fences.toSorted(), ["0/FF", "1/0"])
  deepEqual(store.vector([users]).fences, [])
})

const fences: readonly (readonly [string | undefined, string | undefined, string | undefined])[] = [
  [undefined, undefined, undefined],
  ["0/1", undefined, "0/1"],
  ["0/9", "0/A", "0/A"],
  ["0/10", "0/9", "0/10"],
  ["A/0", "9/FFFFFFFF", "A/0"],
  ["10/0", "9/0", "10/0"],
  ["0/1", "0/1", "0/1"],
  ["gtid:1", "gtid:1", "gtid:1"],
  ["gtid:1", "gtid:2", unprovableFence],
  ["0/1", "gtid:2", unprovableFence],
  [unprovableFence, "0/1", unprovableFence],
]
for (const [left, right, later] of fences)
  it(`of the fences ${left} and ${right} the later one is ${later}`, () => {
    equal(laterFence(left, right), later)
    equal(laterFence(right, left), later)
  })
