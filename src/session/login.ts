import type { Socket } from "node:net"
import { GatewayError, toGatewayError, unreachable } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import {
  authenticationOk,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  errorFields,
  errorResponse,
  negotiateProtocolVersion,
} from "../wire/backend-messages.ts"
import { FrameSplitter } from "../wire/frame-splitter.ts"
import { decodeSaslInitialResponse, decodeSaslResponse } from "../wire/frontend-decoder.ts"
import type { CancelRequest, StartupMessage } from "../wire/frontend-messages.ts"
import { passwordRefused, ScramServer, type ScramStep, scramMechanisms } from "../wire/scram.ts"
import {
  needsNegotiation,
  protocolMinorMax,
  splitStartup,
  unsupportedProtocol,
} from "../wire/startup.ts"
import type { UserEntry, Users } from "./users.ts"

export type LoggedIn = {
  readonly user: UserEntry
  readonly startup: StartupMessage
  readonly splitter: FrameSplitter
  /** Messages that belong in front of the session's own greeting. */
  readonly greeting: readonly Buffer[]
}

/** How a connection's first phase ends. */
export type LoginOutcome =
  | { readonly kind: "session"; readonly login: LoggedIn }
  | { readonly kind: "cancel"; readonly request: CancelRequest }
  /** The client asked for TLS and TLS is on: the socket is to be wrapped, and the login starts anew inside. */
  | { readonly kind: "tls" }
  | { readonly kind: "failed"; readonly error: GatewayError }
  | { readonly kind: "gone" }

export type LoginOptions = {
  readonly users: Users
  readonly messageBytesMax: number
  /** undefined: SSLRequest is answered with N. `inside`: this connection is encrypted already. */
  readonly tls: "offered" | "required" | "inside" | undefined
  /** True when a database of this name is served. */
  readonly hasDatabase: (name: string) => boolean
}

/** NEGOTIATE_SSL_CODE and NEGOTIATE_GSS_CODE (pqcomm.h). */
const requestCodes = { SSLRequest: 0x04d2162f, GSSENCRequest: 0x04d21630 } as const

const refuseEncryption = Buffer.from("N")
const acceptTls = Buffer.from("S")

/**
 * Everything before the first ReadyForQuery (PostgreSQL manual, 54.2.1):
 *
 *   startup ──SSLRequest──▶ tls | startup      startup ──CancelRequest──▶ cancel
 *   startup ──StartupMessage──▶ sasl ──▶ proof ──▶ session
 *
 * It waits for nothing but the client, so that a login costs the event loop one SHA-256 and a few HMACs. The deadline and
 * the number of connections in this phase are the listener's.
 */
export class Login {
  readonly #socket: Socket
  readonly #options: LoginOptions
  readonly #splitter: FrameSplitter
  readonly #onOutcome: (outcome: LoginOutcome) => void
  readonly #onData = (chunk: Buffer): void => this.#receive(chunk)
  readonly #onGone = (): void => this.#finish({ kind: "gone" })
  #startup: StartupMessage | undefined
  #scram: ScramServer | undefined
  #hasBegun = false
  /** Each may be asked for once, as in PostgreSQL; a second time its code is an unknown protocol. */
  readonly #refused = new Set<"SSLRequest" | "GSSENCRequest">()
  #isFinished = false

  constructor(socket: Socket, options: LoginOptions, onOutcome: (outcome: LoginOutcome) => void) {
    this.#socket = socket
    this.#options = options
    this.#onOutcome = onOutcome
    this.#splitter = new FrameSplitter({ messageBytesMax: options.messageBytesMax })
    socket.on("data", this.#onData)
    socket.on("end", this.#onGone)
    socket.on("error", this.#onGone)
    socket.on("close", this.#onGone)
  }

  /** The deadline has passed. */
  expire(): void {
    this.#fail(
      new GatewayError({
        sqlState: SqlState.InvalidAuthorizationSpecification,
        reason: "login_timeout",
        severity: "FATAL",
        message: "canceling authentication due to timeout",
      }),
    )
  }

  #receive(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk)
      while (!this.#isFinished && this.#next());
    } catch (thrown) {
      this.#fail(toGatewayError(thrown))
    }
  }

  /** Handles one packet; false when none is whole yet. */
  #next(): boolean {
    if (this.#startup === undefined) return this.#nextStartup()
    if (!this.#splitter.nextLogin()) return false
    const { bytes, start, end } = this.#splitter
    if (this.#scram === undefined) return false
    if (this.#hasBegun) {
      this.#answer(this.#scram.step(decodeSaslResponse(bytes, start, end)))
      return true
    }
    this.#hasBegun = true
    const { mechanism, data } = decodeSaslInitialResponse(bytes, start, end)
    this.#answer(this.#scram.begin(mechanism, data))
    return true
  }

  #nextStartup(): boolean {
    const packet = splitStartup(this.#splitter)
    if (packet === undefined) return false
    switch (packet.kind) {
      case "SSLRequest":
      case "GSSENCRequest":
        this.#encryption(packet.kind)
        return true
      case "CancelRequest":
        this.#finish({ kind: "cancel", request: packet })
        return false
      case "StartupMessage":
        this.#authenticate(packet)
        return true
      default:
        return unreachable(packet)
    }
  }

  #encryption(kind: "SSLRequest" | "GSSENCRequest"): void {
    const isOffered = this.#options.tls === "offered" || this.#options.tls === "required"
    if (kind === "SSLRequest" && isOffered) {
      // Bytes behind the request were sent in clear by somebody in between and must not be taken for the client's own
      // (CVE-2021-43766, CVE-2021-3935).
      if (this.#splitter.pendingBytes > 0) throw unencryptedBytes()
      this.#socket.write(acceptTls)
      this.#finish({ kind: "tls" })
      return
    }
    if (this.#refused.has(kind)) throw unsupportedProtocol(requestCodes[kind])
    this.#refused.add(kind)
    this.#socket.write(refuseEncryption)
  }

  #authenticate(startup: StartupMessage): void {
    this.#startup = startup
    if (startup.user === "")
      throw new GatewayError({
        sqlState: SqlState.InvalidAuthorizationSpecification,
        reason: "protocol_violation",
        severity: "FATAL",
        message: "no PostgreSQL user name specified in startup packet",
      })
    if (this.#options.tls === "required")
      throw new GatewayError({
        sqlState: SqlState.InvalidAuthorizationSpecification,
        reason: "tls_required",
        severity: "FATAL",
        message: "this gateway accepts encrypted connections only",
        hint: "Connect with sslmode=require or stricter.",
      })
    if (needsNegotiation(startup))
      this.#socket.write(
        negotiateProtocolVersion(
          Math.min(startup.protocolMinor, protocolMinorMax),
          startup.protocolOptions,
        ),
      )
    this.#scram = new ScramServer({
      user: startup.user,
      verifier: this.#options.users.verifierOf(startup.user),
    })
    this.#socket.write(authenticationSasl(scramMechanisms(undefined)))
  }

  #answer(step: ScramStep): void {
    if (step.kind === "continue") {
      this.#socket.write(authenticationSaslContinue(step.data))
      return
    }
    const startup = this.#startup
    const user = startup === undefined ? undefined : this.#options.users.find(startup.user)
    if (startup === undefined || user === undefined) throw passwordRefused(startup?.user ?? "")
    const mayConnect =
      this.#options.hasDatabase(startup.database) &&
      (user.databases === undefined || user.databases.includes(startup.database))
    // What exists is told only to who is logged in: before that, every name looks the same.
    const greeting = [authenticationSaslFinal(step.data), authenticationOk]
    if (!mayConnect) {
      for (const message of greeting) this.#socket.write(message)
      throw unknownDatabase(startup.database)
    }
    this.#finish({
      kind: "session",
      login: { user, startup, splitter: this.#splitter, greeting },
    })
  }

  #fail(error: GatewayError): void {
    if (this.#isFinished) return
    this.#socket.write(errorResponse(errorFields(error, { severity: "FATAL" })))
    this.#finish({ kind: "failed", error })
  }

  #finish(outcome: LoginOutcome): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#socket.off("data", this.#onData)
    this.#socket.off("end", this.#onGone)
    this.#socket.off("error", this.#onGone)
    this.#socket.off("close", this.#onGone)
    if (outcome.kind === "session" || outcome.kind === "tls") this.#socket.pause()
    this.#onOutcome(outcome)
  }
}

function unencryptedBytes(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "protocol_violation",
    severity: "FATAL",
    message: "received unencrypted data after SSL request",
    detail:
      "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
  })
}

function unknownDatabase(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidCatalogName,
    reason: "unknown_database",
    severity: "FATAL",
    message: `database "${name}" does not exist`,
  })
}
