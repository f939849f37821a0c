import type { Socket } from "node:net"
import { type GatewayError, toGatewayError, unreachable } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import { errorFields, errorResponse, negotiateProtocolVersion } from "../wire/backend-messages.ts"
import { FrameSplitter } from "../wire/frame-splitter.ts"
import type { CancelRequest, StartupMessage } from "../wire/frontend-messages.ts"
import {
  needsNegotiation,
  protocolMinorMax,
  splitStartup,
  unsupportedProtocol,
} from "../wire/startup.ts"
import {
  Authentication,
  type AuthenticationChannel,
  type AuthenticationOptions,
} from "./authentication.ts"
import {
  certificateRequired,
  loginTooSlow,
  tlsRequired,
  unencryptedBytes,
  userNameMissing,
} from "./login-errors.ts"

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

export type LoginOptions = Omit<AuthenticationOptions, "channel"> & {
  readonly messageBytesMax: number
  readonly channel: Channel
}

/** What is known of the connection under the login. */
export type Channel = AuthenticationChannel & {
  /**
   * undefined: SSLRequest is answered with N. `negotiated`, `direct`: this connection is encrypted already, after an
   * SSLRequest or from its first byte.
   */
  readonly tls: "offered" | "required" | "negotiated" | "direct" | undefined
  /** Nobody enters without a valid certificate. */
  readonly needsCertificate: boolean
}

/** NEGOTIATE_SSL_CODE and NEGOTIATE_GSS_CODE (pqcomm.h). */
const requestCodes = { SSLRequest: 0x04d2162f, GSSENCRequest: 0x04d21630 } as const

const refuseEncryption = Buffer.from("N")
const acceptTls = Buffer.from("S")

/** First byte of a TLS record that begins a handshake (RFC 8446, 5.1); no startup packet is that long. */
const tlsHandshakeByte = 0x16

/**
 * Everything before the first ReadyForQuery (PostgreSQL manual, 54.2.1), and of that itself: what is agreed on about the
 * connection, and the startup packet. Who the client is finds the {@link Authentication}.
 *
 *   startup ──SSLRequest──▶ tls | startup      startup ──CancelRequest──▶ cancel
 *   startup ──StartupMessage──▶ authentication ──▶ session
 *
 * The deadline and the number of connections in this phase are the listener's.
 */
export class Login {
  readonly #socket: Socket
  readonly #options: LoginOptions
  readonly #splitter: FrameSplitter
  readonly #onOutcome: (outcome: LoginOutcome) => void
  readonly #onData = (chunk: Buffer): void => this.#receive(chunk)
  readonly #onGone = (): void => this.#finish({ kind: "gone" })
  #startup: StartupMessage | undefined
  #authentication: Authentication | undefined
  /** Each may be asked for once, as in PostgreSQL; a second time its code is an unknown protocol. */
  readonly #refused = new Set<"SSLRequest" | "GSSENCRequest">()
  #hasReceived = false
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
    this.#fail(loginTooSlow())
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
    return this.#authentication === undefined ? this.#nextStartup() : this.#authentication.next()
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
    if (startup.user === "") throw userNameMissing()
    if (this.#options.channel.tls === "required") throw tlsRequired()
    this.#checkCertificate()
    if (needsNegotiation(startup))
      this.#socket.write(
        negotiateProtocolVersion(
          Math.min(startup.protocolMinor, protocolMinorMax),
          startup.protocolOptions,
        ),
      )
    this.#authentication = new Authentication(
      { socket: this.#socket, splitter: this.#splitter },
      startup,
      this.#options,
      {
        accepted: (identity, greeting) => this.#accept(identity, startup, greeting),
        refused: (error) => this.#fail(error),
        ready: () => this.#resume(),
      },
    )
    this.#authentication.begin()
  }

  #accept(identity: Identity, startup: StartupMessage, greeting: readonly Buffer[]): void {
    const splitter = this.#splitter
    this.#finish({ kind: "session", login: { identity, startup, splitter, greeting } })
  }

  #resume(): void {
    try {
      this.#readOn()
    } catch (thrown) {
      this.#fail(toGatewayError(thrown))
    }
  }

  /** What PostgreSQL refuses in the handshake is refused here, where there is a message for it. */
  #checkCertificate(): void {
    const { certificate, needsCertificate } = this.#options.channel
    if (certificate.kind === "invalid") throw certificateRequired(certificate.problem)
    if (needsCertificate && certificate.kind === "none") throw certificateRequired()
  }

  #fail(error: GatewayError): void {
    if (this.#isFinished) return
    if (error.reason === "invalid_password") this.#authentication?.failed()
    this.#socket.write(errorResponse(errorFields(error, { severity: "FATAL" })))
    const { user, database } = this.#startup ?? { user: undefined, database: undefined }
    this.#finish({ kind: "failed", error, attempt: { user, database } })
  }

  /** `unread`: bytes that belong to whoever takes the socket over. */
  #finish(outcome: LoginOutcome, unread?: Buffer): void {
    if (this.#isFinished) return
    this.#isFinished = true
    this.#authentication?.leave()
    this.#socket.off("data", this.#onData)
    this.#socket.off("end", this.#onGone)
    this.#socket.off("error", this.#onGone)
    this.#socket.off("close", this.#onGone)
    if (outcome.kind === "session" || outcome.kind === "tls") this.#socket.pause()
    if (unread !== undefined) this.#socket.unshift(unread)
    this.#onOutcome(outcome)
  }
}
