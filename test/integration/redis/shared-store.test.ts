import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { after, before, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { RedisSharedStore } from "../../../src/cache/shared/redis-shared-store.ts"
import type { RedisSettings } from "../../../src/core/redis.ts"
import { fleetCases } from "../../support/fleet-cases.ts"
import { startRedis, type TestRedis } from "../../support/redis-server.ts"
import { startCluster, type TestCluster } from "../../support/redis-topology.ts"
import { sharedStoreCases } from "../../support/shared-store-cases.ts"

const common = {
  username: undefined,
  password: { kind: "none" },
  tls: undefined,
  database: 0,
  keyPrefix: "sluice",
  commandTimeoutMs: 1_000,
  connectTimeoutMs: 1_000,
  leaseMs: 2_000,
  replicasMin: 0,
} as const

function settingsOf({ host, port }: TestRedis): RedisSettings {
  return { ...common, target: { kind: "single", node: { host, port } } }
}

/** Resolves when the store answers. */
async function open(settings: RedisSettings, findTimeoutMs = 1_000): Promise<RedisSharedStore> {
  const store = new RedisSharedStore({ settings, namespace: "test", findTimeoutMs })
  for (let left = 200; ; left -= 1) {
    try {
      const name = randomBytes(8).toString("hex")
      await store.find(name, { owner: "probe", leaseMs: 10 })
      await store.put(name, Buffer.alloc(0), { ttlMs: 1, owner: "probe" })
      return store
    } catch (error) {
      if (left === 0) throw error
      await sleep(20)
    }
  }
}

let redis: TestRedis
let cluster: TestCluster
let single: RedisSharedStore
let clustered: RedisSharedStore
before(async () => {
  redis = await startRedis()
  single = await open(settingsOf(redis))
  cluster = await startCluster()
  const nodes = cluster.masters.map(({ host, port }) => ({ host, port }))
  clustered = await open({ ...common, target: { kind: "cluster", nodes } })
})
after(async () => {
  single.close()
  clustered.close()
  await cluster.stop()
  await redis.stop()
})

sharedStoreCases("Redis", () => single)
sharedStoreCases("Redis Cluster", () => clustered)
fleetCases("over Redis", () => single)
fleetCases("over Redis Cluster", () => clustered)

const newName = (): string => randomBytes(8).toString("hex")
const claim = { owner: "a", leaseMs: 5_000 }
const put = { ttlMs: 50_000, owner: "a" }

it("every key it makes has the prefix, a life, and in a cluster a slot of its own", async () => {
  await redis.command("FLUSHALL")
  const names = Array.from({ length: 20 }, () => randomBytes(32).toString("hex"))
  for (const name of names) await single.find(name, claim)
  for (const name of names.slice(10)) await single.put(name, Buffer.from("x"), put)
  const keys = (await redis.command("KEYS", "*")) as string[]
  equal(keys.length, 20)
  for (const key of keys) {
    ok(/^sluice:d:test:[vf]:\{[0-9a-f]{64}\}$/.test(key), key)
    ok(Number(await redis.command("PTTL", key)) > 0, key)
  }
  const [server] = cluster.masters
  if (server === undefined) throw new Error("no master")
  const slots = await Promise.all(
    names.map((name) => server.command("CLUSTER", "KEYSLOT", `sluice:d:test:v:{${name}}`)),
  )
  ok(new Set(slots).size > 15)
})

it("something else under a key is no value, and a fill puts a good one in its place", async () => {
  const name = randomBytes(32).toString("hex")
  await redis.command("RPUSH", `sluice:d:test:v:{${name}}`, "x")
  equal((await single.find(name, claim)).kind, "leading")
  await single.put(name, Buffer.from("good"), put)
  equal((await single.find(name, claim)).kind, "value")
  const other = randomBytes(32).toString("hex")
  await redis.command("RPUSH", `sluice:d:test:f:{${other}}`, "x")
  equal((await single.find(other, claim)).kind, "alone")
})

it("a Redis that is full still serves, and what it cannot take is an error of the store alone", async () => {
  const kept = randomBytes(32).toString("hex")
  await single.put(kept, Buffer.from("kept"), put)
  await redis.command("CONFIG", "SET", "maxmemory", "1")
  try {
    equal((await single.find(kept, claim)).kind, "value")
    const name = randomBytes(32).toString("hex")
    equal((await single.find(name, claim)).kind, "alone")
    await rejects(single.put(name, Buffer.from("x"), put), { kind: "refused" })
  } finally {
    await redis.command("CONFIG", "SET", "maxmemory", "0")
  }
})

it("an ACL user with the rights that the documentation names is enough, and one with less is refused", async () => {
  const rights =
    "resetkeys ~sluice:d:* -@all +get +set +del +pttl +pexpire +eval +evalsha +ping +info +client|setname"
  await redis.command("ACL", "SETUSER", "data", "reset", "on", ">secret", ...rights.split(" "))
  const password = { kind: "text", text: "secret" } as const
  const settings: RedisSettings = { ...settingsOf(redis), username: "data", password }
  const store = await open(settings)
  const name = randomBytes(32).toString("hex")
  deepEqual(await store.find(name, claim), { kind: "leading" })
  await store.put(name, Buffer.from("x"), put)
  equal((await store.find(name, claim)).kind, "value")
  equal(await store.extend(name, claim), false)
  store.close()
  const outside = new RedisSharedStore({
    settings: { ...settings, keyPrefix: "others" },
    namespace: "test",
    findTimeoutMs: 1_000,
  })
  await sleep(100)
  await rejects(outside.put(name, Buffer.from("x"), put), { kind: "refused" })
  outside.close()
})

it("a Redis that is silent costs the time-out, one that is away nothing; both come back by themselves", async () => {
  const server = await startRedis()
  const store = await open(settingsOf(server), 80)
  server.pause()
  const startMs = performance.now()
  await rejects(store.find(newName(), claim), { kind: "timeout" })
  ok(performance.now() - startMs >= 75)
  server.resume()
  await sleep(50)
  equal((await store.find(newName(), claim)).kind, "leading")
  await server.kill()
  await sleep(50)
  await rejects(store.find(newName(), claim), { kind: "unreachable" })
  await server.start()
  for (let left = 100; left > 0; left -= 1) {
    const found = await store.find(newName(), claim).catch(() => undefined)
    if (found !== undefined) break
    await sleep(30)
  }
  equal((await store.find(newName(), claim)).kind, "leading")
  store.close()
  await server.stop()
})
