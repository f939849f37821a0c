import { type ErrorStage, type GatewayError, InvariantViolation } from "../../core/errors.ts"
import type { Completion, EarlyNotice, RowBatch } from "../../core/result.ts"
import type { TransactionStatus } from "../../wire/backend-messages.ts"
import { endsConnection, parseFields, protocolError, serverError } from "./error-map.ts"
import type { Relay } from "./relay.ts"

/** What `advance` stopped at. */
export type Step =
  /** More bytes are needed. */
  | "more"
  /** The description of the result is known (or that there is none). */
  | "described"
  /** A run of rows is in `batch`. */
  | "rows"
  /** ReadyForQuery was read: nothing of this reply is left. */
  | "ready"

/** What a reply tells its connection while it is read. */
export type ReplyEvents = {
  onParameter(name: string, value: string): void
  /** The reply is over; with the statement's error, when it failed. */
  onReady(status: TransactionStatus, error: GatewayError | undefined): void
}

/** What was sent: a simple Query, a statement of the extended protocol, or only the Describe of one. */
export type ReplyKind = "simple" | "extended" | "describe"

/** NoticeResponse messages kept for one statement; further ones are dropped. */
const noticeCountMax = 200
const noticeBytesMax = 256 * 1024

const code = {
  parseComplete: 0x31,
  bindComplete: 0x32,
  notification: 0x41,
  commandComplete: 0x43,
  dataRow: 0x44,
  error: 0x45,
  emptyQuery: 0x49,
  notice: 0x4e,
  parameterStatus: 0x53,
  rowDescription: 0x54,
  readyForQuery: 0x5a,
  noData: 0x6e,
  parameterDescription: 0x74,
} as const

/**
 * The server's answer to what was sent in one write, up to its ReadyForQuery:
 *
 *   prelude (settings; as many completions as statements in front) ─▶ described ─▶ rows ─▶ complete ─▶ ready
 *        └──────────────────── ErrorResponse, from anywhere ────────────────────────▶ failed ──▶ ready
 *
 * A message that has no place there is a protocol violation.
 */
export class Reply {
  readonly #relay: Relay
  readonly #events: ReplyEvents
  #stage: "prelude" | "undescribed" | "rows" | "complete" | "failed" | "ready"
  #tag: string | undefined
  /** Before the description. */
  readonly earlyNotices: EarlyNotice[] = []
  /** Since the last rows. */
  #notices: Buffer[] = []
  #noticeCount = 0
  #noticeBytes = 0
  #columnCount = 0
  /** RowDescription, whole. */
  description: Buffer | undefined
  /** ParameterDescription, whole, when the statement was described. */
  parameterDescription: Buffer | undefined
  error: GatewayError | undefined
  batch: RowBatch | undefined
  /** True for Describe of a statement: its answer ends without CommandComplete. */
  readonly #isDescribe: boolean
  /** What of the extended protocol is under way; undefined for a simple Query, whose answer does not tell. */
  #awaited: ErrorStage | undefined

  constructor(
    relay: Relay,
    events: ReplyEvents,
    shape: { readonly hasPrelude: boolean; readonly kind: ReplyKind },
  ) {
    this.#relay = relay
    this.#events = events
    this.#stage = shape.hasPrelude ? "prelude" : "undescribed"
    this.#isDescribe = shape.kind === "describe"
    this.#awaited = shape.kind === "simple" ? undefined : "parse"
  }

  get isReady(): boolean {
    return this.#stage === "ready"
  }

  get completion(): Completion {
    if (this.#stage !== "ready" || this.#tag === undefined) {
      throw new InvariantViolation("the completion of an unfinished result was asked for")
    }
    return { tag: this.#tag, notices: this.#notices }
  }

  /** Reads on as far as the bytes at hand go or something is to be told. Throws on a protocol violation or a FATAL error. */
  advance(): Step {
    const relay = this.#relay
    for (;;) {
      const type = relay.peek()
      if (type === 0) return "more"
      if (type === code.dataRow && this.#stage === "rows") {
        this.batch = relay.takeRows(this.#columnCount)
        if (this.#notices.length > 0) this.#attachNotices(this.batch)
        return "rows"
      }
      const step = this.#take(type)
      if (step !== undefined) return step
    }
  }

  #take(type: number): Step | undefined {
    const frame = this.#relay.take()
    switch (type) {
      case code.notice:
        this.#keepNotice(frame)
        return undefined
      case code.notification:
        return undefined
      case code.parameterStatus: {
        const [name = "", value = ""] = frame.toString("utf8", 5).split("\0")
        this.#events.onParameter(name, value)
        return undefined
      }
      case code.error:
        this.#fail(frame)
        return undefined
      case code.readyForQuery:
        return this.#finish(frame)
      default:
        return this.#stage === "prelude" ? this.#swallow(type) : this.#takeResult(type, frame)
    }
  }

  /** Answers to the settings: one row, whose values we know. */
  #swallow(type: number): undefined {
    switch (type) {
      case code.parseComplete:
      case code.bindComplete:
      case code.dataRow:
        return undefined
      case code.commandComplete:
        this.#stage = "undescribed"
        return undefined
      default:
        throw unexpected(type, this.#stage)
    }
  }

  #takeResult(type: number, frame: Buffer): Step | undefined {
    const isOpen = this.#stage === "undescribed"
    switch (type) {
      case code.parseComplete:
        if (!isOpen) break
        this.#awaited = this.#isDescribe ? undefined : "bind"
        return undefined
      case code.bindComplete:
        if (!isOpen) break
        this.#awaited = undefined
        return undefined
      case code.parameterDescription:
        if (!isOpen) break
        this.parameterDescription = frame
        return undefined
      case code.rowDescription:
      case code.noData:
        if (!isOpen) break
        this.description = type === code.rowDescription ? frame : undefined
        if (this.description !== undefined && frame.length >= 7)
          this.#columnCount = frame.readUInt16BE(5)
        this.#stage = this.#isDescribe ? "complete" : "rows"
        if (this.#isDescribe) this.#tag = ""
        return "described"
      case code.commandComplete:
      case code.emptyQuery:
        if (!isOpen && this.#stage !== "rows") break
        this.#tag = type === code.emptyQuery ? "" : frame.toString("utf8", 5, frame.length - 1)
        this.#stage = "complete"
        return isOpen ? "described" : undefined
      case code.dataRow:
        // Rows after a failure belong to nobody.
        if (this.#stage === "failed") return undefined
        break
      default:
        break
    }
    throw unexpected(type, this.#stage)
  }

  #finish(frame: Buffer): Step {
    if (this.#stage !== "complete" && this.#stage !== "failed") {
      throw unexpected(code.readyForQuery, this.#stage)
    }
    const status = String.fromCharCode(frame[5] ?? 0)
    if (status !== "I" && status !== "T" && status !== "E") {
      throw protocolError(`transaction status "${status}"`)
    }
    this.#stage = "ready"
    this.#events.onReady(status, this.error)
    return "ready"
  }

  #fail(frame: Buffer): void {
    const fields = parseFields(frame.subarray(5))
    const error = serverError(fields, this.#stage === "undescribed" ? this.#awaited : undefined)
    if (endsConnection(fields)) throw error
    this.error ??= error
    this.#stage = "failed"
  }

  #keepNotice(frame: Buffer): void {
    // Those of the settings in front are not the statement's.
    if (this.#stage === "prelude") return
    this.#noticeCount += 1
    this.#noticeBytes += frame.length
    if (this.#noticeCount > noticeCountMax || this.#noticeBytes > noticeBytesMax) return
    // A copy that owns its memory: a notice must not keep a chunk of rows, or Node's shared pool, alive.
    const copy = Buffer.allocUnsafeSlow(frame.length)
    frame.copy(copy)
    if (this.#stage === "undescribed") this.earlyNotices.push({ frame: copy, stage: this.#awaited })
    else this.#notices.push(copy)
  }

  #attachNotices({ bytes, rowCount }: RowBatch): void {
    this.batch = { bytes, rowCount, notices: this.#notices }
    this.#notices = []
  }
}

function unexpected(type: number, stage: string): GatewayError {
  return protocolError(`message "${String.fromCharCode(type)}" where the result is ${stage}`)
}
