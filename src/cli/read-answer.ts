import type { RowBatch, RowStream } from "../core/result.ts"
import type { Answer } from "../pipeline/question.ts"
import { rowValues } from "../pipeline/row-values.ts"
import { readRowDescription } from "../wire/rows.ts"

/** Rows whose values are kept; further ones are counted only. */
export const rowsKeptMax = 10_000

/** A result as people compare it: values in PostgreSQL's text format. */
export type ReadResult = {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly rowCount: number
}

/** Reads an answer to its end. Rejects with the GatewayError that ends its rows. */
export async function readAnswer(answer: Answer): Promise<ReadResult> {
  if (answer.kind === "stored") {
    const rows: (string | null)[][] = []
    const { description, batches, rowCount } = answer.result
    for (const batch of batches) keep(batch, rows)
    return { columns: columnsOf(description), rows, rowCount }
  }
  return readRows(answer.rows)
}

/** Reads rows to their end and gives them up. */
export async function readRows(given: RowStream): Promise<ReadResult> {
  const rows: (string | null)[][] = []
  using stream = given
  let rowCount = 0
  for (;;) {
    const batch = await stream.next()
    if (batch === undefined) break
    rowCount += batch.rowCount
    keep(batch, rows)
  }
  return { columns: columnsOf(stream.description), rows, rowCount }
}

function columnsOf(description: Buffer | undefined): readonly string[] {
  return description === undefined ? [] : readRowDescription(description).map(({ name }) => name)
}

function keep({ bytes, rowCount }: RowBatch, rows: (string | null)[][]): void {
  let offset = 0
  for (let row = 0; row < rowCount && rows.length < rowsKeptMax; row += 1) {
    const end = offset + 1 + bytes.readUInt32BE(offset + 1)
    const values = rowValues(bytes.subarray(offset, end))
    rows.push(values.map((value) => (value === null ? null : value.toString())))
    offset = end
  }
}
