import { RawColumn } from "./encode-column.ts"
import { type ByteSink, writeByte, writeUnsigned } from "./encode-sink.ts"

const minus = 0x2d
const two32 = 4_294_967_296

/** A signed whole number within 2^53. The caller has made room for 17 bytes. */
export function writeInteger(sink: ByteSink, value: number): void {
  if (value < 0) writeByte(sink, minus)
  writeUnsigned(sink, Math.abs(value))
}

export class BoolColumn extends RawColumn {
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    super(1, 1)
    this.#isBinary = isBinary
  }

  protected value(sink: ByteSink, row: number): void {
    const isTrue = this.view.getUint8(row) !== 0
    if (this.#isBinary) writeByte(sink, isTrue ? 1 : 0)
    else writeByte(sink, isTrue ? 0x74 : 0x66)
  }
}

/** Integers of up to four bytes; in binary they go out as the PostgreSQL type that holds them. */
export class IntColumn extends RawColumn {
  readonly #itemBytes: 1 | 2 | 4
  readonly #isUnsigned: boolean
  readonly #binaryBytes: number

  /** `binaryBytes`: 0 for the text format. */
  constructor(itemBytes: 1 | 2 | 4, isUnsigned: boolean, binaryBytes: number) {
    super(itemBytes, 16)
    this.#itemBytes = itemBytes
    this.#isUnsigned = isUnsigned
    this.#binaryBytes = binaryBytes
  }

  protected value(sink: ByteSink, row: number): void {
    const value = this.#read(row)
    if (this.#binaryBytes === 0) {
      writeInteger(sink, value)
      return
    }
    if (this.#binaryBytes === 2) sink.buffer.writeInt16BE(value, sink.offset)
    else if (this.#binaryBytes === 4) sink.buffer.writeInt32BE(value, sink.offset)
    else sink.buffer.writeBigInt64BE(BigInt(value), sink.offset)
    sink.offset += this.#binaryBytes
  }

  #read(row: number): number {
    const { view } = this
    if (this.#itemBytes === 4) {
      return this.#isUnsigned ? view.getUint32(row * 4, true) : view.getInt32(row * 4, true)
    }
    if (this.#itemBytes === 2) {
      return this.#isUnsigned ? view.getUint16(row * 2, true) : view.getInt16(row * 2, true)
    }
    return this.#isUnsigned ? view.getUint8(row) : view.getInt8(row)
  }
}

export class BigIntColumn extends RawColumn {
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    super(8, 20)
    this.#isBinary = isBinary
  }

  protected value(sink: ByteSink, row: number): void {
    const low = this.view.getUint32(row * 8, true)
    const high = this.view.getInt32(row * 8 + 4, true)
    if (this.#isBinary) {
      sink.buffer.writeInt32BE(high, sink.offset)
      sink.buffer.writeUInt32BE(low, sink.offset + 4)
      sink.offset += 8
      return
    }
    const value = high * two32 + low
    if (Number.isSafeInteger(value)) writeInteger(sink, value)
    else sink.ascii(this.view.getBigInt64(row * 8, true).toString())
  }
}

export type FloatFormat = {
  readonly isBinary: boolean
  readonly isSingle: boolean
  /** The setting of that name (PostgreSQL manual, 20.11.2): above 0 = shortest exact, else fewer digits. */
  readonly extraFloatDigits: number
}

export class FloatColumn extends RawColumn {
  readonly #format: FloatFormat

  constructor(format: FloatFormat) {
    super(format.isSingle ? 4 : 8, 32)
    this.#format = format
  }

  protected value(sink: ByteSink, row: number): void {
    const { isBinary, isSingle, extraFloatDigits } = this.#format
    const value = isSingle
      ? this.view.getFloat32(row * 4, true)
      : this.view.getFloat64(row * 8, true)
    if (!isBinary) sink.ascii(floatText(value, isSingle, extraFloatDigits))
    else if (isSingle) sink.offset = sink.buffer.writeFloatBE(value, sink.offset)
    else sink.offset = sink.buffer.writeDoubleBE(value, sink.offset)
  }
}

/** PostgreSQL's float8out and float4out (float.c, d2s.c, f2s.c). */
export function floatText(value: number, isSingle: boolean, extraFloatDigits: number): string {
  if (Number.isNaN(value)) return "NaN"
  if (value === Number.POSITIVE_INFINITY) return "Infinity"
  if (value === Number.NEGATIVE_INFINITY) return "-Infinity"
  if (value === 0) return Object.is(value, -0) ? "-0" : "0"
  if (extraFloatDigits <= 0) {
    // %.*g with FLT_DIG or DBL_DIG digits: scientific from an exponent equal to the digits on.
    const digits = Math.max(1, (isSingle ? 6 : 15) + extraFloatDigits)
    return layOut(value.toExponential(digits - 1), digits)
  }
  // Decimal notation below these exponents; JavaScript writes doubles in that range the same way.
  if (!isSingle) {
    const magnitude = Math.abs(value)
    if (magnitude >= 1e-4 && magnitude < 1e15) return String(value)
    return layOut(value.toExponential(), 15)
  }
  return layOut(shortestSingle(value), 6)
}

/** Nine significant digits always tell a float4 from its neighbours. */
function shortestSingle(value: number): string {
  for (let fraction = 0; fraction < 8; fraction++) {
    const text = value.toExponential(fraction)
    if (Math.fround(Number(text)) === value) return text
  }
  return value.toExponential(8)
}

/** `d.ddde±x` as C's %g lays it out: trailing zeros dropped, at least two digits of exponent. */
function layOut(exponential: string, scientificFrom: number): string {
  const [mantissa = "", exponentText = "0"] = exponential.split("e")
  const exponent = Number(exponentText)
  const sign = mantissa.startsWith("-") ? "-" : ""
  const digits = mantissa.replace("-", "").replace(".", "").replace(/0+$/, "") || "0"
  if (exponent < -4 || exponent >= scientificFrom) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ""
    const power = String(Math.abs(exponent)).padStart(2, "0")
    return `${sign}${digits.slice(0, 1)}${fraction}e${exponent < 0 ? "-" : "+"}${power}`
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0")
  const fraction = digits.slice(exponent + 1)
  return fraction === "" ? `${sign}${whole}` : `${sign}${whole}.${fraction}`
}
