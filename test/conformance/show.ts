import { createHash } from "node:crypto"
import type { BackendMessage } from "../support/wire-client.ts"
import { typeName } from "./type-names.ts"

const messageNames: Readonly<Record<string, string>> = {
  "1": "ParseComplete",
  "2": "BindComplete",
  "3": "CloseComplete",
  A: "NotificationResponse",
  C: "CommandComplete",
  D: "DataRow",
  E: "ErrorResponse",
  G: "CopyInResponse",
  H: "CopyOutResponse",
  I: "EmptyQueryResponse",
  K: "BackendKeyData",
  N: "NoticeResponse",
  R: "Authentication",
  S: "ParameterStatus",
  T: "RowDescription",
  V: "FunctionCallResponse",
  W: "CopyBothResponse",
  Z: "ReadyForQuery",
  c: "CopyDone",
  d: "CopyData",
  n: "NoData",
  s: "PortalSuspended",
  t: "ParameterDescription",
  v: "NegotiateProtocolVersion",
}

/** The manual's name of a message, or its type byte where it has none. */
export function messageName(type: string): string {
  return messageNames[type] ?? `message ${JSON.stringify(type)}`
}

/** Above this a value is shown by its length and a hash: equal values stay equal, and a file stays readable. */
const valueCharsMax = 300

/** Tab, line feed and carriage return are text, other control characters are not. */
function isPrintable(byte: number): boolean {
  return byte >= 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d
}

function value(bytes: Buffer): string {
  const text = bytes.toString()
  const isText = bytes.every(isPrintable) && Buffer.from(text).equals(bytes)
  const shown = isText ? JSON.stringify(text) : `0x${bytes.toString("hex")}`
  if (shown.length <= valueCharsMax) return shown
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 16)
  return `${shown.slice(0, 40)}... ${bytes.length} bytes sha256 ${hash}`
}

/** Reads a body from its start; every part that is missing shows as such instead of as something else. */
class Body {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int(size: 1 | 2 | 4): number {
    const number = this.#bytes.readIntBE(this.#at, size)
    this.#at += size
    return number
  }

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end === -1) throw new Error("a string without its end")
    const text = this.#bytes.toString("utf8", this.#at, end)
    this.#at = end + 1
    return text
  }

  take(length: number): Buffer {
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    if (bytes.length !== length) throw new Error("a value without its end")
    this.#at += length
    return bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }
}

function column(body: Body): string {
  const name = JSON.stringify(body.text())
  const relation = body.int(4)
  const attribute = body.int(2)
  const type = typeName(body.int(4) >>> 0)
  const size = body.int(2)
  const modifier = body.int(4)
  const format = body.int(2) === 0 ? "text" : "binary"
  const from = relation === 0 && attribute === 0 ? "" : ` of ${relation >>> 0}.${attribute}`
  return `${name} ${type} ${size} ${modifier} ${format}${from}`
}

function list(body: Body, item: (body: Body) => string): string {
  const items: string[] = []
  for (let count = body.int(2); count > 0; count -= 1) items.push(item(body))
  return items.join(" | ")
}

function cell(body: Body): string {
  const length = body.int(4)
  return length === -1 ? "null" : value(body.take(length))
}

function fields(body: Body): string {
  const shown: string[] = []
  for (;;) {
    const code = body.int(1)
    if (code === 0) return shown.join(" ")
    shown.push(`${String.fromCharCode(code)}=${JSON.stringify(body.text())}`)
  }
}

function authentication(body: Body): string {
  const code = body.int(4)
  if (code === 0) return "Ok"
  if (code === 10) {
    const mechanisms: string[] = []
    for (let name = body.text(); name !== ""; name = body.text()) mechanisms.push(name)
    return `SASL ${mechanisms.join(" ")}`
  }
  // Nonce, salt and signature are random.
  if (code === 11) return "SASLContinue"
  if (code === 12) return "SASLFinal"
  return String(code)
}

function copyResponse(body: Body): string {
  const format = body.int(1) === 0 ? "text" : "binary"
  return `${format} ${list(body, (rest) => (rest.int(2) === 0 ? "text" : "binary"))}`
}

function parameterTypes(body: Body): string {
  return list(body, (rest) => typeName(rest.int(4) >>> 0))
}

function negotiation(body: Body): string {
  const version = body.int(4)
  const names: string[] = []
  for (let count = body.int(4); count > 0; count -= 1) names.push(body.text())
  return `${version >>> 16}.${version & 0xffff} ${names.join(" ")}`.trimEnd()
}

function bodyOf({ type, body: bytes }: BackendMessage, body: Body): string {
  switch (type) {
    case "T":
      return list(body, column)
    case "D":
      return list(body, cell)
    case "E":
    case "N":
      return fields(body)
    case "R":
      return authentication(body)
    case "K":
      return `pid ${body.int(4)} key of ${body.take(bytes.length - 4).length} bytes`
    case "C":
      return JSON.stringify(body.text())
    case "S":
      return `${body.text()} = ${JSON.stringify(body.text())}`
    case "Z":
      return body.take(1).toString()
    case "t":
      return parameterTypes(body)
    case "G":
    case "H":
    case "W":
      return copyResponse(body)
    case "A":
      return `pid ${body.int(4)} ${JSON.stringify(body.text())} ${JSON.stringify(body.text())}`
    case "d":
      return value(body.take(bytes.length))
    case "v":
      return negotiation(body)
    default:
      return bytes.length === 0 ? "" : value(body.take(bytes.length))
  }
}

/** SASL messages are not read to their end: what is left of them is random. */
const openEnded: ReadonlySet<string> = new Set(["R"])

/**
 * One line for one message, with all its bytes in it: two messages have the same line only when they are equal, except
 * where a value is random by nature (SASL) or shown by its hash.
 */
export function showMessage(message: BackendMessage): string {
  const body = new Body(message.body)
  const shown = bodyOf(message, body)
  if (!body.isAtEnd && !openEnded.has(message.type))
    throw new Error(`${messageName(message.type)} has bytes behind its end`)
  return `${messageName(message.type)} ${shown}`.trimEnd()
}
