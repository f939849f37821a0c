import { GatewayError } from "../core/errors.ts"
import type { Completion, RowBatch, RowStream, StoredResult } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import { copyData, copyDone, copyOutResponse } from "../wire/backend-messages.ts"
import {
  type CopyFormat,
  copyBinaryHeader,
  copyBinaryTrailer,
  copyHeaderLine,
  copyRows,
} from "../wire/copy-encode.ts"
import { readRowDescription } from "../wire/rows.ts"
import type { CopyOptions } from "./copy-options.ts"
import { ResultCursor } from "./result-cursor.ts"

/**
 * A result as COPY TO STDOUT sends it: CopyOutResponse in the place of the description, CopyData a row, CopyDone behind the
 * last. A batch is encoded when it is asked for, so that the client's pace stays the warehouse's.
 */
export class CopyStream implements RowStream {
  readonly description: Buffer
  readonly #rows: ResultCursor
  readonly #format: CopyFormat
  /** What goes in front of the first row. */
  #head: Buffer | undefined
  #rowCount = 0
  #isDone = false

  constructor(result: StoredResult | RowStream, options: CopyOptions) {
    this.#rows = new ResultCursor(result)
    const columns = result.description === undefined ? [] : readRowDescription(result.description)
    const names = columns.map((column) => column.name)
    const code = options.format === "binary" ? 1 : 0
    this.description = copyOutResponse(
      code,
      columns.map(() => code),
    )
    this.#format = formatOf(options, names)
    if (options.hasHeader && this.#format.kind !== "binary")
      this.#head = copyHeaderLine(names, this.#format)
  }

  async next(): Promise<RowBatch | undefined> {
    if (this.#isDone) return undefined
    const head = this.#head
    if (head !== undefined) {
      // By itself, because PostgreSQL has sent it when the first row fails.
      this.#head = undefined
      return { bytes: head, rowCount: 0 }
    }
    const batch = await this.#rows.take(Number.POSITIVE_INFINITY)
    if (batch === undefined) {
      this.#isDone = true
      return { bytes: this.#tail(), rowCount: 0 }
    }
    const isFirst = this.#rowCount === 0
    this.#rowCount += batch.rowCount
    const bytes = copyRows(batch, this.#format)
    if (this.#format.kind === "binary" && isFirst)
      return { ...batch, bytes: withBinaryHeader(bytes) }
    return { ...batch, bytes }
  }

  #tail(): Buffer {
    if (this.#format.kind !== "binary") return copyDone
    const trailer =
      this.#rowCount === 0
        ? Buffer.concat([copyBinaryHeader, copyBinaryTrailer])
        : copyBinaryTrailer
    return Buffer.concat([copyData(trailer), copyDone])
  }

  get completion(): Completion {
    return { tag: `COPY ${this.#rowCount}`, notices: this.#rows.notices }
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]()
  }
}

/** PostgreSQL sends the header of the binary format in one message with the first row. */
function withBinaryHeader(rows: Buffer): Buffer {
  const length = rows.readInt32BE(1)
  const first = copyData(Buffer.concat([copyBinaryHeader, rows.subarray(5, 1 + length)]))
  return Buffer.concat([first, rows.subarray(1 + length)])
}

function formatOf(options: CopyOptions, names: readonly string[]): CopyFormat {
  if (options.format === "binary") return { kind: "binary" }
  const delimiter = options.delimiter.charCodeAt(0)
  const nullText = Buffer.from(options.null)
  if (options.format === "text") return { kind: "text", delimiter, null: nullText }
  return {
    kind: "csv",
    delimiter,
    null: nullText,
    quote: options.quote.charCodeAt(0),
    escape: options.escape.charCodeAt(0),
    forceQuote: forcedColumns(options.forceQuote, names),
  }
}

function forcedColumns(forced: CopyOptions["forceQuote"], names: readonly string[]): boolean[] {
  if (forced === "*") return names.map(() => true)
  for (const name of forced)
    if (!names.includes(name))
      throw new GatewayError({
        sqlState: SqlState.UndefinedColumn,
        reason: "invalid_parameter",
        message: `column "${name}" does not exist`,
      })
  return names.map((name) => forced.includes(name))
}
