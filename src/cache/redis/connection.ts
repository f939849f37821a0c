import { readFileSync } from "node:fs"
import { Cluster, type RedisOptions as IoredisOptions, Redis } from "ioredis"
import type { RedisNode, RedisPassword, RedisSettings, RedisTls } from "../../core/redis.ts"

/**
 * Connections to Redis: single, behind sentinels, or a cluster, by one set of rules. A command fails at once when there is no
 * connection, and after `commandTimeoutMs` when there is no answer; nothing waits in a queue and nothing is sent twice,
 * because the callers know what to do without Redis and a late answer helps nobody. A connection that is lost is dialled
 * again for ever, and the password is read from its file each time.
 */
export type RedisClient = Redis | Cluster

/** Replies stay as protocol 2 has them. */
type RedisOptions = Omit<IoredisOptions, "replyMapping">

export type RedisEvents = {
  /** Logged in and able to take commands: the first time and after every loss. */
  readonly ready?: () => void
  readonly lost?: () => void
  /** Errors of connecting, for the log; they never throw. Repeated as long as they last. */
  readonly error?: (error: Error) => void
}

export type RedisPurpose = {
  /** Stands in CLIENT LIST. */
  readonly name: string
  /** Longest wait for the answer to one command; default: `commandTimeoutMs` of the settings. 0 = no limit. */
  readonly commandTimeoutMs?: number
  readonly events?: RedisEvents
}

const reconnectDelayMs = 50
const reconnectDelayMsMax = 1_000
/** How often a cluster's map of slots is read again without a reason. */
const slotsRefreshMs = 5_000
const redirectionsMax = 4

/** Dials at once and goes on dialling. The caller ends it with {@link closeRedis}. */
export function openRedis(settings: RedisSettings, purpose: RedisPurpose): RedisClient {
  const { target } = settings
  const client =
    target.kind === "cluster"
      ? openCluster(settings, target.nodes, purpose)
      : openServer(settings, purpose)
  const { events } = purpose
  client.on("ready", () => events?.ready?.())
  client.on("close", () => events?.lost?.())
  client.on("error", (error: Error) => events?.error?.(error))
  client.on("end", () => reopen(client))
  return client
}

/** Clients that were ended on purpose. */
const closed = new WeakSet<RedisClient>()

/**
 * The client gives up for good when it is told to disconnect while it still asks sentinels for the master, as a failover does.
 * Nobody but `closeRedis` ends a connection here.
 */
function reopen(client: RedisClient): void {
  if (closed.has(client)) return
  const timer = setTimeout(() => {
    // What fails is told by the event `error`, and ends here again.
    if (!closed.has(client) && client.status === "end") client.connect().catch(() => undefined)
  }, reconnectAfterMs(2))
  timer.unref()
}

/** Ends the connection without waiting for answers; commands under way fail. */
export function closeRedis(client: RedisClient): void {
  closed.add(client)
  client.disconnect()
}

/** Drops the connection and dials again: for a server that takes commands and does not answer. */
export function redialRedis(client: RedisClient): void {
  if (client.status === "ready") client.disconnect(true)
}

/** Waits for a connection that is about to come; without one after `waitMs` it returns all the same. */
export async function whenReady(client: RedisClient, waitMs: number): Promise<void> {
  if (client.status === "ready") return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, waitMs)
  client.once("ready", resolve)
  await promise
  clearTimeout(timer)
  client.off("ready", resolve)
}

function reconnectAfterMs(attempts: number): number {
  const delayMs = Math.min(reconnectDelayMs * attempts, reconnectDelayMsMax)
  // Instances that lost Redis together do not come back in step.
  return delayMs * (0.5 + Math.random() / 2)
}

function readPassword(password: RedisPassword): string | undefined {
  switch (password.kind) {
    case "none":
      return undefined
    case "text":
      return password.text
    case "file":
      return readFileSync(password.path, "utf8").replace(/\r?\n$/, "")
    default:
      return password satisfies never
  }
}

/** What is in the files now. While one cannot be read the password before it stays. */
function renewPasswords(settings: RedisSettings, options: RedisOptions): void {
  try {
    const { target } = settings
    const password = readPassword(settings.password)
    if (password !== undefined) options.password = password
    const sentinelPassword = target.kind === "sentinel" ? readPassword(target.password) : undefined
    if (sentinelPassword !== undefined) options.sentinelPassword = sentinelPassword
  } catch {
    // A secret that is being replaced is there again at the next attempt; until then the server says why it refuses.
  }
}

function tlsOptions(tls: RedisTls): NonNullable<RedisOptions["tls"]> {
  const { caFile, certFile, keyFile, serverName } = tls
  return {
    ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }),
    ...(certFile === undefined ? {} : { cert: readFileSync(certFile) }),
    ...(keyFile === undefined ? {} : { key: readFileSync(keyFile) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  }
}

function commonOptions(settings: RedisSettings, purpose: RedisPurpose): RedisOptions {
  const commandTimeoutMs = purpose.commandTimeoutMs ?? settings.commandTimeoutMs
  const options: RedisOptions = {
    protocol: 2,
    connectionName: purpose.name,
    connectTimeout: settings.connectTimeoutMs,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // Its own renewal of subscriptions throws into the void when the connection is lost again meanwhile. Who subscribes does it at `ready`.
    autoResubscribe: false,
    disableClientInfo: true,
    // A master that was demoted answers READONLY: the connection leads to the wrong server now.
    reconnectOnError: (error) => (error.message.startsWith("READONLY") ? 1 : false),
    ...(commandTimeoutMs === 0 ? {} : { commandTimeout: commandTimeoutMs }),
    ...(settings.username === undefined ? {} : { username: settings.username }),
    ...(settings.tls === undefined ? {} : { tls: tlsOptions(settings.tls) }),
  }
  renewPasswords(settings, options)
  return options
}

/** Where to dial: a server, or sentinels that know the master and tell of a failover. */
function placeOptions(settings: RedisSettings): RedisOptions {
  const { target, tls, connectTimeoutMs } = settings
  if (target.kind === "cluster") return {}
  if (target.kind === "single") return { host: target.node.host, port: target.node.port }
  return {
    name: target.name,
    sentinels: target.nodes.map((node) => ({ ...node })),
    role: "master",
    failoverDetector: true,
    sentinelCommandTimeout: connectTimeoutMs,
    sentinelRetryStrategy: reconnectAfterMs,
    ...(target.username === undefined ? {} : { sentinelUsername: target.username }),
    ...(target.isTls ? { sentinelTLS: tlsOptions(tls ?? {}), enableTLSForSentinelMode: true } : {}),
  }
}

function openServer(settings: RedisSettings, purpose: RedisPurpose): Redis {
  const client: Redis = new Redis({
    ...commonOptions(settings, purpose),
    ...placeOptions(settings),
    db: settings.database,
    enableOfflineQueue: false,
    retryStrategy: (attempts) => {
      renewPasswords(settings, client.options)
      return reconnectAfterMs(attempts)
    },
  })
  return client
}

function openCluster(
  settings: RedisSettings,
  nodes: readonly RedisNode[],
  purpose: RedisPurpose,
): Cluster {
  const redisOptions = commonOptions(settings, purpose)
  return new Cluster(
    nodes.map((node) => ({ ...node })),
    {
      redisOptions,
      enableOfflineQueue: false,
      maxRedirections: redirectionsMax,
      slotsRefreshInterval: slotsRefreshMs,
      slotsRefreshTimeout: settings.connectTimeoutMs,
      clusterRetryStrategy: (attempts) => {
        renewPasswords(settings, redisOptions)
        return reconnectAfterMs(attempts)
      },
    },
  )
}
