import { deepEqual, equal, ok } from "node:assert/strict"
import type { RaiseReceipt, TokenStore } from "../../../src/cache/token-store.ts"
import type { RelationName } from "../../../src/core/relation.ts"
import { items, type OpenStore, orders, users } from "./token-store-cases.ts"

/** Windows that stay open for the length of a test, and pauses that end one. */
const longMs = 600_000

async function settled(receipt: Promise<RaiseReceipt>): Promise<void> {
  await (await receipt).settled
}

const pastOf = (store: TokenStore, relations: readonly RelationName[]): readonly string[] =>
  store.pastVectors(relations).map(({ text }) => text)

/** A store whose monotonic clock the test can put forward. */
async function withClock(open: OpenStore) {
  let offsetMs = 0
  const store = await open({ clockMs: () => performance.now() + offsetMs })
  return {
    store,
    forward: (ms: number) => {
      offsetMs += ms
    },
  }
}

/** What every token store does with soft invalidations. */
export const softWindowCases: readonly {
  readonly title: string
  readonly check: (open: OpenStore) => Promise<void>
}[] = [
  {
    title: "a hard invalidation leaves nothing that may be served as stale",
    check: async (open) => {
      const store = await open()
      deepEqual(pastOf(store, [orders]), [])
      await settled(store.raise([orders]))
      deepEqual(pastOf(store, [orders]), [])
    },
  },
  {
    title: "a soft one leaves the vector before it, and only for readers of what it named",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([items]))
      const before = [store.vector([orders, items]).text, store.vector([orders]).text]
      await settled(store.raise([orders], { maxStaleMs: longMs }))
      deepEqual(pastOf(store, [items, orders, items]), [before[0]])
      deepEqual(pastOf(store, [orders]), [before[1]])
      deepEqual(pastOf(store, [items]), [])
      ok(!before.includes(store.vector([orders]).text))
    },
  },
  {
    title: "relations that one soft invalidation names go back together",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders, items]))
      const before = store.vector([orders, items]).text
      await settled(store.raise([orders, items], { maxStaleMs: longMs }))
      deepEqual(pastOf(store, [orders, items]), [before])
    },
  },
  {
    title:
      "a later hard invalidation ends it at once, of this relation or of another one of the read",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders, users], { maxStaleMs: longMs }))
      const between = store.vector([orders, items]).text
      await settled(store.raise([orders]))
      deepEqual(pastOf(store, [orders]), [])
      deepEqual(pastOf(store, [orders, users]), [])
      equal(pastOf(store, [users]).length, 1)
      await settled(store.raise([items], { maxStaleMs: longMs }))
      const [past, ...more] = pastOf(store, [orders, items])
      ok(past !== undefined && past !== between, "orders as after its hard invalidation")
      deepEqual(more, [])
    },
  },
  {
    title: "a soft invalidation after a hard one goes back to the hard one, not before it",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders], { maxStaleMs: longMs }))
      await settled(store.raise([orders]))
      const hard = store.vector([orders]).text
      await settled(store.raise([orders], { maxStaleMs: longMs }))
      deepEqual(pastOf(store, [orders]), [hard])
    },
  },
  {
    title:
      "of overlapping ones the newest vector comes first, and all are remembered up to a limit",
    check: async (open) => {
      const store = await open()
      const before: string[] = []
      for (let count = 0; count < 6; count += 1) {
        before.unshift(store.vector([orders, items]).text)
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await settled(store.raise([count % 2 === 0 ? orders : items], { maxStaleMs: longMs }))
      }
      deepEqual(pastOf(store, [orders, items]), before)
      for (let count = 0; count < 6; count += 1)
        // oxlint-disable-next-line no-await-in-loop -- one after the other
        await settled(store.raise([users], { maxStaleMs: longMs }))
      equal(pastOf(store, [users]).length, 4)
    },
  },
  {
    title: "the shorter one of two overlapping windows holds for what both replaced",
    check: async (open) => {
      const { store, forward } = await withClock(open)
      const first = store.vector([orders]).text
      await settled(store.raise([orders], { maxStaleMs: 2 * longMs }))
      const second = store.vector([orders]).text
      await settled(store.raise([orders], { maxStaleMs: longMs }))
      deepEqual(pastOf(store, [orders]), [second, first])
      await settled(store.raise([orders], { maxStaleMs: 3 * longMs }))
      const [third, ...others] = pastOf(store, [orders])
      deepEqual(others, [second, first])
      forward(longMs)
      deepEqual(pastOf(store, [orders]), [third])
      forward(2 * longMs)
      deepEqual(pastOf(store, [orders]), [])
    },
  },
  {
    title: "a longer window afterwards does not prolong an earlier one",
    check: async (open) => {
      const { store, forward } = await withClock(open)
      await settled(store.raise([orders], { maxStaleMs: longMs }))
      await settled(store.raise([items], { maxStaleMs: 5 * longMs }))
      equal(pastOf(store, [orders, items]).length, 2)
      forward(longMs)
      equal(pastOf(store, [orders, items]).length, 1)
    },
  },
  {
    title: "a new epoch ends all of it",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders], { maxStaleMs: longMs }))
      await settled(store.renewEpoch())
      deepEqual(pastOf(store, [orders]), [])
    },
  },
  {
    title: "a soft invalidation raises fences as a hard one does",
    check: async (open) => {
      const store = await open()
      await settled(store.raise([orders], { fence: "0/FF", maxStaleMs: longMs }))
      await settled(store.raise([orders], { fence: "0/A", maxStaleMs: longMs }))
      ok(store.vector([orders]).fences.includes("0/FF"))
      await settled(store.raise([orders]))
      ok(store.vector([orders]).fences.includes("0/FF"))
    },
  },
]
