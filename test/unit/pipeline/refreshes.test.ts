import { deepEqual, equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { MemoryTier } from "../../../src/cache/memory-tier.ts"
import type { StoredEntry } from "../../../src/cache/stored-entry.ts"
import type { AbortScope } from "../../../src/pipeline/abort-scope.ts"
import type { Answer } from "../../../src/pipeline/question.ts"
import { dueAhead } from "../../../src/pipeline/refresh-ahead.ts"
import { Refreshes } from "../../../src/pipeline/refreshes.ts"
import { batch, divisionByZero, entry, ScriptedRows, settled } from "../cache/entries.ts"

const room = [{ hasRoom: true }]

class Setting {
  nowMs = 0
  started = 0
  aborted: AbortScope | undefined
  readonly refreshes: Refreshes

  constructor(refreshesMax = 2, resultBytesMax = 1_000) {
    this.refreshes = new Refreshes({ refreshesMax, resultBytesMax }, () => this.nowMs)
  }

  start(served: StoredEntry, rows: ScriptedRows, pools = room): void {
    this.refreshes.start(served, pools, async () => {
      this.started += 1
      return answerOf(rows)
    })
  }
}

function answerOf(rows: ScriptedRows): Answer {
  const report = { warehouse: "w" } as Answer["report"]
  return { kind: "rows", rows, report, remarks: [], canonical: "" }
}

it("a refresh reads its rows to their end and gives them back", async () => {
  const setting = new Setting()
  const rows = new ScriptedRows().give(batch(1), batch(2), "end")
  setting.start(entry({ material: "a" }), rows)
  equal(setting.refreshes.running, 1)
  await settled()
  equal(setting.refreshes.running, 0)
  equal(rows.disposed, 1)
  equal(setting.refreshes.counters.ended, 1)
})

it("there is one for an entry at a time, and none for a second after it", async () => {
  const setting = new Setting()
  const served = entry({ material: "a" })
  const rows = new ScriptedRows()
  setting.start(served, rows)
  setting.start(served, new ScriptedRows())
  equal(setting.started, 1)
  rows.give(divisionByZero())
  await settled()
  deepEqual(setting.refreshes.counters, { ended: 0, failed: 1, limit: 0, pool_busy: 0 })
  setting.nowMs = 999
  setting.start(served, new ScriptedRows())
  equal(setting.started, 1)
  setting.nowMs = 1_000
  setting.start(served, new ScriptedRows().give("end"))
  equal(setting.started, 2)
})

it("above the limit, and while any pool is full, none begins", () => {
  const setting = new Setting(1)
  setting.start(entry({ material: "a" }), new ScriptedRows(), [...room, { hasRoom: false }])
  equal(setting.started, 0)
  setting.start(entry({ material: "a" }), new ScriptedRows())
  setting.start(entry({ material: "b" }), new ScriptedRows())
  equal(setting.started, 1)
  deepEqual(setting.refreshes.counters, { ended: 0, failed: 0, limit: 1, pool_busy: 1 })
})

it("somebody else's run is left alone", () => {
  const setting = new Setting()
  const served = entry({ material: "a" })
  setting.refreshes.start(served, room, () => undefined)
  equal(setting.refreshes.running, 0)
  setting.start(served, new ScriptedRows())
  equal(setting.started, 1)
})

it("a result that has become too large to be kept is not read to its end", async () => {
  const setting = new Setting(1, 100)
  const rows = new ScriptedRows().give(batch(1, 200))
  setting.start(entry({ material: "a" }), rows)
  await settled()
  equal(rows.disposed, 1)
  equal(setting.refreshes.running, 0)
})

it("an entry is due before its end when it is popular and its last part has begun", () => {
  let nowMs = 0
  const memory = new MemoryTier({ memoryBytesMax: 100_000, entryBytesMax: 10_000, entriesMax: 10 })
  const isDue = dueAhead({ aheadHitsMin: 2, aheadShare: 0.1 }, memory, () => nowMs)
  const popular = entry({ material: "a", expiresAtMs: 1_000 })
  const other = entry({ material: "b", expiresAtMs: 1_000 })
  memory.set(popular, 0)
  memory.set(other, 0)
  memory.get(other.key, 0)
  for (const _ of [1, 2]) memory.get(popular.key, 0)
  nowMs = 899
  ok(!isDue(popular))
  nowMs = 900
  ok(isDue(popular))
  ok(!isDue(other), "one hit")
  ok(!isDue({ ...popular }), "an entry that is no longer kept")
  const off = dueAhead({ aheadHitsMin: 0, aheadShare: 0.1 }, memory, () => nowMs)
  ok(!off(popular))
})
