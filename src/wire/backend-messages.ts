import type { GatewayError, Severity } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"

/**
 * Backend messages (server to client) as whole buffers: PostgreSQL manual, 54.7. Pure functions; every buffer returned is
 * fresh or an immutable constant, and the caller may hand it to a socket without copying.
 */

export type ColumnDescription = {
  readonly name: string
  /** 0 when the column is not a plain table column. */
  readonly tableOid: number
  readonly columnNumber: number
  readonly typeOid: number
  /** pg_type.typlen: -1 for variable length. */
  readonly typeSize: number
  /** atttypmod: -1 when the type has none. */
  readonly typeModifier: number
  readonly format: FormatCode
}

/** A message with this type byte around a body. */
export function message(type: string, body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(5 + body.length)
  out[0] = type.charCodeAt(0)
  out.writeInt32BE(4 + body.length, 1)
  body.copy(out, 5)
  return out
}

export const parseComplete = message("1", Buffer.alloc(0))
export const bindComplete = message("2", Buffer.alloc(0))
export const closeComplete = message("3", Buffer.alloc(0))
export const noData = message("n", Buffer.alloc(0))
export const emptyQueryResponse = message("I", Buffer.alloc(0))
export const portalSuspended = message("s", Buffer.alloc(0))

/** `I` idle, `T` in a transaction block, `E` in a failed one. */
export type TransactionStatus = "I" | "T" | "E"

const ready: Readonly<Record<TransactionStatus, Buffer>> = {
  I: message("Z", Buffer.from("I")),
  T: message("Z", Buffer.from("T")),
  E: message("Z", Buffer.from("E")),
}

export function readyForQuery(status: TransactionStatus): Buffer {
  return ready[status]
}

/** A message whose whole body is text; the caller writes the NULs. */
function textMessage(type: number, body: string): Buffer {
  const bodyBytes = Buffer.byteLength(body)
  const out = Buffer.allocUnsafe(5 + bodyBytes)
  out[0] = type
  out.writeInt32BE(4 + bodyBytes, 1)
  out.write(body, 5)
  return out
}

export function commandComplete(tag: string): Buffer {
  return textMessage(0x43, `${tag}\0`)
}

export function parameterStatus(name: string, value: string): Buffer {
  return textMessage(0x53, `${name}\0${value}\0`)
}

export const authenticationOk = message("R", Buffer.alloc(4))
export const authenticationCleartextPassword = message("R", Buffer.from([0, 0, 0, 3]))

/** Offers SASL mechanisms, the preferred one first. */
export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  const names = mechanisms.map((name) => `${name}\0`).join("")
  return textMessage(0x52, `\0\0\0\u000a${names}\0`)
}

export function authenticationSaslContinue(data: Buffer): Buffer {
  return message("R", Buffer.concat([Buffer.from([0, 0, 0, 11]), data]))
}

export function authenticationSaslFinal(data: Buffer): Buffer {
  return message("R", Buffer.concat([Buffer.from([0, 0, 0, 12]), data]))
}

/**
 * Tells a client that asked for more than there is what it gets: protocol 3.`minor`, without the extensions named. `minor`
 * is the smaller one of what was asked for and what Sluice speaks. Sent before AuthenticationSASL; the session goes on.
 */
export function negotiateProtocolVersion(minor: number, unknownOptions: readonly string[]): Buffer {
  const names = Buffer.from(unknownOptions.map((name) => `${name}\0`).join(""))
  const body = Buffer.allocUnsafe(8 + names.length)
  body.writeInt32BE((3 << 16) | minor, 0)
  body.writeInt32BE(unknownOptions.length, 4)
  names.copy(body, 8)
  return message("v", body)
}

/** Begins COPY TO STDOUT. In text format every column's code is 0. */
export function copyOutResponse(format: FormatCode, columnFormats: readonly FormatCode[]): Buffer {
  const body = Buffer.allocUnsafe(3 + 2 * columnFormats.length)
  body[0] = format
  body.writeInt16BE(columnFormats.length, 1)
  for (const [index, code] of columnFormats.entries()) body.writeInt16BE(code, 3 + 2 * index)
  return message("H", body)
}

/** One row of COPY in text format, its newline included. */
export function copyData(row: Buffer): Buffer {
  return message("d", row)
}

export const copyDone = message("c", Buffer.alloc(0))

export function notificationResponse(processId: number, channel: string, payload: string): Buffer {
  const text = Buffer.from(`${channel}\0${payload}\0`)
  const body = Buffer.allocUnsafe(4 + text.length)
  body.writeInt32BE(processId, 0)
  text.copy(body, 4)
  return message("A", body)
}

export function rowDescription(columns: readonly ColumnDescription[]): Buffer {
  const names = columns.map((column) => Buffer.from(column.name))
  let bodyBytes = 2
  for (const name of names) bodyBytes += name.length + 1 + 18
  const out = Buffer.allocUnsafe(5 + bodyBytes)
  out[0] = 0x54
  out.writeInt32BE(4 + bodyBytes, 1)
  out.writeInt16BE(columns.length, 5)
  let offset = 7
  for (const [index, column] of columns.entries()) {
    offset += names[index]?.copy(out, offset) ?? 0
    out[offset] = 0
    out.writeUInt32BE(column.tableOid, offset + 1)
    out.writeInt16BE(column.columnNumber, offset + 5)
    out.writeUInt32BE(column.typeOid, offset + 7)
    out.writeInt16BE(column.typeSize, offset + 11)
    out.writeInt32BE(column.typeModifier, offset + 13)
    out.writeInt16BE(column.format, offset + 17)
    offset += 19
  }
  return out
}

/** A DataRow of ready values; for the few rows Sluice makes itself. Engines encode batches in one go. */
export function dataRow(values: readonly (Buffer | null)[]): Buffer {
  let bodyBytes = 2
  for (const value of values) bodyBytes += 4 + (value?.length ?? 0)
  const out = Buffer.allocUnsafe(5 + bodyBytes)
  out[0] = 0x44
  out.writeInt32BE(4 + bodyBytes, 1)
  out.writeInt16BE(values.length, 5)
  let offset = 7
  for (const value of values) {
    out.writeInt32BE(value === null ? -1 : value.length, offset)
    offset += 4
    if (value !== null) offset += value.copy(out, offset)
  }
  return out
}

export function parameterDescription(typeOids: readonly number[]): Buffer {
  const out = Buffer.allocUnsafe(5 + 2 + 4 * typeOids.length)
  out[0] = 0x74
  out.writeInt32BE(6 + 4 * typeOids.length, 1)
  out.writeUInt16BE(typeOids.length, 5)
  for (const [index, oid] of typeOids.entries()) out.writeUInt32BE(oid, 7 + 4 * index)
  return out
}

export function backendKeyData(processId: number, secretKey: Buffer): Buffer {
  const body = Buffer.allocUnsafe(4 + secretKey.length)
  body.writeInt32BE(processId, 0)
  secretKey.copy(body, 4)
  return message("K", body)
}

/** Fields of ErrorResponse and NoticeResponse by their one-letter codes (PostgreSQL manual, 54.8). */
export type FieldList = readonly (readonly [code: string, value: string])[]

function fieldsBody(fields: FieldList): Buffer {
  const text = fields.map(([code, value]) => `${code}${value.replaceAll("\0", "")}\0`).join("")
  return Buffer.from(`${text}\0`)
}

export function errorResponse(fields: FieldList): Buffer {
  return message("E", fieldsBody(fields))
}

export function noticeResponse(fields: FieldList): Buffer {
  return message("N", fieldsBody(fields))
}

export type ErrorFieldsOptions = {
  /** Overrides the error's own: before login PostgreSQL makes every ERROR a FATAL. */
  readonly severity?: Severity
  /** Overrides the error's own; characters from 1. */
  readonly position?: number
}

/** The order in which PostgreSQL writes fields (send_message_to_frontend, elog.c); some clients print them in it. */
const fieldOrder = ["S", "V", "C", "M", "D", "H", "W", "s", "t", "c", "d", "n", "P", "p", "q"]
const sourceFields = ["F", "L", "R"]
const ownFields: ReadonlySet<string> = new Set(["S", "V", "C", "M", "D", "H", "P"])

/**
 * An error as the client reads it. `error.fields` from a warehouse pass through unless this list has its own; `cause` and
 * `reason` stay inside.
 */
export function errorFields(error: GatewayError, options: ErrorFieldsOptions = {}): FieldList {
  const severity = options.severity ?? error.severity
  const position = options.position ?? error.position
  const values = new Map<string, string>([
    ["S", severity],
    ["V", severity],
    ["C", error.sqlState],
    ["M", error.message],
  ])
  if (error.detail !== undefined) values.set("D", error.detail)
  if (error.hint !== undefined) values.set("H", error.hint)
  if (position !== undefined) values.set("P", String(position))
  for (const [code, value] of error.fields ?? []) {
    if (!ownFields.has(code)) values.set(code, value)
  }
  return inOrder(values)
}

export type Notice = {
  readonly severity: "WARNING" | "NOTICE" | "DEBUG" | "INFO" | "LOG"
  readonly sqlState: string
  readonly message: string
  readonly detail?: string
  readonly hint?: string
}

export function noticeFields(notice: Notice): FieldList {
  const fields: (readonly [string, string])[] = [
    ["S", notice.severity],
    ["V", notice.severity],
    ["C", notice.sqlState],
    ["M", notice.message],
  ]
  if (notice.detail !== undefined) fields.push(["D", notice.detail])
  if (notice.hint !== undefined) fields.push(["H", notice.hint])
  return fields
}

/** Known fields in PostgreSQL's order; what a newer server added comes before the source location, as it would there. */
function inOrder(values: ReadonlyMap<string, string>): FieldList {
  const fields: (readonly [string, string])[] = []
  for (const code of fieldOrder) {
    const value = values.get(code)
    if (value !== undefined) fields.push([code, value])
  }
  for (const [code, value] of values) {
    const isPlain = /^[A-Za-z]$/.test(code)
    if (isPlain && !fieldOrder.includes(code) && !sourceFields.includes(code)) {
      fields.push([code, value])
    }
  }
  for (const code of sourceFields) {
    const value = values.get(code)
    if (value !== undefined) fields.push([code, value])
  }
  return fields
}
