import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict"
import { after, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { Ledger, ledgerLimits, type Position } from "../../../src/cache/redis/ledger.ts"
import {
  RedisTokenStore,
  type RedisTokenStoreOptions,
  type TokenNews,
} from "../../../src/cache/redis/redis-token-store.ts"
import type { RedisSettings } from "../../../src/core/redis.ts"
import type { RelationName } from "../../../src/core/relation.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { until } from "../../support/redis-topology.ts"
import { softWindowCases } from "../../unit/cache/soft-window-cases.ts"
import { items, orders, tokenStoreCases, users } from "../../unit/cache/token-store-cases.ts"
import { settingsOf } from "./settings.ts"

const usable = (store: RedisTokenStore): Promise<unknown> =>
  until("a lease", () => (store.isUsable() ? true : undefined))

/** Stores of one test, closed at its end. */
class Stores {
  readonly #open: RedisTokenStore[] = []

  async open(
    settings: RedisSettings,
    more: Omit<RedisTokenStoreOptions, "settings"> = {},
  ): Promise<RedisTokenStore> {
    const store = new RedisTokenStore({ settings, ...more })
    this.#open.push(store)
    await usable(store)
    return store
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((store) => store.close()))
  }
}

/** As if an instance had left without a word, as a crash does: only its registration stays. */
async function registerDead(server: TestRedis, settings: RedisSettings): Promise<void> {
  const tag = `{${settings.keyPrefix}}`
  const size = (await server.command("HLEN", `${tag}:instances`)) as number
  const sizes = String(await server.command("HGET", `${tag}:control`, "sizes")).split("/")
  await server.command(
    "EVAL",
    "redis.call('HSET', KEYS[1], 'dead', '0:1') redis.call('HSET', KEYS[2], 'sizes', ARGV[1])",
    2,
    `${tag}:instances`,
    `${tag}:control`,
    `${sizes[0]}/${sizes[1]}/${size + 1}`,
  )
}

let prefixes = 0

/** Each case begins with nothing in Redis that is its own. */
function caseOf(
  server: TestRedis,
  run: (stores: Stores, settings: RedisSettings) => Promise<void>,
): () => Promise<void> {
  return async () => {
    prefixes += 1
    const stores = new Stores()
    try {
      await run(stores, settingsOf(server, { keyPrefix: `case-${prefixes}` }))
    } finally {
      await stores.close()
    }
  }
}

describe("tokens in Redis", async () => {
  const server = await startRedis()
  after(() => server.stop())

  for (const { title, check } of [...tokenStoreCases, ...softWindowCases])
    it(
      `in Redis, ${title}`,
      caseOf(server, (stores, settings) =>
        check(({ tokensMax, nowMs, clockMs } = {}) =>
          stores.open(settings, {
            ...(nowMs === undefined ? {} : { wallMs: nowMs }),
            ...(clockMs === undefined ? {} : { nowMs: clockMs }),
            ledger: { limits: { ...ledgerLimits, tokensMax: tokensMax ?? ledgerLimits.tokensMax } },
          }),
        ),
      ),
    )

  it(
    "a raise through one instance has reached the others when it settles, and is counted",
    caseOf(server, async (stores, settings) => {
      const all = await Promise.all([1, 2, 3].map(() => stores.open(settings)))
      const [first, ...others] = all
      if (first === undefined) throw new Error("three stores")
      const cold = others.map((store) => store.vector([orders, items]).text)
      equal(new Set([first.vector([orders, items]).text, ...cold]).size, 1)
      const receipt = await first.raise([orders])
      deepEqual(await receipt.settled, { known: 3, confirmed: 3, leaseExpired: 0 })
      const texts = new Set(all.map((store) => store.vector([orders, items]).text))
      equal(texts.size, 1)
      notEqual([...texts][0], cold[0])
    }),
  )

  it(
    "once the registry is known for a lease, a raise settles in a few round trips",
    caseOf(server, async (stores, settings) => {
      const first = await stores.open(settings)
      await stores.open(settings)
      await (await first.raise([orders])).settled
      const startMs = performance.now()
      for (let count = 0; count < 20; count += 1) await (await first.raise([orders])).settled
      ok(performance.now() - startMs < 20 * settings.leaseMs, "no raise waits for a lease")
      // A newcomer is told that the registry is old.
      const second = await stores.open(settings)
      const receipt = await second.raise([orders])
      equal((await receipt.settled).confirmed, 3)
    }),
  )

  it(
    "an instance that is gone is waited for once",
    caseOf(server, async (stores, settings) => {
      const first = await stores.open(settings)
      await (await first.raise([orders])).settled
      await registerDead(server, settings)
      const one = await first.raise([orders])
      deepEqual(await one.settled, { known: 2, confirmed: 1, leaseExpired: 1 })
      // It is taken out a moment after the raise has settled.
      await sleep(100)
      const two = await first.raise([orders])
      deepEqual(await two.settled, { known: 1, confirmed: 1, leaseExpired: 0 })
    }),
  )

  it(
    "an instance that closes is not waited for",
    caseOf(server, async (stores, settings) => {
      const first = await stores.open(settings)
      const second = await stores.open(settings)
      await sleep(settings.leaseMs * 1.5)
      await second.close()
      deepEqual(await (await first.raise([orders])).settled, {
        known: 1,
        confirmed: 1,
        leaseExpired: 0,
      })
    }),
  )

  it(
    "an instance that was away longer than the log is long reads everything",
    caseOf(server, async (_stores, settings) => {
      const limits = { ...ledgerLimits, logEntriesMax: 2, logNamesMax: 2 }
      const ledger = new Ledger(settings, {}, { limits })
      const beat = async (known: Position | undefined) =>
        ledger.heartbeat({ instance: "i", fresh: "f", known, beat: 1, knowsForALease: false })
      const raise = async (relations: readonly RelationName[]) =>
        ledger.raise({
          instance: "j",
          fresh: "f",
          unique: "u",
          fence: undefined,
          isNewEpoch: false,
          relations,
        })
      await until("a connection", () => beat(undefined).catch(() => undefined))
      const start = await until("a connection", () => raise([orders]).catch(() => undefined))
      equal((await beat(start)).news.kind, "same")
      await raise([items])
      await raise([users])
      const { news } = await beat(start)
      ok(news.kind === "news")
      deepEqual(
        news.tokens.map(([name]) => name),
        [items, users],
      )
      deepEqual(news.origins, ["j", "j"])
      const two = await raise([items])
      equal((await beat(start)).news.kind, "all", "three changes, of which the log has two")
      await raise([orders, items, users])
      equal((await beat(two)).news.kind, "all", "more names than an entry holds")
      equal((await beat({ registry: "another", seq: two.seq })).news.kind, "all")
      const ahead = await beat({ registry: two.registry, seq: 1_000 })
      equal(ahead.seq, 0, "somebody knows more than Redis does: it has lost something")
      ledger.close()
    }),
  )

  it(
    "a new registry asks for the primary until its position is known, and a later epoch keeps the latest fence",
    caseOf(server, async (stores, settings) => {
      const positions = ["unprovable", "0/50"]
      const blind = await stores.open(settings)
      deepEqual(blind.vector([orders]).fences, ["unprovable"])
      let asked = 0
      const store = await stores.open(settings, {
        position: () => Promise.resolve(positions[asked++ % 2]),
      })
      const patient = await stores.open(settings, { position: () => Promise.resolve("0/50") })
      for (const one of [blind, store, patient])
        await until("a fence", () => (one.vector([orders]).fences[0] === "0/50" ? true : undefined))
      await (await store.raise([orders], { fence: "0/60" })).settled
      deepEqual(store.vector([orders]).fences.toSorted(), ["0/50", "0/60"])
      await (await store.renewEpoch()).settled
      deepEqual(store.vector([items]).fences, ["0/60"])
    }),
  )

  it(
    "news say whose they are",
    caseOf(server, async (stores, settings) => {
      const heard: TokenNews[][] = [[], []]
      const first = await stores.open(settings, { onNews: (one) => heard[0]?.push(one) })
      await stores.open(settings, { onNews: (one) => heard[1]?.push(one) })
      for (const list of heard) list.length = 0
      await (await first.raise([orders, items])).settled
      deepEqual(heard, [
        [{ relations: [orders, items], softened: [], isNewEpoch: false, isOwn: true }],
        [{ relations: [orders, items], softened: [], isNewEpoch: false, isOwn: false }],
      ])
    }),
  )

  it(
    "a soft window opens on every instance, not longer than from the news before, and a hard raise closes it on every one",
    caseOf(server, async (stores, settings) => {
      const heard: TokenNews[] = []
      const first = await stores.open(settings)
      const second = await stores.open(settings, { onNews: (one) => heard.push(one) })
      const before = second.vector([orders]).text
      const receipt = await first.raise([orders, items], { maxStaleMs: 800 })
      const raisedMs = performance.now()
      await receipt.settled
      deepEqual(heard.at(-1)?.softened, [orders, items])
      for (const store of [first, second])
        deepEqual(
          store.pastVectors([orders]).map(({ text }) => text),
          [before],
        )
      const late = await stores.open(settings)
      deepEqual(late.pastVectors([orders]), [], "who comes later does not know since when")
      let openMs = 0
      await until("the end of the window", () => {
        const nowMs = performance.now()
        if (second.pastVectors([orders]).length === 0) return true
        openMs = nowMs - raisedMs
        return undefined
      })
      ok(openMs < 800, `${openMs} ms`)

      await (await second.raise([orders], { maxStaleMs: 600_000 })).settled
      equal(first.pastVectors([orders]).length, 1)
      await (await first.raise([orders])).settled
      for (const store of [first, second, late]) deepEqual(store.pastVectors([orders]), [])
    }),
  )

  it(
    "the longest lease that any instance takes is waited for",
    caseOf(server, async (stores, settings) => {
      const first = await stores.open(settings)
      const slow = await stores.open({ ...settings, leaseMs: 1_200 })
      await (await first.raise([users])).settled
      await registerDead(server, settings)
      await slow.close()
      const startMs = performance.now()
      const receipt = await first.raise([orders])
      deepEqual(await receipt.settled, { known: 2, confirmed: 1, leaseExpired: 1 })
      ok(performance.now() - startMs >= 1_200)
    }),
  )
})

describe("tokens and the loss of Redis", () => {
  it("a raise is refused while Redis is away, the lease ends, and all comes back by itself under a new epoch", async () => {
    const server = await startRedis()
    const stores = new Stores()
    try {
      const store = await stores.open(settingsOf(server))
      await (await store.raise([orders])).settled
      const before = store.vector([orders]).text
      await server.kill()
      await rejects(store.raise([orders]), { reason: "redis_unavailable" })
      await until("the end of the lease", () => (store.isUsable() ? undefined : true))
      equal(store.leaseExpiredCount, 1)
      await server.start()
      await usable(store)
      notEqual(store.vector([orders]).text, before)
      equal(store.epochCount, 1)
      await (await store.raise([orders])).settled
    } finally {
      await stores.close()
      await server.stop()
    }
  })

  const losses = [
    { title: "everything is flushed", keys: ["control", "tokens", "log", "instances"] },
    { title: "the tokens are lost", keys: ["tokens"] },
    { title: "the log is lost", keys: ["log"] },
    { title: "the registry is lost", keys: ["instances"] },
    { title: "the epoch is lost", keys: ["control"] },
  ]
  for (const { title, keys } of losses)
    it(`a new epoch begins when ${title}`, async () => {
      const server = await startRedis()
      const stores = new Stores()
      try {
        const store = await stores.open(settingsOf(server))
        await (await store.raise([orders])).settled
        const before = store.vector([items]).text
        await server.command("DEL", ...keys.map((key) => `{sluice}:${key}`))
        await until("a new epoch", () => (store.vector([items]).text === before ? undefined : true))
        ok(!store.knows(orders))
      } finally {
        await stores.close()
        await server.stop()
      }
    })

  it("a server that comes back with old tokens from its disk is not believed", async () => {
    const server = await startRedis({
      settings: [
        ["appendonly", "no"],
        ["save", "3600", "1"],
      ],
    })
    const stores = new Stores()
    try {
      const store = await stores.open(settingsOf(server))
      await (await store.raise([orders])).settled
      const old = store.vector([orders]).text
      await server.command("SAVE")
      await (await store.raise([orders])).settled
      await server.kill()
      await server.start()
      await until("another epoch", () => (store.epochCount === 1 ? true : undefined))
      notEqual(store.vector([orders]).text, old)
    } finally {
      await stores.close()
      await server.stop()
    }
  })

  it("without pub/sub a raise reaches the others within a lease, and none is lost", async () => {
    const server = await startRedis()
    const stores = new Stores()
    try {
      const first = await stores.open(settingsOf(server))
      const second = await stores.open(settingsOf(server))
      const killer = setInterval(() => {
        server.command("CLIENT", "KILL", "TYPE", "pubsub").catch(() => undefined)
      }, 5)
      for (let count = 0; count < 5; count += 1) {
        const before = second.vector([orders]).text
        await (await first.raise([orders])).settled
        notEqual(second.vector([orders]).text, before)
      }
      clearInterval(killer)
    } finally {
      await stores.close()
      await server.stop()
    }
  })

  it("a wall clock that jumps ahead ends the lease until the next heartbeat, and one that steps back does nothing", async () => {
    const server = await startRedis()
    const stores = new Stores()
    let offsetMs = 0
    try {
      const store = await stores.open(settingsOf(server), { wallMs: () => Date.now() + offsetMs })
      offsetMs = 3_600_000
      ok(!store.isUsable())
      await usable(store)
      const before = store.vector([orders]).text
      offsetMs = -3_600_000
      ok(store.isUsable())
      await (await store.raise([orders])).settled
      ok(store.vector([orders]).text > before, "tokens grow although the clock has stepped back")
    } finally {
      await stores.close()
      await server.stop()
    }
  })
})
