import type { DuckDBMaterializedResult, DuckDBType } from "@duckdb/node-api"
import { InvariantViolation } from "../../core/errors.ts"
import type { FormatCode } from "../../core/parameters.ts"
import type { Completion, RowBatch, RowStream } from "../../core/result.ts"
import { type ColumnDescription, rowDescription } from "../../wire/backend-messages.ts"
import { columnFormat, RowEncoder } from "./encode-row.ts"
import type { ValueStyle } from "./encode-value.ts"
import { pgTypeOf } from "./type-map.ts"

export function describeColumns(
  names: readonly string[],
  types: readonly DuckDBType[],
  formats: readonly FormatCode[],
): Buffer {
  const columns = types.map((type, index): ColumnDescription => {
    const { oid, size, modifier } = pgTypeOf(type)
    return {
      name: names[index] ?? "?column?",
      tableOid: 0,
      columnNumber: 0,
      typeOid: oid,
      typeSize: size,
      typeModifier: modifier,
      format: columnFormat(formats, index),
    }
  })
  return rowDescription(columns)
}

export type ResultStreamInit = {
  readonly result: DuckDBMaterializedResult
  readonly formats: readonly FormatCode[]
  readonly style: ValueStyle
  readonly signal: AbortSignal
  /** Called once, when the rows have ended, failed or been given up. */
  readonly onDone: () => void
}

/**
 * Rows of a result that DuckDB has already made whole (its streaming mode ends silently on errors). The rows stay in
 * DuckDB's memory and are encoded as they are asked for.
 */
export class DuckdbResultStream implements RowStream {
  readonly description: Buffer
  readonly #signal: AbortSignal
  readonly #onDone: () => void
  readonly #encoder: RowEncoder
  readonly #rowCountWhole: number
  #result: DuckDBMaterializedResult | undefined
  #rowCount = 0
  #completion: Completion | undefined

  constructor({ result, formats, style, signal, onDone }: ResultStreamInit) {
    const types = result.columnTypes()
    this.description = describeColumns(result.columnNames(), types, formats)
    this.#encoder = new RowEncoder({ types, formats, style })
    this.#rowCountWhole = result.rowCount
    this.#result = result
    this.#signal = signal
    this.#onDone = onDone
  }

  async next(): Promise<RowBatch | undefined> {
    try {
      return await this.#next()
    } catch (thrown) {
      this[Symbol.dispose]()
      throw thrown
    }
  }

  async #next(): Promise<RowBatch | undefined> {
    this.#signal.throwIfAborted()
    let rowCount = 0
    while (this.#result !== undefined && !this.#encoder.isBatchFull) {
      if (!this.#encoder.hasRows) {
        const chunk = await this.#result.fetchChunk()
        if (chunk === null || chunk.rowCount === 0) break
        this.#signal.throwIfAborted()
        this.#encoder.load(chunk)
      }
      rowCount += this.#encoder.fill()
    }
    if (rowCount > 0) {
      this.#rowCount += rowCount
      return this.#encoder.take(rowCount)
    }
    if (this.#completion === undefined) this.#complete()
    return undefined
  }

  #complete(): void {
    if (this.#rowCount !== this.#rowCountWhole) {
      throw new InvariantViolation(
        `a result of ${this.#rowCountWhole} rows ended after ${this.#rowCount}`,
      )
    }
    this.#completion = { tag: `SELECT ${this.#rowCount}`, notices: [] }
    this[Symbol.dispose]()
  }

  get completion(): Completion {
    if (this.#completion === undefined) {
      throw new InvariantViolation("the completion of a result was read before its end")
    }
    return this.#completion
  }

  [Symbol.dispose](): void {
    if (this.#result === undefined) return
    this.#result = undefined
    this.#onDone()
  }
}
