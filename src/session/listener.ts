import { createServer, type Server, type Socket } from "node:net"
import { GatewayError, toGatewayError } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import { SqlState } from "../core/sql-state.ts"
import { mayWrite } from "../pipeline/direct.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import {
  backendKeyData,
  errorFields,
  errorResponse,
  parameterStatus,
} from "../wire/backend-messages.ts"
import { type ArrivalRefusal, Arrivals, type ArrivalsTls } from "./arrivals.ts"
import { ClosingSockets } from "./closing-sockets.ts"
import type { TokenLogin } from "./identify.ts"
import type { LoggedIn, LoginAttempt, LoginOutcome } from "./login.ts"
import { LoginThrottle } from "./login-throttle.ts"
import { SessionRegistry } from "./registry.ts"
import { Session } from "./session.ts"
import type { SessionEvents } from "./session-init.ts"
import { type MemoryLimits, SessionMemory } from "./session-memory.ts"
import type { SessionLimits, SessionOrigin } from "./session-state.ts"
import { SessionSettings, type SettingDefaults } from "./settings.ts"
import { applyStartupSettings } from "./startup-settings.ts"
import type { Users } from "./users.ts"

export type ListenerOptions = {
  readonly users: Users
  /** undefined: signed tokens are refused. */
  readonly tokens: TokenLogin | undefined
  /** What a startup packet's database name leads to. */
  readonly route: (database: string) => ListenerRoute | undefined
  readonly tls: ArrivalsTls | undefined
  readonly sessionsMax: number
  /** See {@link ArrivalsOptions}. */
  readonly preLoginMax: number
  readonly preLoginPerAddressMax: number
  readonly loginTimeoutMs: number
  /** Time a client gets to take what it is owed after its session's end. */
  readonly closeTimeoutMs: number
  /** TCP keepalive: silence after which a client's host is probed; 0 = never. */
  readonly tcpKeepAliveMs: number
  /** See {@link LoginThrottleOptions}. */
  readonly loginFailuresMax: number
  readonly loginDelayMsMax: number
  readonly messageBytesMax: number
  readonly limits: SessionLimits
  readonly memoryLimits: MemoryLimits
  readonly events: ListenerEvents
}

export type ListenerRoute = {
  readonly rooms: Rooms
  readonly defaults: () => SettingDefaults
  /** Sessions without an end user are refused. */
  readonly requiresIdentity: boolean
}

export type ListenerEvents = Omit<SessionEvents, "closed"> & {
  /** `refused`: before login, for lack of room. */
  connectionEnded(outcome: "accepted" | "login_failed" | "refused"): void
  loginFailed(error: GatewayError, attempt: LoginAttempt): void
}

/** Why a connection found no room. */
export type ConnectionRefusal = ArrivalRefusal | "login_rate" | "sessions" | "draining"

/** The PostgreSQL listener: accepts, logs in, hands over to a Session, and keeps count. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  readonly #registry = new SessionRegistry()
  readonly #sessions = new Set<Session>()
  readonly #closing: ClosingSockets
  readonly #memory: SessionMemory
  readonly #throttle: LoginThrottle
  readonly #arrivals: Arrivals
  readonly #refusals: Record<ConnectionRefusal, number> = {
    pre_login: 0,
    pre_login_per_address: 0,
    login_rate: 0,
    sessions: 0,
    draining: 0,
  }
  #isDraining = false

  constructor(options: ListenerOptions) {
    const { preLoginMax, closeTimeoutMs, tcpKeepAliveMs } = options
    this.#options = options
    const { users, tokens, messageBytesMax, route, tls, loginTimeoutMs } = options
    this.#throttle = new LoginThrottle({
      failuresMax: options.loginFailuresMax,
      // Who waits must still have time to log in.
      delayMsMax: Math.min(options.loginDelayMsMax, loginTimeoutMs / 2),
      nowMs: () => performance.now(),
    })
    this.#arrivals = new Arrivals({
      login: { users, tokens, messageBytesMax, database: route },
      tls,
      throttle: this.#throttle,
      preLoginMax: options.preLoginMax,
      preLoginPerAddressMax: options.preLoginPerAddressMax,
      loginTimeoutMs,
      onOutcome: (socket, outcome) => this.#onLogin(socket, outcome),
    })
    this.#memory = new SessionMemory(options.memoryLimits)
    this.#closing = new ClosingSockets({ closingMax: preLoginMax, closeTimeoutMs })
    const serverOptions = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: tcpKeepAliveMs > 0,
      keepAliveInitialDelay: tcpKeepAliveMs,
    }
    this.#server = createServer(serverOptions, (socket) => this.#accept(socket))
  }

  /** Resolves with the port once connections are accepted; rejects when the port is taken. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.off("error", reject)
        const address = this.#server.address()
        resolve(typeof address === "object" && address !== null ? address.port : port)
      })
    })
  }

  /** What the sessions keep for their clients now. */
  get keptBytes(): number {
    return this.#memory.bytes
  }

  /** `active`: sessions that run a statement now; `closing`: connections whose client has not closed its side yet. */
  get counts(): {
    readonly sessions: number
    readonly active: number
    readonly logins: number
    readonly closing: number
  } {
    let active = 0
    for (const session of this.#sessions) if (session.isBusy) active += 1
    const { size: sessions } = this.#sessions
    return { sessions, active, logins: this.#arrivals.size, closing: this.#closing.size }
  }

  /** Connections turned away since the start, by reason. */
  get refusals(): Readonly<Record<ConnectionRefusal, number>> {
    return { ...this.#refusals, login_rate: this.#throttle.refused }
  }

  /** Logins that had to wait because of failed ones before them. */
  get delayedLogins(): number {
    return this.#throttle.delayed
  }

  /** Stops accepting; idle sessions end, busy ones get `drainMsMax` for their statement, then are cancelled. */
  async close(drainMsMax: number): Promise<void> {
    this.#isDraining = true
    this.#server.close()
    this.#arrivals.close()
    for (const session of this.#sessions) session.drain()
    const deadlineMs = performance.now() + drainMsMax
    while (this.#sessions.size > 0 && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 20))
    for (const session of this.#sessions) session.terminate()
    this.#closing.closeAll()
  }

  #accept(socket: Socket): void {
    const refusal = this.#isDraining ? "draining" : this.#arrivals.accept(socket)
    if (refusal === undefined) return
    this.#refusals[refusal] += 1
    this.#options.events.connectionEnded("refused")
    this.#refuse(socket, tooMany())
  }

  #onLogin(socket: Socket, outcome: Exclude<LoginOutcome, { kind: "tls" }>): void {
    const { events } = this.#options
    switch (outcome.kind) {
      case "session":
        this.#open(socket, outcome.login).catch((thrown: unknown) => {
          events.connectionEnded("login_failed")
          this.#refuse(socket, toGatewayError(thrown))
        })
        return
      case "cancel":
        this.#registry.cancel(outcome.request.processId, outcome.request.secretKey)
        this.#closing.end(socket)
        return
      case "failed":
        events.loginFailed(outcome.error, outcome.attempt)
        events.connectionEnded("login_failed")
        this.#closing.end(socket)
        return
      case "gone":
        socket.destroy()
        return
    }
  }

  async #open(socket: Socket, login: LoggedIn): Promise<void> {
    const { startup, identity, splitter, greeting } = login
    const found = this.#options.route(startup.database)
    if (found === undefined || this.#registry.size >= this.#options.sessionsMax) {
      this.#refusals.sessions += 1
      throw tooMany()
    }
    const settings = new SessionSettings(found.defaults(), identity.user, found.rooms.mayHaveSchema)
    const slot: { session: Session | undefined } = { session: undefined }
    const { processId, key } = this.#registry.add(startup.protocolMinor)
    const origin: SessionOrigin = {
      identity,
      database: startup.database,
      processId,
      rooms: found.rooms,
      registry: this.#registry,
      users: this.#options.users,
      address: addressOf(socket),
    }
    const onClosed = (): void => {
      this.#registry.remove(processId)
      if (slot.session !== undefined) this.#sessions.delete(slot.session)
    }
    try {
      await applyStartupSettings(startup.parameters, settings, origin)
    } catch (thrown) {
      onClosed()
      for (const message of greeting) socket.write(message)
      throw thrown
    }
    const session = new Session({
      socket,
      splitter,
      origin,
      settings,
      limits: this.#options.limits,
      closing: this.#closing,
      memory: this.#memory,
      events: { ...this.#options.events, closed: onClosed },
    })
    slot.session = session
    this.#registry.open(processId, session)
    this.#sessions.add(session)
    this.#options.events.connectionEnded("accepted")
    session.start([
      ...greeting,
      statusMessages(found.rooms, settings, identity),
      backendKeyData(processId, key),
    ])
  }

  #refuse(socket: Socket, error: GatewayError): void {
    socket.on("error", ignore)
    socket.write(errorResponse(errorFields(error, { severity: "FATAL" })))
    this.#closing.end(socket)
  }
}

/** A connection that breaks before it became a session concerns nobody. */
function ignore(): void {}

type Greeting = {
  readonly facts: ReadonlyMap<string, string>
  readonly user: string
  readonly isReadOnly: boolean
  readonly bytes: Buffer
}

/** The last greeting made for settings that many sessions share: a tool's connections are told the same again and again. */
const greetings = new WeakMap<ReadonlyMap<string, string>, Greeting>()

function addressOf(socket: Socket): SessionOrigin["address"] {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  if (localAddress === undefined || localPort === undefined) return undefined
  return {
    client: { address: remoteAddress, port: remotePort },
    server: { address: localAddress, port: localPort },
  }
}

/** ParameterStatus as PostgreSQL sends it at login: the warehouse's own facts, with the session's values over them. */
function statusMessages(rooms: Rooms, settings: SessionSettings, identity: Identity): Buffer {
  const { user } = identity
  const facts = rooms.serverFacts().parameters
  const isReadOnly = !mayWrite(identity, rooms)
  const known = greetings.get(settings.values)
  if (known?.facts === facts && known.user === user && known.isReadOnly === isReadOnly)
    return known.bytes
  const values = new Map(facts)
  const own: readonly (readonly [string, string])[] = [
    ["server_encoding", values.get("server_encoding") ?? "UTF8"],
    ["integer_datetimes", "on"],
    ["is_superuser", "off"],
    ["session_authorization", user],
    ["in_hot_standby", "off"],
    ["default_transaction_read_only", isReadOnly ? "on" : "off"],
  ]
  for (const [name, value] of own) values.set(name, value)
  for (const name of reported) values.set(name, settings.get(name))
  if (values.has("search_path")) values.set("search_path", settings.get("search_path"))
  const bytes = Buffer.concat([...values].map(([name, value]) => parameterStatus(name, value)))
  greetings.set(settings.values, { facts, user, isReadOnly, bytes })
  return bytes
}

const reported = [
  "application_name",
  "client_encoding",
  "DateStyle",
  "IntervalStyle",
  "standard_conforming_strings",
  "TimeZone",
]

function tooMany(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "too_many_sessions",
    severity: "FATAL",
    message: "sorry, too many clients already",
    safeToRetry: true,
  })
}
