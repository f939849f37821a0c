import { equal, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { type ControlScripts, controlScripts } from "../../../src/cache/redis/control-scripts.ts"
import { RedisTokenStore } from "../../../src/cache/redis/redis-token-store.ts"
import { comparePositions } from "../../../src/core/position.ts"
import type { RelationName } from "../../../src/core/relation.ts"
import { CuttableProxy } from "../../fleet/proxy.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { settingsOf } from "./settings.ts"

/**
 * The usual designs, planted one at a time: a check that finds nothing wrong with them would prove nothing about the one that
 * is built. Three instances in this process, each with a store and a small cache of its own, one Redis, one relation.
 */
const relations = ["s.orders" as RelationName]
const leaseMs = 300

type Design = {
  readonly title: string
  /** The acknowledgement is given when the token is in Redis. */
  readonly acksEarly?: boolean
  /** The lease is not looked at: pub/sub will tell. */
  readonly ignoresLease?: boolean
  /** The key is made when the query has ended. */
  readonly keysLate?: boolean
  /** The key has no token; news delete the entry. */
  readonly deletesKeys?: boolean
  /** Whoever asks the same at once waits for the one run, whatever tokens it has. */
  readonly sharesAnyRun?: boolean
  /** Misses are answered by a replica that is a moment behind; `checksFence`: only when it has come as far as the fence. */
  readonly replica?: { readonly checksFence: boolean }
  readonly scripts?: (scripts: ControlScripts) => ControlScripts
  readonly fault: Fault
}

type World = {
  readonly redis: TestRedis
  /** Between the first instance and Redis. */
  readonly proxy: CuttableProxy
}

type Fault = (world: World) => Promise<void>

const noFault: Fault = () => sleep(20)

const partition: Fault = async ({ proxy }) => {
  proxy.cut()
  await sleep(leaseMs * 2.5)
  proxy.mend()
  await sleep(leaseMs)
}

const flushWhileOneIsAway: Fault = async ({ redis, proxy }) => {
  await sleep(leaseMs * 1.5)
  proxy.cut()
  await redis.command("FLUSHALL")
  await sleep(leaseMs * 1.5)
  proxy.mend()
}

const rollback: Fault = async ({ redis }) => {
  await redis.command("SAVE")
  await sleep(60)
  await redis.kill()
  await redis.start()
  await sleep(leaseMs)
}

function everywhere(scripts: ControlScripts, from: string, to: string): ControlScripts {
  const changed = Object.fromEntries(
    Object.entries(scripts).map(([name, text]) => [name, text.replaceAll(from, to)]),
  )
  ok(
    Object.values(changed).some((text, index) => text !== Object.values(scripts)[index]),
    from,
  )
  return { ...scripts, ...changed }
}

/** Tokens that only count, in a Redis that is believed whatever has happened to it. */
function countersRestart(scripts: ControlScripts): ControlScripts {
  const trusting = everywhere(scripts, "c[3] == identity() and c[5] == sizes()", "true")
  const blind = everywhere(
    trusting,
    "local isLost = ARGV[3] == state.registry and known > state.seq",
    "local isLost = false",
  )
  return everywhere(
    blind,
    "string.format('%012x', seq) .. '-' .. ARGV[3]",
    "string.format('%012x', seq)",
  )
}

/** Asks the warehouse; `fences` is what a replica must have replayed. */
type Query = (fences: readonly string[]) => Promise<number>

/** Longer than an acknowledgement takes. */
const longRunMs = 400

/** How far the replica is behind. */
const lagMs = 40

function positionOf(value: number): string {
  return `0/${value.toString(16).toUpperCase()}`
}

class Instance {
  readonly store: RedisTokenStore
  readonly #design: Design
  readonly #entries = new Map<string, number>()
  #run: Promise<number> | undefined

  constructor(design: Design, port: number) {
    this.#design = design
    const settings = settingsOf(
      { kind: "single", node: { host: "127.0.0.1", port } },
      { leaseMs, commandTimeoutMs: 100 },
    )
    this.store = new RedisTokenStore({
      settings,
      ledger: { scripts: design.scripts?.(controlScripts) ?? controlScripts },
      onNews: () => {
        if (design.deletesKeys === true) this.#entries.clear()
      },
    })
  }

  /** The spine in small. */
  async read(ask: Query): Promise<{ value: number; isHit: boolean }> {
    const { ignoresLease, keysLate } = this.#design
    const query = (): Promise<number> => this.#runOnce(ask)
    if (ignoresLease !== true && !this.store.isUsable())
      return { value: await query(), isHit: false }
    const key = this.#key()
    const found = this.#entries.get(key)
    if (found !== undefined) return { value: found, isHit: true }
    const value = await query()
    this.#entries.set(keysLate === true ? this.#key() : key, value)
    return { value, isHit: false }
  }

  async #runOnce(ask: Query): Promise<number> {
    if (this.#design.sharesAnyRun !== true) return ask(this.store.vector(relations).fences)
    this.#run ??= ask([]).finally(() => {
      this.#run = undefined
    })
    return this.#run
  }

  #key(): string {
    return this.#design.deletesKeys === true ? "" : this.store.vector(relations).text
  }
}

type Seen = { reads: number; hits: number; acks: number; stale: number }

/** Runs until the time is over, or until something stale was seen. */
async function explore(design: Design, durationMs: number): Promise<Seen> {
  const redis = await startRedis()
  const proxy = await CuttableProxy.open(redis)
  const instances = [proxy.port, redis.port, redis.port].map((port) => new Instance(design, port))
  const seen: Seen = { reads: 0, hits: 0, acks: 0, stale: 0 }
  const overAtMs = performance.now() + durationMs
  const isOver = (): boolean => performance.now() > overAtMs || seen.stale > 0
  let committed = 0
  let acknowledged = 0
  /** Reads what is committed when it begins, and takes a moment to tell. */
  let replayed = 0
  const query: Query = async (fences) => {
    const value = committed
    const { replica } = design
    const at = positionOf(replayed)
    const isThere = fences.every((fence) => (comparePositions(fence, at) ?? 1) <= 0)
    if (replica !== undefined && (!replica.checksFence || isThere)) return replayed
    await sleep(Math.random() * (design.sharesAnyRun === true ? longRunMs : 20))
    return value
  }
  const write = async (): Promise<void> => {
    for (let turn = 0; !isOver(); turn += 1) {
      committed += 1
      const value = committed
      setTimeout(() => {
        replayed = Math.max(replayed, value)
      }, lagMs)
      const [, second, third] = instances
      for (;;) {
        const receipt = await (turn % 2 === 0 ? second : third)?.store
          .raise(relations, design.replica === undefined ? {} : { fence: positionOf(value) })
          .catch(() => undefined)
        if (receipt === undefined) {
          await sleep(20)
          continue
        }
        if (design.acksEarly !== true) await receipt.settled
        break
      }
      acknowledged = value
      seen.acks += 1
      await sleep(Math.random() * 60)
    }
  }
  const readOnce = async (instance: Instance): Promise<void> => {
    const floor = acknowledged
    const { value, isHit } = await instance.read(query)
    seen.reads += 1
    if (isHit) seen.hits += 1
    if (value < floor) seen.stale += 1
  }
  const readAll = async (instance: Instance): Promise<void> => {
    const underWay: Promise<void>[] = []
    while (!isOver()) {
      const one = readOnce(instance)
      // Who waits for the one run cannot be the one that comes after the acknowledgement.
      if (design.sharesAnyRun === true) underWay.push(one)
      else await one
      await sleep(Math.random() * 4)
    }
    await Promise.all(underWay)
  }
  const breakThings = async (): Promise<void> => {
    while (!isOver()) await design.fault({ redis, proxy })
  }
  await Promise.all([
    write(),
    breakThings(),
    ...instances.flatMap((one) => [readAll(one), readAll(one)]),
  ])
  proxy.mend()
  await Promise.all(instances.map(({ store }) => store.close()))
  await proxy.close()
  await redis.stop()
  return seen
}

const faults: readonly { readonly name: string; readonly fault: Fault }[] = [
  { name: "nothing happens", fault: noFault },
  { name: "an instance is cut off", fault: partition },
  { name: "Redis is flushed while an instance is cut off", fault: flushWhileOneIsAway },
  { name: "Redis comes back with what it had a moment ago", fault: rollback },
]

const violated: readonly Design[] = [
  { title: "the acknowledgement does not wait", acksEarly: true, fault: partition },
  { title: "pub/sub is trusted without a lease", ignoresLease: true, fault: partition },
  { title: "the token is taken after the query", keysLate: true, fault: noFault },
  { title: "keys are deleted instead of changed", deletesKeys: true, fault: noFault },
  { title: "one run serves all, whatever their tokens", sharesAnyRun: true, fault: noFault },
  {
    title: "a replica fills without a look at the fence",
    replica: { checksFence: false },
    fault: noFault,
  },
  {
    title: "a new registry is believed at once",
    scripts: (scripts) => everywhere(scripts, "'settled', '0'", "'settled', '1'"),
    fault: flushWhileOneIsAway,
  },
  {
    title: "tokens are counters that Redis may lose",
    scripts: countersRestart,
    fault: rollback,
  },
]

/** A planted design is caught in a second or two; this is when it counts as missed. */
const searchMs = 40_000
const soundMs = 4_000

describe("designs of the control plane", () => {
  for (const { name, fault } of faults)
    it(`as built, no acknowledged change is missed when ${name}`, async () => {
      const seen = await explore({ title: "as built", fault }, soundMs)
      equal(seen.stale, 0)
      ok(seen.hits > 50 && seen.acks > 3, JSON.stringify(seen))
    })

  it("a replica that fills only when it has come as far as the fence misses no acknowledged change", async () => {
    const seen = await explore(
      { title: "fenced", replica: { checksFence: true }, fault: noFault },
      soundMs,
    )
    equal(seen.stale, 0)
    ok(seen.hits > 50 && seen.acks > 3, JSON.stringify(seen))
  })

  for (const design of violated)
    it(`the same check finds a stale read where ${design.title}`, async () => {
      const seen = await explore(design, searchMs)
      ok(seen.stale > 0, JSON.stringify(seen))
    })
})
