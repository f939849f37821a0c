import type { Socket } from "node:net"
import { GatewayError, toGatewayError, unreachable } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import { SqlState } from "../core/sql-state.ts"
import {
  authenticationCleartextPassword,
  authenticationOk,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  errorFields,
  errorResponse,
  negotiateProtocolVersion,
} from "../wire/backend-messages.ts"
import { FrameSplitter } from "../wire/frame-splitter.ts"
import {
  decodePassword,
  decodeSaslInitialResponse,
  decodeSaslResponse,
} from "../wire/frontend-decoder.ts"
import type { CancelRequest, StartupMessage } from "../wire/frontend-messages.ts"
import {
  passwordRefused,
  ScramServer,
  type ScramStep,
  type ScramVerifier,
  scramMechanisms,
} from "../wire/scram.ts"
import {
  needsNegotiation,
  protocolMinorMax,
  splitStartup,
  unsupportedProtocol,
} from "../wire/startup.ts"
import { type CertificateState, certificateFits } from "./client-certificate.ts"
import { identify, identityRefused, ofPassword, type TokenLogin } from "./identify.ts"
import type { Admission } from "./login-throttle.ts"
import { identityTokenOf } from "./startup-settings.ts"
import type { Account, ConnectionFacts, Users } from "./users.ts"

export type LoggedIn = {
  readonly identity: Identity
  readonly startup: StartupMessage
  readonly splitter: FrameSplitter
  /** Messages that belong in front of the session's own greeting. */
  readonly greeting: readonly Buffer[]
}

/** How a connection's first phase ends. */
export type LoginOutcome =
  | { readonly kind: "session"; readonly login: LoggedIn }
  | { readonly kind: "cancel"; readonly request: CancelRequest }
  /**
   * The client asked for TLS, or began with it (`isDirect`), and TLS is on: the socket is to be wrapped, and the login
   * starts anew inside.
   */
  | { readonly kind: "tls"; readonly isDirect: boolean }
  | { readonly kind: "failed"; readonly error: GatewayError; readonly attempt: LoginAttempt }
  | { readonly kind: "gone" }

/** Who tried what, for the log; undefined before the startup packet. */
export type LoginAttempt = {
  readonly user: string | undefined
  readonly database: string | undefined
}

export type LoginOptions = {
  readonly users: Users
  readonly facts: ConnectionFacts
  readonly tokens: TokenLogin | undefined
  readonly messageBytesMax: number
  readonly channel: Channel
  readonly throttle: ThrottledAddress
  /** The database of this name, if it is served. */
  readonly database: (name: string) => { readonly requiresIdentity: boolean } | undefined
}

/** What is known of the connection under the login. */
export type Channel = {
  /**
   * undefined: SSLRequest is answered with N. `negotiated`, `direct`: this connection is encrypted already, after an
   * SSLRequest or from its first byte.
   */
  readonly tls: "offered" | "required" | "negotiated" | "direct" | undefined
  /** See {@link ScramServerOptions}. */
  readonly channelBinding: Buffer | undefined
  readonly certificate: CertificateState
  /** Nobody enters without a valid certificate. */
  readonly needsCertificate: boolean
}

/** What failed logins from one address cost the next one. */
export type ThrottledAddress = {
  admit(user: string): Admission
  failed(user: string): void
  succeeded(user: string): void
}

/** NEGOTIATE_SSL_CODE and NEGOTIATE_GSS_CODE (pqcomm.h). */
const requestCodes = { SSLRequest: 0x04d2162f, GSSENCRequest: 0x04d21630 } as const

const refuseEncryption = Buffer.from("N")
const acceptTls = Buffer.from("S")

/** First byte of a TLS record that begins a handshake (RFC 8446, 5.1); no startup packet is that long. */
const tlsHandshakeByte = 0x16

/**
 * Everything before the first ReadyForQuery (PostgreSQL manual, 54.2.1):
 *
 *   startup ──SSLRequest──▶ tls | startup      startup ──CancelRequest──▶ cancel
 *   startup ──StartupMessage──▶ sasl ──▶ proof ──▶ checking ──▶ session
 *                          ├──▶ password ──────────────┤
 *                          └──▶ certificate ───────────┘
 *
 * It waits for nothing but the client, and for a signature where a token was not seen before, so that a login costs the
 * event loop one SHA-256 and a few HMACs. The deadline and the number of connections in this phase are the listener's.
 */
export class Login {
  readonly #socket: Socket
  readonly #options: LoginOptions
  readonly #splitter: FrameSplitter
  readonly #onOutcome: (outcome: LoginOutcome) => void
  readonly #onData = (chunk: Buffer): void => this.#receive(chunk)
  readonly #onGone = (): void => this.#finish({ kind: "gone" })
  #startup: StartupMessage | undefined
  #account: Account | undefined
  #scram: ScramServer | undefined
  #phase: "startup" | "sasl" | "proof" | "password" | "checking" = "startup"
  /** Each may be asked for once, as in PostgreSQL; a second time its code is an unknown protocol. */
  readonly #refused = new Set<"SSLRequest" | "GSSENCRequest">()
  #hasReceived = false
  #delay: NodeJS.Timeout | undefined
  #leaveThrottle: (() => void) | undefined
  #isFinished = false

  constructor(socket: Socket, options: LoginOptions, onOutcome: (outcome: LoginOutcome) => void) {
    this.#socket = socket
    this.#options = options
    this.#onOutcome = onOutcome
    this.#splitter = new FrameSplitter({ messageBytesMax: options.messageBytesMax })
    // As in PostgreSQL: what was asked for to get here cannot be asked for again inside.
    if (options.channel.tls === "negotiated") this.#refused.add("SSLRequest").add("GSSENCRequest")
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
      const isFirst = !this.#hasReceived
      this.#hasReceived = true
      if (isFirst && chunk[0] === tlsHandshakeByte && this.#offersTls()) {
        this.#finish({ kind: "tls", isDirect: true }, chunk)
        return
      }
      this.#splitter.push(chunk)
      this.#readOn()
    } catch (thrown) {
      this.#fail(toGatewayError(thrown))
    }
  }

  #readOn(): void {
    while (!this.#isFinished && this.#next());
  }

  /** Handles one packet; false when none is whole yet. */
  #next(): boolean {
    if (this.#phase === "startup") return this.#nextStartup()
    if (this.#phase === "checking" || !this.#splitter.nextLogin()) return false
    const { bytes, start, end } = this.#splitter
    if (this.#phase === "password") {
      this.#checkPassword(decodePassword(bytes, start, end))
      return true
    }
    const scram = this.#scram
    if (scram === undefined) return false
    if (this.#phase === "proof") {
      this.#answer(scram.step(decodeSaslResponse(bytes, start, end)))
      return true
    }
    this.#phase = "proof"
    const { mechanism, data } = decodeSaslInitialResponse(bytes, start, end)
    this.#answer(scram.begin(mechanism, data))
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

  #offersTls(): boolean {
    const { tls } = this.#options.channel
    return tls === "offered" || tls === "required"
  }

  #encryption(kind: "SSLRequest" | "GSSENCRequest"): void {
    if (kind === "SSLRequest" && this.#offersTls()) {
      // Bytes behind the request were sent in clear by somebody in between and must not be taken for the client's own
      // (CVE-2021-43766, CVE-2021-3935).
      if (this.#splitter.pendingBytes > 0) throw unencryptedBytes()
      this.#socket.write(acceptTls)
      this.#finish({ kind: "tls", isDirect: false })
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
    if (this.#options.channel.tls === "required") throw tlsRequired()
    this.#checkCertificate()
    if (needsNegotiation(startup))
      this.#socket.write(
        negotiateProtocolVersion(
          Math.min(startup.protocolMinor, protocolMinorMax),
          startup.protocolOptions,
        ),
      )
    const { users, facts } = this.#options
    const account = users.accountOf(startup.user, startup.database, facts)
    this.#account = account
    if (account.kind === "token") {
      if (!facts.isEncrypted) throw tlsRequired()
      this.#phase = "password"
      this.#socket.write(authenticationCleartextPassword)
      return
    }
    const { certificate } = this.#options.channel
    if (account.kind === "certificate" && certificateFits(account.rule, certificate)) {
      this.#admit(startup, account, [])
      return
    }
    const admission = this.#options.throttle.admit(startup.user)
    if (admission.kind === "at_once") this.#challenge(startup.user, account.verifier)
    else if (admission.kind === "refused") throw tooManyFailures()
    else {
      this.#phase = "checking"
      this.#leaveThrottle = admission.leave
      // What comes meanwhile is left in the socket, which holds little.
      this.#socket.pause()
      this.#delay = setTimeout(
        () => this.#challengeLate(startup.user, account.verifier),
        admission.delayMs,
      )
    }
  }

  /** What PostgreSQL refuses in the handshake is refused here, where there is a message for it. */
  #checkCertificate(): void {
    const { certificate, needsCertificate } = this.#options.channel
    if (certificate.kind === "invalid") throw certificateRequired(certificate.problem)
    if (needsCertificate && certificate.kind === "none") throw certificateRequired()
  }

  #challengeLate(user: string, verifier: ScramVerifier): void {
    this.#delay = undefined
    if (this.#isFinished) {
      this.#leaveThrottle?.()
      return
    }
    this.#socket.resume()
    this.#challenge(user, verifier)
    try {
      this.#readOn()
    } catch (thrown) {
      this.#fail(toGatewayError(thrown))
    }
  }

  #challenge(user: string, verifier: ScramVerifier): void {
    this.#phase = "sasl"
    const { channelBinding } = this.#options.channel
    this.#scram = new ScramServer({
      user,
      verifier,
      ...(channelBinding === undefined ? {} : { channelBinding }),
    })
    this.#socket.write(authenticationSasl(scramMechanisms(channelBinding)))
  }

  #answer(step: ScramStep): void {
    if (step.kind === "continue") {
      this.#socket.write(authenticationSaslContinue(step.data))
      return
    }
    const startup = this.#startup
    const account = this.#account
    if (startup === undefined || account?.kind !== "password")
      throw passwordRefused(startup?.user ?? "")
    const { certificate: rule } = account.entry
    const { certificate } = this.#options.channel
    // Told only to who knows the password; before that, a user with a rule looks like one without.
    if (rule !== undefined && !certificateFits(rule, certificate))
      throw certificate.kind === "valid" ? passwordRefused(startup.user) : certificateRequired()
    this.#admit(startup, account, [authenticationSaslFinal(step.data)])
  }

  /** The proof was right. What exists is told only from here on: before that, every name looks the same. */
  #admit(
    startup: StartupMessage,
    account: Extract<Account, { kind: "password" | "certificate" }>,
    final: readonly Buffer[],
  ): void {
    this.#options.throttle.succeeded(startup.user)
    const { entry } = account
    const database = this.#options.database(startup.database)
    const isAllowed = entry.databases === undefined || entry.databases.includes(startup.database)
    if (database === undefined || !isAllowed) {
      for (const message of final) this.#socket.write(message)
      this.#socket.write(authenticationOk)
      throw unknownDatabase(startup.database)
    }
    this.#settle(startup, final, () =>
      identify({
        identity: account.identity,
        mode: entry.identityMode,
        token: identityTokenOf(startup.parameters),
        isRequired: database.requiresIdentity,
        facts: this.#options.facts,
        tokens: this.#options.tokens,
      }),
    )
  }

  #checkPassword(token: string): void {
    const startup = this.#startup
    const { tokens, database } = this.#options
    if (startup === undefined || tokens === undefined) throw passwordRefused(startup?.user ?? "")
    if (identityTokenOf(startup.parameters) !== undefined)
      throw identityRefused("one token came as password and another one in the startup packet")
    this.#settle(startup, [], async () => {
      const identity = ofPassword(await tokens.verifier.verify(token), startup.user)
      if (database(startup.database) === undefined) throw unknownDatabase(startup.database)
      return identity
    })
  }

  /** The last step: who it is. Bytes that come meanwhile wait in the socket. */
  #settle(
    startup: StartupMessage,
    greeting: readonly Buffer[],
    check: () => Identity | Promise<Identity>,
  ): void {
    this.#phase = "checking"
    const accept = (identity: Identity): void =>
      this.#finish({
        kind: "session",
        login: {
          identity,
          startup,
          splitter: this.#splitter,
          greeting: [...greeting, authenticationOk],
        },
      })
    const refuse = (thrown: unknown): void => {
      if (this.#isFinished) return
      for (const message of greeting) this.#socket.write(message)
      this.#fail(toGatewayError(thrown))
    }
    let identity: Identity | Promise<Identity>
    try {
      identity = check()
    } catch (thrown) {
      refuse(thrown)
      return
    }
    if (!(identity instanceof Promise)) {
      accept(identity)
      return
    }
    this.#socket.pause()
    identity.then(accept, refuse)
  }

  #fail(error: GatewayError): void {
    if (this.#isFinished) return
    if (error.reason === "invalid_password" && this.#startup !== undefined)
      this.#options.throttle.failed(this.#startup.user)
    this.#socket.write(errorResponse(errorFields(error, { severity: "FATAL" })))
    const { user, database } = this.#startup ?? { user: undefined, database: undefined }
    this.#finish({ kind: "failed", error, attempt: { user, database } })
  }

  /** `unread`: bytes that belong to whoever takes the socket over. */
  #finish(outcome: LoginOutcome, unread?: Buffer): void {
    if (this.#isFinished) return
    this.#isFinished = true
    // Whoever leaves before his time keeps the place that he waits in: leaving must not be quicker than waiting.
    if (this.#delay === undefined) this.#leaveThrottle?.()
    this.#socket.off("data", this.#onData)
    this.#socket.off("end", this.#onGone)
    this.#socket.off("error", this.#onGone)
    this.#socket.off("close", this.#onGone)
    if (outcome.kind === "session" || outcome.kind === "tls") this.#socket.pause()
    if (unread !== undefined) this.#socket.unshift(unread)
    this.#onOutcome(outcome)
  }
}

function tlsRequired(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "tls_required",
    severity: "FATAL",
    message: "this gateway accepts encrypted connections only",
    hint: "Connect with sslmode=require or stricter.",
  })
}

/** `problem`: what is wrong with the certificate that was shown. */
function certificateRequired(problem?: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "client_certificate_required",
    severity: "FATAL",
    message: "connection requires a valid client certificate",
    ...(problem === undefined
      ? {}
      : { detail: `Client certificate verification failed: ${problem}.` }),
  })
}

function tooManyFailures(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.TooManyConnections,
    reason: "login_rate_limited",
    severity: "FATAL",
    message: "sorry, too many clients already",
    detail: "Too many logins have failed at this address.",
    safeToRetry: true,
  })
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
