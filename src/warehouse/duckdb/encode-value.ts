import {
  DuckDBArrayValue,
  DuckDBBitValue,
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBIntervalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimeNSValue,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeTZValue,
  DuckDBTimeValue,
  DuckDBTypeId,
  DuckDBUnionValue,
  type DuckDBValue,
  DuckDBVariantValue,
} from "@duckdb/node-api"
import {
  intervalText,
  writeDateBinary,
  writeDateText,
  writeIntervalBinary,
  writeTimeBinary,
  writeTimestampBinary,
  writeTimestampText,
  writeTimeText,
  writeTimetzBinary,
  writeTimetzText,
} from "./encode-datetime.ts"
import { floatText } from "./encode-number.ts"
import { decimalText, writeNumericBinary } from "./encode-numeric.ts"
import type { ByteSink } from "./encode-sink.ts"
import { type ByteaOutput, writeByteaText } from "./encode-text.ts"
import type { ZoneOffsets } from "./time-zone.ts"
import { PgOid } from "./type-map.ts"

/**
 * The slow way for values that have no encoder of their own: items of nested types and rare scalars, as the objects that
 * the driver makes of them.
 */
export type ValueStyle = {
  readonly zone: ZoneOffsets
  readonly bytea: ByteaOutput
  readonly extraFloatDigits: number
}

const infinity = 9_223_372_036_854_775_807n

function isInfinite(value: bigint): boolean {
  return value === infinity || value === -infinity
}

function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient
}

/** Timestamps of any unit as microseconds; nanoseconds are cut as DuckDB's own cast to TIMESTAMP cuts them. */
function timestampMicros(value: DuckDBValue): bigint | undefined {
  if (value instanceof DuckDBTimestampValue) return value.micros
  if (value instanceof DuckDBTimestampSecondsValue) {
    return isInfinite(value.seconds) ? value.seconds : value.seconds * 1_000_000n
  }
  if (value instanceof DuckDBTimestampMillisecondsValue) {
    return isInfinite(value.millis) ? value.millis : value.millis * 1_000n
  }
  if (value instanceof DuckDBTimestampNanosecondsValue) {
    return isInfinite(value.nanos) ? value.nanos : floorDivide(value.nanos, 1_000n)
  }
  return undefined
}

/** A value that is not null, in text format, as UTF-8. */
export function writeValueText(
  sink: ByteSink,
  value: NonNullable<DuckDBValue>,
  typeId: DuckDBTypeId,
  style: ValueStyle,
): void {
  const micros = timestampMicros(value)
  if (micros !== undefined) writeTimestampText(sink, micros)
  else if (typeof value === "boolean") sink.ascii(value ? "t" : "f")
  else if (typeof value === "number" && typeId === DuckDBTypeId.DOUBLE) {
    sink.ascii(floatText(value, false, style.extraFloatDigits))
  } else if (typeof value === "number" && typeId === DuckDBTypeId.FLOAT) {
    sink.ascii(floatText(value, true, style.extraFloatDigits))
  } else if (value instanceof DuckDBDecimalValue) sink.ascii(decimalText(value.value, value.scale))
  else if (value instanceof DuckDBDateValue) writeDateText(sink, value.days)
  else if (value instanceof DuckDBTimestampTZValue) {
    writeTimestampText(sink, value.micros, style.zone)
  } else if (value instanceof DuckDBTimeValue) writeTimeText(sink, Number(value.micros))
  else if (value instanceof DuckDBTimeNSValue) writeTimeText(sink, Number(value.nanos / 1_000n))
  else if (value instanceof DuckDBTimeTZValue) writeTimetzText(sink, value.micros, value.offset)
  else if (value instanceof DuckDBIntervalValue) sink.ascii(intervalText(value))
  else if (value instanceof DuckDBBlobValue) writeByteaText(sink, value.bytes, style.bytea)
  else sink.utf8(String(value))
}

/** A value that is not null, in binary format, as a value of the PostgreSQL type `oid`. */
export function writeValueBinary(
  sink: ByteSink,
  value: NonNullable<DuckDBValue>,
  oid: number,
): void {
  sink.ensure(16)
  const micros = timestampMicros(value)
  if (micros !== undefined) writeTimestampBinary(sink, micros)
  else if (value instanceof DuckDBDateValue) writeDateBinary(sink, value.days)
  else if (value instanceof DuckDBTimestampTZValue) writeTimestampBinary(sink, value.micros)
  else if (value instanceof DuckDBTimeValue) writeTimeBinary(sink, value.micros)
  else if (value instanceof DuckDBTimeNSValue) writeTimeBinary(sink, value.nanos / 1_000n)
  else if (value instanceof DuckDBTimeTZValue) writeTimetzBinary(sink, value.micros, value.offset)
  else if (value instanceof DuckDBIntervalValue) writeIntervalBinary(sink, value)
  else if (value instanceof DuckDBBlobValue) writeBytes(sink, value.bytes)
  else if (value instanceof DuckDBBitValue) writeBitsBinary(sink, value)
  else if (value instanceof DuckDBDecimalValue) {
    writeNumericBinary(sink, decimalText(value.value, value.scale))
  } else if (oid === PgOid.Uuid)
    writeBytes(sink, Buffer.from(String(value).replaceAll("-", ""), "hex"))
  else writePlainBinary(sink, value, oid)
}

function writePlainBinary(sink: ByteSink, value: NonNullable<DuckDBValue>, oid: number): void {
  const { buffer, offset } = sink
  if (oid === PgOid.Bool) sink.offset = buffer.writeUInt8(value === true ? 1 : 0, offset)
  else if (oid === PgOid.Int2) sink.offset = buffer.writeInt16BE(Number(value), offset)
  else if (oid === PgOid.Int4) sink.offset = buffer.writeInt32BE(Number(value), offset)
  else if (oid === PgOid.Int8) sink.offset = buffer.writeBigInt64BE(BigInt(String(value)), offset)
  else if (oid === PgOid.Float4) sink.offset = buffer.writeFloatBE(Number(value), offset)
  else if (oid === PgOid.Float8) sink.offset = buffer.writeDoubleBE(Number(value), offset)
  else if (oid === PgOid.Numeric) writeNumericBinary(sink, String(value))
  else sink.utf8(String(value))
}

function writeBytes(sink: ByteSink, bytes: Uint8Array): void {
  sink.ensure(bytes.length)
  sink.buffer.set(bytes, sink.offset)
  sink.offset += bytes.length
}

/** varbit: an Int32 of bits, then the bits from the left; DuckDB pads on the left, PostgreSQL on the right. */
function writeBitsBinary(sink: ByteSink, value: DuckDBBitValue): void {
  const bits = value.toString()
  const bytes = Buffer.alloc(Math.ceil(bits.length / 8))
  for (let at = 0; at < bits.length; at++) {
    if (bits[at] === "1") bytes[at >>> 3] = (bytes[at >>> 3] ?? 0) | (0x80 >>> (at & 7))
  }
  sink.ensure(4)
  sink.offset = sink.buffer.writeInt32BE(bits.length, sink.offset)
  writeBytes(sink, bytes)
}

export function itemsOf(value: DuckDBValue): readonly DuckDBValue[] | undefined {
  return value instanceof DuckDBListValue || value instanceof DuckDBArrayValue
    ? value.items
    : undefined
}

/**
 * STRUCT, MAP, UNION and VARIANT as JSON text: what DuckDB's to_json makes of them, with dates and the like in
 * PostgreSQL's spelling. Numbers keep all their digits, which JSON allows.
 */
export function jsonText(
  value: DuckDBValue,
  textOf: (value: NonNullable<DuckDBValue>) => string,
): string {
  if (value === null) return "null"
  if (typeof value === "boolean") return value ? "true" : "false"
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : `"${value}"`
  if (typeof value === "bigint" || value instanceof DuckDBDecimalValue) return String(value)
  const items = itemsOf(value)
  if (items !== undefined) return `[${items.map((item) => jsonText(item, textOf)).join(",")}]`
  if (value instanceof DuckDBStructValue) {
    const fields = Object.entries(value.entries).map(
      ([name, field]) => `${JSON.stringify(name)}:${jsonText(field, textOf)}`,
    )
    return `{${fields.join(",")}}`
  }
  if (value instanceof DuckDBMapValue) {
    const entries = value.entries.map(({ key, value: item }) => {
      const name = key === null ? "null" : textOf(key)
      return `${JSON.stringify(name)}:${jsonText(item, textOf)}`
    })
    return `{${entries.join(",")}}`
  }
  if (value instanceof DuckDBUnionValue || value instanceof DuckDBVariantValue) {
    return jsonText(value.value, textOf)
  }
  return JSON.stringify(textOf(value))
}
