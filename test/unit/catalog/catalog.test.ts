import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { it } from "node:test"
import { Catalog, type CatalogOptions } from "../../../src/catalog/catalog.ts"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { SqlState } from "../../../src/core/sql-state.ts"
import { snapshot } from "./snapshots.ts"

function unreachable(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: "could not connect",
  })
}

function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

type Answer = CatalogSnapshot | GatewayError

/** A catalogue whose loads the test answers one by one, and whose clock it turns. */
class Scene {
  nowMs = 0
  loads = 0
  readonly signals: AbortSignal[] = []
  readonly #open: ((answer: Answer) => void)[] = []
  readonly catalog: Catalog

  constructor(options: Partial<CatalogOptions> = {}) {
    this.catalog = new Catalog({
      load: (signal) => this.#load(signal),
      refreshMs: 1_000,
      minIntervalMs: 100,
      backoffMs: 10,
      backoffMsMax: 40,
      loadTimeoutMs: 60_000,
      nowMs: () => this.nowMs,
      ...options,
    })
  }

  /** Answers the oldest load that runs. */
  async answer(answer: Answer | string): Promise<void> {
    const resolve = this.#open.shift()
    if (resolve === undefined) throw new Error("no load is running")
    resolve(typeof answer === "string" ? snapshot({ version: answer }) : answer)
    await settled()
  }

  get running(): number {
    return this.#open.length
  }

  async #load(signal: AbortSignal): Promise<CatalogSnapshot> {
    this.loads += 1
    this.signals.push(signal)
    const answer = await new Promise<Answer>((resolve) => {
      this.#open.push(resolve)
    })
    if (answer instanceof GatewayError) throw answer
    return answer
  }
}

function loadedScene(): Promise<Scene> {
  const scene = new Scene()
  scene.catalog.current()
  return scene.answer("1").then(() => scene)
}

it("the first look starts a load; until it has succeeded there is no snapshot", async () => {
  const scene = new Scene()
  equal(scene.catalog.current(), undefined)
  equal(scene.catalog.current(), undefined)
  equal(scene.loads, 1)
  equal(scene.catalog.state.kind, "empty")
  await scene.answer("1")
  equal(scene.catalog.current()?.version, "1")
  equal(scene.catalog.state.kind, "fresh")
})

it("a snapshot of age refreshMs is read again in the background, once, and served meanwhile", async () => {
  const scene = await loadedScene()
  scene.nowMs = 999
  scene.catalog.current()
  equal(scene.loads, 1)
  scene.nowMs = 1_000
  equal(scene.catalog.current()?.version, "1")
  scene.catalog.current()
  equal(scene.loads, 2)
  await scene.answer("2")
  equal(scene.catalog.current()?.version, "2")
  equal(scene.catalog.state.ageMs, 0)
})

it("a re-read that gives the same version keeps the object, so that memos stay warm", async () => {
  const scene = await loadedScene()
  const before = scene.catalog.current()
  scene.nowMs = 1_000
  scene.catalog.current()
  await scene.answer("1")
  equal(scene.catalog.current(), before)
})

it("a failed background load keeps the snapshot, and the next one waits longer each time", async () => {
  const scene = await loadedScene()
  scene.nowMs = 1_000
  const waits: number[] = []
  for (let attempt = 0; attempt < 4; attempt += 1) {
    equal(scene.catalog.current()?.version, "1")
    await scene.answer(unreachable())
    const failedAt = scene.nowMs
    while (scene.running === 0) {
      scene.nowMs += 1
      scene.catalog.current()
    }
    waits.push(scene.nowMs - failedAt)
  }
  deepEqual(waits, [10, 20, 40, 40])
  equal(scene.catalog.state.failures, 4)
  equal(scene.catalog.state.lastError?.reason, "warehouse_unreachable")
  await scene.answer("2")
  equal(scene.catalog.current()?.version, "2")
  equal(scene.catalog.state.lastError, undefined)
})

it("refreshNow waits for a load that started after it, not for the one that is running", async () => {
  const scene = new Scene()
  scene.catalog.current()
  const fresh = scene.catalog.refreshNow()
  equal(scene.loads, 1)
  await scene.answer("before the change")
  equal(scene.loads, 2)
  await scene.answer("after the change")
  equal((await fresh).version, "after the change")
})

it("many calls during one load share the one that follows", async () => {
  const scene = await loadedScene()
  const first = scene.catalog.refreshNow()
  const others = [1, 2, 3].map(() => scene.catalog.refreshNow())
  await scene.answer("2")
  equal((await first).version, "2")
  equal(scene.running, 1)
  await scene.answer("3")
  deepEqual(
    (await Promise.all(others)).map((one) => one.version),
    ["3", "3", "3"],
  )
  equal(scene.loads, 3)
})

it("a load that waits its turn starts although the one before failed", async () => {
  const scene = await loadedScene()
  const first = scene.catalog.refreshNow()
  const second = scene.catalog.refreshNow()
  const failure = rejects(first, { reason: "warehouse_unreachable" })
  await scene.answer(unreachable())
  await failure
  await scene.answer("2")
  equal((await second).version, "2")
})

it("a failed refreshNow rejects but keeps the snapshot for those who know of no change", async () => {
  const scene = await loadedScene()
  const failure = rejects(scene.catalog.refreshNow(), { reason: "warehouse_unreachable" })
  await scene.answer(unreachable())
  await failure
  equal(scene.catalog.current()?.version, "1")
})

it("an abort ends one caller's wait and not the load", async () => {
  const scene = await loadedScene()
  const abort = new AbortController()
  const aborted = rejects(scene.catalog.refreshNow(abort.signal), { reason: "cancelled" })
  const waits = scene.catalog.refreshNow()
  abort.abort(
    new GatewayError({ sqlState: SqlState.QueryCanceled, reason: "cancelled", message: "x" }),
  )
  await aborted
  await scene.answer("2")
  await scene.answer("3")
  equal((await waits).version, "3")
  await rejects(scene.catalog.refreshNow(abort.signal), { reason: "cancelled" })
  equal(scene.loads, 3)
})

it("after markStale nothing is served until a load that started later has succeeded", async () => {
  const scene = await loadedScene()
  scene.nowMs = 1_000
  scene.catalog.current()
  scene.catalog.markStale()
  equal(scene.catalog.current(), undefined)
  await scene.answer("read before the change")
  equal(scene.catalog.current(), undefined)
  equal(scene.catalog.state.kind, "stale")
  const fresh = scene.catalog.refreshNow()
  await scene.answer("read after it")
  await fresh
  equal(scene.catalog.current()?.version, "read after it")
})

it("markStale brings the next background load forward, but not closer than minIntervalMs", async () => {
  const scene = await loadedScene()
  scene.nowMs = 50
  scene.catalog.markStale()
  equal(scene.catalog.current(), undefined)
  equal(scene.loads, 1)
  scene.nowMs = 100
  scene.catalog.current()
  equal(scene.loads, 2)
})

it("a name that is missing is worth a load only when the last one is minIntervalMs ago", async () => {
  const scene = await loadedScene()
  scene.nowMs = 99
  ok(!scene.catalog.mayKnowMore())
  scene.nowMs = 100
  ok(scene.catalog.mayKnowMore())
})

it("a load that takes longer than loadTimeoutMs fails with 57014, and later ones run", async () => {
  const scene = new Scene({ loadTimeoutMs: 1 })
  await rejects(scene.catalog.refreshNow(), { sqlState: "57014", reason: "statement_timeout" })
  ok(scene.signals[0]?.aborted)
  equal(scene.catalog.state.failures, 1)
  equal(scene.catalog.current(), undefined)
})

it("a loader that throws at once is a failure like any other", async () => {
  const catalog = new Catalog({
    load: () => {
      throw unreachable()
    },
    refreshMs: 1,
    minIntervalMs: 1,
    backoffMs: 1,
    backoffMsMax: 1,
    loadTimeoutMs: 1_000,
    nowMs: () => 0,
  })
  equal(catalog.current(), undefined)
  await settled()
  await rejects(catalog.refreshNow(), { reason: "warehouse_unreachable" })
  await rejects(catalog.refreshNow(), { reason: "warehouse_unreachable" })
  equal(catalog.state.failures, 3)
})

it("what is thrown and is no GatewayError becomes one", async () => {
  const catalog = new Catalog({
    load: () => Promise.reject(new TypeError("no rows")),
    refreshMs: 1,
    minIntervalMs: 1,
    backoffMs: 1,
    backoffMsMax: 1,
    loadTimeoutMs: 1_000,
  })
  await rejects(catalog.refreshNow(), { reason: "invariant_violation" })
})

it("closing ends the load under way and starts no other", async () => {
  const scene = await loadedScene()
  const load = scene.catalog.refreshNow()
  scene.catalog.close()
  await rejects(load, { reason: "draining" })
  ok(scene.signals.at(-1)?.aborted)
  scene.nowMs = 10_000
  scene.catalog.current()
  equal(scene.loads, 2)
  await rejects(scene.catalog.refreshNow(), { reason: "draining" })
})

it("random interleavings: refreshNow always gives what a load read that started after it", async () => {
  for (let seed = 1; seed <= 100; seed += 1) {
    let state = seed
    const random = (below: number): number => {
      state = (state * 48_271) % 2_147_483_647
      return Math.floor(state / 7) % below
    }
    let moment = 0
    const open: (() => void)[] = []
    const catalog = new Catalog({
      load: async () => {
        const version = `${moment}`
        await new Promise<void>((resolve) => {
          open.push(resolve)
        })
        if (random(4) === 0) throw unreachable()
        return snapshot({ version })
      },
      refreshMs: 3,
      minIntervalMs: 1,
      backoffMs: 1,
      backoffMsMax: 2,
      loadTimeoutMs: 60_000,
      nowMs: () => moment,
    })
    const checks: Promise<void>[] = []
    for (let step = 0; step < 60; step += 1) {
      moment += 1
      const called = moment
      const what = random(5)
      if (what === 0) catalog.current()
      else if (what === 1)
        checks.push(
          catalog.refreshNow().then(
            (read) => ok(Number(read.version) >= called),
            (error: GatewayError) => equal(error.reason, "warehouse_unreachable"),
          ),
        )
      else if (what === 2) await settled()
      else open.shift()?.()
      ok(open.length <= 1, "loads never overlap")
    }
    for (let turn = 0; turn < 20; turn += 1) {
      open.shift()?.()
      await settled()
    }
    await Promise.all(checks)
  }
})
