import { InvariantViolation } from "../../core/errors.ts"
import type { RowBatch, RowStream, StoredResult } from "../../core/result.ts"

/**
 * True when the stream gives exactly the stored rows, byte for byte, in any order: rows that ORDER BY leaves equal come as the
 * engine likes. Stops reading at the first row too many. Holds one copy of the stored rows.
 */
export async function hasSameRows(stored: StoredResult, rows: RowStream): Promise<boolean> {
  const open = new Map<string, number>()
  for (const batch of stored.batches)
    for (const row of rowsOf(batch)) open.set(row, (open.get(row) ?? 0) + 1)
  for (let batch = await rows.next(); batch !== undefined; batch = await rows.next()) {
    for (const row of rowsOf(batch)) {
      const count = open.get(row)
      if (count === undefined) return false
      if (count === 1) open.delete(row)
      else open.set(row, count - 1)
    }
  }
  return open.size === 0
}

/** DataRow messages carry their length behind the type byte (PostgreSQL manual, 54.7). */
function* rowsOf({ bytes }: RowBatch): Generator<string> {
  let at = 0
  while (at < bytes.length) {
    if (at + 5 > bytes.length) throw new InvariantViolation("a row batch ends within a row")
    const end = at + 1 + bytes.readInt32BE(at + 1)
    yield bytes.toString("latin1", at, end)
    at = end
  }
}
