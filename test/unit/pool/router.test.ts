import { deepEqual, equal, throws } from "node:assert/strict"
import { it } from "node:test"
import { InvariantViolation } from "../../../src/core/errors.ts"
import { Pool } from "../../../src/pool/pool.ts"
import { WriteSlots } from "../../../src/pool/write-slots.ts"
import { Router } from "../../../src/route/router.ts"
import { ScriptedWarehouse } from "./scripted-warehouse.ts"

const slots = new WriteSlots({
  name: "main",
  warehouse: new ScriptedWarehouse(),
  writeSessionsMax: 1,
})

function poolOf(name: string): Pool {
  const limits = {
    connectionsMax: 1,
    waitersMax: 0,
    waitMsMax: 100,
    idleCloseMs: 0,
    lifetimeMsMax: 0,
    connectTimeoutMs: 100,
    settleTimeoutMs: 100,
  }
  return new Pool({ name, warehouse: new ScriptedWarehouse(), limits })
}

it("a single primary answers everything, and the route says why", async () => {
  const router = new Router([{ name: "main", role: "primary", pool: poolOf("main") }], slots)
  const { lease, route } = await router.lease({ signal: new AbortController().signal })
  deepEqual(route, { endpoint: "main", role: "primary", reason: "only_endpoint" })
  equal(lease.endpoint, "main")
  lease[Symbol.dispose]()
})

it("a warehouse without a primary, or with more endpoints than are understood, is refused", () => {
  throws(() => new Router([], slots), InvariantViolation)
  throws(
    () => new Router([{ name: "r", role: "replica", pool: poolOf("r") }], slots),
    InvariantViolation,
  )
})
