import { setTimeout as sleep } from "node:timers/promises"
import type { RunningGateway } from "../support/gateway.ts"
import type { Random } from "../support/query-generator-random.ts"
import { startRedis, type TestRedis } from "../support/redis-server.ts"
import { startSentinels, until } from "../support/redis-topology.ts"
import { leaseMs } from "./fleet.ts"
import { CuttableProxy } from "./proxy.ts"

/** Redis for a fleet, and one thing that happens to it. */
export type Scene = {
  /** The section `redis:` of each gateway. */
  readonly redisSections: readonly string[]
  /** One fault from its beginning to its end; all is well again when it resolves. */
  fault(world: {
    readonly gateways: readonly RunningGateway[]
    readonly random: Random
  }): Promise<void>
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

type Fault = (redis: TestRedis, random: Random) => Promise<void>

/** One Redis, which all gateways reach directly. */
async function single(
  fault: Fault,
  settings: readonly (readonly [string, ...string[]])[] = [],
): Promise<Scene> {
  const redis = await startRedis({ settings })
  return {
    redisSections: Array.from({ length: gatewayCount }, () => `uri: "${redis.uri}"`),
    fault: ({ random }) => fault(redis, random),
    asleep: new Set(),
    stop: () => redis.stop(),
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
