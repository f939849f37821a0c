import type { Socket } from "node:net"
import type { MemoryShare } from "./session-memory.ts"

/** Bytes gathered before they are handed to the socket in the middle of a turn; small messages of one turn go out as one write. */
const flushBytes = 64 * 1024

/** Messages below this are copied into one buffer at flush: one write of joined bytes beats a vectored write of many small ones. */
const joinBytesMax = 16 * 1024

/**
 * What a session sends. Messages are gathered during one turn of the event loop and written together at its end. The
 * socket's own buffer is bounded by asking `isFull` before producing more and waiting for `drained`.
 */
export class Output {
  readonly #socket: Socket
  readonly #bytesMax: number
  readonly #memory: MemoryShare
  #parts: Buffer[] = []
  #partBytes = 0
  #isClosed = false
  /** Bytes handed to the socket since the session began. */
  byteCount = 0

  constructor(socket: Socket, bytesMax: number, memory: MemoryShare) {
    this.#socket = socket
    this.#memory = memory
    this.#bytesMax = bytesMax
    socket.on("drain", () => memory.isOutputOver(this.#partBytes))
  }

  write(message: Buffer): void {
    this.#parts.push(message)
    this.#partBytes += message.length
    if (this.#partBytes >= flushBytes) this.flush()
  }

  flush(): void {
    const parts = this.#parts
    if (parts.length === 0) return
    this.#parts = []
    this.byteCount += this.#partBytes
    const bytes = this.#partBytes
    this.#partBytes = 0
    if (this.#isClosed || this.#socket.destroyed) return
    if (parts.length === 1 && parts[0] !== undefined) this.#socket.write(parts[0])
    else if (bytes <= joinBytesMax) this.#socket.write(Buffer.concat(parts, bytes))
    else this.#writeVector(parts)
  }

  #writeVector(parts: readonly Buffer[]): void {
    this.#socket.cork()
    for (const part of parts) this.#socket.write(part)
    this.#socket.uncork()
  }

  /** True when the client does not read: nothing more may be produced until `drained` resolves. */
  get isFull(): boolean {
    const bytes = this.#socket.writableLength + this.#partBytes
    return this.#memory.isOutputOver(bytes) || bytes > this.#bytesMax
  }

  /** Resolves when the socket took what was written, or at once when it is closed. */
  async drained(): Promise<void> {
    this.flush()
    if (this.#isClosed || this.#socket.destroyed || this.#socket.writableLength === 0) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done)
        this.#socket.off("close", done)
        resolve()
      }
      this.#socket.on("drain", done)
      this.#socket.on("close", done)
    })
  }

  close(): void {
    this.#isClosed = true
    this.#parts = []
  }
}
