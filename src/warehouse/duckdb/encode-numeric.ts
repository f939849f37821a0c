import { RawColumn } from "./encode-column.ts"
import { writeInteger } from "./encode-number.ts"
import { type ByteSink, writeByte, writePadded, writeUnsigned } from "./encode-sink.ts"

const two32 = 4_294_967_296

/** writePadded takes numbers below 2^32, so fractions of up to nine digits. */
const smallScaleMax = 9

/** A decimal from its unscaled value: `(12345n, 2)` is `123.45`. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, "0")
  const sign = unscaled < 0n ? "-" : ""
  if (scale === 0) return sign + digits
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`
}

const signNegative = 0x4000

/** numeric's binary format (numeric_send, numeric.c): base-10000 digits, weight, sign and display scale. */
export function writeNumericBinary(sink: ByteSink, text: string): void {
  const isNegative = text.startsWith("-")
  const [whole = "", fraction = ""] = (isNegative ? text.slice(1) : text).split(".")
  const wholeGroups = Math.ceil(whole.length / 4)
  const padded =
    whole.padStart(wholeGroups * 4, "0") + fraction.padEnd(Math.ceil(fraction.length / 4) * 4, "0")
  const groups: number[] = []
  for (let at = 0; at < padded.length; at += 4) groups.push(Number(padded.slice(at, at + 4)))
  let first = 0
  while (first < groups.length && groups[first] === 0) first++
  let end = groups.length
  while (end > first && groups[end - 1] === 0) end--
  sink.ensure(8 + 2 * (end - first))
  const { buffer } = sink
  const isZero = end === first
  buffer.writeInt16BE(end - first, sink.offset)
  buffer.writeInt16BE(isZero ? 0 : wholeGroups - 1 - first, sink.offset + 2)
  buffer.writeInt16BE(isNegative && !isZero ? signNegative : 0, sink.offset + 4)
  buffer.writeInt16BE(fraction.length, sink.offset + 6)
  sink.offset += 8
  for (let at = first; at < end; at++) {
    buffer.writeInt16BE(groups[at] ?? 0, sink.offset)
    sink.offset += 2
  }
}

export type DecimalFormat = {
  readonly itemBytes: 2 | 4 | 8 | 16
  readonly isUnsigned: boolean
  readonly scale: number
  readonly isBinary: boolean
}

/** DECIMAL in all four widths, HUGEINT, UHUGEINT and UBIGINT (as scale 0). */
export class DecimalColumn extends RawColumn {
  readonly #format: DecimalFormat
  readonly #divisor: number

  constructor(format: DecimalFormat) {
    super(format.itemBytes, 64)
    this.#format = format
    this.#divisor = 10 ** format.scale
  }

  protected value(sink: ByteSink, row: number): void {
    const { isBinary, scale } = this.#format
    const small = this.#small(row)
    if (small !== undefined && !isBinary && scale <= smallScaleMax) {
      this.#writeSmall(sink, small)
      return
    }
    const text = decimalText(small === undefined ? this.#big(row) : BigInt(small), scale)
    if (isBinary) writeNumericBinary(sink, text)
    else sink.ascii(text)
  }

  #writeSmall(sink: ByteSink, unscaled: number): void {
    const { scale } = this.#format
    if (scale === 0) {
      writeInteger(sink, unscaled)
      return
    }
    const magnitude = Math.abs(unscaled)
    const whole = Math.floor(magnitude / this.#divisor)
    if (unscaled < 0) writeByte(sink, 0x2d)
    writeUnsigned(sink, whole)
    writeByte(sink, 0x2e)
    writePadded(sink, magnitude - whole * this.#divisor, scale)
  }

  /** The unscaled value where a number holds it exactly. */
  #small(row: number): number | undefined {
    const { itemBytes, isUnsigned } = this.#format
    const { view } = this
    if (itemBytes === 2) return view.getInt16(row * 2, true)
    if (itemBytes === 4) return view.getInt32(row * 4, true)
    if (itemBytes === 8) {
      const high = isUnsigned ? view.getUint32(row * 8 + 4, true) : view.getInt32(row * 8 + 4, true)
      return exact(high, view.getUint32(row * 8, true))
    }
    const upperLow = view.getInt32(row * 16 + 8, true)
    const upperHigh = view.getInt32(row * 16 + 12, true)
    const high = view.getUint32(row * 16 + 4, true)
    const isSmallPositive = upperLow === 0 && upperHigh === 0
    const isSmallNegative = upperLow === -1 && upperHigh === -1 && high >= 0x8000_0000
    if (!isSmallPositive && !isSmallNegative) return undefined
    return exact(isSmallNegative ? high | 0 : high, view.getUint32(row * 16, true))
  }

  #big(row: number): bigint {
    const { itemBytes, isUnsigned } = this.#format
    const { view } = this
    if (itemBytes === 8) {
      return isUnsigned ? view.getBigUint64(row * 8, true) : view.getBigInt64(row * 8, true)
    }
    const upper = isUnsigned
      ? view.getBigUint64(row * 16 + 8, true)
      : view.getBigInt64(row * 16 + 8, true)
    return (upper << 64n) | view.getBigUint64(row * 16, true)
  }
}

function exact(high: number, low: number): number | undefined {
  const value = high * two32 + low
  return Number.isSafeInteger(value) ? value : undefined
}
