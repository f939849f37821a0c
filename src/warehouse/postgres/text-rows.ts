import type { RowBatch } from "../../core/result.ts"
import { protocolError } from "./error-map.ts"

/** One row of text values; the array belongs to the visitor. */
export type TextRow = readonly (string | null)[]

/** Decodes DataRows in text format (PostgreSQL manual, 54.7): for our own few questions, never for a client's rows. */
export function decodeRows(batch: RowBatch, visit: (row: TextRow) => void): void {
  const { bytes } = batch
  let offset = 0
  while (offset < bytes.length) {
    const end = offset + 1 + bytes.readInt32BE(offset + 1)
    const columnCount = bytes.readInt16BE(offset + 5)
    offset += 7
    const row: (string | null)[] = []
    for (let column = 0; column < columnCount; column += 1) {
      if (offset + 4 > end) throw protocolError("a row that is shorter than its values")
      const length = bytes.readInt32BE(offset)
      offset += 4
      if (length > end - offset) throw protocolError("a value that is longer than its row")
      row.push(length < 0 ? null : bytes.toString("utf8", offset, offset + length))
      offset += Math.max(length, 0)
    }
    visit(row)
    offset = end
  }
}
