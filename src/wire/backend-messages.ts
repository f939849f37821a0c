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

export function commandComplete(tag: string): Buffer {
  return message("C", Buffer.from(`${tag}\0`))
}

export function parameterStatus(name: string, value: string): Buffer {
  return message("S", Buffer.from(`${name}\0${value}\0`))
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
