import { GatewayError } from "../core/errors.ts"
import { startupBytesMax } from "../core/limits.ts"
import { SqlState } from "../core/sql-state.ts"

/** PostgreSQL's cap on a message without a text or values of any length (PQ_SMALL_MESSAGE_LIMIT, libpq.h). */
export const smallMessageBytesMax = 10_000

/** PostgreSQL's cap on an answer to an authentication request (PG_MAX_AUTH_TOKEN_LENGTH, libpq.h). */
export const loginMessageBytesMax = 65_535

/** The first piece of a message that comes in pieces is given this room; it doubles as bytes arrive. */
const joinBytesMin = 256

const empty = Buffer.alloc(0)

const passwordType = 0x70

/** 0 = no such message, 1 = small, 2 = up to messageBytesMax. By type byte. */
const sizeClass = new Uint8Array(256)
for (const type of "DCEHSXcf") sizeClass[type.charCodeAt(0)] = 1
for (const type of "QPBFd") sizeClass[type.charCodeAt(0)] = 2

type Stage = "startup" | "login" | "session"

function violation(message: string, reason: "protocol_violation" | "message_too_large") {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason,
    severity: "FATAL",
    message,
  })
}

/** PostgreSQL's answer to a type byte that is no message of this phase; the stream cannot be followed any further. */
export function unknownMessageType(type: number): GatewayError {
  return violation(`invalid frontend message type ${type}`, "protocol_violation")
}

/**
 * Cuts a client's bytes into frames. Feed it with `push`, then call the method of the phase until it says false:
 * `nextStartup` before the StartupMessage, `nextLogin` while an answer to an authentication request is due, `next` after.
 * The frame found is in `type`, `bytes`, `start`, `end` (its body) and is valid until the next call of any method.
 *
 * A frame that is whole within one chunk is not copied. One that comes in pieces is joined in a buffer that doubles as
 * bytes arrive: each byte is copied at most three times, and never more is held than twice what the client has sent, so
 * that a length field alone costs nothing. Lengths and type bytes are refused as soon as the header is there, before
 * anything of the body is kept. Those errors are FATAL, and after one the splitter must not be used again.
 *
 * The bytes pushed and not yet read are bounded by the caller, who stops reading the socket: see `pendingBytes`.
 */
export class FrameSplitter {
  /** Type byte of the frame; 0 for a startup packet. */
  type = 0
  bytes: Buffer = empty
  /** First byte of the body, behind type and length. */
  start = 0
  /** First byte behind the body. */
  end = 0
  /** Greatest length field accepted after login, in bytes. The caller's limit; may be changed between calls. */
  messageBytesMax: number

  #chunk: Buffer = empty
  #offset = 0
  /** Chunks that came before `#chunk` was read to its end. */
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #joined: Buffer = empty
  #joinedBytes = 0

  constructor(options: { readonly messageBytesMax: number }) {
    this.messageBytesMax = options.messageBytesMax
  }

  /** Takes over `chunk`: it must not be written to while frames out of it are in use. */
  push(chunk: Buffer): void {
    if (this.#offset === this.#chunk.length && this.#waiting.length === 0) {
      this.#chunk = chunk
      this.#offset = 0
      return
    }
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
  }

  /** Bytes received that belong to no frame handed out yet. Must be 0 when a TLS handshake begins (CVE-2021-3935). */
  get pendingBytes(): number {
    return this.#chunk.length - this.#offset + this.#waitingBytes + this.#joinedBytes
  }

  /** Chunks that wait behind the one being read. */
  get pendingChunks(): number {
    return this.#waiting.length
  }

  /** Finds the next message after login. False: more bytes are needed. */
  next(): boolean {
    const offset = this.#offset
    const available = this.#chunk.length - offset
    if (available < 5 || this.#joinedBytes !== 0) return this.#join("session")
    const type = this.#chunk[offset] ?? 0
    const length = this.#chunk.readInt32BE(offset + 1)
    this.#checkSession(type, length)
    if (available <= length) return this.#join("session")
    this.type = type
    this.bytes = this.#chunk
    this.start = offset + 5
    this.end = this.#offset = offset + 1 + length
    return true
  }

  /** Finds an answer to an authentication request; any other message is refused. False: more bytes are needed. */
  nextLogin(): boolean {
    return this.#join("login")
  }

  /** Finds a packet without a type byte. False: more bytes are needed. */
  nextStartup(): boolean {
    return this.#join("startup")
  }

  /** The way for everything rare: copies the frame together, a header first. */
  #join(stage: Stage): boolean {
    const headerBytes = stage === "startup" ? 4 : 5
    if (!this.#gather(headerBytes)) return false
    const frame = this.#joined
    const type = headerBytes === 5 ? (frame[0] ?? 0) : 0
    const length = frame.readInt32BE(headerBytes - 4)
    if (stage === "session") this.#checkSession(type, length)
    else if (stage === "login") checkLogin(type, length)
    else checkStartup(length)
    const frameBytes = headerBytes - 4 + length
    if (!this.#gather(frameBytes)) return false
    this.type = type
    this.bytes = this.#joined
    this.start = headerBytes
    this.end = frameBytes
    this.#joined = empty
    this.#joinedBytes = 0
    return true
  }

  /** Moves bytes into `#joined` until it holds `count`; its room grows by doubling up to that. */
  #gather(count: number): boolean {
    while (this.#joinedBytes < count) {
      if (this.#offset === this.#chunk.length && !this.#shift()) return false
      const moved = Math.min(count - this.#joinedBytes, this.#chunk.length - this.#offset)
      this.#reserve(this.#joinedBytes + moved, count)
      this.#chunk.copy(this.#joined, this.#joinedBytes, this.#offset, this.#offset + moved)
      this.#offset += moved
      this.#joinedBytes += moved
    }
    return true
  }

  #reserve(bytes: number, roomMax: number): void {
    if (bytes <= this.#joined.length) return
    const room = Math.max(bytes, Math.min(roomMax, 2 * this.#joined.length), joinBytesMin)
    const grown = Buffer.allocUnsafe(room)
    this.#joined.copy(grown, 0, 0, this.#joinedBytes)
    this.#joined = grown
  }

  #shift(): boolean {
    const chunk = this.#waiting.shift()
    if (chunk === undefined) {
      // Thousands of idle sessions must not each hold on to the last chunk that they read.
      this.#chunk = empty
      this.#offset = 0
      this.bytes = empty
      return false
    }
    this.#waitingBytes -= chunk.length
    this.#chunk = chunk
    this.#offset = 0
    return true
  }

  #checkSession(type: number, length: number): void {
    const size = sizeClass[type]
    if (size === 0) throw unknownMessageType(type)
    if (length < 4) throw violation("invalid message length", "protocol_violation")
    const bytesMax = size === 1 ? smallMessageBytesMax : this.messageBytesMax
    if (length > bytesMax) throw violation("invalid message length", "message_too_large")
  }
}

function checkLogin(type: number, length: number): void {
  if (type !== passwordType) {
    throw violation(`expected SASL response, got message type ${type}`, "protocol_violation")
  }
  if (length < 4) throw violation("invalid message length", "protocol_violation")
  if (length > loginMessageBytesMax) throw violation("invalid message length", "message_too_large")
}

/** The length field counts itself; PostgreSQL's limit counts what follows. */
function checkStartup(length: number): void {
  if (length < 8) throw violation("invalid length of startup packet", "protocol_violation")
  if (length > startupBytesMax + 4) {
    throw violation("invalid length of startup packet", "message_too_large")
  }
}
