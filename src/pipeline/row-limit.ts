import { GatewayError, InvariantViolation } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import type { Completion, EarlyNotice, RowBatch, RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"

export type RowLimitRule = {
  /** Undefined: no limit. */
  readonly rowLimit?: number | undefined
  /** Bytes of DataRow messages; undefined: no limit. A row that does not fit as a whole is left out. */
  readonly resultBytesMax?: number | undefined
  readonly onExceed: "cut" | "error"
}

/**
 * The limits of a result on the stream. That of rows is enforced here a second time (the first is LIMIT in the SQL), and here it
 * cannot be argued with. One row beyond a limit decides between a whole result and a cut one.
 */
export class LimitedRows implements RowStream {
  readonly #rows: RowStream
  readonly #rule: RowLimitRule
  readonly #remarks: Remark[]
  readonly #rowLimit: number
  readonly #bytesMax: number
  #sent = 0
  #sentBytes = 0
  #completion: Completion | undefined
  /** True when rows were left out: such a result must not be stored. */
  isCut = false

  constructor(rows: RowStream, rule: RowLimitRule, remarks: Remark[]) {
    this.#rows = rows
    this.#rule = rule
    this.#rowLimit = rule.rowLimit ?? Infinity
    this.#bytesMax = rule.resultBytesMax ?? Infinity
    this.#remarks = remarks
  }

  get description(): Buffer | undefined {
    return this.#rows.description
  }

  get notices(): readonly EarlyNotice[] | undefined {
    return this.#rows.notices
  }

  get completion(): Completion {
    return this.#completion ?? this.#rows.completion
  }

  async next(): Promise<RowBatch | undefined> {
    if (this.#completion !== undefined) return undefined
    const batch = await this.#rows.next()
    if (batch === undefined) return undefined
    const rows = this.#rowLimit - this.#sent
    const bytes = this.#bytesMax - this.#sentBytes
    if (batch.rowCount <= rows && batch.bytes.length <= bytes) {
      this.#sent += batch.rowCount
      this.#sentBytes += batch.bytes.length
      return batch
    }
    return this.#cut(batch, rows, bytes)
  }

  #cut(batch: RowBatch, rows: number, bytes: number): RowBatch | undefined {
    const kept = firstRows(batch, rows, bytes)
    const isRowLimit = kept.rowCount === rows
    const { rowLimit, resultBytesMax, onExceed } = this.#rule
    const limit = isRowLimit ? `row limit of ${rowLimit}` : `limit of ${resultBytesMax} bytes`
    if (onExceed === "error")
      throw limitExceeded(limit, isRowLimit ? "row_limit_exceeded" : "result_bytes_exceeded")
    this.#sent += kept.rowCount
    this.isCut = true
    const { notices } = batch
    const isLeft = kept.rowCount === 0 && notices !== undefined
    this.#completion = { tag: `SELECT ${this.#sent}`, notices: isLeft ? notices : [] }
    this.#remarks.push(cutRemark(limit))
    this.#rows[Symbol.dispose]()
    return kept.rowCount === 0 ? undefined : kept
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]()
  }
}

/** The first rows of a batch: DataRow messages carry their length behind the type byte (PostgreSQL manual, 54.7). */
function firstRows(batch: RowBatch, rowsMax: number, bytesMax: number): RowBatch {
  let end = 0
  let rowCount = 0
  while (rowCount < rowsMax && rowCount < batch.rowCount) {
    if (end + 5 > batch.bytes.length) throw new InvariantViolation("a row batch ends within a row")
    const next = end + 1 + batch.bytes.readInt32BE(end + 1)
    if (next > bytesMax) break
    end = next
    rowCount += 1
  }
  return { ...batch, bytes: batch.bytes.subarray(0, end), rowCount }
}

const hint = "Aggregate or filter further; the limit belongs to your role at the gateway."

function cutRemark(limit: string): Remark {
  return {
    severity: "NOTICE",
    sqlState: SqlState.ProgramLimitExceeded,
    message: `result was cut at the ${limit}`,
    hint,
  }
}

function limitExceeded(
  limit: string,
  reason: "row_limit_exceeded" | "result_bytes_exceeded",
): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason,
    message: `result exceeds the ${limit}`,
    hint,
  })
}
