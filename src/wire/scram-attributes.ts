import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** PostgreSQL's cap on one message of the exchange, nonce included (PG_MAX_SASL_MESSAGE_LENGTH, auth-sasl.h). */
export const saslMessageBytesMax = 1024

/** `name=value` pairs with commas between, read in order (read_attr_value and read_any_attr in auth-scram.c). */
export class Attributes {
  readonly #text: string
  /** Where the next attribute starts; beyond the end after the last one. */
  offset = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.offset >= this.#text.length
  }

  take(name: string): string {
    const found = this.#text[this.offset]
    if (found !== name) {
      throw malformed(`Expected attribute "${name}" but found "${shown(found)}".`)
    }
    return this.any().value
  }

  any(): { readonly name: string; readonly value: string } {
    const name = this.#text[this.offset]
    if (name === undefined) throw malformed("Attribute expected, but found end of string.")
    if (!/^[A-Za-z]$/.test(name)) {
      throw malformed(`Attribute expected, but found invalid character "${shown(name)}".`)
    }
    if (this.#text[this.offset + 1] !== "=") {
      throw malformed(`Expected character "=" for attribute "${name}".`)
    }
    const comma = this.#text.indexOf(",", this.offset)
    const end = comma === -1 ? this.#text.length : comma
    const value = this.#text.slice(this.offset + 2, end)
    this.offset = end + 1
    return { name, value }
  }
}

/** One character a byte, so that the digests see the very bytes that were sent. */
export function readSaslText(data: Buffer): string {
  if (data.length === 0) throw malformed("The message is empty.")
  if (data.length > saslMessageBytesMax) throw violation("invalid message length")
  if (data.includes(0)) throw malformed("Message length does not match input length.")
  return data.toString("latin1")
}

/** sanitize_char: what is no printable ASCII is shown by its number. */
export function shown(character: string | undefined): string {
  if (character !== undefined && /^[!-~]$/.test(character)) return `'${character}'`
  return `0x${(character?.charCodeAt(0) ?? 0).toString(16).padStart(2, "0")}`
}

export function malformed(detail: string): GatewayError {
  return violation("malformed SCRAM message", detail)
}

export function violation(message: string, detail?: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "protocol_violation",
    severity: "FATAL",
    message,
    ...(detail === undefined ? {} : { detail }),
  })
}

export function unsupported(message: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "protocol_violation",
    severity: "FATAL",
    message,
  })
}

export function refused(message: string, detail?: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "invalid_password",
    severity: "FATAL",
    message,
    ...(detail === undefined ? {} : { detail }),
  })
}
