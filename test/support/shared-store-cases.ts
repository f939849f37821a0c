import { deepEqual, equal, ok } from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import type { SharedStore } from "../../src/cache/shared/shared-store.ts"

const name = (): string => randomBytes(32).toString("hex")

/** What every store of the shared tier does. Each case gets a name that nobody used. */
export function sharedStoreCases(what: string, store: () => SharedStore): void {
  const leaseMs = 60_000

  it(`${what}: the first asker leads, others are told that it is busy`, async () => {
    const under = name()
    deepEqual(await store().find(under, { owner: "a", leaseMs }), { kind: "leading" })
    deepEqual(await store().find(under, { owner: "b", leaseMs }), { kind: "busy" })
    deepEqual(await store().find(name(), { owner: "b", leaseMs }), { kind: "leading" })
  })

  it(`${what}: every byte of a value comes back, with what it has still to live`, async () => {
    const under = name()
    const value = Buffer.from(Array.from({ length: 512 }, (_, index) => index % 256))
    await store().find(under, { owner: "a", leaseMs })
    await store().put(under, value, { ttlMs: 50_000, owner: "a" })
    const found = await store().find(under, { owner: "b", leaseMs })
    if (found.kind !== "value") throw new Error(found.kind)
    ok(value.equals(found.value))
    ok(found.ttlMs > 40_000 && found.ttlMs <= 50_000)
  })

  it(`${what}: a value that was removed is gone, and its name can be led again`, async () => {
    const under = name()
    await store().remove(under)
    await store().put(under, Buffer.from("x"), { ttlMs: 50_000, owner: "a" })
    await store().remove(under)
    deepEqual(await store().find(under, { owner: "b", leaseMs }), { kind: "leading" })
  })

  it(`${what}: a value of some megabytes comes back`, async () => {
    const under = name()
    const value = randomBytes(5 * 1024 ** 2)
    await store().put(under, value, { ttlMs: 50_000, owner: "a" })
    const found = await store().find(under, { owner: "b", leaseMs })
    ok(found.kind === "value" && value.equals(found.value))
  })

  it(`${what}: a value that has lived its life is gone`, async () => {
    const under = name()
    await store().put(under, Buffer.from("x"), { ttlMs: 1, owner: "a" })
    await sleep(30)
    equal((await store().find(under, { owner: "b", leaseMs })).kind, "leading")
  })

  it(`${what}: who leaves without a value lets the next one lead, or nobody wait`, async () => {
    const under = name()
    await store().find(under, { owner: "a", leaseMs })
    await store().leave(under, { owner: "b", aloneMs: 0 })
    equal((await store().find(under, { owner: "c", leaseMs })).kind, "busy")
    await store().leave(under, { owner: "a", aloneMs: 0 })
    equal((await store().find(under, { owner: "c", leaseMs })).kind, "leading")
    await store().leave(under, { owner: "c", aloneMs: 60_000 })
    equal((await store().find(under, { owner: "d", leaseMs })).kind, "alone")
  })

  it(`${what}: a claim ends by itself, unless its owner prolongs it`, async () => {
    const [kept, lost] = [name(), name()]
    await store().find(kept, { owner: "a", leaseMs: 40 })
    await store().find(lost, { owner: "a", leaseMs: 40 })
    equal(await store().extend(kept, { owner: "a", leaseMs }), true)
    equal(await store().extend(kept, { owner: "b", leaseMs }), false)
    await sleep(80)
    equal((await store().find(kept, { owner: "b", leaseMs })).kind, "busy")
    equal((await store().find(lost, { owner: "b", leaseMs })).kind, "leading")
    equal(await store().extend(lost, { owner: "a", leaseMs }), false)
  })
}
