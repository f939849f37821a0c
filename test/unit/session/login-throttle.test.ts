import { deepEqual, equal, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { type Admission, LoginThrottle } from "../../../src/session/login-throttle.ts"

const failuresMax = 5
const delayMsMax = 2_000

function start(options: { readonly failuresMax?: number } = {}) {
  const clock = { nowMs: 0 }
  const throttle = new LoginThrottle({
    failuresMax,
    delayMsMax,
    nowMs: () => clock.nowMs,
    ...options,
  })
  return { clock, throttle }
}

function shown(admission: Admission): string {
  return admission.kind === "after" ? `after ${admission.delayMs}` : admission.kind
}

function fail(throttle: LoginThrottle, count: number, address = "a", user = "ana"): void {
  for (let index = 0; index < count; index += 1) throttle.failed(address, user)
}

describe("a login after failed ones", () => {
  const delays: readonly (readonly [failures: number, expected: string])[] = [
    [0, "at_once"],
    [5, "at_once"],
    [6, "after 100"],
    [7, "after 200"],
    [8, "after 400"],
    [10, "after 1600"],
    [11, "after 2000"],
    [40, "after 2000"],
  ]
  for (const [failures, expected] of delays)
    it(`comes ${expected} after ${failures}`, () => {
      const { throttle } = start()
      fail(throttle, failures)
      equal(shown(throttle.admit("a", "ana")), expected)
      equal(shown(throttle.admit("a", "bob")), "at_once")
      equal(shown(throttle.admit("b", "ana")), "at_once")
    })

  it("is forgiven one failure every six seconds", () => {
    const { throttle, clock } = start()
    fail(throttle, 8)
    clock.nowMs = 6_000
    equal(shown(throttle.admit("a", "ana")), "after 200")
    clock.nowMs = 18_000
    equal(shown(throttle.admit("a", "ana")), "at_once")
  })

  it("is never slowed where the limit is 0", () => {
    const { throttle } = start({ failuresMax: 0 })
    fail(throttle, 1_000)
    equal(shown(throttle.admit("a", "ana")), "at_once")
  })

  it("waits with three others at most, and again when one has left", () => {
    const { throttle } = start()
    fail(throttle, 20)
    const waiting = Array.from({ length: 4 }, () => throttle.admit("a", "ana"))
    ok(waiting.every(({ kind }) => kind === "after"))
    equal(shown(throttle.admit("a", "ana")), "refused")
    equal(throttle.refused, 1)
    const [first] = waiting
    if (first?.kind === "after") first.leave()
    equal(shown(throttle.admit("a", "ana")), "after 2000")
  })
})

describe("many users tried from one address", () => {
  it("slow that address, but not users who logged in there", () => {
    const { throttle } = start()
    throttle.succeeded("a", "service")
    for (let index = 0; index < 60; index += 1) throttle.failed("a", `name${index}`)
    equal(shown(throttle.admit("a", "another")), "after 2000")
    equal(shown(throttle.admit("a", "service")), "at_once")
    equal(shown(throttle.admit("b", "another")), "at_once")
  })
})

describe("one user tried from many addresses", () => {
  it("is slowed at new addresses, never refused, and not slowed where it has logged in", () => {
    const { throttle, clock } = start()
    throttle.succeeded("home", "service")
    for (let index = 0; index < 60; index += 1) throttle.failed(`bot${index}`, "service")
    equal(shown(throttle.admit("home", "service")), "at_once")
    const tries = Array.from({ length: 100 }, () => shown(throttle.admit("new", "service")))
    deepEqual(new Set(tries), new Set(["after 2000"]))
    clock.nowMs = 3_600_001
    for (let index = 0; index < 60; index += 1) throttle.failed(`bot${index}`, "service")
    equal(shown(throttle.admit("home", "service")), "after 2000")
  })

  it("is still known at home after a flood of made-up names", () => {
    const { throttle } = start()
    throttle.succeeded("home", "service")
    for (let index = 0; index < 30_000; index += 1) throttle.failed("bot", `name${index}`)
    for (let index = 0; index < 60; index += 1) throttle.failed(`bot${index}`, "service")
    equal(shown(throttle.admit("home", "service")), "at_once")
  })
})

setFlagsFromString("--expose-gc")
const collect: unknown = runInNewContext("gc")

/** What is alive, without garbage. */
function heapBytes(): number {
  if (typeof collect === "function") collect()
  return process.memoryUsage().heapUsed
}

it("counters of a flood stay within some megabytes", () => {
  const { throttle } = start()
  const long = "x".repeat(9_000)
  const before = heapBytes()
  for (let index = 0; index < 12_000; index += 1) {
    throttle.failed(`address${index}`, `${index}${long}`)
    throttle.succeeded(`address${index}`, `${index}${long}`)
  }
  // Whole, the 10,000 names kept would be 90 MB of text in each of the three maps.
  ok(heapBytes() - before < 40e6)
  // Asked last, so that it was alive when it was weighed.
  equal(shown(throttle.admit("new", "ana")), "at_once")
})
