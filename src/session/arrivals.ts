import type { Socket } from "node:net"
import { addressKey } from "./client-address.ts"
import { noCertificate } from "./client-certificate.ts"
import { type Channel, Login, type LoginOptions, type LoginOutcome } from "./login.ts"
import type { LoginThrottle } from "./login-throttle.ts"
import type { TlsEndpoint } from "./tls-endpoint.ts"

export type ArrivalsTls = {
  readonly endpoint: TlsEndpoint
  readonly isRequired: boolean
  /** Nobody enters without a valid certificate. */
  readonly needsCertificate: boolean
}

export type ArrivalsOptions = {
  readonly login: Pick<LoginOptions, "users" | "tokens" | "messageBytesMax" | "database">
  readonly tls: ArrivalsTls | undefined
  readonly throttle: LoginThrottle
  /** Connections that have not logged in yet: of everybody, and of one address (IPv6: of one /64). */
  readonly preLoginMax: number
  readonly preLoginPerAddressMax: number
  /** From the accepted connection to the finished login, TLS and waiting included. */
  readonly loginTimeoutMs: number
  /** How a login ended; never with `tls`. The socket is the one to speak on: inside TLS where there is TLS. */
  readonly onOutcome: (socket: Socket, outcome: Exclude<LoginOutcome, { kind: "tls" }>) => void
}

export type ArrivalRefusal = "pre_login" | "pre_login_per_address"

type Arrival = {
  readonly raw: Socket
  readonly address: string
  /** undefined during the TLS handshake. */
  login: Login | undefined
  timer: NodeJS.Timeout | undefined
  isOver: boolean
}

/** Connections from accept to the end of their login, with one deadline for all of it. */
export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #all = new Set<Arrival>()
  /** Addresses that have connections here now, so never more of them than connections. */
  readonly #perAddress = new Map<string, number>()

  constructor(options: ArrivalsOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#all.size
  }

  /** Takes the socket over, or says why there is no room for it. */
  accept(raw: Socket): ArrivalRefusal | undefined {
    const { preLoginMax, preLoginPerAddressMax, loginTimeoutMs, tls } = this.#options
    if (this.#all.size >= preLoginMax) return "pre_login"
    const address = addressKey(raw.remoteAddress)
    const count = this.#perAddress.get(address) ?? 0
    if (count >= preLoginPerAddressMax) return "pre_login_per_address"
    this.#perAddress.set(address, count + 1)
    const arrival: Arrival = {
      raw,
      address,
      login: undefined,
      timer: undefined,
      isOver: false,
    }
    arrival.timer = setTimeout(() => this.#expire(arrival), loginTimeoutMs)
    this.#all.add(arrival)
    raw.on("error", ignore)
    raw.once("close", () => this.#forget(arrival))
    const offered = tls?.isRequired === true ? "required" : "offered"
    this.#login(arrival, raw, {
      tls: tls === undefined ? undefined : offered,
      channelBinding: undefined,
      certificate: noCertificate,
      needsCertificate: tls?.needsCertificate === true,
    })
    return undefined
  }

  /** Ends all of them. */
  close(): void {
    for (const { raw } of this.#all) raw.destroy()
  }

  #login(arrival: Arrival, socket: Socket, channel: Channel): void {
    const { login, throttle, onOutcome } = this.#options
    const { address } = arrival
    const options: LoginOptions = {
      ...login,
      channel,
      facts: {
        isEncrypted: channel.tls === "direct" || channel.tls === "negotiated",
        // Asked of the kernel only where a rule looks at it.
        get address() {
          return arrival.raw.remoteAddress
        },
        certificateSubject:
          channel.certificate.kind === "valid"
            ? channel.certificate.certificate.distinguishedName
            : undefined,
      },
      throttle: {
        admit: (user) => throttle.admit(address, user),
        failed: (user) => throttle.failed(address, user),
        succeeded: (user) => throttle.succeeded(address, user),
      },
    }
    arrival.login = new Login(socket, options, (outcome) => {
      if (outcome.kind === "tls") {
        this.#handshake(arrival, outcome.isDirect)
        return
      }
      this.#forget(arrival)
      onOutcome(socket, outcome)
    })
  }

  #handshake(arrival: Arrival, isDirect: boolean): void {
    const { tls } = this.#options
    if (tls === undefined) return
    arrival.login = undefined
    tls.endpoint.handshake(arrival.raw, isDirect, ({ socket, channelBinding, certificate }) => {
      if (arrival.isOver) return
      this.#login(arrival, socket, {
        tls: isDirect ? "direct" : "negotiated",
        channelBinding,
        certificate,
        needsCertificate: tls.needsCertificate,
      })
    })
  }

  #expire(arrival: Arrival): void {
    if (arrival.login === undefined) {
      if (this.#options.tls !== undefined) this.#options.tls.endpoint.failures.timeout += 1
      arrival.raw.destroy()
      return
    }
    arrival.login.expire()
  }

  #forget(arrival: Arrival): void {
    if (arrival.isOver) return
    arrival.isOver = true
    clearTimeout(arrival.timer)
    this.#all.delete(arrival)
    const count = (this.#perAddress.get(arrival.address) ?? 0) - 1
    if (count > 0) this.#perAddress.set(arrival.address, count)
    else this.#perAddress.delete(arrival.address)
  }
}

/** A connection that breaks before it became a session concerns nobody. */
function ignore(): void {}
