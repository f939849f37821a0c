import { setTimeout as sleep } from "node:timers/promises"
import { freePort } from "./free-port.ts"
import { type RedisServerOptions, startRedis, type TestRedis } from "./redis-server.ts"

const settleTimeoutMs = 30_000

/** Waits until the check gives something; throws with `what` when it never does. A check that rejects is made again. */
export async function until<Value>(
  what: string,
  check: () => Promise<Value | undefined> | Value | undefined,
  timeoutMs: number = settleTimeoutMs,
): Promise<Value> {
  const deadlineMs = Date.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const found = await check()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      last = error
    }
    if (Date.now() > deadlineMs) throw new Error(`waited in vain for ${what}`, { cause: last })
    await sleep(20)
  }
}

async function info(server: TestRedis, section: string): Promise<string> {
  return String(await server.command("INFO", section))
}

/** A server and its replicas, all in step. */
export async function startReplicated(
  replicas: number,
  options: RedisServerOptions = {},
): Promise<{ readonly master: TestRedis; readonly replicas: readonly TestRedis[] }> {
  const settings = [
    ["repl-diskless-sync-delay", "0"] as const,
    ["repl-ping-replica-period", "1"] as const,
    ...(options.settings ?? []),
  ]
  const master = await startRedis({ ...options, settings })
  const followers = await Promise.all(
    Array.from({ length: replicas }, () =>
      startRedis({
        ...options,
        settings: [...settings, ["replicaof", master.host, String(master.port)]],
      }),
    ),
  )
  await until("the replicas to follow", async () => {
    const states = await Promise.all(followers.map((one) => info(one, "replication")))
    return states.every((state) => state.includes("master_link_status:up"))
  })
  return { master, replicas: followers }
}

export type TestSentinels = {
  readonly name: string
  readonly master: TestRedis
  readonly replicas: readonly TestRedis[]
  readonly sentinels: readonly TestRedis[]
  /** The server that the sentinels take for the master now. */
  current(): Promise<TestRedis>
  stop(): Promise<void>
}

const masterName = "mymaster"

/** One master, replicas, three sentinels that fail over after half a second of silence. */
export async function startSentinels(replicaCount = 1): Promise<TestSentinels> {
  const { master, replicas } = await startReplicated(replicaCount)
  const sentinels = await Promise.all(
    [1, 2, 3].map(() =>
      startRedis({
        isSentinel: true,
        settings: [
          ["sentinel", "monitor", masterName, master.host, String(master.port), "2"],
          ["sentinel", "down-after-milliseconds", masterName, "500"],
          ["sentinel", "failover-timeout", masterName, "3000"],
        ],
      }),
    ),
  )
  const servers = [master, ...replicas]
  const [first] = sentinels
  if (first === undefined) throw new Error("no sentinel was started")
  await until("the sentinels to know each other and the replicas", async () => {
    const states = await Promise.all(sentinels.map((one) => info(one, "sentinel")))
    return states.every((state) => state.includes(`slaves=${replicaCount},sentinels=3`))
  })
  return {
    name: masterName,
    master,
    replicas,
    sentinels,
    current: async () => {
      const address = (await first.command("SENTINEL", "get-master-addr-by-name", masterName)) as
        | readonly string[]
        | null
      const found = servers.find((server) => String(server.port) === address?.[1])
      if (found === undefined) throw new Error("the sentinels name no server of this test")
      return found
    },
    stop: async () => {
      await Promise.all([...sentinels, ...servers].map((server) => server.stop()))
    },
  }
}

export type TestCluster = {
  readonly masters: readonly TestRedis[]
  readonly replicas: readonly TestRedis[]
  /** The server that serves the key's slot now. */
  ownerOf(key: string): Promise<TestRedis>
  stop(): Promise<void>
}

const slots = 16_384
/** A node's bus is at its port + 10,000 unless told otherwise. */
const clusterSettings = (busPort: number) =>
  [
    ["cluster-enabled", "yes"],
    ["cluster-config-file", "nodes.conf"],
    ["cluster-node-timeout", "1000"],
    ["cluster-port", String(busPort)],
    ["repl-diskless-sync-delay", "0"],
  ] as const

async function startNode(): Promise<TestRedis & { readonly busPort?: number }> {
  const busPort = await freePort()
  const server = await startRedis({ settings: clusterSettings(busPort) })
  return Object.assign(server, { busPort })
}

/** Three masters that share the slots, each with as many replicas as asked for. */
export async function startCluster(replicasEach = 0): Promise<TestCluster> {
  const masters = await Promise.all([1, 2, 3].map(startNode))
  const replicas = await Promise.all(
    masters.flatMap(() => Array.from({ length: replicasEach }, startNode)),
  )
  const servers = [...masters, ...replicas]
  const [first] = masters
  if (first === undefined) throw new Error("no node was started")
  await Promise.all(
    masters.map(async (server, index) => {
      const from = Math.ceil((slots * index) / masters.length)
      const to = Math.ceil((slots * (index + 1)) / masters.length) - 1
      await server.command("CLUSTER", "ADDSLOTSRANGE", from, to)
      await server.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
    }),
  )
  for (const server of servers)
    if (server !== first)
      await first.command("CLUSTER", "MEET", server.host, server.port, server.busPort ?? 0)
  await until("the nodes to know each other", async () => {
    const states = await Promise.all(servers.map((one) => one.command("CLUSTER", "NODES")))
    return states.every((state) => String(state).trim().split("\n").length === servers.length)
  })
  await Promise.all(
    replicas.map(async (server, index) => {
      const master = masters[Math.floor(index / replicasEach)] ?? first
      const id = String(await master.command("CLUSTER", "MYID"))
      await server.command("CLUSTER", "REPLICATE", id)
    }),
  )
  await until("the cluster to be whole", async () => {
    const states = await Promise.all(servers.map((one) => one.command("CLUSTER", "INFO")))
    return states.every((state) => String(state).includes("cluster_state:ok"))
  })
  return {
    masters,
    replicas,
    ownerOf: async (key) => {
      const slot = Number(await first.command("CLUSTER", "KEYSLOT", key))
      const ranges = (await first.command("CLUSTER", "SLOTS")) as [
        number,
        number,
        [string, number],
      ][]
      const range = ranges.find(([from, to]) => slot >= from && slot <= to)
      const found = servers.find((server) => server.port === range?.[2][1])
      if (found === undefined) throw new Error(`no node serves slot ${slot}`)
      return found
    },
    stop: async () => {
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}
