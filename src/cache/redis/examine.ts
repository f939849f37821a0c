import { randomBytes } from "node:crypto"
import type { RedisNode, RedisSettings } from "../../core/redis.ts"
import { closeRedis, openRedis, type RedisClient, whenReady } from "./connection.ts"
import { Ledger } from "./ledger.ts"

/** `problem`: the gateway cannot keep its promise, or not work; `warning`: it can, at a price. */
export type Finding = {
  readonly level: "ok" | "warning" | "problem"
  readonly subject: string
  readonly found: string
  /** What to do about it; undefined with ok. */
  readonly mend?: string
}

/** Scripts, HELLO and what INFO must tell are there; run_id in scripts was tried on 7.0. */
const versionMin = 6.2
const versionTested = 7
const pings = 20
const clockDifferenceMsMax = 5_000

const infoScript = "return redis.call('INFO', ARGV[1])"
const timeScript = "return redis.call('TIME')"

/** Every command of the control scripts that a heartbeat does not use, on a key that is gone afterwards. */
const rightsScript = `
local key, list = KEYS[1], KEYS[2]
redis.call('HINCRBY', key, 'n', 1)
redis.call('HGET', key, 'n')
redis.call('HGETALL', key)
redis.call('HDEL', key, 'n')
redis.call('RPUSH', list, 'a')
redis.call('LTRIM', list, -1, -1)
redis.call('LRANGE', list, -1, -1)
redis.call('DEL', key, list)
return redis.call('PUBLISH', ARGV[1], 'look')
`

type Info = ReadonlyMap<string, string>

function infoOf(text: string): Info {
  const lines = text.split(/\r?\n/).filter((line) => line.includes(":"))
  return new Map(
    lines.map((line) => {
      const at = line.indexOf(":")
      return [line.slice(0, at), line.slice(at + 1)]
    }),
  )
}

const ok = (subject: string, found: string): Finding => ({ level: "ok", subject, found })
const warning = (subject: string, found: string, mend: string): Finding => ({
  level: "warning",
  subject,
  found,
  mend,
})
const problem = (subject: string, found: string, mend: string): Finding => ({
  level: "problem",
  subject,
  found,
  mend,
})

/** What an error of connecting or of a command asks for. */
function mendOf(message: string): string {
  if (/WRONGPASS|NOAUTH/.test(message))
    return "Check redis.username and redis.passwordFile: `ACL GETUSER name` in Redis shows the user."
  if (/NOPERM|can't run this command/.test(message))
    return "Give the user what docs/operations/redis.md lists: `ACL SETUSER name ...`."
  if (/ECONNREFUSED/.test(message))
    return "Nothing listens there: check host and port, and that Redis runs."
  if (/ENOTFOUND|EAI_AGAIN/.test(message))
    return "The host name is not known here: check it and the resolver."
  if (/certificate|self.signed|ALTNAME|SSL|TLS/i.test(message))
    return "Check redis.tls: caFile must hold the authority, serverName the name in the certificate."
  if (/timed out|ETIMEDOUT/i.test(message))
    return "It does not answer: check firewalls, that TLS is on at both ends or at neither, and the load of Redis."
  return "Look at the log of Redis."
}

function eviction(memory: Info): Finding {
  const policy = memory.get("maxmemory_policy") ?? "unknown"
  const bytesMax = Number(memory.get("maxmemory") ?? 0)
  const found = `maxmemory ${bytesMax === 0 ? "unlimited" : `${bytesMax} bytes`}, ${policy}`
  if (policy.startsWith("allkeys"))
    return problem(
      "eviction",
      found,
      "It may drop the control keys, and then everything is cold: CONFIG SET maxmemory-policy volatile-lru. The control keys have no TTL and all others have one.",
    )
  if (bytesMax > 0 && policy === "noeviction")
    return warning(
      "eviction",
      found,
      "When memory is full, invalidations are refused (503): CONFIG SET maxmemory-policy volatile-lru.",
    )
  return ok("eviction", found)
}

function persistence(info: Info): Finding {
  const isRdbOk = info.get("rdb_last_bgsave_status") !== "err"
  const isAofOk = info.get("aof_enabled") !== "1" || info.get("aof_last_write_status") !== "err"
  if (!isRdbOk || !isAofOk)
    return problem(
      "persistence",
      `the last ${isRdbOk ? "append to the log" : "snapshot"} failed`,
      "Redis refuses writes then (MISCONF): make room on its disk, or switch persistence off; the gateway needs none.",
    )
  const isOn = info.get("aof_enabled") === "1"
  return ok(
    "persistence",
    `append-only file ${isOn ? "on" : "off"}; not needed, because after a restart everything is cold in any case`,
  )
}

function version(server: Info): Finding {
  const text = server.get("redis_version") ?? "unknown"
  const number = Number(text.split(".").slice(0, 2).join("."))
  const update = "Use Redis 7.0 or newer."
  if (!(number >= versionMin)) return problem("version", text, update)
  return number < versionTested
    ? warning("version", `${text}, not tested`, update)
    : ok("version", text)
}

function replicas(replication: Info, settings: RedisSettings): Finding {
  const { replicasMin, target } = settings
  const role = replication.get("role") ?? "unknown"
  if (role !== "master")
    return problem(
      "replicas",
      `this server is a ${role}`,
      "Name the master, or its sentinels under redis.sentinel.",
    )
  const count = Number(replication.get("connected_slaves") ?? 0)
  const found = `${count} connected, replicasMin ${replicasMin}`
  if (count < replicasMin)
    return problem(
      "replicas",
      found,
      "No invalidation is acknowledged and no cache is used: start the replicas, or lower redis.replicasMin.",
    )
  if (count > replicasMin && target.kind !== "single")
    return warning(
      "replicas",
      found,
      `Set redis.replicasMin: ${count}, or two masters during a network partition may both be believed (docs/operations/redis.md).`,
    )
  return ok("replicas", found)
}

/** Two figures that need a clock: how long Redis takes, and how far its clock is from ours. */
async function times(
  client: RedisClient,
  key: string,
  settings: RedisSettings,
): Promise<Finding[]> {
  const durations: number[] = []
  for (let count = 0; count < pings; count += 1) {
    const startMs = performance.now()
    await client.call("EVAL", "return 1", 1, key)
    durations.push(performance.now() - startMs)
  }
  durations.sort((a, b) => a - b)
  const middle = durations[Math.floor(pings / 2)] ?? 0
  const longest = durations.at(-1) ?? 0
  const found = `${middle.toFixed(2)} ms in the middle of ${pings}, ${longest.toFixed(2)} ms at most; redis.commandTimeoutMs ${settings.commandTimeoutMs}`
  const slow =
    "Put Redis nearer, find what holds it up (SLOWLOG GET), or raise redis.commandTimeoutMs."
  const latency =
    middle > settings.commandTimeoutMs / 2
      ? problem("latency", found, slow)
      : longest > settings.commandTimeoutMs / 2
        ? warning("latency", found, slow)
        : ok("latency", found)
  const [seconds, microseconds] = (await client.call("EVAL", timeScript, 1, key)) as string[]
  const differenceMs = Number(seconds) * 1_000 + Number(microseconds) / 1_000 - Date.now()
  const clock = `Redis's clock is ${Math.round(differenceMs)} ms ahead of this one`
  return [
    latency,
    Math.abs(differenceMs) > clockDifferenceMsMax
      ? warning(
          "clock",
          clock,
          "Nothing is decided by it, but logs are hard to compare: run NTP on both.",
        )
      : ok("clock", clock),
  ]
}

function clusterState(cluster: Info, target: RedisSettings["target"]): Finding[] {
  const isEnabled = cluster.get("cluster_enabled") === "1"
  if (isEnabled === (target.kind === "cluster")) return []
  return [
    problem(
      "cluster",
      isEnabled ? "this server is a node of a cluster" : "this server is no node of a cluster",
      isEnabled
        ? "Use redis.cluster instead of redis.uri."
        : "Use redis.uri instead of redis.cluster.",
    ),
  ]
}

async function slots(client: RedisClient): Promise<Finding[]> {
  const info = infoOf(String(await client.call("CLUSTER", "INFO")))
  const state = info.get("cluster_state") ?? "unknown"
  const found = `state ${state}, ${info.get("cluster_slots_assigned") ?? "?"} of 16384 slots, ${info.get("cluster_known_nodes") ?? "?"} nodes`
  return [
    state === "ok"
      ? ok("cluster", found)
      : problem("cluster", found, "Mend the cluster: redis-cli --cluster check HOST:PORT."),
  ]
}

/** Does once what an instance does all the time, and so finds the permissions that are missing. */
async function rights(client: RedisClient, settings: RedisSettings): Promise<Finding> {
  const errors: string[] = []
  const ledger = new Ledger(settings, { connectionError: (error) => errors.push(error.message) })
  const instance = `doctor-${randomBytes(4).toString("hex")}`
  try {
    await ledger.ready()
    const { registry } = await ledger.heartbeat({
      instance,
      fresh: randomBytes(16).toString("hex"),
      known: undefined,
      beat: 1,
      knowsForALease: false,
    })
    await ledger.forget(registry, [{ instance, text: "" }])
    const tag = `{${settings.keyPrefix}}`
    const scratch = [`${tag}:${instance}:hash`, `${tag}:${instance}:list`]
    await client.call("EVAL", rightsScript, 2, ...scratch, ledger.channel)
    const status = await ledger.status()
    const denied = errors.find((message) => message.includes("NOPERM"))
    if (denied !== undefined) return problem("permissions", denied, mendOf(denied))
    return ok("permissions", `scripts and channel work; ${status?.instances.length ?? 0} instances`)
  } catch (error) {
    const message = messageOf(error)
    return problem("permissions", message, mendOf(message))
  } finally {
    ledger.close()
  }
}

/** Each sentinel by itself: one that is gone is not missed until the others go. */
async function sentinels(settings: RedisSettings): Promise<Finding[]> {
  const { target } = settings
  if (target.kind !== "sentinel") return []
  const look = async (node: RedisNode): Promise<Finding> => {
    const subject = `sentinel ${node.host}:${node.port}`
    const { client, error } = await reached({
      ...settings,
      target: { kind: "single", node },
      username: target.username,
      password: target.password,
      tls: target.isTls ? settings.tls : undefined,
      database: 0,
    })
    try {
      if (client === undefined) return problem(subject, error, mendOf(error))
      const address = await client.call("SENTINEL", "get-master-addr-by-name", target.name)
      if (!Array.isArray(address))
        return problem(subject, `knows no master ${target.name}`, "Check redis.sentinel.name.")
      await client.call("SENTINEL", "ckquorum", target.name)
      return ok(subject, `the master is ${address.join(":")}`)
    } catch (thrown) {
      const message = messageOf(thrown)
      return problem(
        subject,
        message,
        "Start the missing sentinels: without a majority there is no failover.",
      )
    } finally {
      if (client !== undefined) closeRedis(client)
    }
  }
  return Promise.all(target.nodes.map(look))
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message || thrown.name : String(thrown)
}

/** A connection that answers, or why there is none. The caller closes it. */
async function reached(
  settings: RedisSettings,
): Promise<{ readonly client: RedisClient | undefined; readonly error: string }> {
  let last = "no answer"
  const client = openRedis(settings, {
    name: "sluice-doctor",
    commandTimeoutMs: settings.connectTimeoutMs,
    events: { error: (error) => (last = messageOf(error)) },
  })
  await whenReady(client, settings.connectTimeoutMs)
  try {
    await client.call("PING")
    return { client, error: "" }
  } catch (error) {
    closeRedis(client)
    const message = messageOf(error)
    return { client: undefined, error: last === "no answer" ? message : last }
  }
}

/** Everything that `sluice doctor` can tell of the Redis it is given. Changes nothing that stays. Takes seconds at most. */
export async function examineRedis(settings: RedisSettings): Promise<readonly Finding[]> {
  const before = await sentinels(settings)
  const { client, error } = await reached(settings)
  if (client === undefined) return [...before, problem("connection", error, mendOf(error))]
  const key = `{${settings.keyPrefix}}:control`
  const section = async (name: string): Promise<Info> =>
    infoOf(String(await client.call("EVAL", infoScript, 1, key, name)))
  try {
    const mode = clusterState(await section("cluster"), settings.target)
    if (mode.length > 0) return [...before, ...mode]
    return [
      ...before,
      ok("connection", settings.tls === undefined ? "answers, without TLS" : "answers, over TLS"),
      version(await section("server")),
      eviction(await section("memory")),
      persistence(await section("persistence")),
      replicas(await section("replication"), settings),
      ...(settings.target.kind === "cluster" ? await slots(client) : []),
      ...(await times(client, key, settings)),
      await rights(client, settings),
    ]
  } catch (thrown) {
    const message = messageOf(thrown)
    return [...before, problem("permissions", message, mendOf(message))]
  } finally {
    closeRedis(client)
  }
}
