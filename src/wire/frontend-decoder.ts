import { GatewayError, toGatewayError } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"
import { unknownMessageType } from "./frame-splitter.ts"
import type {
  BindMessage,
  DescribeTarget,
  FrontendMessage,
  ParseMessage,
  QueryMessage,
  SaslInitialResponse,
} from "./frontend-messages.ts"
import { BodyReader, checkText, clientViolation, utf8 } from "./reader.ts"

const flush: FrontendMessage = { kind: "Flush" }
const sync: FrontendMessage = { kind: "Sync" }
const terminate: FrontendMessage = { kind: "Terminate" }
const copyDone: FrontendMessage = { kind: "CopyDone" }
const functionCall: FrontendMessage = { kind: "FunctionCall" }

/**
 * Reads one message body, `[start, end)` of `bytes`, as {@link FrameSplitter} found it. What is malformed inside a sound
 * frame is ERROR, as PostgreSQL has it: 08P01 for the layout, 22021 for text that is not UTF-8, 22023 for an unknown
 * format code. Only an unknown type byte is FATAL. PasswordMessage and its kin are read by functions of their own,
 * because their type byte says nothing about which one is meant.
 */
export function decodeFrontend(
  type: number,
  bytes: Buffer,
  start = 0,
  end: number = bytes.length,
): FrontendMessage {
  switch (type) {
    case 0x51: // Q
      return decodeQuery(bytes, start, end)
    case 0x50: // P
      return decodeParse(new BodyReader(bytes, start, end))
    case 0x42: // B
      return decodeBind(bytes, new BodyReader(bytes, start, end))
    case 0x44: // D
      return decodeTarget("Describe", new BodyReader(bytes, start, end))
    case 0x45: // E
      return decodeExecute(new BodyReader(bytes, start, end))
    case 0x53: // S
      return bare(sync, start, end)
    case 0x48: // H
      return bare(flush, start, end)
    case 0x43: // C
      return decodeTarget("Close", new BodyReader(bytes, start, end))
    case 0x58: // X; PostgreSQL leaves without a look at the body.
      return terminate
    case 0x46: // F
      return functionCall
    case 0x64: // d
      return { kind: "CopyData", data: bytes.subarray(start, end) }
    case 0x63: // c; outside COPY FROM, PostgreSQL drops it unread.
      return copyDone
    case 0x66: // f
      return decodeCopyFail(new BodyReader(bytes, start, end))
    default:
      throw unknownMessageType(type)
  }
}

function bare(message: FrontendMessage, start: number, end: number): FrontendMessage {
  if (start !== end) throw clientViolation("invalid message format")
  return message
}

/** One string and one object: a body that ends with its only NUL needs no reader. */
function decodeQuery(bytes: Buffer, start: number, end: number): QueryMessage {
  if (end > start && bytes[end - 1] === 0) {
    const sql = utf8(bytes, start, end - 1)
    if (!sql.includes("\0")) return { kind: "Query", sql }
  }
  const reader = new BodyReader(bytes, start, end)
  const sql = reader.cString()
  reader.finish()
  return { kind: "Query", sql }
}

function decodeParse(reader: BodyReader): ParseMessage {
  const name = reader.cString()
  const sql = reader.cString()
  const count = reader.uint16()
  if (count === 0) {
    reader.finish()
    return { kind: "Parse", name, sql, parameterTypes: none }
  }
  const parameterTypes: number[] = []
  for (let index = 0; index < count; index += 1) parameterTypes.push(reader.uint32())
  reader.finish()
  return { kind: "Parse", name, sql, parameterTypes }
}

const none: readonly never[] = []

function decodeBind(bytes: Buffer, reader: BodyReader): BindMessage {
  const portal = reader.cString()
  const statement = reader.cString()
  const sentFormats = readFormats(reader)
  const count = reader.uint16()
  if (sentFormats.length > 1 && sentFormats.length !== count) {
    throw clientViolation(
      `bind message has ${sentFormats.length} parameter formats but ${count} parameters`,
    )
  }
  const parameterFormats = spreadFormats(sentFormats, count, portal)
  const values = count === 0 ? none : readValues(bytes, reader, parameterFormats, portal)
  const resultFormats = checkFormats(readFormats(reader))
  reader.finish()
  return { kind: "Bind", portal, statement, parameterFormats, values, resultFormats }
}

function readFormats(reader: BodyReader): readonly number[] {
  const count = reader.uint16()
  if (count === 0) return none
  const formats: number[] = []
  for (let index = 0; index < count; index += 1) formats.push(reader.int16())
  return formats
}

/** Only codes that apply to something are checked: PostgreSQL takes a code for parameters that are not there. */
function spreadFormats(
  sent: readonly number[],
  count: number,
  portal: string,
): readonly FormatCode[] {
  if (count === 0) return none
  const bad = sent.findIndex((format) => format !== 0 && format !== 1)
  if (bad !== -1) throw inParameter(unsupportedFormat(sent[bad]), portal, bad)
  if (sent.length === count) return checkFormats(sent)
  const [format = 0] = checkFormats(sent)
  const formats: FormatCode[] = []
  for (let index = 0; index < count; index += 1) formats.push(format)
  return formats
}

function checkFormats(formats: readonly number[]): readonly FormatCode[] {
  for (const format of formats) {
    if (format !== 0 && format !== 1) throw unsupportedFormat(format)
  }
  return formats as readonly FormatCode[]
}

function unsupportedFormat(format: number | undefined): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: `unsupported format code: ${format}`,
  })
}

/** The error with the CONTEXT line that PostgreSQL gives it (postgres.c: bind_param_error_callback). `index` counts from 0. */
function inParameter(thrown: unknown, portal: string, index: number): GatewayError {
  const error = toGatewayError(thrown)
  const { sqlState, reason, severity, message } = error
  const whose = portal === "" ? "unnamed portal" : `portal "${portal}"`
  const fields = new Map([["W", `${whose} parameter $${index + 1}`]])
  return new GatewayError({ sqlState, reason, severity, message, fields })
}

/** Values are copied, all in one piece: a portal lives longer than the chunk, and must not hold on to 64 kB for 4 bytes. */
function readValues(
  bytes: Buffer,
  reader: BodyReader,
  formats: readonly FormatCode[],
  portal: string,
): (Buffer | null)[] {
  const first = reader.offset
  const lengths: number[] = []
  let index = 0
  try {
    for (; index < formats.length; index += 1) {
      const length = reader.int32()
      lengths.push(length)
      if (length === -1) continue
      const at = reader.skip(length)
      if (formats[index] === 0) checkText(bytes, at, at + length)
    }
  } catch (thrown) {
    throw inParameter(thrown, portal, index)
  }
  const copy = Buffer.allocUnsafe(reader.offset - first)
  bytes.copy(copy, 0, first, reader.offset)
  const values: (Buffer | null)[] = []
  let offset = 0
  for (const length of lengths) {
    offset += 4
    if (length === -1) {
      values.push(null)
      continue
    }
    values.push(copy.subarray(offset, offset + length))
    offset += length
  }
  return values
}

function decodeTarget(kind: "Describe" | "Close", reader: BodyReader): FrontendMessage {
  const code = reader.uint8()
  const name = reader.cString()
  reader.finish()
  let target: DescribeTarget
  if (code === 0x53) target = "statement"
  else if (code === 0x50) target = "portal"
  else throw clientViolation(`invalid ${kind.toUpperCase()} message subtype ${code}`)
  return kind === "Describe" ? { kind: "Describe", target, name } : { kind: "Close", target, name }
}

function decodeExecute(reader: BodyReader): FrontendMessage {
  const portal = reader.cString()
  const rowsMax = Math.max(0, reader.int32())
  reader.finish()
  return { kind: "Execute", portal, rowsMax }
}

function decodeCopyFail(reader: BodyReader): FrontendMessage {
  const message = reader.cString()
  reader.finish()
  return { kind: "CopyFail", message }
}

/** A clear-text password. Errors are FATAL, as every error before login is. */
export function decodePassword(bytes: Buffer, start = 0, end: number = bytes.length): string {
  const terminator = bytes.indexOf(0, start)
  if (terminator !== end - 1 || end === start) throw fatal("invalid password packet size")
  if (terminator === start) {
    throw new GatewayError({
      sqlState: SqlState.InvalidPassword,
      reason: "invalid_password",
      severity: "FATAL",
      message: "empty password returned by client",
    })
  }
  return bytes.toString("utf8", start, terminator)
}

/** The first answer to AuthenticationSASL. Errors are FATAL. `data` is a copy. */
export function decodeSaslInitialResponse(
  bytes: Buffer,
  { start = 0, end = bytes.length }: { readonly start?: number; readonly end?: number },
  checkMechanism: (mechanism: string) => void,
): SaslInitialResponse {
  const reader = new BodyReader(bytes, start, end, fatal)
  const mechanism = reader.cString()
  // Said before the rest is looked at: a clear-text password in place of it reads as the name of a mechanism.
  checkMechanism(mechanism)
  const length = reader.int32()
  if (length === -1) {
    reader.finish()
    return { mechanism, data: undefined }
  }
  const at = reader.skip(length)
  reader.finish()
  return { mechanism, data: Buffer.from(bytes.subarray(at, at + length)) }
}

/** A later answer: the whole body is the mechanism's. A copy. */
export function decodeSaslResponse(bytes: Buffer, start = 0, end: number = bytes.length): Buffer {
  return Buffer.from(bytes.subarray(start, end))
}

function fatal(message: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "protocol_violation",
    severity: "FATAL",
    message,
  })
}
