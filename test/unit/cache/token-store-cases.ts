import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict"
import {
  type RaiseReceipt,
  type TokenStore,
  unprovableFence,
} from "../../../src/cache/token-store.ts"
import type { RelationName } from "../../../src/core/relation.ts"

export type OpenStore = (options?: {
  readonly tokensMax?: number
  readonly nowMs?: () => number
  /** Monotonic. */
  readonly clockMs?: () => number
}) => Promise<TokenStore & { readonly overflowCount: number }>

export const orders = "s.orders" as RelationName
export const items = "s.items" as RelationName
export const users = "s.users" as RelationName

/** Raised, and known to this instance. */
async function settled(receipt: Promise<RaiseReceipt>): Promise<RaiseReceipt> {
  const raised = await receipt
  await raised.settled
  return raised
}

/** What every token store does, be it one instance's own or Redis's. Each case has a store that nobody has used. */
export const tokenStoreCases: readonly {
  readonly title: string
  readonly check: (open: OpenStore) => Promise<void>
}[] = [
  {
    title: "a vector does not depend on the order or repetition of its relations",
    check: async (open) => {
      const store = await open()
      equal(
        store.vector([items, orders, items, users]).text,
        store.vector([users, orders, items]).text,
      )
      equal(store.vector([orders, orders]).text, store.vector([orders]).text)
    },
  },
  {
    title: "vectors over different relations differ although none was raised",
    check: async (open) => {
      const store = await open()
      const texts = [[], [orders], [items], [orders, items]].map((list) => store.vector(list).text)
      equal(new Set(texts).size, texts.length)
    },
  },
  {
    title: "raising a relation changes the vectors that contain it, and no other",
    check: async (open) => {
      const store = await open()
      const before = [store.vector([orders, items]).text, store.vector([items]).text]
      const revision = store.revision
      const receipt = await settled(store.raise([orders]))
      notEqual(store.revision, revision)
      notEqual(store.vector([orders, items]).text, before[0])
      equal(store.vector([items]).text, before[1])
      deepEqual(await receipt.settled, { known: 1, confirmed: 1, leaseExpired: 0 })
      deepEqual(receipt.progress(), { known: 1, confirmed: 1, leaseExpired: 0 })
      ok(store.knows(orders))
      ok(!store.knows(items))
      deepEqual([...store.relations()], [orders])
    },
  },
  {
    title: "each raise of a relation gives it another token",
    check: async (open) => {
      const store = await open()
      const texts = new Set([store.vector([orders]).text])
      for (let count = 0; count < 5; count += 1) {
        await settled(store.raise([orders, orders]))
        texts.add(store.vector([orders]).text)
      }
      equal(texts.size, 6)
    },
  },
  {
    title: "a vector over one list is one object until something is raised",
    check: async (open) => {
      const store = await open()
      const list = [orders, items]
      const before = store.vector(list)
      equal(store.vector(list), before)
      await settled(store.raise([users]))
      notEqual(store.vector(list), before)
      equal(store.vector(list).text, before.text)
      await settled(store.renewEpoch())
      notEqual(store.vector(list).text, before.text)
    },
  },
  {
    title: "receipts have ids of their own, also when the wall clock stands still",
    check: async (open) => {
      const store = await open({ nowMs: () => 1_700_000_000_000 })
      const receipts = [await store.raise([orders]), await store.raise([orders])]
      notEqual(receipts[0]?.id, receipts[1]?.id)
      for (const { id, appliedAtMs } of receipts) {
        ok(id.startsWith("inv_"))
        equal(appliedAtMs, 1_700_000_000_000)
      }
    },
  },
  {
    title: "a new epoch makes every relation cold",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders]))
      const before = [store.vector([orders]), store.vector([items])]
      await settled(store.renewEpoch())
      notEqual(store.vector([orders]).text, before[0]?.text)
      notEqual(store.vector([items]).text, before[1]?.text)
      notEqual(store.vector([items]).epoch, before[1]?.epoch)
      ok(!store.knows(orders))
      equal(store.epochCount, 1)
    },
  },
  {
    title: "one relation too many starts a new epoch instead of forgetting a token",
    check: async (open) => {
      const store = await open({ tokensMax: 2 })
      const cold = store.vector([orders]).text
      await settled(store.raise([orders, items]))
      const before = [orders, items, users].map((relation) => store.vector([relation]).text)
      equal(store.overflowCount, 0)
      await settled(store.raise([users]))
      equal(store.overflowCount, 1)
      const after = [orders, items, users].map((relation) => store.vector([relation]).text)
      equal(new Set([cold, ...before, ...after]).size, 7)
    },
  },
  {
    title: "a vector carries the fences of its relations and the latest one of each",
    check: async (open) => {
      const store = await open()
      // An epoch may have a fence of its own, which is not this case's business.
      const [epochFence] = store.vector([]).fences
      const fencesOf = (relations: readonly RelationName[]) =>
        store
          .vector(relations)
          .fences.filter((fence) => fence !== epochFence)
          .toSorted()
      deepEqual(fencesOf([orders]), [])
      await settled(store.raise([orders], { fence: "0/FF" }))
      await settled(store.raise([items], { fence: "1/0" }))
      await settled(store.raise([orders], { fence: "0/A" }))
      await settled(store.raise([orders]))
      deepEqual(fencesOf([orders]), ["0/FF"])
      deepEqual(fencesOf([orders, items]), ["0/FF", "1/0"])
      deepEqual(fencesOf([users]), [])
    },
  },
  {
    title: "two fences that cannot be ordered leave the primary alone to answer",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders], { fence: "0/FF" }))
      await settled(store.raise([orders], { fence: "gtid:7" }))
      ok(store.vector([orders]).fences.includes(unprovableFence))
    },
  },
  {
    title: "a closed store is not usable and takes no invalidation",
    check: async (open) => {
      const store = await open()
      ok(store.isUsable())
      const revision = store.revision
      const closed = store.close()
      ok(!store.isUsable())
      notEqual(store.revision, revision)
      await rejects(store.raise([orders]), { sqlState: "57P01", reason: "draining" })
      await rejects(store.renewEpoch(), { sqlState: "57P01", reason: "draining" })
      await closed
    },
  },
]
