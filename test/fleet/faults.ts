import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import type { RunningGateway } from "../support/gateway.ts"
import type { Random } from "../support/query-generator-random.ts"
import { startRedis, type TestRedis } from "../support/redis-server.ts"
import { startSentinels, until } from "../support/redis-topology.ts"
import { type Fleet, type FleetOptions, leaseMs } from "./fleet.ts"
import { CuttableProxy } from "./proxy.ts"

type World = {
  readonly gateways: readonly RunningGateway[]
  readonly fleet: Fleet
  readonly random: Random
}

/** Redis for a fleet, and one thing that happens to it. */
export type Scene = {
  /** The section `redis:` of each gateway. */
  readonly redisSections: readonly string[]
  /** One fault from its beginning to its end; all is well again when it resolves. */
  fault(world: World): Promise<void>
  readonly fleet?: FleetOptions
  /** Sessions end with their gateway. */
  readonly losesSessions?: boolean
  /** Gateways that do not answer now. */
  readonly asleep: ReadonlySet<RunningGateway>
  stop(): Promise<void>
}

export type FaultName = keyof typeof scenes

const gatewayCount = 3

/** Mostly shorter than a lease, sometimes much longer. */
function spanMs(random: Random): number {
  return random.chance(0.5) ? random.int(leaseMs) : leaseMs + random.int(leaseMs * 2)
}

type Fault = (redis: TestRedis, random: Random, world: World) => Promise<void>

/** One Redis, which all gateways reach directly. */
async function single(
  fault: Fault,
  settings: readonly (readonly [string, ...string[]])[] = [],
): Promise<Scene> {
  const redis = await startRedis({ settings })
  return {
    redisSections: Array.from({ length: gatewayCount }, () => `uri: "${redis.uri}"`),
    fault: (world) => fault(redis, world.random, world),
    asleep: new Set(),
    stop: () => redis.stop(),
  }
}

const clockShift = fileURLToPath(new URL("clock-shift.ts", import.meta.url))

/** Values that somebody, or a restored backup, has put in the place of others; whole and broken. */
const tamperings = [
  "redis.call('SET', KEYS[1], redis.call('GET', KEYS[2]), 'KEEPTTL')",
  "redis.call('SETRANGE', KEYS[1], math.floor(redis.call('STRLEN', KEYS[1]) / 2), 'xx')",
  "redis.call('SET', KEYS[1], string.sub(redis.call('GET', KEYS[1]), 1, -9), 'KEEPTTL')",
  "redis.call('SET', KEYS[1], '', 'KEEPTTL')",
] as const

async function tamper(redis: TestRedis, random: Random): Promise<void> {
  const names = (await redis.command("KEYS", "sluice:*")) as string[]
  for (let count = 0; count < 30 && names.length > 1; count += 1) {
    const [one, other] = [random.pick(names), random.pick(names)]
    // Some of them have expired meanwhile, or are no text.
    const text = `if redis.call('TYPE', KEYS[1]).ok == 'string' and redis.call('TYPE', KEYS[2]).ok == 'string' then ${random.pick(tamperings)} end`
    await redis.command("EVAL", text, 2, one, other)
  }
}

const controlKeys = ["control", "tokens", "log", "instances"] as const

async function partitioned(): Promise<Scene> {
  const redis = await startRedis()
  const proxy = await CuttableProxy.open({ host: redis.host, port: redis.port })
  return {
    redisSections: [
      `uri: "redis://127.0.0.1:${proxy.port}"`,
      ...Array.from({ length: gatewayCount - 1 }, () => `uri: "${redis.uri}"`),
    ],
    fault: async ({ random }) => {
      proxy.cut()
      await sleep(spanMs(random))
      if (random.chance(0.5)) proxy.reset()
      proxy.mend()
    },
    asleep: new Set(),
    stop: async () => {
      await proxy.close()
      await redis.stop()
    },
  }
}

/** A gateway stands still beyond its lease, and is asked at once when it wakes. */
async function frozenGateway(): Promise<Scene> {
  const redis = await startRedis()
  const asleep = new Set<RunningGateway>()
  return {
    redisSections: Array.from({ length: gatewayCount }, () => `uri: "${redis.uri}"`),
    fault: async ({ gateways, random }) => {
      const gateway = random.pick(gateways)
      asleep.add(gateway)
      process.kill(gateway.pid, "SIGSTOP")
      await sleep(leaseMs + random.int(leaseMs * 3))
      process.kill(gateway.pid, "SIGCONT")
      asleep.delete(gateway)
    },
    asleep,
    stop: () => redis.stop(),
  }
}

/** The master dies; with `losesWrites` its replica had not heard of the newest ones. */
async function failover(losesWrites: boolean, replicasMin: number): Promise<Scene> {
  const topology = await startSentinels(1)
  const nodes = topology.sentinels.map(({ node }) => `"${node}"`).join(", ")
  const section = `sentinel: { name: ${topology.name}, nodes: [${nodes}] }, replicasMin: ${replicasMin}`
  const servers = [topology.master, ...topology.replicas]
  return {
    redisSections: Array.from({ length: gatewayCount }, () => section),
    fault: async ({ random }) => {
      const master = await until("a master", () => topology.current())
      const replica = servers.find((server) => server !== master)
      if (losesWrites) {
        replica?.pause()
        await sleep(200 + random.int(200))
      }
      await master.kill()
      replica?.resume()
      await until("another master", async () =>
        (await topology.current()) === master ? undefined : true,
      )
      await master.start()
      // Sentinels do the same, after ten seconds.
      const { host, port } = await topology.current()
      await master.command("REPLICAOF", host, port)
      await until("the old master to follow", async () => {
        const info = String(await master.command("INFO", "replication"))
        return info.includes("role:slave") && info.includes("master_link_status:up")
          ? true
          : undefined
      })
    },
    asleep: new Set(),
    stop: () => topology.stop(),
  }
}

export const scenes = {
  tamper: () => single(tamper),
  "clock-jump": async () => ({
    ...(await single(async (_, random, { gateways }) => {
      random.pick(gateways).signal("SIGUSR2")
      await sleep(random.int(leaseMs))
    })),
    fleet: { nodeArguments: ["--import", clockShift] },
  }),
  "replica-lag": async () => ({
    ...(await single(async (_, random, { fleet }) => {
      const replica = random.pick(fleet.replicas)
      await replica.run("SELECT pg_wal_replay_pause()")
      await sleep(spanMs(random) * 2)
      await replica.run("SELECT pg_wal_replay_resume()")
    })),
    fleet: { replicas: 2 },
  }),
  "gateway-restart": async () => ({
    ...(await single((_, random, { fleet }) => fleet.killAndRestart(random.int(gatewayCount)))),
    losesSessions: true,
  }),
  kill: () =>
    single(async (redis, random) => {
      await redis.kill()
      await sleep(spanMs(random))
      await redis.start()
    }),
  restart: () =>
    single(
      async (redis, random) => {
        await redis.kill()
        await sleep(random.int(100))
        await redis.start()
      },
      [
        ["appendonly", "yes"],
        ["appendfsync", "everysec"],
      ],
    ),
  rollback: () =>
    single(
      async (redis, random) => {
        await redis.command("SAVE")
        await sleep(100 + random.int(300))
        await redis.kill()
        await redis.start()
      },
      [["save", "3600", "1000000"]],
    ),
  freeze: () =>
    single(async (redis, random) => {
      redis.pause()
      await sleep(spanMs(random))
      redis.resume()
    }),
  flush: () =>
    single(async (redis) => {
      await redis.command("FLUSHALL")
    }),
  evict: () =>
    single(async (redis, random) => {
      await redis.command("DEL", `{sluice}:${random.pick(controlKeys)}`)
    }),
  subscriptions: () =>
    single(async (redis, random) => {
      for (let count = 0; count < 20; count += 1) {
        await redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        await sleep(random.int(20))
      }
    }),
  connections: () =>
    single(async (redis) => {
      await redis.command("CLIENT", "KILL", "TYPE", "normal")
    }),
  partition: partitioned,
  "frozen-gateway": frozenGateway,
  failover: () => failover(false, 0),
  "failover-lost-writes": () => failover(true, 0),
  "failover-with-wait": () => failover(true, 1),
} as const satisfies Record<string, () => Promise<Scene>>
