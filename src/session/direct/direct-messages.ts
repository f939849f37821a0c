import type { GatewayError } from "../../core/errors.ts"
import type { TransactionStatus } from "../../wire/backend-messages.ts"

/** Backend messages that a session which writes looks into (PostgreSQL manual, 54.7). */
export const backend = {
  commandComplete: 0x43,
  copyInResponse: 0x47,
  errorResponse: 0x45,
  notification: 0x41,
  readyForQuery: 0x5a,
  bindComplete: 0x32,
  dataRow: 0x44,
} as const

/** What ReadyForQuery says. */
export function transactionStatus(frame: Buffer): TransactionStatus {
  const status = String.fromCharCode(frame[5] ?? 0)
  return status === "T" || status === "E" ? status : "I"
}

/** The text of CommandComplete's tag. */
export function tagOf(frame: Buffer): string {
  return frame.toString("utf8", 5, frame.length - 1)
}

/** One field of an ErrorResponse; undefined when it has none of that code. */
export function errorField(frame: Buffer, code: string): string | undefined {
  let offset = 5
  while (offset < frame.length && frame[offset] !== 0) {
    const end = frame.indexOf(0, offset + 1)
    if (end === -1) return undefined
    if (frame[offset] === code.charCodeAt(0)) return frame.toString("utf8", offset + 1, end)
    offset = end + 1
  }
  return undefined
}

/** First columns of one or more whole DataRows as text; NULLs are left out. */
export function firstValues(rows: Buffer): readonly string[] {
  const values: string[] = []
  for (let at = 0; at + 11 <= rows.length; at += 1 + rows.readInt32BE(at + 1)) {
    const length = rows.readInt32BE(at + 7)
    if (length >= 0) values.push(rows.toString("utf8", at + 11, at + 11 + length))
  }
  return values
}

/** A notification with the process id that the client knows. */
export function withProcessId(frame: Buffer, processId: number): Buffer {
  const copy = Buffer.from(frame)
  copy.writeInt32BE(processId, 5)
  return copy
}

const refusedPrefix = "sluice_refused_"

/**
 * Refusals in the stream. A statement that may not be forwarded is replaced by a text that fails: so the server itself skips
 * what follows in the batch and fails its transaction, as it would have done, and its error is replaced by ours on the way
 * back. Bounded by the messages that may be under way.
 */
export class Refusals {
  readonly #errors = new Map<string, GatewayError>()
  #count = 0

  /** The text to send in place of what is refused. */
  add(error: GatewayError): string {
    this.#count += 1
    const token = `${refusedPrefix}${this.#count}`
    this.#errors.set(token, error)
    return token
  }

  /** The error that an ErrorResponse of the server stands for; undefined when it is the server's own. */
  take(frame: Buffer): GatewayError | undefined {
    if (this.#errors.size === 0 || !frame.includes(refusedPrefix)) return undefined
    const message = errorField(frame, "M") ?? ""
    const token = new RegExp(`"(${refusedPrefix}\\d+)"`).exec(message)?.[1] ?? ""
    const error = this.#errors.get(token)
    this.#errors.delete(token)
    return error
  }

  /** No answer is owed any more: what was skipped by the server is forgotten. */
  clear(): void {
    this.#errors.clear()
  }
}
