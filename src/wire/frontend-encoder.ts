import { GatewayError } from "../core/errors.ts"
import type { FormatCode, Parameters } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"

/** Messages that a client sends (PostgreSQL manual, 54.7), each whole. The unnamed statement and portal unless named. */

function framed(type: string, body: Buffer): Buffer {
  const out = Buffer.allocUnsafe(5 + body.length)
  out[0] = type.charCodeAt(0)
  out.writeInt32BE(4 + body.length, 1)
  body.copy(out, 5)
  return out
}

/** A NUL would end the string early and let the rest be read as something else. */
function checked(text: string): string {
  if (!text.includes("\0")) return text
  throw new GatewayError({
    sqlState: SqlState.CharacterNotInRepertoire,
    reason: "invalid_parameter",
    message: 'invalid byte sequence for encoding "UTF8": 0x00',
    safeToRetry: true,
  })
}

export const flushMessage = framed("H", Buffer.alloc(0))
export const syncMessage = framed("S", Buffer.alloc(0))
export const executeMessage = framed("E", Buffer.from([0, 0, 0, 0, 0]))
export const describePortalMessage = framed("D", Buffer.from("P\0"))
export const describeStatementMessage = framed("D", Buffer.from("S\0"))
export const terminateMessage = framed("X", Buffer.alloc(0))

export function queryMessage(text: string): Buffer {
  return framed("Q", Buffer.from(`${checked(text)}\0`))
}

export function parseMessage(text: string, parameterTypes: readonly number[], name = ""): Buffer {
  const types = Buffer.allocUnsafe(2 + 4 * parameterTypes.length)
  types.writeUInt16BE(parameterTypes.length, 0)
  for (const [index, oid] of parameterTypes.entries()) types.writeUInt32BE(oid, 2 + 4 * index)
  return framed("P", Buffer.concat([Buffer.from(`${checked(name)}\0${checked(text)}\0`), types]))
}

function formatCodes(formats: readonly FormatCode[]): Buffer {
  const out = Buffer.allocUnsafe(2 + 2 * formats.length)
  out.writeUInt16BE(formats.length, 0)
  for (const [index, format] of formats.entries()) out.writeUInt16BE(format, 2 + 2 * index)
  return out
}

export type BindNames = { readonly portal: string; readonly statement: string }

export function bindMessage(
  parameters: Parameters,
  resultFormats: readonly FormatCode[],
  names: BindNames = { portal: "", statement: "" },
): Buffer {
  const { formats, values } = parameters
  const named = Buffer.from(`${checked(names.portal)}\0${checked(names.statement)}\0`)
  const parts: Buffer[] = [named, formatCodes(formats)]
  const count = Buffer.allocUnsafe(2)
  count.writeUInt16BE(values.length, 0)
  parts.push(count)
  for (const value of values) {
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(value === null ? -1 : value.length, 0)
    parts.push(length)
    if (value !== null) parts.push(value)
  }
  parts.push(formatCodes(resultFormats))
  return framed("B", Buffer.concat(parts))
}

/** Request codes of messages without a type byte. */
const cancelRequestCode = 80_877_102
const sslRequestCode = 80_877_103

export function cancelRequest(processId: number, secretKey: Buffer): Buffer {
  const out = Buffer.allocUnsafe(12 + secretKey.length)
  out.writeInt32BE(out.length, 0)
  out.writeInt32BE(cancelRequestCode, 4)
  out.writeInt32BE(processId, 8)
  secretKey.copy(out, 12)
  return out
}

export function sslRequest(): Buffer {
  const out = Buffer.allocUnsafe(8)
  out.writeInt32BE(8, 0)
  out.writeInt32BE(sslRequestCode, 4)
  return out
}
