import type { Socket } from "node:net"
import { createServer, type Server, type TLSSocket } from "node:tls"
import { type CertificateState, noCertificate, readCertificate } from "./client-certificate.ts"
import type { TlsCredentials, TlsMaterial } from "./tls-credentials.ts"

/** A connection after its handshake. */
export type SecureChannel = {
  readonly socket: TLSSocket
  readonly channelBinding: Buffer | undefined
  readonly certificate: CertificateState
}

export type HandshakeFailure = "handshake" | "no_alpn" | "timeout"

export type TlsEndpointOptions = {
  readonly credentials: TlsCredentials
  /** Whether clients are asked for a certificate; what a missing one means is decided at login. */
  readonly asksForCertificate: boolean
}

type Pending = { readonly isDirect: boolean; readonly done: (channel: SecureChannel) => void }

/** The one protocol name (PostgreSQL manual, 54.2.11). Another one ends the handshake with no_application_protocol. */
const protocolNames = ["postgresql"]

/**
 * Server side of TLS for sockets that were accepted elsewhere. Node checks a client's certificate only for the sockets of a
 * TLS server, so there is one, which listens nowhere. Each reading of the certificate files makes a new one; handshakes
 * that began before end with the material that they began with, and sessions keep theirs.
 */
export class TlsEndpoint {
  readonly #options: TlsEndpointOptions
  /** By both addresses and ports, the one thing that a socket and the TLS socket over it publicly share. */
  readonly #pending = new Map<string, Pending>()
  readonly failures: Record<HandshakeFailure, number> = { handshake: 0, no_alpn: 0, timeout: 0 }
  #material: TlsMaterial
  #server: Server

  constructor(options: TlsEndpointOptions) {
    this.#options = options
    this.#material = options.credentials.current
    this.#server = this.#makeServer(this.#material)
  }

  /**
   * Begins a handshake; bytes that the socket holds unread belong to it. `done` is called when it succeeded, and otherwise
   * the socket is destroyed. The deadline is the caller's: he destroys the socket.
   * `isDirect`: the client began with TLS and has to name the protocol by ALPN, as PostgreSQL asks.
   */
  handshake(raw: Socket, isDirect: boolean, done: (channel: SecureChannel) => void): void {
    const { current } = this.#options.credentials
    if (current !== this.#material) {
      this.#server = this.#makeServer(current)
      this.#material = current
    }
    const key = keyOf(raw)
    const pending: Pending = { isDirect, done }
    this.#pending.set(key, pending)
    raw.once("close", () => {
      if (this.#pending.get(key) === pending) this.#pending.delete(key)
    })
    this.#server.emit("connection", raw)
  }

  #makeServer(material: TlsMaterial): Server {
    const { asksForCertificate } = this.#options
    const server = createServer({
      ...material.context,
      ALPNProtocols: protocolNames,
      requestCert: asksForCertificate,
      rejectUnauthorized: false,
    })
    server.on("secureConnection", (socket) => this.#secured(socket, material))
    server.on("tlsClientError", (_error, socket) => {
      this.failures.handshake += 1
      socket.destroy()
    })
    return server
  }

  #secured(socket: TLSSocket, material: TlsMaterial): void {
    socket.on("error", () => socket.destroy())
    const pending = this.#pending.get(keyOf(socket))
    this.#pending.delete(keyOf(socket))
    // The peer may have gone already, and then there are no addresses to find it by.
    if (pending === undefined) {
      socket.destroy()
      return
    }
    if (pending.isDirect && socket.alpnProtocol !== protocolNames[0]) {
      this.failures.no_alpn += 1
      socket.destroy()
      return
    }
    const certificate = this.#options.asksForCertificate ? readCertificate(socket) : noCertificate
    pending.done({ socket, channelBinding: material.channelBinding, certificate })
  }
}

function keyOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
