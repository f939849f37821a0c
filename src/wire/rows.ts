import { InvariantViolation } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { RowBatch } from "../core/result.ts"
import type { ColumnDescription } from "./backend-messages.ts"
import { BodyReader, clientViolation, warehouseViolation } from "./reader.ts"

/** type byte + length + column count: what stands before the first column of a RowDescription. */
const descriptionHeaderBytes = 7

/**
 * Cuts a batch behind its first `rowCount` rows, for a portal with a row limit. Both parts point into the batch's bytes.
 * A limit at or above the batch's own count gives the batch itself and an empty one.
 */
export function splitRows(batch: RowBatch, rowCount: number): readonly [RowBatch, RowBatch] {
  if (rowCount >= batch.rowCount) return [batch, noRows]
  if (rowCount <= 0) return [noRows, batch]
  const { bytes } = batch
  let offset = 0
  for (let row = 0; row < rowCount; row += 1) {
    if (offset + 5 > bytes.length || bytes[offset] !== 0x44) {
      throw new InvariantViolation("a row batch holds fewer rows than it says")
    }
    offset += 1 + bytes.readUInt32BE(offset + 1)
  }
  if (offset > bytes.length) throw new InvariantViolation("a row batch ends inside a row")
  return [
    { ...batch, bytes: bytes.subarray(0, offset), rowCount },
    { bytes: bytes.subarray(offset), rowCount: batch.rowCount - rowCount },
  ]
}

/** The same rows in the opposite order, for FETCH BACKWARD. */
export function reversedRows(batch: RowBatch): RowBatch {
  if (batch.rowCount <= 1) return batch
  const { bytes } = batch
  const out = Buffer.allocUnsafe(bytes.length)
  let start = 0
  let free = bytes.length
  while (start < bytes.length) {
    const length = 1 + bytes.readUInt32BE(start + 1)
    free -= length
    if (free < 0) throw new InvariantViolation("a row batch ends inside a row")
    bytes.copy(out, free, start, start + length)
    start += length
  }
  return { bytes: out, rowCount: batch.rowCount }
}

const noRows: RowBatch = { bytes: Buffer.alloc(0), rowCount: 0 }

/** Number of columns that a whole RowDescription message describes. */
export function columnCount(rowDescription: Buffer): number {
  const reader = bodyOf(rowDescription)
  return reader.int16()
}

/**
 * The RowDescription of a portal: the statement's own with Bind's result formats (none = all text, one = for all columns,
 * otherwise one each). Returns the same buffer when nothing changes. Throws ERROR 08P01 with PostgreSQL's text when the
 * counts disagree.
 */
export function changeFormats(rowDescription: Buffer, formats: readonly FormatCode[]): Buffer {
  const reader = bodyOf(rowDescription)
  const columns = reader.int16()
  checkResultFormats(formats, columns)
  let out = rowDescription
  for (let column = 0; column < columns; column += 1) {
    const at = skipColumn(rowDescription, reader)
    const format = formats.length > 1 ? formats[column] : formats[0]
    if (rowDescription.readInt16BE(at) === (format ?? 0)) continue
    if (out === rowDescription) out = Buffer.from(rowDescription)
    out.writeInt16BE(format ?? 0, at)
  }
  reader.finish()
  return out
}

/** Refuses a Bind whose result formats fit no result of `columns` columns. PostgreSQL's text (PortalSetResultFormat). */
export function checkResultFormats(formats: readonly FormatCode[], columns: number): void {
  if (formats.length <= 1 || formats.length === columns) return
  throw clientViolation(
    `bind message has ${formats.length} result formats but query has ${columns} columns`,
    "bind",
  )
}

/** Moves over one column and returns where its format code stands. */
function skipColumn(bytes: Buffer, reader: BodyReader): number {
  const terminator = bytes.indexOf(0, reader.offset)
  if (terminator === -1) throw warehouseViolation("invalid string in message")
  reader.skip(terminator - reader.offset + 19)
  return terminator + 17
}

/** Reads a whole RowDescription message. Throws `warehouse_protocol` when it is malformed. */
export function readRowDescription(rowDescription: Buffer): ColumnDescription[] {
  const reader = bodyOf(rowDescription)
  const count = reader.int16()
  const columns: ColumnDescription[] = []
  for (let index = 0; index < count; index += 1) {
    const name = reader.cString()
    const tableOid = reader.uint32()
    const columnNumber = reader.int16()
    const typeOid = reader.uint32()
    const typeSize = reader.int16()
    const typeModifier = reader.int32()
    const format = reader.int16()
    if (format !== 0 && format !== 1) throw warehouseViolation(`unsupported format code: ${format}`)
    columns.push({ name, tableOid, columnNumber, typeOid, typeSize, typeModifier, format })
  }
  reader.finish()
  return columns
}

function bodyOf(rowDescription: Buffer): BodyReader {
  const { length } = rowDescription
  const isWhole =
    length >= descriptionHeaderBytes &&
    rowDescription[0] === 0x54 &&
    rowDescription.readInt32BE(1) === length - 1
  if (!isWhole) throw warehouseViolation("this is not a RowDescription")
  return new BodyReader(rowDescription, 5, length, warehouseViolation)
}
