import { Malformed } from "./bytes.ts"

/**
 * Checks that bytes from a shared tier are the backend messages they are said to be (PostgreSQL manual, 54.7): whole ones, of
 * one type, in the number told. A client's stream cannot get out of step over a result that has passed.
 */

const dataRow = 0x44
const rowDescription = 0x54
const noticeResponse = 0x4e

/** Type byte and length. */
const headerBytes = 5
/** With the number of columns behind it. */
const rowHeaderBytes = 7
/** What follows a field's name: table, column, type, size, modifier, format. */
const fieldBytes = 18

/** How many columns a whole RowDescription has. */
export function columnsOf(description: Buffer): number {
  if (frameEnd(description, 0, rowDescription) !== description.length)
    throw new Malformed("a description is no RowDescription")
  if (description.length < rowHeaderBytes) throw new Malformed("a description has no columns")
  const columns = description.readUInt16BE(headerBytes)
  let at = rowHeaderBytes
  for (let column = 0; column < columns; column += 1) {
    const nameEnd = description.indexOf(0, at)
    if (nameEnd === -1) throw new Malformed("a column's name does not end")
    at = nameEnd + 1 + fieldBytes
  }
  if (at !== description.length) throw new Malformed("a description has another length")
  return columns
}

/** Exactly `rowCount` DataRows; of `columns` columns, unless that is undefined. */
export function checkRows(bytes: Buffer, rowCount: number, columns: number | undefined): void {
  let at = 0
  let rows = 0
  while (at < bytes.length) {
    const end = frameEnd(bytes, at, dataRow)
    if (end < at + rowHeaderBytes) throw new Malformed("a row has no columns")
    if (columns !== undefined && bytes.readUInt16BE(at + headerBytes) !== columns)
      throw new Malformed("a row has other columns")
    rows += 1
    at = end
  }
  if (rows !== rowCount) throw new Malformed("there are other rows than told")
}

/** One whole NoticeResponse. */
export function checkNotice(frame: Buffer): void {
  if (frameEnd(frame, 0, noticeResponse) !== frame.length)
    throw new Malformed("a notice is no NoticeResponse")
}

function frameEnd(bytes: Buffer, at: number, type: number): number {
  if (bytes.length - at < headerBytes || bytes[at] !== type)
    throw new Malformed("a message of another type")
  const length = bytes.readUInt32BE(at + 1)
  const end = at + 1 + length
  if (length < headerBytes - 1 || end > bytes.length) throw new Malformed("a message ends early")
  return end
}
