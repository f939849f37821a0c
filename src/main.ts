import { readFileSync } from "node:fs"
import { buildIdentity } from "./cli/build-identity.ts"
import { type Built, buildRooms } from "./cli/build-rooms.ts"
import type { PolicyReload } from "./cli/policies.ts"
import { makeProgram } from "./cli/program.ts"
import { registerSources } from "./cli/register-sources.ts"
import { rereadConfiguration } from "./cli/reread-configuration.ts"
import type { RunningGateway } from "./cli/running-gateway.ts"
import { buildSharedTier } from "./cli/shared-cache.ts"
import type { Configuration } from "./config/configuration.ts"
import type { Reload } from "./control/options.ts"
import { createControl } from "./control/server.ts"
import { GatewayError } from "./core/errors.ts"
import { SqlState } from "./core/sql-state.ts"
import { createLog, type Log } from "./observe/log.ts"
import { Metrics } from "./observe/metrics.ts"
import { LocalInvalidator } from "./pipeline/invalidate.ts"
import { Listener } from "./session/listener.ts"
import { TlsCredentials } from "./session/tls-credentials.ts"
import { TlsEndpoint } from "./session/tls-endpoint.ts"
import { type UserRecord, Users } from "./session/users.ts"

// The composition root: configuration -> rooms -> listeners. Nobody imports it.

const version: string = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8"),
).version

/** Unsent bytes of one session before it stops producing, and unread ones before it stops reading. */
const outputBytesMax = 1024 * 1024
const pendingBytesMax = 1024 * 1024
const pendingChunksMax = 1024

async function start(
  configuration: Configuration,
  reread: () => Configuration = () => configuration,
): Promise<RunningGateway> {
  const log = createLog(configuration.log)
  const startedAtMs = Date.now()
  const metrics = new Metrics({
    version,
    warehouses: Object.keys(configuration.warehouses),
    collectsProcess: true,
  })
  const built = await buildRooms(
    configuration,
    log,
    {
      poolWaited: (warehouse, waitMs) => metrics.poolWaited(warehouse, waitMs),
      redisCommandEnded: (command, durationMs, isOk) =>
        metrics.redisCommandEnded(command, durationMs, isOk),
    },
    buildSharedTier(configuration, version, log.child("cache")),
  )
  // Facts for the first login and the catalogue for the first statement; a warehouse that is down is asked again by each of them.
  await Promise.allSettled(built.warehouses.map(({ rooms }) => rooms.catalog.refreshNow()))

  const tls = makeTls(configuration, metrics, log)
  const users = new Users(
    userRecords(configuration),
    configuration.identity?.passwordLogin,
    configuration.listen.loginSecret,
  )
  const reload = (): PolicyReload => {
    tls?.credentials.reload()
    const next = rereadConfiguration(configuration, reread, log)
    const outcome = built.policies.reload(next)
    if (outcome.kind !== "failed" && next !== undefined) {
      users.replace(userRecords(next))
      log.info("took over users and roles", { users: Object.keys(next.users).length })
    }
    return outcome
  }
  const listener = makeListener(configuration, { built, metrics, log, tls, users })
  let isDraining = false
  let isStarted = false
  const control = createControl({
    tokens: configuration.control.tokens,
    metricsPublic: configuration.control.metricsPublic,
    bodyBytesMax: configuration.control.bodyBytesMax,
    warehouses: Object.keys(configuration.warehouses),
    invalidator: new LocalInvalidator({
      targets: built.warehouses,
      tags: new Map(Object.entries(configuration.control.tags)),
      wallMs: () => Date.now(),
    }),
    log: log.child("control"),
    isStarted: () => isStarted,
    readiness: () => [
      { name: "listener", isOk: isStarted && !isDraining },
      ...built.warehouses.map(({ rooms }) => ({
        name: `warehouse ${rooms.warehouse}`,
        isOk: rooms.catalog.state.version !== undefined,
        detail: rooms.catalog.state.lastError?.message ?? "catalogue read",
      })),
    ],
    metrics,
    reload: () => reloadOf(reload()),
    status: () => ({
      version,
      startedAtMs,
      warehouses: built.warehouses.map(({ rooms, pool }) => ({
        name: rooms.warehouse,
        engine: rooms.engine,
        isUp: pool.stats().up,
      })),
      cache: {
        entries: built.cache.memory.entries,
        bytes: built.cache.memory.bytes,
        bytesMax: configuration.cache.memoryBytesMax,
        hits: built.cache.memory.counters.hits,
        misses: built.cache.memory.counters.misses,
      },
    }),
  })
  registerSources(metrics, built, listener)

  const closeAll = async (drainMsMax: number): Promise<void> => {
    tls?.credentials.close()
    await listener.close(drainMsMax)
    await control.close()
    await built.close()
  }
  const ports = await openPorts(configuration, control, listener).catch(async (thrown: unknown) => {
    // What is open already would keep the process alive.
    await closeAll(0)
    throw thrown
  })
  const { postgresPort, controlPort } = ports
  isStarted = true
  log.info("accepting connections", { postgresPort, controlPort, version })

  let closing: Promise<void> | undefined
  const close = async (): Promise<void> => {
    isDraining = true
    log.info("draining")
    await new Promise((resolve) => setTimeout(resolve, configuration.shutdown.readyDelayMs))
    await closeAll(configuration.shutdown.drainTimeoutMs)
  }
  return {
    postgresPort,
    controlPort,
    reload: () => void reload(),
    warmCatalogues: async () => {
      await Promise.allSettled(built.warehouses.map(async ({ shadow }) => shadow?.warm()))
    },
    close: () => {
      closing ??= close()
      return closing
    },
  }
}

function reloadOf(reload: PolicyReload): Reload {
  if (reload.kind !== "failed") return reload
  const { message, detail } = reload.error
  return { kind: "failed", message, problems: detail?.split("\n") ?? [] }
}

async function openPorts(
  configuration: Configuration,
  control: ReturnType<typeof createControl>,
  listener: Listener,
): Promise<{ readonly controlPort: number; readonly postgresPort: number }> {
  const controlPort = await opened("control.port", configuration.control, async () => {
    const address = await control.listen(configuration.control)
    return Number(new URL(address).port)
  })
  const postgresPort = await opened("listen.port", configuration.listen, () =>
    listener.listen(configuration.listen.host, configuration.listen.port),
  )
  return { controlPort, postgresPort }
}

/** A taken port names the setting that chooses it. */
async function opened(
  setting: "listen.port" | "control.port",
  address: { readonly host: string; readonly port: number },
  open: () => Promise<number>,
): Promise<number> {
  try {
    return await open()
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined
    if (code !== "EADDRINUSE" && code !== "EACCES") throw cause
    const option = setting === "listen.port" ? "--port" : "--control-port"
    throw new GatewayError({
      sqlState: SqlState.ObjectNotInPrerequisiteState,
      reason: "port_taken",
      message: `cannot listen on ${address.host}:${address.port}: ${code === "EACCES" ? "not permitted" : "the port is taken"}`,
      hint: `Choose another one with ${option} (demo) or ${setting} in the configuration file (serve).`,
      cause,
    })
  }
}

type Tls = { readonly credentials: TlsCredentials; readonly endpoint: TlsEndpoint }

/** TLS for clients; its files are watched from here on. */
function makeTls(configuration: Configuration, metrics: Metrics, log: Log): Tls | undefined {
  const { tls } = configuration.listen
  if (tls === undefined) return undefined
  const tlsLog = log.child("tls")
  const credentials = new TlsCredentials(tls, tls.reloadPollMs, {
    reloaded: (notAfterMs) =>
      tlsLog.info("read the certificate again", { notAfter: new Date(notAfterMs).toISOString() }),
    reloadFailed: (error) =>
      tlsLog.error("cannot use the new certificate; the old one stays in force", { error }),
  })
  const asksForCertificate = tls.clientCertificate !== "off"
  const endpoint = new TlsEndpoint({ credentials, asksForCertificate })
  metrics.source("tls_handshake_failures_total", () =>
    Object.entries(endpoint.failures).map(([reason, value]) => ({ labels: [reason], value })),
  )
  metrics.source("tls_reloads_total", () =>
    Object.entries(credentials.counts).map(([result, value]) => ({ labels: [result], value })),
  )
  metrics.source("tls_certificate_not_after_timestamp_seconds", () => [
    { labels: [], value: credentials.current.notAfterMs / 1000 },
  ])
  return { credentials, endpoint }
}

function userRecords(configuration: Configuration): readonly UserRecord[] {
  return Object.entries(configuration.users).map(([name, user]) => {
    const { requireClientCertificate: rule, auth } = user
    const ownName = auth === "certificate" ? { cn: name } : undefined
    const isEmpty = rule === undefined || Object.keys(rule).length === 0
    const certificate = auth === "certificate" && isEmpty ? ownName : rule
    return { name, ...user, certificate }
  })
}

function makeListener(
  configuration: Configuration,
  rooms: {
    readonly built: Built
    readonly metrics: Metrics
    readonly log: Log
    readonly tls: Tls | undefined
    readonly users: Users
  },
): Listener {
  const { built, metrics, log, tls, users } = rooms
  const { listen } = configuration
  const sessionLog = log.child("session")
  return new Listener({
    users,
    tokens: buildIdentity(configuration, log.child("identity"), (role) =>
      built.policies.current.hasRole(role),
    ),
    route: (database) => built.routes.get(database),
    tls:
      tls === undefined || listen.tls === undefined
        ? undefined
        : {
            endpoint: tls.endpoint,
            // A certificate can only be shown inside TLS.
            isRequired: listen.tls.required || listen.tls.clientCertificate === "require",
            needsCertificate: listen.tls.clientCertificate === "require",
          },
    sessionsMax: listen.sessionsMax,
    preLoginMax: listen.preLoginMax,
    preLoginPerAddressMax: listen.preLoginPerAddressMax,
    loginFailuresMax: listen.loginFailuresMax,
    loginDelayMsMax: listen.loginDelayMsMax,
    loginTimeoutMs: listen.loginTimeoutMs,
    closeTimeoutMs: listen.closeTimeoutMs,
    tcpKeepAliveMs: listen.tcpKeepAliveMs,
    messageBytesMax: listen.messageBytesMax,
    limits: {
      spoolBytesMax: listen.portalSpoolBytesMax,
      outputBytesMax,
      pendingBytesMax,
      pendingChunksMax,
      namedObjectsMax: listen.preparedStatementsMax,
      idleSessionTimeoutMs: listen.idleSessionTimeoutMs,
      idleInTransactionTimeoutMs: listen.idleInTransactionTimeoutMs,
    },
    memoryLimits: {
      sessionBytesMax: listen.sessionBytesMax,
      sessionsBytesMax: listen.sessionsBytesMax,
    },
    events: {
      connectionEnded: (outcome) => metrics.connectionEnded(outcome),
      loginFailed: (error, { user, database }) => {
        metrics.loginFailed(error.reason)
        const { cause } = error
        sessionLog.info("login failed", {
          reason: error.reason,
          user,
          database,
          ...(cause instanceof Error ? { cause: cause.message } : {}),
        })
      },
      statementFinished: (report, end) => metrics.statementFinished(report, end),
      cancelled: () => {},
      failed: (error) => sessionLog.error("internal error", { error }),
    },
  })
}

await makeProgram(start, version).parseAsync()
