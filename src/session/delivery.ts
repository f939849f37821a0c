import type { GatewayError } from "../core/errors.ts"
import type { StageTimes, StatementEnd, StatementReport } from "../core/observation.ts"
import type { Remark } from "../core/remark.ts"
import type { Statement } from "../core/statement.ts"
import { commandComplete } from "../wire/backend-messages.ts"
import type { Output } from "./output.ts"
import { remarkMessage } from "./remark-message.ts"
import { ResultCursor } from "./result-cursor.ts"
import type { RunOutcome } from "./run-outcome.ts"
import { messageLevels } from "./setting-values.ts"

/** Told when a statement is over. */
export type StatementListener = (report: StatementReport, end: StatementEnd) => void

const noStages = { parseMs: 0, policyMs: 0, cacheMs: 0, queueMs: 0, warehouseMs: 0, encodeMs: 0 }

/** The report of what the session answered itself, or of what failed before the spine could tell; `other` did not parse. */
function localReport(warehouse: string, statement: string): StatementReport {
  return {
    warehouse,
    statement,
    cache: "bypass",
    reason: undefined,
    ageMs: undefined,
    key: undefined,
    tokens: undefined,
    relations: [],
    endpoint: undefined,
    stages: noStages,
  }
}

/** What is left of a statement's time when the stages before are taken away. `begin` comes after parsing. */
function addEncodeTime(stages: StageTimes, durationMs: number): void {
  const { policyMs, cacheMs, queueMs, warehouseMs } = stages
  stages.encodeMs = Math.max(0, durationMs - policyMs - cacheMs - queueMs - warehouseMs)
}

/** Sends results and remarks of one session, and keeps time and counts of the statement that runs. */
export class Delivery {
  readonly output: Output
  readonly #onStatement: StatementListener
  readonly #warehouse: string
  readonly #minLevel: () => string
  #statement: Statement | undefined
  #report: StatementReport | undefined
  #startMs = 0
  #endMs = 0
  #lastStatement: Statement | undefined
  #startBytes = 0
  #rowCount = 0
  #cursor: ResultCursor | undefined

  constructor(
    output: Output,
    options: {
      readonly warehouse: string
      readonly onStatement: StatementListener
      /** client_min_messages, as it is when a remark is sent. */
      readonly minLevel: () => string
    },
  ) {
    this.output = output
    this.#warehouse = options.warehouse
    this.#onStatement = options.onStatement
    this.#minLevel = options.minLevel
  }

  begin(statement: Statement): void {
    this.#statement = statement
    this.#lastStatement = statement
    this.#report = undefined
    this.#startMs = performance.now()
    this.#startBytes = this.output.byteCount
    this.#rowCount = 0
  }

  /** The statement that runs, or ran last, and its times on performance.now()'s clock. */
  get last():
    | {
        readonly statement: Statement
        readonly startMs: number
        readonly endMs: number
        readonly isRunning: boolean
      }
    | undefined {
    const statement = this.#lastStatement
    if (statement === undefined) return undefined
    const isRunning = this.#statement !== undefined
    return { statement, startMs: this.#startMs, endMs: this.#endMs, isRunning }
  }

  /** Row description, all rows, remarks, command tag. */
  sendWhole(outcome: RunOutcome): undefined | Promise<void> {
    this.#report = outcome.report
    const { result } = outcome
    if (this.#sendImage(outcome, "whole")) return undefined
    for (const notice of result.notices ?? []) this.tellNotice(notice.frame)
    if (result.description !== undefined) this.output.write(result.description)
    const cursor = new ResultCursor(result)
    const sent = cursor.send(this.output, Number.POSITIVE_INFINITY, this.tellNotices)
    if (typeof sent === "number") {
      this.complete(cursor, sent, outcome.remarks)
      return undefined
    }
    this.#cursor = cursor
    return sent.then((rowCount) => this.complete(cursor, rowCount, outcome.remarks))
  }

  /** A small hit is one buffer, ready to be sent. False when the outcome is anything else. */
  #sendImage(outcome: RunOutcome, part: "whole" | "afterDescription"): boolean {
    const { result, remarks } = outcome
    if (!("wire" in result) || result.wire === undefined || remarks.length > 0) return false
    this.output.write(result.wire[part])
    this.#rowCount = result.rowCount
    this.end("ok", undefined)
    return true
  }

  /** All rows and the tag of a result whose description was sent before, if it is at hand in one piece. */
  sendRows(outcome: RunOutcome): boolean {
    return this.#sendImage(outcome, "afterDescription")
  }

  /** The report of a statement whose rows a portal hands out. */
  attribute(outcome: RunOutcome): void {
    this.#report = outcome.report
  }

  complete(cursor: ResultCursor, rowCount: number, remarks: readonly Remark[]): void {
    this.#cursor = undefined
    this.tellNotices(cursor.notices)
    for (const remark of remarks) this.sendRemark(remark)
    this.output.write(commandComplete(cursor.tag(rowCount)))
    this.#rowCount = rowCount
    this.end("ok", undefined)
  }

  /** The warehouse's notices, those that the session wants to see. */
  readonly tellNotices = (notices: readonly Buffer[]): void => {
    for (const notice of notices) this.tellNotice(notice)
  }

  tellNotice(notice: Buffer): void {
    if (this.#isWanted(noticeSeverity(notice))) this.output.write(notice)
  }

  /** client_min_messages is the session's own: the warehouse connection sends notices whatever the client asked for. */
  #isWanted(severity: string): boolean {
    return messageLevels.indexOf(severity.toLowerCase()) >= messageLevels.indexOf(this.#minLevel())
  }

  sendRemark(remark: Remark): void {
    const message = remarkMessage(remark, this.#minLevel())
    if (message !== undefined) this.output.write(message)
  }

  /** Also called for a statement that failed: what was still open is given up. */
  end(outcome: StatementEnd["outcome"], error: GatewayError | undefined): void {
    this.#cursor?.[Symbol.dispose]()
    this.#cursor = undefined
    const statement = this.#statement
    if (statement === undefined && error === undefined) return
    this.#statement = undefined
    this.#endMs = performance.now()
    const durationMs = this.#endMs - this.#startMs
    if (this.#report?.endpoint !== undefined) addEncodeTime(this.#report.stages, durationMs)
    const kind = statement?.class.kind ?? "other"
    this.#onStatement(this.#report ?? localReport(this.#warehouse, kind), {
      durationMs,
      rowCount: this.#rowCount,
      byteCount: this.output.byteCount - this.#startBytes,
      outcome,
      errorReason: error?.reason,
      sqlState: error?.sqlState,
    })
  }
}

/** Field V of a NoticeResponse, which stands second behind field S (PostgreSQL 9.6 and later). INFO always reaches the client. */
function noticeSeverity(notice: Buffer): string {
  const [, severity = ""] = notice.toString("utf8", 5).split("\0")
  return severity === "VINFO" ? "error" : severity.slice(1)
}

/** How an error counts: a cancelled statement is no failure of anybody's. */
export function outcomeOf(error: GatewayError): "error" | "cancelled" {
  return error.reason === "cancelled" ? "cancelled" : "error"
}
