import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict"
import { it } from "node:test"
import { FillBudget } from "../../../src/cache/fill-budget.ts"
import { leadFill } from "../../../src/cache/lead-fill.ts"
import { type FollowerOutcome, SingleFlight } from "../../../src/cache/single-flight.ts"
import type { StoredEntry } from "../../../src/cache/stored-entry.ts"
import type { FillSkipReason } from "../../../src/core/observation.ts"
import type { RowBatch, RowStream, StoredResult } from "../../../src/core/result.ts"
import {
  batch,
  cancelled,
  divisionByZero,
  entry,
  keyOf,
  readAll,
  ScriptedRows,
  settled,
} from "./entries.ts"

const key = keyOf("k")
const one = batch(1)

/** One leader with its client, over a source that the test feeds. */
class Scene {
  readonly flights = new SingleFlight({ flightsMax: 10, followersMax: 10 })
  readonly budget: FillBudget
  readonly client = new AbortController()
  readonly stored: StoredResult[] = []
  readonly skips: FillSkipReason[] = []
  readonly entryBytesMax: number
  source = new ScriptedRows()
  runSignal: AbortSignal | undefined
  isShared = true

  constructor(limits: { entryBytesMax?: number; budgetBytesMax?: number } = {}) {
    this.entryBytesMax = limits.entryBytesMax ?? 1_000
    this.budget = new FillBudget(limits.budgetBytesMax ?? 10_000)
  }

  lead(run?: (signal: AbortSignal) => Promise<RowStream>): Promise<RowStream> {
    const seat = this.flights.join(key)
    if (seat.role !== "leader") throw new Error("expected to lead")
    return leadFill({
      seat,
      signal: this.client.signal,
      entryBytesMax: this.entryBytesMax,
      budget: this.budget,
      run: (signal) => {
        this.runSignal = signal
        if (run !== undefined) return run(signal)
        this.source = new ScriptedRows(signal)
        return Promise.resolve(this.source)
      },
      finish: (result) => this.#finish(result),
      skipped: (reason) => this.skips.push(reason),
    })
  }

  follow(signal = new AbortController().signal, waitMsMax = 60_000): Promise<FollowerOutcome> {
    const seat = this.flights.join(key)
    if (seat.role !== "follower") throw new Error("expected to follow")
    return seat.wait(signal, waitMsMax)
  }

  /** What holds after every ending: nothing gathered, no flight, the source given back, one word about storing. */
  checkEnded(): void {
    equal(this.budget.bytes, 0)
    equal(this.flights.flightCount, 0)
    ok(this.source.disposed > 0)
    equal(this.stored.length + this.skips.length, 1)
  }

  #finish(result: StoredResult): StoredEntry | undefined {
    this.stored.push(result)
    return this.isShared ? { ...entry({ material: "k" }), result } : undefined
  }
}

it("rows reach the client as they come, and the whole result is stored once", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  scene.source.give(one)
  deepEqual(await rows.next(), one)
  throws(() => rows.completion, { reason: "invariant_violation" })
  scene.source.give(batch(2), "end")
  equal(await readAll(rows), 2)
  deepEqual(rows.completion, { tag: "SELECT 1", notices: [] })
  equal(await rows.next(), undefined, "the end stays the end")
  equal(scene.stored[0]?.rowCount, 3)
  equal(scene.stored[0]?.byteCount, 3 * one.bytes.length)
  scene.checkEnded()
})

it("a result without rows is stored too", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  scene.source.give("end")
  equal(await rows.next(), undefined)
  equal(scene.stored[0]?.rowCount, 0)
  scene.checkEnded()
})

it("the result is stored although the client reads nothing yet, and it can still read it all", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const follower = scene.follow()
  scene.source.give(one, one, one, "end")
  equal((await follower).kind, "stored")
  scene.checkEnded()
  equal(await readAll(rows), 3)
})

it("a result that must not be shared releases the followers", async () => {
  const scene = new Scene()
  scene.isShared = false
  await scene.lead()
  const follower = scene.follow()
  scene.source.give(one, "end")
  deepEqual(await follower, { kind: "alone", reason: "uncacheable" })
})

it("above entryBytesMax followers are released at once and rows flow at the client's pace", async () => {
  const scene = new Scene({ entryBytesMax: 3 * one.bytes.length })
  const rows = await scene.lead()
  const follower = scene.follow()
  scene.source.give(one, one, one, one, one, one)
  deepEqual(await follower, { kind: "alone", reason: "uncacheable" })
  deepEqual(scene.skips, ["entry_too_large"])
  equal(scene.budget.bytes, 0)
  equal(scene.source.asked, 4, "nothing is read ahead any more")
  for (let n = 0; n < 4; n += 1) equal((await rows.next())?.rowCount, 1)
  equal(scene.source.asked, 4)
  await rows.next()
  equal(scene.source.asked, 5)
  scene.source.give("end")
  equal(await readAll(rows), 1)
  deepEqual(rows.completion, { tag: "SELECT 1", notices: [] })
  scene.checkEnded()
})

it("a result of exactly entryBytesMax is stored", async () => {
  const scene = new Scene({ entryBytesMax: 2 * one.bytes.length })
  const rows = await scene.lead()
  scene.source.give(one, one, "end")
  equal(await readAll(rows), 2)
  equal(scene.stored.length, 1)
})

it("a full budget makes a fill pass through, and what it had taken is given back", async () => {
  const scene = new Scene({ budgetBytesMax: 2 * one.bytes.length })
  ok(scene.budget.take(one.bytes.length))
  const rows = await scene.lead()
  scene.source.give(one, one, "end")
  equal(await readAll(rows), 2)
  deepEqual(scene.skips, ["entry_too_large"])
  equal(scene.budget.bytes, one.bytes.length)
})

it("an error comes after the rows before it, is not stored, and is not handed on", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const follower = scene.follow()
  const error = divisionByZero()
  scene.source.give(one, error)
  deepEqual(await follower, { kind: "alone", reason: "failed" })
  equal((await rows.next())?.rowCount, 1)
  await rejects(rows.next(), error)
  await rejects(rows.next(), error)
  throws(() => rows.completion, { reason: "invariant_violation" })
  deepEqual(scene.skips, ["failed"])
  scene.checkEnded()
})

it("an error in pass-through reaches the client and stores nothing", async () => {
  const scene = new Scene({ entryBytesMax: 1 })
  const rows = await scene.lead()
  const error = divisionByZero()
  scene.source.give(one, error)
  equal((await rows.next())?.rowCount, 1)
  await rejects(rows.next(), error)
  scene.checkEnded()
})

it("an error before the first row goes to the leader only", async () => {
  const scene = new Scene()
  const error = divisionByZero()
  const rows = scene.lead(() => settled().then(() => Promise.reject(error)))
  const follower = scene.follow()
  await rejects(rows, error)
  deepEqual(await follower, { kind: "alone", reason: "failed" })
  deepEqual(scene.skips, ["failed"])
  equal(scene.flights.flightCount, 0)
})

it("a client that leaves with nobody waiting cancels the run, and nothing is stored", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  scene.source.give(one)
  await rows.next()
  rows[Symbol.dispose]()
  rows[Symbol.dispose]()
  ok(scene.runSignal?.aborted)
  deepEqual(scene.skips, ["cancelled"])
  scene.checkEnded()
  await rejects(rows.next())
})

it("a client that leaves while followers wait does not stop the fill", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const follower = scene.follow()
  scene.source.give(one)
  rows[Symbol.dispose]()
  scene.source.give(one, "end")
  const outcome = await follower
  equal(outcome.kind === "stored" && outcome.entry.result.rowCount, 2)
  ok(!scene.runSignal?.aborted)
  scene.checkEnded()
})

it("the last follower to leave after the client cancels the run", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const [first, second] = [new AbortController(), new AbortController()]
  const follower = rejects(scene.follow(first.signal), { reason: "cancelled" })
  const other = rejects(scene.follow(second.signal), { reason: "cancelled" })
  rows[Symbol.dispose]()
  first.abort(cancelled())
  await settled()
  ok(!scene.runSignal?.aborted)
  second.abort(cancelled())
  await Promise.all([follower, other])
  ok(scene.runSignal?.aborted)
  deepEqual(scene.skips, ["cancelled"])
  scene.checkEnded()
})

it("a client that left and a result that turns out too large end the run", async () => {
  const scene = new Scene({ entryBytesMax: 1 })
  const rows = await scene.lead()
  const follower = scene.follow()
  rows[Symbol.dispose]()
  scene.source.give(one)
  deepEqual(await follower, { kind: "alone", reason: "uncacheable" })
  ok(scene.runSignal?.aborted)
  scene.checkEnded()
})

it("a cancel wakes a client that waits for rows, with the cancel's own reason", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const next = rows.next()
  const reason = cancelled()
  scene.client.abort(reason)
  await rejects(next, reason)
  equal(scene.runSignal?.reason, reason)
  deepEqual(scene.skips, ["cancelled"])
  scene.checkEnded()
})

it("a cancelled client is let go at once while the run goes on for a follower", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const follower = scene.follow()
  const next = rows.next()
  scene.client.abort(cancelled())
  await rejects(next, { reason: "cancelled" })
  scene.source.give(one, "end")
  equal((await follower).kind, "stored")
  scene.checkEnded()
})

it("a cancel in pass-through stops a client that waits for rows", async () => {
  const scene = new Scene({ entryBytesMax: 1 })
  const rows = await scene.lead()
  scene.source.give(one)
  await rows.next()
  const next = rows.next()
  const reason = cancelled()
  scene.client.abort(reason)
  await rejects(next, reason)
  scene.checkEnded()
})

it("a cancel after the last row has arrived keeps the entry but not the client's rows", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  scene.source.give(one, "end")
  await settled()
  scene.client.abort(cancelled())
  await rejects(rows.next(), { reason: "cancelled" })
  equal(scene.stored.length, 1)
})

it("a cancel before the first row aborts the run when nobody waits", async () => {
  const scene = new Scene()
  const rows = scene.lead(
    (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason))
      }),
  )
  scene.client.abort(cancelled())
  await rejects(rows, { reason: "cancelled" })
  deepEqual(scene.skips, ["cancelled"])
  equal(scene.flights.flightCount, 0)
})

it("a cancel before the first row lets the leader go at once while the run goes on for a follower", async () => {
  const scene = new Scene()
  const started = Promise.withResolvers<RowStream>()
  const rows = scene.lead(() => started.promise)
  const follower = scene.follow()
  scene.client.abort(cancelled())
  await rejects(rows, { reason: "cancelled" })
  ok(!scene.runSignal?.aborted)
  scene.source = new ScriptedRows(scene.runSignal).give(one, "end")
  started.resolve(scene.source)
  equal((await follower).kind, "stored")
  scene.checkEnded()
})

it("a follower that joins between the cancel and the end of the run takes over", async () => {
  const scene = new Scene()
  const started = Promise.withResolvers<RowStream>()
  const rows = scene.lead(() => started.promise)
  scene.client.abort(cancelled())
  const follower = scene.follow()
  started.reject(cancelled())
  await rejects(rows, { reason: "cancelled" })
  equal((await follower).kind, "leader")
})

it("a run that starts although everybody has left is given back", async () => {
  const scene = new Scene()
  const started = Promise.withResolvers<RowStream>()
  const rows = scene.lead(() => started.promise)
  scene.client.abort(cancelled())
  scene.source = new ScriptedRows().give(one)
  started.resolve(scene.source)
  const left = await rows
  await rejects(left.next(), { reason: "cancelled" })
  scene.checkEnded()
})

it("a client that has gone already never starts a run", async () => {
  const scene = new Scene()
  scene.client.abort(cancelled())
  let runs = 0
  const rows = scene.lead(() => {
    runs += 1
    return Promise.resolve(new ScriptedRows())
  })
  await rejects(rows, { reason: "cancelled" })
  equal(runs, 0)
  equal(scene.flights.flightCount, 0)
})

it("slices of large receive buffers are not kept while a result is gathered", async () => {
  const scene = new Scene()
  const rows = await scene.lead()
  const received = Buffer.alloc(64 * 1024)
  one.bytes.copy(received)
  scene.source.give({ bytes: received.subarray(0, one.bytes.length), rowCount: 1 }, "end")
  const got = await rows.next()
  deepEqual(got?.bytes, one.bytes)
  const [kept] = scene.stored[0]?.batches ?? []
  ok(kept !== undefined && kept.bytes.buffer.byteLength < 200)
})

it("a source that always has rows ready does not keep the event loop to itself", async () => {
  const scene = new Scene({ entryBytesMax: 100_000_000, budgetBytesMax: 100_000_000 })
  const big: RowBatch = batch(1, 100_000)
  await scene.lead(() => {
    scene.source = new ScriptedRows().give(...Array.from({ length: 500 }, () => big), "end")
    return Promise.resolve(scene.source)
  })
  await settled()
  ok(scene.source.asked < 100)
  for (let turn = 0; turn < 1_000 && scene.stored.length === 0; turn += 1) await settled()
  equal(scene.stored[0]?.rowCount, 500)
})
