import { GatewayError } from "../../core/errors.ts"
import type { Parameters } from "../../core/parameters.ts"
import { SqlState } from "../../core/sql-state.ts"
import { cast, type Node, nullConstant, text, typeName } from "./ast-nodes.ts"
import { unsupported } from "./dialect-errors.ts"
import {
  intervalText,
  writeDateText,
  writeTimestampText,
  writeTimeText,
} from "./encode-datetime.ts"
import { floatText } from "./encode-number.ts"
import { decimalText } from "./encode-numeric.ts"
import { ByteSink } from "./encode-sink.ts"
import { arrayOidOf, PgOid } from "./type-map.ts"

/** pg_type's names of the types that a parameter may have. */
const typeNames: ReadonlyMap<number, string> = new Map([
  [PgOid.Bool, "bool"],
  [PgOid.Bytea, "bytea"],
  [PgOid.Int2, "int2"],
  [PgOid.Int4, "int4"],
  [PgOid.Int8, "int8"],
  [PgOid.Oid, "int8"],
  [PgOid.Float4, "float4"],
  [PgOid.Float8, "float8"],
  [PgOid.Numeric, "numeric"],
  [PgOid.Text, "text"],
  [PgOid.Varchar, "text"],
  [PgOid.Bpchar, "text"],
  [PgOid.Name, "text"],
  [PgOid.Json, "json"],
  [PgOid.Jsonb, "json"],
  [PgOid.Uuid, "uuid"],
  [PgOid.Date, "date"],
  [PgOid.Time, "time"],
  [PgOid.Timetz, "timetz"],
  [PgOid.Timestamp, "timestamp"],
  [PgOid.Timestamptz, "timestamptz"],
  [PgOid.Interval, "interval"],
])

const extraArrays: readonly (readonly [number, number])[] = [
  [1014, PgOid.Bpchar],
  [1015, PgOid.Varchar],
  [1003, PgOid.Name],
  [1028, PgOid.Oid],
  [3807, PgOid.Jsonb],
]

const elementOf: ReadonlyMap<number, number> = new Map([
  ...[...arrayOidOf].map(([element, array]) => [array, element] as const),
  ...extraArrays,
])

/**
 * One bound parameter as a literal of its declared type. An undeclared one in text format is a bare string literal, which
 * DuckDB, like PostgreSQL, takes as a value of whatever type its place wants.
 */
export function parameterLiteral(parameters: Parameters, number: number): Node {
  const index = number - 1
  if (number < 1 || index >= parameters.values.length) {
    throw new GatewayError({
      sqlState: "42P02",
      reason: "invalid_parameter",
      message: `there is no parameter $${number}`,
    })
  }
  const oid = parameters.types[index] ?? 0
  const value = parameters.values[index]
  const isBinary = formatOf(parameters, index) === 1
  if (value === null || value === undefined) return nullOf(oid)
  if (isBinary) return binaryLiteral(value, oid, number)
  return textLiteral(utf8(value, number), oid)
}

function formatOf({ formats }: Parameters, index: number): number {
  return (formats.length === 1 ? formats[0] : formats[index]) ?? 0
}

function nullOf(oid: number): Node {
  const name = typeNames.get(oid)
  if (name !== undefined) return cast(nullConstant, name)
  const element = typeNames.get(elementOf.get(oid) ?? 0)
  return element === undefined ? nullConstant : cast(nullConstant, element, [], true)
}

/** The cast is the dialect's to translate (arrays, bytea, numeric), as if the client had written it. */
function textLiteral(value: string, oid: number): Node {
  const element = elementOf.get(oid)
  if (element !== undefined) {
    const name = typeNames.get(element)
    if (name === undefined) throw unsupported(`a parameter of type ${oid}`)
    return cast(text(value), name, [], true)
  }
  const name = typeNames.get(oid)
  if (name === undefined) {
    if (oid === 0 || oid === PgOid.Unknown) return text(value)
    throw unsupported(`a parameter of type ${oid}`)
  }
  return cast(text(value), name)
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

function utf8(value: Buffer, number: number): string {
  let decoded: string | undefined
  try {
    decoded = decoder.decode(value)
  } catch {
    decoded = undefined
  }
  if (decoded === undefined || decoded.includes("\0")) {
    throw new GatewayError({
      sqlState: SqlState.CharacterNotInRepertoire,
      reason: "invalid_parameter",
      message: 'invalid byte sequence for encoding "UTF8"',
      detail: `Parameter $${number}.`,
    })
  }
  return decoded
}

function malformed(number: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidBinaryRepresentation,
    reason: "invalid_parameter",
    message: `incorrect binary data format in bind parameter ${number}`,
  })
}

function binaryLiteral(value: Buffer, oid: number, number: number): Node {
  const element = elementOf.get(oid)
  const name = typeNames.get(element ?? oid)
  if (name === undefined) {
    if (oid === 0) {
      throw unsupported(
        `a binary parameter ($${number}) without a declared type`,
        "Send it as text, or declare its type.",
      )
    }
    throw unsupported(`a binary parameter of type ${oid}`)
  }
  try {
    if (element === undefined) return cast(text(binaryText(value, oid, number)), name)
    return arrayLiteral(value, element, number)
  } catch (thrown) {
    if (thrown instanceof RangeError) throw malformed(number)
    throw thrown
  }
}

/** array_recv: one dimension, which is what drivers send for lists. */
function arrayLiteral(value: Buffer, element: number, number: number): Node {
  const name = typeNames.get(element) ?? "text"
  const dimensions = value.readInt32BE(0)
  if (dimensions === 0) return cast(text("{}"), name, [], true)
  if (dimensions !== 1) throw unsupported("a binary array parameter of several dimensions")
  const count = value.readInt32BE(12)
  const elements: Node[] = []
  let offset = 20
  for (let index = 0; index < count; index++) {
    const length = value.readInt32BE(offset)
    offset += 4
    if (length < 0) {
      elements.push(cast(nullConstant, name))
      continue
    }
    if (offset + length > value.length) throw malformed(number)
    elements.push(
      cast(text(binaryText(value.subarray(offset, offset + length), element, number)), name),
    )
    offset += length
  }
  if (offset !== value.length) throw malformed(number)
  return { TypeCast: { arg: { A_ArrayExpr: { elements } }, typeName: typeName(name, [], true) } }
}

const epochDays = 10_957
const epochMicros = 946_684_800_000_000n
const int64Max = 9_223_372_036_854_775_807n

/** The text form of a value in binary format (the receive functions of PostgreSQL's types). */
function binaryText(value: Buffer, oid: number, number: number): string {
  const size = sizes.get(oid)
  if (size !== undefined && value.length !== size) throw malformed(number)
  switch (oid) {
    case PgOid.Bool:
      return value.readUInt8(0) === 0 ? "false" : "true"
    case PgOid.Int2:
      return String(value.readInt16BE(0))
    case PgOid.Int4:
      return String(value.readInt32BE(0))
    case PgOid.Oid:
      return String(value.readUInt32BE(0))
    case PgOid.Int8:
      return String(value.readBigInt64BE(0))
    case PgOid.Float4:
      return floatText(value.readFloatBE(0), true, 1)
    case PgOid.Float8:
      return floatText(value.readDoubleBE(0), false, 1)
    case PgOid.Bytea:
      return `\\x${value.toString("hex")}`
    case PgOid.Uuid:
      return value.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
    case PgOid.Date:
      return written((sink) => writeDateText(sink, duckdbDays(value.readInt32BE(0))))
    case PgOid.Time:
      return written((sink) => writeTimeText(sink, Number(value.readBigInt64BE(0))))
    case PgOid.Timestamp:
      return written((sink) => writeTimestampText(sink, duckdbMicros(value)))
    case PgOid.Timestamptz:
      return withUtcOffset(written((sink) => writeTimestampText(sink, duckdbMicros(value))))
    case PgOid.Interval:
      return intervalText({
        micros: value.readBigInt64BE(0),
        days: value.readInt32BE(8),
        months: value.readInt32BE(12),
      })
    case PgOid.Numeric:
      return numericText(value, number)
    case PgOid.Jsonb:
      if (value.readUInt8(0) !== 1) throw malformed(number)
      return utf8(value.subarray(1), number)
    case PgOid.Timetz:
      throw unsupported("a binary parameter of type time with time zone")
    default:
      return utf8(value, number)
  }
}

const sizes: ReadonlyMap<number, number> = new Map([
  [PgOid.Bool, 1],
  [PgOid.Int2, 2],
  [PgOid.Int4, 4],
  [PgOid.Oid, 4],
  [PgOid.Int8, 8],
  [PgOid.Float4, 4],
  [PgOid.Float8, 8],
  [PgOid.Uuid, 16],
  [PgOid.Date, 4],
  [PgOid.Time, 8],
  [PgOid.Timestamp, 8],
  [PgOid.Timestamptz, 8],
  [PgOid.Interval, 16],
])

function written(write: (sink: ByteSink) => void): string {
  const sink = new ByteSink(128)
  write(sink)
  return sink.buffer.toString("latin1", 0, sink.offset)
}

function duckdbDays(days: number): number {
  if (days === 2_147_483_647) return days
  return days === -2_147_483_648 ? -2_147_483_647 : days + epochDays
}

function duckdbMicros(value: Buffer): bigint {
  const micros = value.readBigInt64BE(0)
  if (micros === int64Max) return int64Max
  return micros === -int64Max - 1n ? -int64Max : micros + epochMicros
}

function withUtcOffset(timestamp: string): string {
  if (timestamp.endsWith("infinity")) return timestamp
  return timestamp.endsWith(" BC") ? `${timestamp.slice(0, -3)}+00 BC` : `${timestamp}+00`
}

/** numeric_recv: base-10000 digits, weight of the first, sign, display scale. */
function numericText(value: Buffer, number: number): string {
  const count = value.readUInt16BE(0)
  const weight = value.readInt16BE(2)
  const sign = value.readUInt16BE(4)
  const scale = value.readUInt16BE(6)
  if (sign === 0xc000) return "NaN"
  if (sign === 0xd000) return "Infinity"
  if (sign === 0xf000) return "-Infinity"
  if (value.length !== 8 + 2 * count) throw malformed(number)
  let unscaled = 0n
  for (let index = 0; index < count; index++) {
    const digit = value.readUInt16BE(8 + 2 * index)
    if (digit > 9_999) throw malformed(number)
    unscaled = unscaled * 10_000n + BigInt(digit)
  }
  const exponent = 4 * (weight - count + 1) + scale
  const scaled =
    exponent >= 0 ? unscaled * 10n ** BigInt(exponent) : unscaled / 10n ** BigInt(-exponent)
  return decimalText(sign === 0x4000 ? -scaled : scaled, scale)
}
