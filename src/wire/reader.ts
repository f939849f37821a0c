import { isUtf8 } from "node:buffer"
import { type ErrorStage, GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** Makes the error for a body that does not hold what its type promises. The text is PostgreSQL's own (pqformat.c). */
export type Violation = (message: string) => GatewayError

/** A client's malformed body: ERROR, because the frame's length was sound and the next frame starts where it should. */
export function clientViolation(message: string, stage?: ErrorStage): GatewayError {
  return new GatewayError({
    stage,
    sqlState: SqlState.ProtocolViolation,
    reason: "protocol_violation",
    message,
  })
}

/** A warehouse's malformed message. The connection it came over is out of step and must not be used again. */
export function warehouseViolation(message: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "warehouse_protocol",
    message: `malformed message from the warehouse: ${message}`,
  })
}

/** What a decoder that met U+FFFD in its output has to look at: the sign was sent, or it stands for a broken sequence. */
const replacement = "\uFFFD"

/**
 * Text of `[start, end)`. Throws ERROR 22021 with PostgreSQL's wording on invalid UTF-8.
 *
 * The decoder puts U+FFFD for what it cannot read, so a text without that sign was valid. For ASCII the search costs
 * nothing: V8 keeps such a string in one byte a character and knows that it cannot hold U+FFFD.
 */
export function utf8(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end)
  if (text.includes(replacement)) checkUtf8(bytes, start, end)
  return text
}

/** Throws ERROR 22021 unless `[start, end)` is valid UTF-8 without NUL: what PostgreSQL asks of a text parameter. */
export function checkText(bytes: Buffer, start: number, end: number): void {
  let offset = start
  // Most parameters are short and ASCII; a loop of this length costs less than one call into the runtime.
  const probe = Math.min(end, start + 64)
  while (offset < probe) {
    const byte = bytes[offset] ?? 0
    if (byte === 0 || byte > 0x7f) break
    offset += 1
  }
  if (offset === end) return
  const nul = bytes.indexOf(0, offset)
  if (nul === -1 || nul >= end) {
    checkUtf8(bytes, offset, end)
    return
  }
  checkUtf8(bytes, offset, nul)
  throw invalidSequence(bytes, nul, end)
}

function checkUtf8(bytes: Buffer, start: number, end: number): void {
  if (isUtf8(bytes.subarray(start, end))) return
  let offset = start
  while (offset < end) {
    const length = sequenceBytes(bytes[offset] ?? 0)
    if (offset + length > end || !isUtf8(bytes.subarray(offset, offset + length))) break
    offset += length
  }
  throw invalidSequence(bytes, offset, end)
}

/** pg_utf_mblen: the length that a lead byte claims, 1 for bytes that cannot lead. */
function sequenceBytes(lead: number): number {
  if ((lead & 0xe0) === 0xc0) return 2
  if ((lead & 0xf0) === 0xe0) return 3
  return (lead & 0xf8) === 0xf0 ? 4 : 1
}

function invalidSequence(bytes: Buffer, offset: number, end: number): GatewayError {
  const shown: string[] = []
  const stop = Math.min(end, offset + sequenceBytes(bytes[offset] ?? 0))
  for (const byte of bytes.subarray(offset, stop)) {
    shown.push(`0x${byte.toString(16).padStart(2, "0")}`)
  }
  return new GatewayError({
    sqlState: SqlState.CharacterNotInRepertoire,
    reason: "unsupported_encoding",
    message: `invalid byte sequence for encoding "UTF8": ${shown.join(" ")}`,
  })
}

/**
 * Reads one message body. Every read is checked against the body's end, so that nothing of the next message, or of what
 * lies behind the buffer, can be taken for this one's. Texts as in PostgreSQL's pqformat.c.
 */
export class BodyReader {
  readonly #bytes: Buffer
  readonly #end: number
  readonly #violation: Violation
  #offset: number

  constructor(bytes: Buffer, start: number, end: number, violation: Violation = clientViolation) {
    this.#bytes = bytes
    this.#offset = start
    this.#end = end
    this.#violation = violation
  }

  get offset(): number {
    return this.#offset
  }

  uint8(): number {
    if (this.#offset >= this.#end) throw this.#violation("no data left in message")
    const value = this.#bytes[this.#offset] ?? 0
    this.#offset += 1
    return value
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.skip(2))
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.skip(2))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.skip(4))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.skip(4))
  }

  /** Moves over `length` bytes and returns where they start. A negative length is refused like one beyond the end. */
  skip(length: number): number {
    const start = this.#offset
    if (length < 0 || length > this.#end - start) {
      throw this.#violation("insufficient data left in message")
    }
    this.#offset = start + length
    return start
  }

  /** A NUL-terminated text in UTF-8. */
  cString(): string {
    const start = this.#offset
    const terminator = this.#terminator(start)
    if (terminator === -1) throw this.#violation("invalid string in message")
    this.#offset = terminator + 1
    return terminator === start ? "" : utf8(this.#bytes, start, terminator)
  }

  /** Names are short and mostly empty: a loop finds their end in less time than one call into the runtime takes. */
  #terminator(start: number): number {
    const probe = Math.min(this.#end, start + 32)
    for (let offset = start; offset < probe; offset += 1) {
      if (this.#bytes[offset] === 0) return offset
    }
    if (probe === this.#end) return -1
    const found = this.#bytes.indexOf(0, probe)
    return found < this.#end ? found : -1
  }

  /** Refuses bytes behind the last field. */
  finish(): void {
    if (this.#offset !== this.#end) throw this.#violation("invalid message format")
  }
}
