import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { MemoryTokenStore } from "../../src/cache/memory-token-store.ts"
import { SealingKeys } from "../../src/cache/shared/sealing.ts"
import type { SharedStore } from "../../src/cache/shared/shared-store.ts"
import type { RelationName } from "../../src/core/relation.ts"
import { commandComplete } from "../../src/wire/backend-messages.ts"
import { batch, description, divisionByZero, readAll, ScriptedRows } from "../unit/cache/entries.ts"
import { Instance, type InstanceOptions, type Outcome } from "./fleet.ts"

const wire = (rows: number): string =>
  Buffer.concat([description, batch(rows).bytes, commandComplete("SELECT 1")]).toString("hex")

const never = (): never => {
  throw new Error("the warehouse was asked")
}

/** A whole answer of the warehouse. */
const rowsOf = (count: number) => (): ScriptedRows => new ScriptedRows().give(batch(count), "end")

async function until(isSo: () => boolean): Promise<void> {
  for (let left = 400; !isSo(); left -= 1) {
    if (left === 0) throw new Error(`not within 2 s: ${isSo.toString()}`)
    await sleep(5)
  }
}

async function finished(outcome: Outcome): Promise<void> {
  if (outcome.kind !== "ran") throw new Error(`expected to run, not ${outcome.kind}`)
  await readAll(outcome.rows)
}

/** Runs and waits until what came of it is in the store, or was decided not to be. */
async function filled(instance: Instance, canonical: string, rows: number): Promise<void> {
  const { stores } = instance.tier.counters
  const before = Object.values(stores).reduce((sum, count) => sum + count, 0)
  await finished(await instance.ask(canonical, rowsOf(rows)))
  await until(() => Object.values(stores).reduce((sum, count) => sum + count, 0) > before)
}

/** What instances of one fleet do for one another, over any store. */
export function fleetCases(what: string, newStore: () => SharedStore): void {
  const fleet = (...options: Partial<InstanceOptions>[]) => {
    const tokens = new MemoryTokenStore()
    const instances = options.map((one) => new Instance({ tokens, store: newStore(), ...one })) as [
      Instance,
      Instance,
      ...Instance[],
    ]
    return { tokens, instances }
  }

  it(`${what}: nobody gets a value older than asked for; the younger one is shared in its place`, async () => {
    const { instances } = fleet({}, {}, {}, {})
    const [one, other, third, fourth] = instances
    if (third === undefined || fourth === undefined) throw new Error("there are four instances")
    await filled(one, "aged", 3)
    await sleep(60)
    equal((await other.ask("aged", never, { ageMsMax: 60_000 })).kind, "hit_l2")
    await finished(await third.ask("aged", rowsOf(5), { ageMsMax: 50 }))
    await until(() => third.tier.counters.stores.stored === 1)
    const shared = await fourth.ask("aged", never)
    deepEqual(shared.kind === "hit_l2" && shared.rows, wire(5))
  })

  it(`${what}: a value that was dropped is asked of the warehouse again`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    await filled(one, "dropped", 3)
    const entry = one.cache.lookup(one.key("dropped"))
    if (entry === undefined) throw new Error("the entry is not in memory")
    equal(one.cache.drop(entry), true)
    equal(one.cache.drop(entry), false)
    await sleep(50)
    await finished(await other.ask("dropped", rowsOf(4)))
  })

  it(`${what}: what one fills another serves, byte for byte, and then has in memory`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    await filled(one, "q", 3)
    const outcome = await other.ask("q", never)
    deepEqual({ ...outcome, ageMs: 0 }, { kind: "hit_l2", rows: wire(3), ageMs: 0 })
    equal((await other.ask("q", never)).kind, "hit_l1")
    equal(other.tier.counters.requests.hit, 1)
    equal(one.tier.counters.requests.miss, 1)
    ok(other.tier.counters.readBytes > 0)
    equal(other.tier.counters.readBytes, one.tier.counters.writtenBytes)
  })

  it(`${what}: after an invalidation nobody finds what was shared before`, async () => {
    const { instances, tokens } = fleet({}, {})
    const [one, other] = instances
    await filled(one, "q", 1)
    await tokens.raise(["s.orders" as RelationName])
    equal((await other.ask("q", rowsOf(2))).kind, "ran")
  })

  it(`${what}: a fill that an invalidation overtook is not shared, and nobody waits for it`, async () => {
    const { instances, tokens } = fleet({}, {})
    const [one, other] = instances
    const source = new ScriptedRows()
    const outcome = await one.ask("q", () => source)
    await tokens.raise(["s.orders" as RelationName])
    const fresh = await other.ask("q", rowsOf(2))
    equal(fresh.kind, "ran")
    source.give(batch(1), "end")
    await finished(outcome)
    deepEqual(one.skipped, ["token_changed"])
    await sleep(20)
    deepEqual(one.tier.counters.stores.stored, 0)
  })

  it(`${what}: different questions never meet`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    await filled(one, "q", 1)
    equal((await other.ask("r", rowsOf(2))).kind, "ran")
  })

  it(`${what}: one run for all who ask the same on all instances at once`, async () => {
    const { instances } = fleet({}, {}, {})
    const [one, ...others] = instances
    const source = new ScriptedRows()
    const outcome = await one.ask("q", () => source)
    const waiting = [...others, ...others].map((instance) => instance.ask("q", never))
    await until(() => others.every(({ tier }) => tier.waiters === 1))
    source.give(batch(2), "end")
    await finished(outcome)
    deepEqual(
      (await Promise.all(waiting)).map(({ kind }) => kind),
      ["hit_l2", "hit_l2", "coalesced", "coalesced"],
    )
    for (const { tier } of others) {
      equal(tier.counters.waits.served, 1)
      equal(tier.waiters, 0)
    }
  })

  it(`${what}: a leader's failure is its own: nothing is shared, and others run by themselves`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    const source = new ScriptedRows()
    const outcome = await one.ask("q", () => source)
    const waiting = other.ask("q", rowsOf(2))
    await until(() => other.tier.waiters === 1)
    source.give(divisionByZero())
    await rejects(finished(outcome), { message: "division by zero" })
    equal((await waiting).kind, "ran")
    equal(other.tier.counters.waits.alone, 1)
    equal(one.tier.counters.stores.stored, 0)
  })

  it(`${what}: a run that was cancelled is taken over, and the next ones wait for that`, async () => {
    const { instances } = fleet({}, {}, {})
    const [one, other, third] = instances
    const source = new ScriptedRows()
    const outcome = await one.ask("q", () => source)
    if (outcome.kind !== "ran") throw new Error(outcome.kind)
    const second = new ScriptedRows()
    const waiting = other.ask("q", () => second)
    await until(() => other.tier.waiters === 1)
    outcome.rows[Symbol.dispose]()
    const led = await waiting
    equal(other.tier.counters.waits.led, 1)
    const served = third?.ask("q", never)
    await until(() => third?.tier.waiters === 1)
    second.give(batch(4), "end")
    await finished(led)
    equal((await served)?.kind, "hit_l2")
  })

  it(`${what}: when an instance dies in the middle of a run, its claim ends and another runs`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    const claim = { owner: "an instance that has died", leaseMs: 150 }
    equal((await newStore().find(one.key("q").digest, claim)).kind, "leading")
    equal((await other.ask("q", never, { waitMsMax: 20 })).kind, "waited_out")
    equal((await other.ask("q", rowsOf(1))).kind, "ran")
    equal(other.tier.counters.waits.led, 1)
  })

  it(`${what}: a long run keeps its claim`, async () => {
    const { instances } = fleet({ limits: { leaseMs: 60 } }, { limits: { leaseMs: 60 } })
    const [one, other] = instances
    const source = new ScriptedRows()
    const outcome = await one.ask("q", () => source)
    const waiting = other.ask("q", never)
    await sleep(300)
    equal(other.tier.waiters, 1)
    source.give(batch(1), "end")
    await finished(outcome)
    equal((await waiting).kind, "hit_l2")
  })

  it(`${what}: a wait is bounded, and so are the waiters`, async () => {
    const { instances } = fleet({}, { limits: { waitersMax: 1 } })
    const [one, other] = instances
    const [first, second] = [new ScriptedRows(), new ScriptedRows()]
    const outcomes = [await one.ask("q", () => first), await one.ask("r", () => second)]
    const waiting = other.ask("q", never, { waitMsMax: 80 })
    await until(() => other.tier.waiters === 1)
    equal((await other.ask("r", rowsOf(1))).kind, "ran")
    equal((await waiting).kind, "waited_out")
    deepEqual(
      [other.tier.counters.waits.crowded, other.tier.counters.waits.timeout, other.tier.waiters],
      [1, 1, 0],
    )
    for (const source of [first, second]) source.give("end")
    for (const outcome of outcomes) await finished(outcome)
  })

  it(`${what}: who is cancelled while it waits leaves at once`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    const source = new ScriptedRows()
    const outcome = await one.ask("q", () => source)
    const controller = new AbortController()
    const waiting = other.ask("q", never, { signal: controller.signal })
    await until(() => other.tier.waiters === 1)
    controller.abort(new Error("cancelled by the user"))
    await rejects(waiting, { message: "cancelled by the user" })
    equal(other.tier.waiters, 0)
    equal(other.tier.counters.waits.left, 1)
    source.give("end")
    await finished(outcome)
  })

  it(`${what}: a refresh runs whatever is there, and shares what it read`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    await filled(one, "q", 1)
    const { stores } = other.tier.counters
    await finished(await other.ask("q", rowsOf(5), { isRefresh: true }))
    await until(() => stores.stored === 1)
    one.cache.memory.clear()
    const outcome = await one.ask("q", never)
    deepEqual({ ...outcome, ageMs: 0 }, { kind: "hit_l2", rows: wire(5), ageMs: 0 })
  })

  const unshared: readonly (readonly [
    string,
    Partial<InstanceOptions>,
    "too_large" | "not_worth_it" | "busy",
  ])[] = [
    ["above the limit for shared entries", { limits: { entryBytesMax: 5 } }, "too_large"],
    [
      "that cost the warehouse next to nothing",
      { limits: { warehouseMsMin: 10_000 } },
      "not_worth_it",
    ],
    [
      "for which there is no room among those on their way",
      { limits: { storeBytesInFlightMax: 10 } },
      "busy",
    ],
  ]
  for (const [title, options, result] of unshared)
    it(`${what}: a result ${title} stays with its instance, and nobody waits for the next one`, async () => {
      const { instances } = fleet(options, {})
      const [one, other] = instances
      await filled(one, "q", 1)
      equal(one.tier.counters.stores[result], 1)
      equal(one.tier.storeBytes, 0)
      await sleep(30)
      equal((await other.ask("q", rowsOf(1))).kind, "ran")
      equal((await one.ask("q", never)).kind, "hit_l1")
    })

  it(`${what}: what a row limit cut is not shared`, async () => {
    const { instances } = fleet({}, {})
    const [one, other] = instances
    await finished(await one.ask("q", rowsOf(1), { wasCut: () => true }))
    await sleep(30)
    equal((await other.ask("q", rowsOf(1))).kind, "ran")
    deepEqual(one.tier.counters.stores.stored, 0)
  })

  it(`${what}: sealed fleets share; one without the keys, or with others, never reads them`, async () => {
    const keys = new SealingKeys({ id: "a", secret: Buffer.alloc(32, 1) }, [])
    const foreign = new SealingKeys({ id: "a", secret: Buffer.alloc(32, 2) }, [])
    const { instances } = fleet({ keys }, { keys }, { keys: foreign }, {})
    const [one, other, third, fourth] = instances
    await filled(one, "q", 2)
    equal((await other.ask("q", never)).kind, "hit_l2")
    equal((await third?.ask("q", rowsOf(2)))?.kind, "ran")
    equal(third?.tier.counters.requests.seal_broken, 1)
    equal((await fourth?.ask("q", rowsOf(2)))?.kind, "ran")
    equal(fourth?.tier.counters.requests.not_sealed_alike, 1)
  })

  const clocks: readonly (readonly [string, number, Partial<InstanceOptions>, string])[] = [
    ["a clock a second behind its reader's", -1_000, {}, "hit_l2"],
    ["a clock within the difference allowed", 1_500, {}, "hit_l2"],
    ["a clock far ahead", 60_000, {}, "from_future"],
    ["a clock so far behind that the entry seems too old", -120_000, {}, "expired"],
    ["a class of the reader that lives shorter than its age", -5_000, { ttlMs: 2_000 }, "expired"],
  ]
  for (const [title, wallAheadMs, reader, expected] of clocks)
    it(`${what}: ${title}: ${expected}`, async () => {
      const { instances } = fleet({ wallAheadMs }, reader)
      const [one, other] = instances
      await filled(one, "q", 1)
      const outcome = await other.ask("q", rowsOf(1))
      equal(outcome.kind, expected === "hit_l2" ? "hit_l2" : "ran")
      if (outcome.kind === "hit_l2") ok(outcome.ageMs >= 0 && outcome.ageMs < 5_000)
      else equal(other.tier.counters.requests[expected as "expired"], 1)
    })

  it(`${what}: the store's own count of what an entry has to live holds when clocks differ`, async () => {
    // The reader's clock stands 1.5 s behind: by it the entry would live for 1.5 s longer than the writer allowed.
    const { instances } = fleet({ ttlMs: 1_000, wallAheadMs: 1_500 }, { ttlMs: 1_000 })
    const [one, other] = instances
    await filled(one, "q", 1)
    await sleep(600)
    equal((await other.ask("q", never)).kind, "hit_l2")
    await sleep(450)
    equal((await other.ask("q", rowsOf(1))).kind, "ran")
  })
}
