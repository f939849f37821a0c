import type { RowBatch } from "../core/result.ts"

/** How COPY TO writes its rows (PostgreSQL manual, COPY; copyto.c). Delimiter, quote and escape are single bytes. */
export type CopyFormat =
  | { readonly kind: "text"; readonly delimiter: number; readonly null: Buffer }
  | {
      readonly kind: "csv"
      readonly delimiter: number
      readonly null: Buffer
      readonly quote: number
      readonly escape: number
      /** One flag a column: quoted whatever it holds, unless it is NULL. */
      readonly forceQuote: readonly boolean[]
    }
  | { readonly kind: "binary" }

const copyDataType = 0x64
const newline = 0x0a
const carriageReturn = 0x0d
const backslash = 0x5c

/** Signature, no flags, no header extension. */
export const copyBinaryHeader: Buffer = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1")
export const copyBinaryTrailer: Buffer = Buffer.from([0xff, 0xff])

/** DataRow messages as CopyData messages, one a row. Binary rows need binary values; the others text values. */
export function copyRows(batch: RowBatch, format: CopyFormat): Buffer {
  return format.kind === "binary"
    ? binaryRows(batch.bytes)
    : new RowWriter(batch.bytes, format).rows()
}

/** A tuple of the binary format is laid out as the body of a DataRow. */
function binaryRows(bytes: Buffer): Buffer {
  const out = Buffer.from(bytes)
  for (let offset = 0; offset < out.length; offset += 1 + out.readInt32BE(offset + 1))
    out[offset] = copyDataType
  return out
}

/** The line of HEADER: column names, written as values are. */
export function copyHeaderLine(
  names: readonly string[],
  format: Exclude<CopyFormat, { readonly kind: "binary" }>,
): Buffer {
  const values = names.map((name) => Buffer.from(name))
  const row = Buffer.alloc(7 + values.reduce((sum, value) => sum + 4 + value.length, 0))
  row[0] = 0x44
  row.writeInt32BE(row.length - 1, 1)
  row.writeInt16BE(values.length, 5)
  let offset = 7
  for (const value of values) {
    row.writeInt32BE(value.length, offset)
    offset += 4 + value.copy(row, offset + 4)
  }
  const plain = format.kind === "csv" ? { ...format, forceQuote: [] } : format
  return new RowWriter(row, plain).rows()
}

type TextFormat = Exclude<CopyFormat, { readonly kind: "binary" }>

/** Writes one batch. Every byte of a value becomes two at most, and quotes and delimiter add three a column. */
class RowWriter {
  readonly #in: Buffer
  readonly #format: TextFormat
  #out: Buffer
  #at = 0

  constructor(bytes: Buffer, format: TextFormat) {
    this.#in = bytes
    this.#format = format
    this.#out = Buffer.allocUnsafe(bytes.length + (bytes.length >> 2) + 64)
  }

  rows(): Buffer {
    const bytes = this.#in
    let offset = 0
    while (offset < bytes.length) {
      const end = offset + 1 + bytes.readInt32BE(offset + 1)
      const start = this.#at
      this.#reserve(8)
      this.#out[start] = copyDataType
      this.#at = start + 5
      this.#row(offset + 5)
      this.#reserve(1)
      this.#out[this.#at] = newline
      this.#at += 1
      this.#out.writeInt32BE(this.#at - start - 1, start + 1)
      offset = end
    }
    return this.#out.subarray(0, this.#at)
  }

  #row(start: number): void {
    const bytes = this.#in
    const format = this.#format
    const columns = bytes.readInt16BE(start)
    let offset = start + 2
    for (let column = 0; column < columns; column += 1) {
      const length = bytes.readInt32BE(offset)
      offset += 4
      this.#reserve(2 * Math.max(length, 0) + format.null.length + 3)
      if (column > 0) {
        this.#out[this.#at] = format.delimiter
        this.#at += 1
      }
      if (length < 0) {
        this.#at += format.null.copy(this.#out, this.#at)
        continue
      }
      if (format.kind === "text") this.#text(offset, offset + length, format.delimiter)
      else {
        const isForced = format.forceQuote[column] === true
        this.#csv(offset, offset + length, isForced, columns === 1, format)
      }
      offset += length
    }
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return
    const grown = Buffer.allocUnsafe(2 * this.#out.length + bytes)
    this.#out.copy(grown, 0, 0, this.#at)
    this.#out = grown
  }

  /** CopyAttributeOutText: control characters with a letter, backslash and delimiter as themselves behind a backslash. */
  #text(start: number, end: number, delimiter: number): void {
    const bytes = this.#in
    const out = this.#out
    let at = this.#at
    for (let index = start; index < end; index += 1) {
      const byte = bytes[index] ?? 0
      if (byte < 0x20) {
        const letter = controlLetter(byte)
        if (letter !== 0) {
          out[at] = backslash
          out[at + 1] = letter
          at += 2
          continue
        }
      }
      if (byte === backslash || byte === delimiter) {
        out[at] = backslash
        at += 1
      }
      out[at] = byte
      at += 1
    }
    this.#at = at
  }

  #csv(
    start: number,
    end: number,
    isForced: boolean,
    isOnlyColumn: boolean,
    format: Extract<CopyFormat, { readonly kind: "csv" }>,
  ): void {
    const bytes = this.#in
    if (!isForced && !this.#needsQuote(start, end, isOnlyColumn, format)) {
      this.#at += bytes.copy(this.#out, this.#at, start, end)
      return
    }
    const out = this.#out
    let at = this.#at
    out[at] = format.quote
    at += 1
    for (let index = start; index < end; index += 1) {
      const byte = bytes[index] ?? 0
      if (byte === format.quote || byte === format.escape) {
        out[at] = format.escape
        at += 1
      }
      out[at] = byte
      at += 1
    }
    out[at] = format.quote
    this.#at = at + 1
  }

  /** CopyAttributeOutCSV: what reads as NULL, as the end of the data, or as more than one value or line. */
  #needsQuote(
    start: number,
    end: number,
    isOnlyColumn: boolean,
    format: Extract<CopyFormat, { readonly kind: "csv" }>,
  ): boolean {
    const bytes = this.#in
    const length = end - start
    if (length === format.null.length && bytes.compare(format.null, 0, length, start, end) === 0)
      return true
    if (isOnlyColumn && length === 2 && bytes[start] === backslash && bytes[start + 1] === 0x2e)
      return true
    for (let index = start; index < end; index += 1) {
      const byte = bytes[index]
      if (
        byte === format.delimiter ||
        byte === format.quote ||
        byte === newline ||
        byte === carriageReturn
      )
        return true
    }
    return false
  }
}

/** The letter behind the backslash, or 0 for a control character that stands as it is. */
function controlLetter(byte: number): number {
  switch (byte) {
    case 0x08:
      return 0x62
    case 0x09:
      return 0x74
    case 0x0a:
      return 0x6e
    case 0x0b:
      return 0x76
    case 0x0c:
      return 0x66
    case 0x0d:
      return 0x72
    default:
      return 0
  }
}
