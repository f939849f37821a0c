import type { Socket } from "node:net"

export type ClosingLimits = {
  /** Connections that are ended and not closed yet; one more closes the oldest at once. */
  readonly closingMax: number
  /** Time a client gets to take each part of what it is still owed. */
  readonly closeTimeoutMs: number
}

/** What a client sends after its end is read and dropped for so long: closing at once would reset the error out of its hands. */
const lingerMs = 1_000

/**
 * Connections whose last byte is written. Each is listened to and dropped until the client closes its side, because unread
 * bytes turn a close into a reset that overtakes the last error (RFC 1122, 4.2.2.13); and no longer than the limits say,
 * because a client that never closes, or never reads, would keep the socket for ever.
 */
export class ClosingSockets {
  readonly #limits: ClosingLimits
  readonly #sockets = new Set<Socket>()

  constructor(limits: ClosingLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#sockets.size
  }

  /** Ends the writing side now, and the socket as soon as may be. Nothing may be written to it any more. */
  end(socket: Socket): void {
    if (socket.destroyed || this.#sockets.has(socket)) return
    const [oldest] = this.#sockets
    if (this.#sockets.size >= this.#limits.closingMax) oldest?.destroy()
    this.#sockets.add(socket)
    socket.removeAllListeners("data")
    // A flowing socket without listeners drops what comes.
    socket.resume()
    socket.once("close", () => this.#sockets.delete(socket))
    socket.end()
    this.#watch(socket)
  }

  closeAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Looks whether the client takes what it is owed; it has a whole period for each part. */
  #watch(socket: Socket): void {
    const { closeTimeoutMs } = this.#limits
    let owedBytes = socket.writableLength
    const timer = setInterval(() => {
      if (socket.writableLength > 0 && socket.writableLength < owedBytes)
        owedBytes = socket.writableLength
      else socket.destroy()
    }, closeTimeoutMs)
    let linger: NodeJS.Timeout | undefined
    socket.once("finish", () => {
      clearInterval(timer)
      linger = setTimeout(() => socket.destroy(), Math.min(lingerMs, closeTimeoutMs))
    })
    socket.once("close", () => {
      clearInterval(timer)
      clearTimeout(linger)
    })
  }
}
