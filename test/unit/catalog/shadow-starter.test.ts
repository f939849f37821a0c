import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { describe, it } from "node:test"
import { Worker } from "node:worker_threads"
import { ShadowStarter, type Spawned } from "../../../src/catalog/shadow/starter.ts"
import { GatewayError } from "../../../src/core/errors.ts"

function starterAt(clock: { ms: number }): { starter: ShadowStarter; failures: unknown[] } {
  const failures: unknown[] = []
  const starter = new ShadowStarter({
    versionText: "PostgreSQL 18.6",
    serverVersion: "18.6",
    nowMs: () => clock.ms,
    onStartFailed: (error) => void failures.push(error),
  })
  return { starter, failures }
}

function spawned(dump?: Uint8Array<ArrayBuffer>): Spawned {
  return { worker: new Worker("", { eval: true }), dump }
}

const isUnavailable = (thrown: unknown): boolean =>
  thrown instanceof GatewayError &&
  thrown.sqlState === "57P03" &&
  thrown.reason === "catalogue_unavailable"

describe("how shadows start", () => {
  it("seeds every worker but the first, and whoever comes meanwhile waits for the seed", async () => {
    const { starter, failures } = starterAt({ ms: 0 })
    const seeds: (number | undefined)[] = []
    const dump = new Uint8Array(1_000_000)
    const start = (): Promise<Worker> =>
      starter.start(async ({ seed }) => {
        seeds.push(seed?.length)
        return spawned(seed === undefined ? dump : undefined)
      })
    await Promise.all([start(), start(), start()])
    await start()
    equal(seeds[0], undefined)
    ok(seeds.slice(1).every((bytes) => bytes !== undefined && bytes < 10_000))
    deepEqual([seeds.length, failures], [4, []])
  })

  it("refuses at once for five seconds after a failure, and then tries again", async () => {
    const clock = { ms: 0 }
    const { starter, failures } = starterAt(clock)
    let tries = 0
    const fail = (): Promise<Worker> =>
      starter.start(() => {
        tries += 1
        return Promise.reject(new Error("no memory"))
      })
    const storm = await Promise.allSettled([fail(), fail(), fail(), fail()])
    ok(storm.every((one) => one.status === "rejected" && isUnavailable(one.reason)))
    equal(tries, 1)
    clock.ms = 4_999
    await rejects(fail(), isUnavailable)
    equal(tries, 1)
    clock.ms = 5_000
    await rejects(fail(), isUnavailable)
    deepEqual([tries, failures.length], [2, 2])
    clock.ms = 10_000
    ok((await starter.start(() => Promise.resolve(spawned()))) instanceof Worker)
    await starter.start(() => Promise.resolve(spawned()))
  })

  it("does not use a seed again that a worker failed with", async () => {
    const clock = { ms: 0 }
    const { starter } = starterAt(clock)
    await starter.start(() => Promise.resolve(spawned(new Uint8Array(10))))
    await rejects(
      starter.start(() => Promise.reject(new Error("broken"))),
      isUnavailable,
    )
    clock.ms = 5_000
    await starter.start(({ seed }) => {
      equal(seed, undefined)
      return Promise.resolve(spawned())
    })
  })
})
