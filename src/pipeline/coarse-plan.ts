import type { FormatCode } from "../core/parameters.ts"
import type { RowStream } from "../core/result.ts"
import type { Estimate } from "./estimate.ts"

/**
 * The first line of PostgreSQL's EXPLAIN with nothing in it but the order of magnitude of the cost, rounded up: what tools read
 * that show costs. Rows, width and steps of the plan would tell of rows that a policy hides.
 */
export function coarseLine({ cost }: Estimate): string {
  const magnitude = 10 ** Math.ceil(Math.log10(Math.max(cost, 1)))
  return `Query  (cost=0.00..${magnitude.toFixed(2)})`
}

/** That line as EXPLAIN's one column of text. */
export function coarsePlan(estimate: Estimate, formats: readonly FormatCode[]): RowStream {
  const row = message("D", [int16(1), lengthAndText(coarseLine(estimate))])
  let isRead = false
  return {
    description: message("T", [
      int16(1),
      Buffer.from("QUERY PLAN\0"),
      // No table's column, type text (25) of any length.
      Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 255, 255, 255, 255, 255, 255]),
      int16(formats[0] ?? 0),
    ]),
    completion: { tag: "EXPLAIN", notices: [] },
    next: async () => {
      if (isRead) return undefined
      isRead = true
      return { bytes: row, rowCount: 1 }
    },
    [Symbol.dispose]: () => {},
  }
}

/** A message with its type byte and length (PostgreSQL manual, 54.7). */
function message(type: "D" | "T", parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(5)
  head.write(type, 0, "latin1")
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function lengthAndText(text: string): Buffer {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(text))
  bytes.writeInt32BE(bytes.length - 4)
  bytes.write(text, 4)
  return bytes
}
