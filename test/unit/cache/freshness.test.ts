import { equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { cacheKey } from "../../../src/cache/key.ts"
import { MemoryTokenStore } from "../../../src/cache/memory-token-store.ts"
import { ResultCache } from "../../../src/cache/result-cache.ts"
import type { FollowerOutcome } from "../../../src/cache/single-flight.ts"
import type { StoredEntry } from "../../../src/cache/stored-entry.ts"
import type { TokenVector } from "../../../src/cache/token-store.ts"
import { TtlClasses } from "../../../src/cache/ttl-classes.ts"
import { noParameters } from "../../../src/core/parameters.ts"
import type { RelationName } from "../../../src/core/relation.ts"
import type { RowBatch, RowStream } from "../../../src/core/result.ts"
import { commandComplete } from "../../../src/wire/backend-messages.ts"
import {
  cancelled,
  divisionByZero,
  items,
  orders,
  ScriptedRows,
  settled,
  users,
} from "./entries.ts"

/**
 * Promise 1 on one instance, checked over random interleavings of readers, invalidations, cancels and errors: no read that
 * starts after raise() has resolved gets a result whose query started before raise() was called.
 */

type Design = "as built" | "key without tokens" | "tokens taken after the query"

class World {
  readonly tokens = new MemoryTokenStore({ tokensMax: 2 })
  readonly cache: ResultCache
  readonly #random: (below: number) => number
  readonly #design: Design
  readonly #open: ScriptedRows[] = []
  readonly #clients: AbortController[] = []
  readonly reads: Promise<void>[] = []
  readonly #invalidations: Promise<void>[] = []
  #endedReads = 0
  /** Counts everything that happens, so that "before" and "after" have numbers. */
  #moment = 0
  /** Moment of the latest raise() call that has resolved, by relation. */
  readonly #raisedAt = new Map<RelationName, number>()
  readonly seen = { hits: 0, coalesced: 0, ran: 0, stale: 0 }

  constructor(random: (below: number) => number, design: Design) {
    this.#random = random
    this.#design = design
    this.cache = new ResultCache({
      memory: { memoryBytesMax: 20_000, entryBytesMax: 5_000, entriesMax: 50 },
      flights: { flightsMax: 3, followersMax: 3 },
      fillBytesMax: 100,
      tokens: this.tokens,
      ttl: new TtlClasses([], 1_000_000),
      commandComplete,
      nowMs: () => this.#moment,
    })
  }

  step(): Promise<void> | undefined {
    this.#moment += 1
    const what = this.#random(20)
    if (what < 7) this.reads.push(this.#read(this.#someRelations()))
    else if (what < 9) this.#invalidations.push(this.#invalidate(this.#someRelations()))
    else if (what < 10) this.#pick(this.#clients)?.abort(cancelled())
    else if (what < 17) this.#answerOne()
    else return settled()
    return undefined
  }

  async finish(): Promise<void> {
    for (let turn = 0; turn < 1_000 && this.#endedReads < this.reads.length; turn += 1) {
      while (this.#open.length > 0) this.#answerOne()
      await settled()
    }
    equal(this.#endedReads, this.reads.length, "a read never ended")
    await Promise.all([...this.reads, ...this.#invalidations])
    equal(this.cache.flights.flightCount, 0)
    equal(this.cache.budget.bytes, 0)
  }

  #someRelations(): RelationName[] {
    const lists = [[orders], [items], [orders, items], [users]]
    return lists[this.#random(lists.length)] ?? []
  }

  #pick<Item>(list: Item[]): Item | undefined {
    return list.length === 0 ? undefined : list.splice(this.#random(list.length), 1)[0]
  }

  async #invalidate(relations: RelationName[]): Promise<void> {
    const calledAt = this.#moment
    const isAll = this.#random(10) === 0
    await (isAll ? this.tokens.renewEpoch() : this.tokens.raise(relations))
    const named = isAll ? [orders, items, users] : relations
    for (const name of named)
      this.#raisedAt.set(name, Math.max(calledAt, this.#raisedAt.get(name) ?? 0))
    if (this.#random(2) === 0) this.cache.memory.forget(named)
  }

  /** Rows, an end or an error for one running query. */
  #answerOne(): void {
    const rows = this.#pick(this.#open)
    if (rows === undefined) return
    if (this.#random(12) === 0) rows.give(divisionByZero())
    else rows.give("end")
  }

  /** A query that tells when it started, as data. */
  #run(signal: AbortSignal): Promise<RowStream> {
    const bytes = Buffer.alloc(8)
    bytes.writeDoubleBE(this.#moment)
    const rows = new ScriptedRows(signal).give({ bytes, rowCount: 1 })
    this.#open.push(rows)
    return Promise.resolve(rows)
  }

  async #read(relations: RelationName[]): Promise<void> {
    const floor = Math.max(0, ...relations.map((name) => this.#raisedAt.get(name) ?? 0))
    const client = new AbortController()
    this.#clients.push(client)
    try {
      const startedAt = await this.#answer(relations, client.signal)
      if (startedAt < floor) this.seen.stale += 1
    } catch (thrown) {
      const isExpected = thrown instanceof Error && thrown.name === "GatewayError"
      if (!isExpected) throw thrown
    } finally {
      this.#endedReads += 1
    }
  }

  /** The spine in small. Resolves with the moment at which the query started that the answer comes from. */
  async #answer(relations: RelationName[], signal: AbortSignal): Promise<number> {
    const vector = this.#vector(relations)
    const capturedAtMs = this.#moment
    const key = this.#key(relations, vector)
    const hit = this.cache.lookup(key)
    if (hit !== undefined) {
      this.seen.hits += 1
      return startOf(hit)
    }
    const seat = this.cache.join(key)
    const outcome: FollowerOutcome =
      seat.role === "leader" ? { kind: "leader", seat } : await seat.wait(signal, 60_000)
    if (outcome.kind === "stored") {
      this.seen.coalesced += 1
      return startOf(outcome.entry)
    }
    this.seen.ran += 1
    if (outcome.kind === "alone") return firstValue(await this.#run(signal))
    const late = this.#design === "tokens taken after the query"
    const run = (runSignal: AbortSignal): Promise<RowStream> => this.#run(runSignal)
    if (!late) {
      const options = { key, seat: outcome.seat, vector, relations, capturedAtMs, signal, run }
      return firstValue(await this.cache.lead(options))
    }
    const rows = await run(signal)
    await settled()
    const after = this.#vector(relations)
    const lateKey = this.#key(relations, after)
    const options = { key: lateKey, seat: outcome.seat, vector: after, relations, capturedAtMs }
    return firstValue(
      await this.cache.lead({ ...options, signal, run: () => Promise.resolve(rows) }),
    )
  }

  #vector(relations: RelationName[]): TokenVector {
    const vector = this.tokens.vector(relations)
    return this.#design === "key without tokens" ? { ...vector, text: "" } : vector
  }

  #key(relations: RelationName[], vector: TokenVector) {
    return cacheKey({
      warehouse: "w",
      origin: "o",
      canonical: relations.join(),
      scope: "",
      resolution: "",
      settingsDigest: "",
      rowLimit: 0,
      dateBucket: undefined,
      parameters: noParameters,
      resultFormats: [],
      vector,
    })
  }
}

function momentOf(batch: RowBatch | undefined): number {
  return batch?.bytes.readDoubleBE(0) ?? Number.NaN
}

function startOf(entry: StoredEntry): number {
  return momentOf(entry.result.batches[0])
}

async function firstValue(rows: RowStream): Promise<number> {
  const first = await rows.next()
  if ((await rows.next()) !== undefined) throw new Error("one row expected")
  return momentOf(first)
}

async function explore(design: Design, seeds: number): Promise<World["seen"]> {
  const sum = { hits: 0, coalesced: 0, ran: 0, stale: 0 }
  for (let seed = 1; seed <= seeds; seed += 1) {
    let state = seed
    const world = new World((below) => {
      state = (state * 48_271) % 2_147_483_647
      return Math.floor(state / 7) % below
    }, design)
    for (let step = 0; step < 150; step += 1) await world.step()
    await world.finish()
    for (const name of ["hits", "coalesced", "ran", "stale"] as const) sum[name] += world.seen[name]
  }
  return sum
}

it("no read that starts after an invalidation was answered gets a result from before its call", async () => {
  const seen = await explore("as built", 150)
  equal(seen.stale, 0)
  ok(seen.hits > 500 && seen.coalesced > 500 && seen.ran > 500, JSON.stringify(seen))
})

for (const design of ["key without tokens", "tokens taken after the query"] as const)
  it(`the same check finds stale reads in the design "${design}"`, async () => {
    const seen = await explore(design, 40)
    ok(seen.stale > 0)
  })
