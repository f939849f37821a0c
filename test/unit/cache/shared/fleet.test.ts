import { deepEqual, equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { MemoryTokenStore } from "../../../../src/cache/memory-token-store.ts"
import { Instance, type InstanceOptions } from "../../../support/fleet.ts"
import { fleetCases } from "../../../support/fleet-cases.ts"
import { MemorySharedStore } from "../../../support/memory-shared-store.ts"
import { batch, readAll, ScriptedRows } from "../entries.ts"

const twin = new MemorySharedStore()
fleetCases("over the twin in memory", () => twin)

const rows = (): ScriptedRows => new ScriptedRows().give(batch(1), "end")

async function ran(instance: Instance, canonical: string): Promise<void> {
  const outcome = await instance.ask(canonical, rows)
  if (outcome.kind !== "ran") throw new Error(`expected to run, not ${outcome.kind}`)
  await readAll(outcome.rows)
  await sleep(5)
}

function scene(options: Partial<InstanceOptions> = {}) {
  const store = new MemorySharedStore()
  const tokens = new MemoryTokenStore()
  return { store, one: new Instance({ tokens, store, ...options }), tokens }
}

for (const [fails, expected] of [
  ["timeout", "timeout"],
  ["unreachable", "error"],
] as const)
  it(`a store that fails (${fails}) is a miss, then is not asked for a while, then is asked once`, async () => {
    const { one, store } = scene()
    store.fails = fails
    for (const question of ["a", "b", "c", "d", "e"]) await ran(one, question)
    const { requests, stores } = one.tier.counters
    deepEqual([requests[expected], requests.circuit_open, requests.miss], [3, 2, 0])
    equal(store.calls.filter((call) => call === "find").length, 3)
    equal(stores.circuit_open, 3)
    await sleep(60)
    await ran(one, "f")
    equal(store.calls.filter((call) => call === "find").length, 4)
    store.fails = undefined
    await ran(one, "g")
    equal(requests.circuit_open, 3)
    await sleep(110)
    await ran(one, "h")
    await ran(one, "i")
    equal(requests.miss, 2)
    equal(one.tier.circuit.isOpen, false)
    equal(stores.stored, 2)
  })

it("a store that answers with errors stays in use: it is there, and costs no time-out", async () => {
  const { one, store } = scene()
  store.fails = "refused"
  for (const question of ["a", "b", "c", "d", "e"]) await ran(one, question)
  equal(one.tier.counters.requests.error, 5)
  equal(one.tier.circuit.isOpen, false)
})

it("every garbled value is a counted miss, and the next fill puts a good one in its place", async () => {
  const { one, store, tokens } = scene()
  const other = new Instance({ tokens, store })
  await ran(one, "q")
  const { digest } = one.key("q")
  const good = store.entries.get(digest)
  ok(good)
  for (const [value, reason] of [
    [Buffer.alloc(0), "malformed"],
    [Buffer.from("not ours"), "malformed"],
    [good.value.subarray(0, -1), "malformed"],
    [Buffer.concat([good.value, Buffer.from([0])]), "malformed"],
  ] as const) {
    store.entries.set(digest, { ...good, value })
    other.cache.memory.clear()
    const before = other.tier.counters.requests[reason]
    await ran(other, "q")
    equal(other.tier.counters.requests[reason], before + 1)
    ok(store.entries.get(digest)?.value.equals(value) === false)
  }
})

it("a value put back from before, or under another question's key, is a miss", async () => {
  const { one, store, tokens } = scene({ ttlMs: 80 })
  await ran(one, "q")
  const { digest } = one.key("q")
  const good = store.entries.get(digest)
  ok(good)
  const other = new Instance({ tokens, store })
  store.entries.set(other.key("r").digest, good)
  await ran(other, "r")
  equal(other.tier.counters.requests.other_material, 1)
  await sleep(100)
  store.entries.set(digest, { ...good, expiresAtMs: performance.now() + 60_000 })
  await ran(one, "q")
  equal(one.tier.counters.requests.expired, 1)
})

it("closing the cache closes the store", () => {
  const { one, store } = scene()
  one.cache.close()
  equal(store.isClosed, true)
})
