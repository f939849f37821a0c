import { GatewayError, InvariantViolation } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import type { Completion, EarlyNotice, RowBatch, RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"

export type RowLimitRule = { readonly rowLimit: number; readonly onExceed: "cut" | "error" }

/**
 * The row limit on the stream: the second of its two enforcements (the first is LIMIT in the SQL) and the one that cannot be
 * argued with. One row beyond the limit decides between a whole result and a cut one.
 */
export class LimitedRows implements RowStream {
  readonly #rows: RowStream
  readonly #rule: RowLimitRule
  readonly #remarks: Remark[]
  #sent = 0
  #completion: Completion | undefined
  /** True when rows were left out: such a result must not be stored. */
  isCut = false

  constructor(rows: RowStream, rule: RowLimitRule, remarks: Remark[]) {
    this.#rows = rows
    this.#rule = rule
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
    const room = this.#rule.rowLimit - this.#sent
    if (batch.rowCount <= room) {
      this.#sent += batch.rowCount
      return batch
    }
    if (this.#rule.onExceed === "error") throw limitExceeded(this.#rule.rowLimit)
    this.#sent = this.#rule.rowLimit
    this.isCut = true
    const { notices } = batch
    const isLeft = room === 0 && notices !== undefined
    this.#completion = { tag: `SELECT ${this.#sent}`, notices: isLeft ? notices : [] }
    this.#remarks.push(cutRemark(this.#rule.rowLimit))
    this.#rows[Symbol.dispose]()
    return room === 0 ? undefined : firstRows(batch, room)
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]()
  }
}

/** The first rows of a batch: DataRow messages carry their length behind the type byte (PostgreSQL manual, 54.7). */
function firstRows(batch: RowBatch, rowCount: number): RowBatch {
  let end = 0
  for (let row = 0; row < rowCount; row += 1) {
    if (end + 5 > batch.bytes.length) throw new InvariantViolation("a row batch ends within a row")
    end += 1 + batch.bytes.readInt32BE(end + 1)
  }
  return { ...batch, bytes: batch.bytes.subarray(0, end), rowCount }
}

function cutRemark(rowLimit: number): Remark {
  return {
    severity: "NOTICE",
    sqlState: SqlState.ProgramLimitExceeded,
    message: `result was cut at the row limit of ${rowLimit}`,
    hint: "Aggregate or filter further; the limit belongs to your role at the gateway.",
  }
}

function limitExceeded(rowLimit: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "row_limit_exceeded",
    message: `result exceeds the row limit of ${rowLimit}`,
    hint: "Aggregate or filter further; the limit belongs to your role at the gateway.",
  })
}
