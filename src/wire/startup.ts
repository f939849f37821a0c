import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { FrameSplitter } from "./frame-splitter.ts"
import type { CancelRequest, StartupMessage, StartupPacket } from "./frontend-messages.ts"
import { utf8 } from "./reader.ts"

/** Newest minor version of protocol 3 that Sluice speaks: 3.2 brought cancel keys longer than four bytes. */
export const protocolMinorMax = 2

/** Longest cancel key of protocol 3.2 (PostgreSQL manual, 54.7, CancelRequest). */
export const cancelKeyBytesMax = 256

// Codes that stand where a version would (pqcomm.h): 1234.5678 and its neighbours, which no protocol will ever be called.
const cancelRequestCode = 0x04d2162e
const sslRequestCode = 0x04d2162f
const gssEncRequestCode = 0x04d21630

const sslRequest: StartupPacket = { kind: "SSLRequest" }
const gssEncRequest: StartupPacket = { kind: "GSSENCRequest" }

/** The next packet of a connection that has not logged in, or undefined while bytes are missing. Every error is FATAL. */
export function splitStartup(splitter: FrameSplitter): StartupPacket | undefined {
  if (!splitter.nextStartup()) return undefined
  return decodeStartup(splitter.bytes, splitter.start, splitter.end)
}

/** Reads the packet behind its length field. PostgreSQL closes without a word on some of the errors here; Sluice says why. */
export function decodeStartup(bytes: Buffer, start = 0, end: number = bytes.length): StartupPacket {
  if (end - start < 4) throw violation("invalid length of startup packet")
  const code = bytes.readUInt32BE(start)
  switch (code) {
    case sslRequestCode:
      if (end - start !== 4) throw violation("invalid length of startup packet")
      return sslRequest
    case gssEncRequestCode:
      if (end - start !== 4) throw violation("invalid length of startup packet")
      return gssEncRequest
    case cancelRequestCode:
      return decodeCancel(bytes, start, end)
    default:
      if (code >>> 16 !== 3) throw unsupportedProtocol(code)
      return decodeParameters(bytes, start, end, code & 0xffff)
  }
}

function decodeCancel(bytes: Buffer, start: number, end: number): CancelRequest {
  const keyBytes = end - start - 8
  if (keyBytes < 0) throw violation("invalid length of cancel request packet")
  if (keyBytes === 0 || keyBytes > cancelKeyBytesMax) {
    throw violation("invalid length of cancel key in cancel request packet")
  }
  return {
    kind: "CancelRequest",
    processId: bytes.readInt32BE(start + 4),
    secretKey: Buffer.from(bytes.subarray(start + 8, end)),
  }
}

/** Follows ProcessStartupPacket: pairs up to an empty name, which has to be the packet's last byte. */
function decodeParameters(
  bytes: Buffer,
  start: number,
  end: number,
  protocolMinor: number,
): StartupMessage {
  const parameters = new Map<string, string>()
  const protocolOptions: string[] = []
  let offset = start + 4
  while (offset < end && bytes[offset] !== 0) {
    const nameEnd = terminatorOf(bytes, offset, end)
    const valueEnd = terminatorOf(bytes, nameEnd + 1, end)
    const name = text(bytes, offset, nameEnd)
    if (name.startsWith("_pq_.")) protocolOptions.push(name)
    else parameters.set(name, text(bytes, nameEnd + 1, valueEnd))
    offset = valueEnd + 1
  }
  if (offset !== end - 1) throw missingTerminator()
  const user = parameters.get("user") ?? ""
  if (user === "") {
    throw new GatewayError({
      sqlState: SqlState.InvalidAuthorizationSpecification,
      reason: "protocol_violation",
      severity: "FATAL",
      message: "no PostgreSQL user name specified in startup packet",
    })
  }
  const database = parameters.get("database") ?? ""
  return {
    kind: "StartupMessage",
    protocolMinor,
    user,
    database: database === "" ? user : database,
    parameters,
    protocolOptions,
  }
}

function terminatorOf(bytes: Buffer, offset: number, end: number): number {
  const at = offset < end ? bytes.indexOf(0, offset) : -1
  if (at === -1 || at >= end) throw missingTerminator()
  return at
}

/** Two different byte strings must never become one user name, so what is not UTF-8 is refused, not repaired. */
function text(bytes: Buffer, start: number, end: number): string {
  try {
    return utf8(bytes, start, end)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    const { sqlState, reason, message } = thrown
    throw new GatewayError({ sqlState, reason, message, severity: "FATAL" })
  }
}

function missingTerminator(): GatewayError {
  return violation("invalid startup packet layout: expected terminator as last byte")
}

/** True when the client asked for more than Sluice speaks and has to be told with NegotiateProtocolVersion. */
export function needsNegotiation(startup: StartupMessage): boolean {
  return startup.protocolMinor > protocolMinorMax || startup.protocolOptions.length > 0
}

/** PostgreSQL's refusal of a version; also of a second SSLRequest, whose code it then reads as one. */
export function unsupportedProtocol(code: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "unsupported_protocol",
    severity: "FATAL",
    message:
      `unsupported frontend protocol ${code >>> 16}.${code & 0xffff}: ` +
      `server supports 3.0 to 3.${protocolMinorMax}`,
  })
}

function violation(message: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProtocolViolation,
    reason: "protocol_violation",
    severity: "FATAL",
    message,
  })
}
