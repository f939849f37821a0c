import { deepEqual, equal, rejects } from "node:assert/strict"
import { describe, it } from "node:test"
import { setImmediate as turn } from "node:timers/promises"
import { ClassGate } from "../../../src/pool/class-gate.ts"
import { Pool } from "../../../src/pool/pool.ts"
import { WriteSlots } from "../../../src/pool/write-slots.ts"
import { Router } from "../../../src/route/router.ts"
import { ScriptedWarehouse } from "./scripted-warehouse.ts"

const { signal } = new AbortController()

function gateOf(limits: { concurrencyMax?: number; waitersMax?: number; waitMsMax?: number } = {}) {
  return new ClassGate("slow", { concurrencyMax: 1, waitersMax: 2, waitMsMax: 10_000, ...limits })
}

describe("the gate of a workload class", () => {
  it("lets as many in as there is room, and the others in their order", async () => {
    const gate = gateOf()
    const leave = await gate.enter({ signal })
    const order: string[] = []
    const [first, second] = ["first", "second"].map(async (name) => {
      const left = await gate.enter({ signal })
      order.push(name)
      left()
    })
    await turn()
    deepEqual(order, [])
    deepEqual(gate.stats, { inside: 1, waiters: 2 })
    leave()
    await Promise.all([first, second])
    deepEqual(order, ["first", "second"])
    deepEqual(gate.stats, { inside: 0, waiters: 0 })
  })

  it("refuses at once when its queue is full", async () => {
    const gate = gateOf({ waitersMax: 0 })
    await gate.enter({ signal })
    await rejects(gate.enter({ signal }), { reason: "class_queue_full", sqlState: "53300" })
  })

  it("refuses whoever has waited for long, by the shorter of both limits", async () => {
    const gate = gateOf({ waitMsMax: 5 })
    const leave = await gate.enter({ signal })
    await rejects(gate.enter({ signal }), /within 5 ms/)
    await rejects(gate.enter({ signal, waitMsMax: 1 }), {
      reason: "class_queue_timeout",
      sqlState: "53300",
      safeToRetry: true,
    })
    leave()
    deepEqual(gate.stats, { inside: 0, waiters: 0 })
  })

  it("a place that is given back twice is given back once", async () => {
    const gate = gateOf({ concurrencyMax: 2 })
    const leave = await gate.enter({ signal })
    await gate.enter({ signal })
    leave()
    leave()
    equal(gate.stats.inside, 1)
  })

  it("whoever gives up leaves no trace", async () => {
    const gate = gateOf()
    const leave = await gate.enter({ signal })
    const giveUp = new AbortController()
    const waiting = gate.enter({ signal: giveUp.signal })
    giveUp.abort(new Error("gone"))
    await rejects(waiting, /gone/)
    leave()
    deepEqual(gate.stats, { inside: 0, waiters: 0 })
  })
})

describe("a router with gates", () => {
  const warehouse = new ScriptedWarehouse()
  const limits = {
    connectionsMax: 1,
    waitersMax: 5,
    waitMsMax: 10,
    idleCloseMs: 0,
    lifetimeMsMax: 0,
    connectTimeoutMs: 100,
    settleTimeoutMs: 100,
  }

  function routerOf(gate: ClassGate): Router {
    const pool = new Pool({ name: "main", warehouse, limits })
    const slots = new WriteSlots({ name: "main", warehouse, writeSessionsMax: 1 })
    return new Router([{ name: "main", role: "primary", pool }], slots, new Map([["slow", gate]]))
  }

  it("counts leases of the class until they are given back, and no others", async () => {
    const gate = gateOf()
    const router = routerOf(gate)
    const { lease: other } = await router.lease({ signal })
    equal(gate.stats.inside, 0)
    other[Symbol.dispose]()
    const { lease } = await router.lease({ signal, workloadClass: "slow" })
    equal(gate.stats.inside, 1)
    lease[Symbol.dispose]()
    equal(gate.stats.inside, 0)
  })

  it("gives the place back when there is no connection to be had", async () => {
    const gate = gateOf({ concurrencyMax: 5 })
    const router = routerOf(gate)
    const { lease } = await router.lease({ signal })
    await rejects(router.lease({ signal, workloadClass: "slow" }), { reason: "queue_timeout" })
    await rejects(router.lease({ signal, queueTimeoutMs: 1 }), /within 1 ms/)
    equal(gate.stats.inside, 0)
    lease[Symbol.dispose]()
  })
})
