import { RawColumn } from "./encode-column.ts"
import { type ByteSink, writeByte, writePadded, writeUnsigned } from "./encode-sink.ts"
import type { ZoneOffsets } from "./time-zone.ts"

const two32 = 4_294_967_296
const microsPerSecond = 1_000_000
const microsPerDay = 86_400_000_000
const secondsPerDay = 86_400

/** From 1970-01-01, DuckDB's epoch, to 2000-01-01, PostgreSQL's. */
const epochDays = 10_957
const epochMicros = 946_684_800_000_000n

const dateInfinity = 2_147_483_647
const timestampInfinity = 9_223_372_036_854_775_807n

const minus = 0x2d
const colon = 0x3a
const space = 0x20

/** Every text below fits: `5877642-06-24 00:00:00.000000+00:53:28 BC`. */
const textBytesMax = 64

/** Writes year, month and day; true when the year is before Christ and ` BC` has to follow. */
function writeCivil(sink: ByteSink, days: number): boolean {
  // Howard Hinnant's civil_from_days: eras of 400 years that start on 1 March.
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  )
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const shown = year > 0 ? year : 1 - year
  if (shown < 10_000) writePadded(sink, shown, 4)
  else writeUnsigned(sink, shown)
  writeByte(sink, minus)
  writePadded(sink, month, 2)
  writeByte(sink, minus)
  writePadded(sink, day, 2)
  return year <= 0
}

/** `.ffffff` without trailing zeros; nothing for a whole second. */
function writeFraction(sink: ByteSink, micros: number): void {
  if (micros === 0) return
  writeByte(sink, 0x2e)
  writePadded(sink, micros, 6)
  while (sink.buffer[sink.offset - 1] === 0x30) sink.offset--
}

function writeClock(sink: ByteSink, hours: number, seconds: number, micros: number): void {
  if (hours < 100) writePadded(sink, hours, 2)
  else writeUnsigned(sink, hours)
  writeByte(sink, colon)
  const minutes = Math.trunc(seconds / 60)
  writePadded(sink, minutes, 2)
  writeByte(sink, colon)
  writePadded(sink, seconds - minutes * 60, 2)
  writeFraction(sink, micros)
}

export function writeDateText(sink: ByteSink, days: number): void {
  sink.ensure(textBytesMax)
  if (days === dateInfinity) sink.ascii("infinity")
  else if (days === -dateInfinity) sink.ascii("-infinity")
  else if (writeCivil(sink, days)) sink.ascii(" BC")
}

/** `micros` of a day: 0 to 86,400,000,000 (24:00:00 included). */
export function writeTimeText(sink: ByteSink, micros: number): void {
  sink.ensure(textBytesMax)
  const seconds = Math.floor(micros / microsPerSecond)
  const hours = Math.floor(seconds / 3_600)
  writeClock(sink, hours, seconds - hours * 3_600, micros - seconds * microsPerSecond)
}

/** `+02`, `+05:30`, `-00:53:28` (EncodeTimezone, datetime.c). */
function writeOffset(sink: ByteSink, offsetSeconds: number): void {
  writeByte(sink, offsetSeconds < 0 ? minus : 0x2b)
  const seconds = Math.abs(offsetSeconds)
  writePadded(sink, Math.floor(seconds / 3_600), 2)
  const rest = seconds % 3_600
  if (rest === 0) return
  writeByte(sink, colon)
  writePadded(sink, Math.floor(rest / 60), 2)
  if (rest % 60 === 0) return
  writeByte(sink, colon)
  writePadded(sink, rest % 60, 2)
}

/** A moment as days and microseconds of the day, since all its microseconds together do not fit a number. */
function writeMoment(sink: ByteSink, days: number, microsOfDay: number, zone?: ZoneOffsets): void {
  let localDays = days
  let localMicros = microsOfDay
  let offset = 0
  if (zone !== undefined) {
    offset = zone.offsetSeconds(days * secondsPerDay * 1_000 + microsOfDay / 1_000)
    localMicros += offset * microsPerSecond
    const carry = Math.floor(localMicros / microsPerDay)
    localDays += carry
    localMicros -= carry * microsPerDay
  }
  const isBeforeChrist = writeCivil(sink, localDays)
  writeByte(sink, space)
  writeTimeText(sink, localMicros)
  if (zone !== undefined) writeOffset(sink, offset)
  if (isBeforeChrist) sink.ascii(" BC")
}

export function writeTimestampText(sink: ByteSink, micros: bigint, zone?: ZoneOffsets): void {
  sink.ensure(textBytesMax)
  if (micros === timestampInfinity) sink.ascii("infinity")
  else if (micros === -timestampInfinity) sink.ascii("-infinity")
  else {
    const perDay = BigInt(microsPerDay)
    const ofDay = ((micros % perDay) + perDay) % perDay
    writeMoment(sink, Number((micros - ofDay) / perDay), Number(ofDay), zone)
  }
}

export type IntervalParts = {
  readonly months: number
  readonly days: number
  readonly micros: bigint
}

const two = (value: number): string => String(value).padStart(2, "0")

/** IntervalStyle postgres (EncodeInterval, datetime.c): `1 year 2 mons -3 days +04:05:06`. */
export function intervalText({ months, days, micros }: IntervalParts): string {
  let out = ""
  let isBefore = false
  const part = (value: number, unit: string): void => {
    if (value === 0) return
    const plus = isBefore && value > 0 ? "+" : ""
    out += `${out === "" ? "" : " "}${plus}${value} ${unit}${value === 1 ? "" : "s"}`
    isBefore = value < 0
  }
  part(Math.trunc(months / 12), "year")
  part(months % 12, "mon")
  part(days, "day")
  if (out !== "" && micros === 0n) return out
  const magnitude = micros < 0n ? -micros : micros
  const totalSeconds = Number(magnitude / 1_000_000n)
  const fraction = Number(magnitude % 1_000_000n)
  const hours = Math.floor(totalSeconds / 3_600)
  const clock = `${two(hours)}:${two(Math.floor(totalSeconds / 60) % 60)}:${two(totalSeconds % 60)}`
  const decimals = fraction === 0 ? "" : `.${String(fraction).padStart(6, "0").replace(/0+$/, "")}`
  let sign = isBefore ? "+" : ""
  if (micros < 0n) sign = "-"
  return `${out === "" ? "" : `${out} `}${sign}${clock}${decimals}`
}

export function writeDateBinary(sink: ByteSink, days: number): void {
  sink.ensure(4)
  // Both engines keep infinity as the ends of the range, though DuckDB's lower end is one above int4's.
  let value = days - epochDays
  if (days === dateInfinity) value = dateInfinity
  if (days === -dateInfinity) value = -dateInfinity - 1
  sink.offset = sink.buffer.writeInt32BE(value, sink.offset)
}

export function writeTimestampBinary(sink: ByteSink, micros: bigint): void {
  sink.ensure(8)
  let value = micros - epochMicros
  if (micros === timestampInfinity) value = timestampInfinity
  if (micros === -timestampInfinity) value = -timestampInfinity - 1n
  sink.offset = sink.buffer.writeBigInt64BE(BigInt.asIntN(64, value), sink.offset)
}

export function writeIntervalBinary(sink: ByteSink, interval: IntervalParts): void {
  sink.ensure(16)
  sink.offset = sink.buffer.writeBigInt64BE(interval.micros, sink.offset)
  sink.offset = sink.buffer.writeInt32BE(interval.days, sink.offset)
  sink.offset = sink.buffer.writeInt32BE(interval.months, sink.offset)
}

export function writeTimeBinary(sink: ByteSink, micros: bigint): void {
  sink.ensure(8)
  sink.offset = sink.buffer.writeBigInt64BE(micros, sink.offset)
}

/** `offsetSeconds` east of UTC, as DuckDB has it; PostgreSQL counts west. */
export function writeTimetzBinary(sink: ByteSink, micros: bigint, offsetSeconds: number): void {
  writeTimeBinary(sink, micros)
  sink.ensure(4)
  sink.offset = sink.buffer.writeInt32BE(-offsetSeconds, sink.offset)
}

export function writeTimetzText(sink: ByteSink, micros: bigint, offsetSeconds: number): void {
  writeTimeText(sink, Number(micros))
  writeOffset(sink, offsetSeconds)
}

export class DateColumn extends RawColumn {
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    super(4, textBytesMax)
    this.#isBinary = isBinary
  }

  protected value(sink: ByteSink, row: number): void {
    const days = this.view.getInt32(row * 4, true)
    if (this.#isBinary) writeDateBinary(sink, days)
    else writeDateText(sink, days)
  }
}

export class TimeColumn extends RawColumn {
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    super(8, textBytesMax)
    this.#isBinary = isBinary
  }

  protected value(sink: ByteSink, row: number): void {
    const micros = this.view.getBigInt64(row * 8, true)
    if (this.#isBinary) writeTimeBinary(sink, micros)
    else writeTimeText(sink, Number(micros))
  }
}

export class TimestampColumn extends RawColumn {
  readonly #isBinary: boolean
  readonly #zone: ZoneOffsets | undefined

  /** `zone`: for TIMESTAMP WITH TIME ZONE, the session's. */
  constructor(isBinary: boolean, zone: ZoneOffsets | undefined) {
    super(8, textBytesMax)
    this.#isBinary = isBinary
    this.#zone = zone
  }

  protected value(sink: ByteSink, row: number): void {
    if (this.#isBinary) {
      writeTimestampBinary(sink, this.view.getBigInt64(row * 8, true))
      return
    }
    const micros =
      this.view.getInt32(row * 8 + 4, true) * two32 + this.view.getUint32(row * 8, true)
    if (!Number.isSafeInteger(micros)) {
      writeTimestampText(sink, this.view.getBigInt64(row * 8, true), this.#zone)
      return
    }
    const days = Math.floor(micros / microsPerDay)
    writeMoment(sink, days, micros - days * microsPerDay, this.#zone)
  }
}

export class IntervalColumn extends RawColumn {
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    super(16, textBytesMax)
    this.#isBinary = isBinary
  }

  protected value(sink: ByteSink, row: number): void {
    const months = this.view.getInt32(row * 16, true)
    const days = this.view.getInt32(row * 16 + 4, true)
    const micros = this.view.getBigInt64(row * 16 + 8, true)
    if (this.#isBinary) writeIntervalBinary(sink, { months, days, micros })
    else sink.ascii(intervalText({ months, days, micros }))
  }
}
