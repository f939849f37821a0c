import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict"
import { it } from "node:test"
import { array, assert as check, integer, property } from "fast-check"
import { MemoryTokenStore } from "../../../src/cache/memory-token-store.ts"
import { TokenSource } from "../../../src/cache/token-source.ts"
import { laterFence, unprovableFence } from "../../../src/cache/token-store.ts"
import type { RelationName } from "../../../src/core/relation.ts"

const orders = "s.orders" as RelationName
const items = "s.items" as RelationName
const users = "s.users" as RelationName

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

it("a vector does not depend on the order or repetition of its relations", () => {
  const store = new MemoryTokenStore()
  equal(store.vector([items, orders, items, users]).text, store.vector([users, orders, items]).text)
  equal(store.vector([orders, orders]).text, store.vector([orders]).text)
})

it("vectors over different relations differ although none was raised", () => {
  const store = new MemoryTokenStore()
  const texts = [[], [orders], [items], [orders, items]].map((list) => store.vector(list).text)
  equal(new Set(texts).size, texts.length)
})

it("raising a relation changes the vectors that contain it, and no other", async () => {
  const store = new MemoryTokenStore()
  const before = [store.vector([orders, items]).text, store.vector([items]).text]
  const revision = store.revision
  const receipt = await store.raise([orders])
  notEqual(store.revision, revision)
  notEqual(store.vector([orders, items]).text, before[0])
  equal(store.vector([items]).text, before[1])
  deepEqual(receipt.instances, { known: 1, confirmed: 1, leaseExpired: 0 })
  ok(store.knows(orders))
  ok(!store.knows(items))
  deepEqual([...store.relations()], [orders])
})

it("a vector over one list is one object until something is raised", async () => {
  const store = new MemoryTokenStore()
  const list = [orders, items]
  const before = store.vector(list)
  equal(store.vector(list), before)
  await store.raise([users])
  notEqual(store.vector(list), before)
  equal(store.vector(list).text, before.text)
  await store.renewEpoch()
  notEqual(store.vector(list).text, before.text)
})

it("a token applies at the call already, so that a read between call and answer is not older than the call", async () => {
  const store = new MemoryTokenStore()
  const before = store.vector([orders]).text
  const raised = store.raise([orders])
  notEqual(store.vector([orders]).text, before)
  await raised
})

it("receipts have ids of their own", async () => {
  const store = new MemoryTokenStore({ nowMs: () => 1 })
  const receipts = [await store.raise([orders]), await store.raise([orders])]
  notEqual(receipts[0]?.id, receipts[1]?.id)
  ok(receipts.every((receipt) => receipt.id.startsWith("inv_") && receipt.appliedAtMs === 1))
})

it("two stores, as before and after a restart, never share a vector", () => {
  notEqual(
    new MemoryTokenStore().vector([orders]).text,
    new MemoryTokenStore().vector([orders]).text,
  )
})

it("a new epoch makes every relation cold", async () => {
  const store = new MemoryTokenStore()
  await store.raise([orders])
  const before = [store.vector([orders]), store.vector([items])]
  await store.renewEpoch()
  notEqual(store.vector([orders]).text, before[0]?.text)
  notEqual(store.vector([items]).text, before[1]?.text)
  notEqual(store.vector([items]).epoch, before[1]?.epoch)
  ok(!store.knows(orders))
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

it("a closed store is not usable and takes no invalidation", async () => {
  const store = new MemoryTokenStore()
  ok(store.isUsable())
  const revision = store.revision
  store.close()
  ok(!store.isUsable())
  notEqual(store.revision, revision)
  await rejects(store.raise([orders]), { sqlState: "57P01", reason: "draining" })
  await rejects(store.renewEpoch(), { sqlState: "57P01", reason: "draining" })
})
