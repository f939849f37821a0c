import { deepEqual, equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { type CacheKey, cacheKey } from "../../../src/cache/key.ts"
import { MemoryTokenStore } from "../../../src/cache/memory-token-store.ts"
import { type LeadRequest, ResultCache } from "../../../src/cache/result-cache.ts"
import { type TtlClass, TtlClasses } from "../../../src/cache/ttl-classes.ts"
import { noParameters } from "../../../src/core/parameters.ts"
import { commandComplete } from "../../../src/wire/backend-messages.ts"
import { batch, description, orders, readAll, ScriptedRows } from "./entries.ts"

type Options = { readonly classes?: readonly TtlClass[]; readonly entryBytesMax?: number }

class Scene {
  readonly tokens = new MemoryTokenStore()
  readonly log: string[] = []
  readonly cache: ResultCache
  nowMs = 1_000
  readonly source = new ScriptedRows()

  constructor({ classes = [], entryBytesMax = 100_000 }: Options = {}) {
    this.cache = new ResultCache({
      memory: { memoryBytesMax: 1_000_000, entryBytesMax, entriesMax: 100 },
      flights: { flightsMax: 10, followersMax: 10 },
      fillBytesMax: 1_000_000,
      tokens: this.tokens,
      ttl: new TtlClasses(classes, 60_000),
      commandComplete,
      nowMs: () => this.nowMs,
      events: {
        filled: (entry) => this.log.push(`filled ${entry.result.rowCount}`),
        skipped: (reason) => this.log.push(`skipped ${reason}`),
        refused: (reason) => this.log.push(`refused ${reason}`),
      },
    })
  }

  key(): CacheKey {
    return cacheKey({
      warehouse: "w",
      origin: "o",
      canonical: "c",
      scope: "s",
      resolution: "v",
      settingsDigest: "d",
      rowLimit: 0,
      dateBucket: undefined,
      parameters: noParameters,
      resultFormats: [],
      vector: this.tokens.vector([orders]),
    })
  }

  lead(more: Partial<LeadRequest> = {}) {
    const key = this.key()
    const seat = this.cache.join(key)
    if (seat.role !== "leader") throw new Error("expected to lead")
    return this.cache.lead({
      key,
      seat,
      vector: this.tokens.vector([orders]),
      relations: [orders],
      capturedAtMs: this.nowMs,
      signal: new AbortController().signal,
      run: () => Promise.resolve(this.source),
      ...more,
    })
  }
}

it("what a leader read is found afterwards, as bytes of one write, aged from the capture of the tokens", async () => {
  const scene = new Scene()
  equal(scene.cache.lookup(scene.key()), undefined)
  const rows = await scene.lead()
  scene.nowMs += 250
  scene.source.give(batch(2), "end")
  equal(await readAll(rows), 2)
  const entry = scene.cache.lookup(scene.key())
  ok(entry)
  equal(entry.createdAtMs, 1_000)
  equal(entry.warehouseMs, 250)
  deepEqual(entry.relations, [orders])
  deepEqual(
    entry.result.wire?.whole,
    Buffer.concat([description, batch(2).bytes, commandComplete("SELECT 1")]),
  )
  deepEqual(scene.log, ["filled 2"])
})

it("an entry lives at most its TTL from the capture on, and at least nine tenths of it", async () => {
  const scene = new Scene({ classes: [{ pattern: "s.*", ttlMs: 5_000 }] })
  const rows = await scene.lead()
  scene.nowMs += 2_000
  scene.source.give("end")
  await readAll(rows)
  const capturedAtMs = 1_000
  scene.nowMs = capturedAtMs + 4_500 - 1
  ok(scene.cache.lookup(scene.key()))
  scene.nowMs = capturedAtMs + 5_000
  equal(scene.cache.lookup(scene.key()), undefined)
})

it("a query that took longer than the TTL is not stored, but its followers get the rows", async () => {
  const scene = new Scene({ classes: [{ pattern: "s.*", ttlMs: 1_000 }] })
  const rows = await scene.lead()
  const seat = scene.cache.join(scene.key())
  const follower =
    seat.role === "follower" ? seat.wait(new AbortController().signal, 60_000) : undefined
  scene.nowMs += 1_000
  scene.source.give("end")
  await readAll(rows)
  deepEqual(scene.log, ["refused expired"])
  equal((await follower)?.kind, "stored")
})

it("an invalidation while the query runs: later readers do not find the rows, earlier followers get them", async () => {
  const scene = new Scene()
  const keyBefore = scene.key()
  const rows = await scene.lead()
  const seat = scene.cache.join(scene.key())
  const follower =
    seat.role === "follower" ? seat.wait(new AbortController().signal, 60_000) : undefined
  await scene.tokens.raise([orders])
  equal(scene.cache.join(scene.key()).role, "leader", "a later reader does not join the old run")
  scene.source.give("end")
  await readAll(rows)
  deepEqual(scene.log, ["skipped token_changed"])
  equal((await follower)?.kind, "stored")
  equal(scene.cache.lookup(scene.key()), undefined)
  equal(scene.cache.lookup(keyBefore), undefined)
})

it("a result that a row limit cut is neither stored nor shared", async () => {
  const scene = new Scene()
  const rows = await scene.lead({ wasCut: () => true })
  const seat = scene.cache.join(scene.key())
  const follower =
    seat.role === "follower" ? seat.wait(new AbortController().signal, 60_000) : undefined
  scene.source.give(batch(1), "end")
  equal(await readAll(rows), 1)
  deepEqual(scene.log, ["skipped row_limit_cut"])
  deepEqual(await follower, { kind: "alone", reason: "uncacheable" })
  equal(scene.cache.memory.entries, 0)
})

it("rows within the limit that make an entry above it are refused", async () => {
  const scene = new Scene({ entryBytesMax: 500 })
  const rows = await scene.lead()
  scene.source.give(batch(1, 400), "end")
  equal(await readAll(rows), 1)
  deepEqual(scene.log, ["refused too_large"])
})

it("closing gives all memory back", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  scene.source.give("end")
  await readAll(rows)
  equal(scene.cache.memory.entries, 1)
  scene.cache.close()
  equal(scene.cache.memory.bytes, 0)
})
