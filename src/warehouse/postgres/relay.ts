import type { Socket } from "node:net"
import type { GatewayError } from "../../core/errors.ts"
import type { RowBatch } from "../../core/result.ts"
import { connectionLost, protocolError } from "./error-map.ts"

/**
 * Greatest message taken from a warehouse. PostgreSQL itself allows 1 GiB for one row; no BI client reads such a row, and
 * a length above this is rather a lost sync.
 */
export const frameBytesMax = 256 * 1024 * 1024

const headerBytes = 5
/** A DataRow's header and its count of columns. */
const rowBytesMin = headerBytes + 2
const anyCount = -1
const dataRow = 0x44
const nothing = Buffer.alloc(0)

type Waiter = { readonly resolve: () => void; readonly reject: (error: unknown) => void }

/**
 * Backend messages from a socket, pulled: headers are scanned, bodies of rows never decoded. The socket flows while
 * somebody waits in `more` or nobody has to (idle); a chunk that comes unasked is kept and the socket paused, so that at
 * most that chunk and Node's own read buffer (64 KiB) are held here. Chunks belong to whoever takes slices of them: Node
 * reads each one into fresh memory.
 */
export class Relay {
  readonly #socket: Socket
  /** Bytes not yet taken are those of `#buffer` from `#offset` on. */
  #buffer: Buffer = nothing
  #offset = 0
  /** End of the frame that `peek` found last. */
  #frameEnd = 0
  /** A frame that spans chunks: its pieces wait here until `#needBytes` have come, and are joined once. */
  #parts: Buffer[] = []
  #partsBytes = 0
  #needBytes = headerBytes
  /** Chunks that came unasked. */
  readonly #queue: Buffer[] = []
  #isPaused = false
  #waiter: Waiter | undefined
  #failure: GatewayError | undefined
  /** Set while no statement runs: hears of every chunk, since what comes then is not asked for. */
  #onUnasked: (() => void) | undefined

  constructor(socket: Socket, onLost: (error: GatewayError) => void) {
    this.#socket = socket
    socket.on("data", (chunk: Buffer) => this.#onData(chunk))
    let cause: unknown
    socket.on("error", (error) => {
      cause = error
    })
    socket.on("close", () => {
      const failure = connectionLost(cause, false)
      onLost(failure)
      this.fail(failure)
    })
  }

  /** Type byte of the next whole frame, or 0 when more bytes are needed. */
  peek(): number {
    const buffer = this.#buffer
    const offset = this.#offset
    if (this.#parts.length > 0) return 0
    if (buffer.length - offset < headerBytes) {
      this.#needBytes = headerBytes
      return 0
    }
    const length = buffer.readInt32BE(offset + 1)
    if (length < 4 || length > frameBytesMax) throw protocolError(`a message of ${length} bytes`)
    this.#frameEnd = offset + 1 + length
    if (this.#frameEnd > buffer.length) {
      this.#needBytes = 1 + length
      return 0
    }
    return buffer[offset] ?? 0
  }

  /** The frame that `peek` found, whole. Shares the chunk's memory. */
  take(): Buffer {
    const frame = this.#buffer.subarray(this.#offset, this.#frameEnd)
    this.#offset = this.#frameEnd
    return frame
  }

  skip(): void {
    this.#offset = this.#frameEnd
  }

  /** The run of whole DataRows at hand. Throws when one has not `columnCount` columns: clients index rows by the description. */
  takeRows(columnCount: number): RowBatch {
    return this.takeRun(dataRow, columnCount)
  }

  /** The run of whole messages of one type at hand. The caller has peeked at its first one. */
  takeRun(type: number, columnCount = anyCount): RowBatch {
    const buffer = this.#buffer
    const end = buffer.length
    const start = this.#offset
    let offset = this.#frameEnd
    let rowCount = 1
    if (columnCount !== anyCount && !hasColumns(buffer, start, offset, columnCount))
      throw wrongColumns(columnCount)
    while (end - offset >= headerBytes && buffer[offset] === type) {
      const length = buffer.readInt32BE(offset + 1)
      // A length out of bounds ends the run; peek will say so.
      if (length < 4 || length > end - offset - 1) break
      const next = offset + 1 + length
      if (columnCount !== anyCount && !hasColumns(buffer, offset, next, columnCount))
        throw wrongColumns(columnCount)
      offset = next
      rowCount += 1
    }
    this.#offset = offset
    return { bytes: buffer.subarray(start, offset), rowCount }
  }

  /** Resolves when more bytes are at hand; rejects when the connection is lost or by `interrupt`. One caller at a time. */
  more(): Promise<void> | undefined {
    const chunk = this.#queue.shift()
    if (chunk !== undefined) {
      this.#append(chunk)
      return undefined
    }
    if (this.#failure !== undefined) throw this.#failure
    this.#flow()
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }

  /** Rejects whoever waits in `more`. */
  interrupt(error: unknown): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.reject(error)
  }

  /** No further bytes will come: what is at hand may still be read. */
  fail(error: GatewayError): void {
    this.#failure ??= error
    this.interrupt(this.#failure)
  }

  /** No statement runs: from now on `onUnasked` hears of every chunk, and of what is at hand already. */
  idle(onUnasked: () => void): void {
    this.#onUnasked = onUnasked
    for (const chunk of this.#queue.splice(0)) this.#append(chunk)
    this.#flow()
    if (this.#offset < this.#buffer.length) onUnasked()
  }

  /** A statement runs: bytes are read by `more`. */
  busy(): void {
    this.#onUnasked = undefined
  }

  #flow(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  #onData(chunk: Buffer): void {
    const waiter = this.#waiter
    if (waiter !== undefined) {
      this.#waiter = undefined
      this.#append(chunk)
      waiter.resolve()
    } else if (this.#onUnasked !== undefined) {
      this.#append(chunk)
      this.#onUnasked()
    } else {
      this.#queue.push(chunk)
      this.#isPaused = true
      this.#socket.pause()
    }
  }

  #append(chunk: Buffer): void {
    if (this.#parts.length === 0) {
      if (this.#offset === this.#buffer.length) {
        this.#buffer = chunk
        this.#offset = 0
        return
      }
      const rest = this.#buffer.subarray(this.#offset)
      this.#parts.push(rest)
      this.#partsBytes = rest.length
    }
    this.#parts.push(chunk)
    this.#partsBytes += chunk.length
    if (this.#partsBytes < this.#needBytes) return
    // One copy of about 64 KiB a chunk, or one of the whole frame when it is larger: every byte is copied at most once.
    this.#buffer = Buffer.concat(this.#parts, this.#partsBytes)
    this.#offset = 0
    this.#parts = []
    this.#partsBytes = 0
  }
}

function wrongColumns(columnCount: number): GatewayError {
  return protocolError(`a row that has not the ${columnCount} columns of its description`)
}

function hasColumns(buffer: Buffer, start: number, end: number, columnCount: number): boolean {
  return end - start >= rowBytesMin && buffer.readUInt16BE(start + headerBytes) === columnCount
}
