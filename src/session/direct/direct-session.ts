import type { DirectConnection } from "../../core/direct.ts"
import { GatewayError, toGatewayError } from "../../core/errors.ts"
import type { StatementEnd, StatementReport } from "../../core/observation.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { Statement } from "../../core/statement.ts"
import { statementsOf } from "../../pipeline/answer.ts"
import { timedOut } from "../../pipeline/deadline.ts"
import {
  addWritten,
  isNothing,
  mayWrite,
  nothingWritten,
  publish,
  type Written,
} from "../../pipeline/direct.ts"
import { errorFields, errorResponse, type TransactionStatus } from "../../wire/backend-messages.ts"
import { decodeFrontend } from "../../wire/frontend-decoder.ts"
import { parseMessage, queryMessage } from "../../wire/frontend-encoder.ts"
import type { ParseMessage, QueryMessage } from "../../wire/frontend-messages.ts"
import type { Output } from "../output.ts"
import { functionCallRefused } from "../session-errors.ts"
import type { SessionState } from "../session-state.ts"
import { type Cycle, Cycles, cyclesMax, type Sent } from "./cycles.ts"
import {
  backend,
  errorField,
  Refusals,
  tagOf,
  transactionStatus,
  withProcessId,
} from "./direct-messages.ts"
import { directEnd, directReport, isAskedFor } from "./direct-report.ts"
import { type JudgedTexts, judgeTexts } from "./judged-texts.ts"
import { askSearchPath, KnownSearchPath } from "./search-path.ts"
import { DirectSignals, signalOf } from "./signals.ts"
import { StatementClock } from "./statement-clock.ts"
import { WrittenNames } from "./written-names.ts"

export type DirectEvents = {
  /** A ReadyForQuery was sent. */
  ready(status: TransactionStatus): void
  /** The warehouse ended the connection, after what it said itself, or it was lost. */
  ended(error: GatewayError | undefined): void
  statementFinished(report: StatementReport, end: StatementEnd): void
}

export type DirectInit = {
  readonly connection: DirectConnection
  readonly state: SessionState
  readonly output: Output
  readonly events: DirectEvents
  /** The transaction's state on the warehouse when this begins. */
  readonly status: TransactionStatus
}

/**
 * A session that writes, from its first write on: messages pass both ways as they are, in any order and as far ahead as the
 * client likes, so that everything is PostgreSQL's own. What is looked into: every SQL text is judged before it is sent, and
 * what a commit has changed is told to the cache before the client hears of the commit.
 */
export class DirectSession {
  readonly #connection: DirectConnection
  readonly #state: SessionState
  readonly #output: Output
  readonly #events: DirectEvents
  readonly #cycles = new Cycles()
  readonly #refusals = new Refusals()
  readonly #path: KnownSearchPath
  readonly #ownNames = new Set<string>()
  readonly #names: WrittenNames
  readonly #clock: StatementClock
  readonly #signals: DirectSignals
  /** What cycles that have ended wrote in the transaction that is still open. */
  #pending: Written = nothingWritten
  #status: TransactionStatus
  #hasFailed = false
  /** Resolves when the warehouse may be sent to again: while it is asked something of our own. */
  #pause: Promise<void> | undefined
  #cancelling: Promise<void> | undefined
  #room: (() => void) | undefined
  #isClosed = false

  constructor(init: DirectInit) {
    this.#connection = init.connection
    this.#state = init.state
    this.#output = init.output
    this.#events = init.events
    this.#status = init.status
    this.#path = new KnownSearchPath(init.state.settings.view.searchPath)
    this.#signals = new DirectSignals(init.state, init.output)
    this.#names = new WrittenNames(init.state.limits.namedObjectsMax)
    this.#clock = new StatementClock(init.state.origin, () => this.cancel())
    const { registry, processId } = init.state.origin
    registry.owns(processId, init.connection.processId)
  }

  /** Reads the warehouse's messages until the end of the connection. Never rejects. */
  async run(): Promise<void> {
    try {
      await this.#pump()
      if (!this.#isClosed) this.#events.ended(undefined)
    } catch (thrown) {
      if (!this.#isClosed) this.#events.ended(toGatewayError(thrown))
    }
    // What had been sent may have been committed before the connection was lost.
    const written = addWritten(this.#pending, this.#cycles.written)
    await publish(written, this.#state.origin.rooms).catch(() => undefined)
  }

  get status(): TransactionStatus {
    return this.#status
  }

  /** True while the warehouse owes nothing. */
  get isIdle(): boolean {
    return this.#cycles.isIdle
  }

  /** True while the warehouse waits for the data of COPY FROM STDIN: from a client that has ended there will be none. */
  get isWaitingForClient(): boolean {
    return this.#cycles.isCopyIn
  }

  /**
   * Cancels what runs; harmless when nothing does. What the client sends after its request must not be hit by it: it waits
   * until no signal is under way any more.
   */
  cancel(): void {
    if (this.isIdle || this.#cancelling !== undefined) return
    this.#cancelling = this.#connection.cancel().finally(() => {
      this.#cancelling = undefined
    })
  }

  close(): void {
    this.#isClosed = true
    this.#clock.stop()
    this.#connection.close()
    this.#state.origin.registry.disowns(this.#connection.processId)
    this.#room?.()
  }

  /** One whole message of the client's; Terminate is the session's own. A promise where the next one must wait. */
  take(type: number, bytes: Buffer, start: number, end: number): undefined | Promise<void> {
    const waits = this.#pause ?? this.#cancelling ?? this.#untilRoom()
    if (waits !== undefined) return waits.then(() => this.take(type, bytes, start, end))
    this.#mustStillWrite()
    const frame = bytes.subarray(start - 5, end)
    switch (type) {
      case 0x51: // Q
      case 0x50: // P
        return this.#takeText(type, frame)
      case 0x46: // F
        return this.#refuseQuery(functionCallRefused())
      case 0x53: // S
        this.#cycles.sync()
        break
      case 0x42: // B
      case 0x45: // E
      case 0x43: // C
        {
          const failure = this.#follow(type, frame)
          if (failure !== undefined) return this.#refuseExecute(failure)
        }
        break
      case 0x63: // c
      case 0x66: // f
        this.#cycles.copyEnds()
        break
      default:
    }
    return this.#send(frame)
  }

  /** What was prepared here ran as it was written: new policies that hide rows from this user end the session. */
  #mustStillWrite(): void {
    const { rooms, identity } = this.#state.origin
    if (mayWrite(identity, rooms)) return
    throw new GatewayError({
      sqlState: SqlState.AdminShutdown,
      reason: "write_not_allowed",
      severity: "FATAL",
      message: "terminating connection because its user may not write any more",
      hint: "The policies changed. Connect again to read under them.",
    })
  }

  #refuseExecute(error: GatewayError): undefined | Promise<void> {
    return this.#isClosed ? undefined : this.#send(parseMessage(this.#refusals.add(error), [], ""))
  }

  #untilRoom(): Promise<void> | undefined {
    if (this.#cycles.count < cyclesMax) return undefined
    return new Promise((resolve) => {
      this.#room = resolve
    })
  }

  #send(bytes: Buffer): undefined | Promise<void> {
    this.#clock.start()
    return this.#connection.send(bytes)
  }

  /** Which portals write, and which are run. */
  #follow(type: number, frame: Buffer): GatewayError | undefined {
    const message = decodeFrontend(type, frame, 5)
    const { open } = this.#cycles
    switch (message.kind) {
      case "Bind":
        open.add(nothingWritten)
        this.#names.bind(message.portal, message.statement)
        this.#signals.bind(message)
        return undefined
      case "Execute":
        open.add(this.#names.ofPortal(message.portal))
        return this.#signals.execute(message.portal, this.#status)
      case "Close":
        open.add(nothingWritten)
        this.#names.close(message.target, message.name)
        this.#signals.close(message)
        return undefined
      default:
        return undefined
    }
  }

  /** Query and Parse: the only ways in which SQL comes. */
  #takeText(type: number, frame: Buffer): undefined | Promise<void> {
    const message = decodeFrontend(type, frame, 5)
    if (message.kind !== "Query" && message.kind !== "Parse") return undefined
    try {
      const parsed = statementsOf(message.sql, this.#state.origin.rooms)
      if (!(parsed instanceof Promise)) return this.#judged(message, frame, parsed)
      return parsed.then(
        (statements) => this.#judged(message, frame, statements),
        (thrown: unknown) => this.#refuse(message, thrown),
      )
    } catch (thrown) {
      return this.#refuse(message, thrown)
    }
  }

  #judged(
    message: QueryMessage | ParseMessage,
    frame: Buffer,
    statements: readonly Statement[],
  ): undefined | Promise<void> {
    const snapshot = this.#state.origin.rooms.catalog.current()
    if (snapshot === undefined)
      return this.#state.origin.rooms.catalog.refreshNow().then(
        () => this.#judged(message, frame, statements),
        (thrown: unknown) => this.#refuse(message, thrown),
      )
    let judged: JudgedTexts
    try {
      judged = judgeTexts(message, statements, snapshot, {
        state: this.#state,
        path: this.#path,
        ownNames: this.#ownNames,
        names: this.#names,
        signals: this.#signals,
        status: this.#status,
      })
    } catch (thrown) {
      return this.#refuse(message, thrown)
    }
    const { texts, written, isChanged } = judged
    if (this.#isClosed) return undefined
    if (message.kind === "Parse") {
      if (signalOf(statements[0]) === undefined) this.#signals.forget(message.name)
      this.#names.prepare(message.name, written)
      this.#cycles.open.add(nothingWritten)
      const [text = ""] = texts
      return this.#send(
        isChanged ? parseMessage(text, message.parameterTypes, message.name) : frame,
      )
    }
    const startMs = performance.now()
    const sent = statements.map((statement) => ({ statement, startMs }))
    this.#cycles.query(sent, written)
    return this.#send(isChanged ? queryMessage(texts.join(";\n")) : frame)
  }

  #refuse(message: QueryMessage | ParseMessage, thrown: unknown): undefined | Promise<void> {
    const error = toGatewayError(thrown)
    if (message.kind === "Query") return this.#refuseQuery(error)
    this.#cycles.open.add(nothingWritten)
    return this.#send(parseMessage(this.#refusals.add(error), [], message.name))
  }

  #refuseQuery(error: GatewayError): undefined | Promise<void> {
    // The signal that failed has ended this session.
    if (this.#isClosed) return undefined
    this.#cycles.query([], nothingWritten)
    return this.#send(queryMessage(this.#refusals.add(error)))
  }

  async #pump(): Promise<void> {
    /** A CommandComplete that may be the word of a commit: it waits for what follows it. */
    let held: Buffer | undefined
    for (;;) {
      const next = this.#connection.next()
      if (next instanceof Promise) this.#output.flush()
      const frame = next instanceof Promise ? await next : next
      if (frame === undefined) return
      if (held !== undefined && frame[0] !== backend.readyForQuery) {
        this.#output.write(held)
        held = undefined
      }
      switch (frame[0]) {
        case backend.commandComplete:
          if (tagOf(frame) === "COMMIT") await this.#publish(this.#cycles.current)
          if (this.#cycles.current.isQuery) held = frame
          else this.#output.write(frame)
          break
        case backend.readyForQuery:
          await this.#ready(frame, held)
          held = undefined
          break
        case backend.errorResponse:
          this.#error(frame)
          break
        case backend.notification:
          this.#output.write(this.#notification(frame))
          break
        default:
          if (frame[0] === backend.copyInResponse) this.#cycles.copyIn()
          this.#output.write(frame)
      }
      if (this.#output.isFull) await this.#output.drained()
    }
  }

  #notification(frame: Buffer): Buffer {
    return withProcessId(frame, this.#state.origin.registry.knownAs(frame.readInt32BE(5)))
  }

  #error(frame: Buffer): void {
    this.#hasFailed = true
    const refused = this.#refusals.take(frame)
    const isCancelled = errorField(frame, "C") === SqlState.QueryCanceled
    const isOutOfTime = this.#clock.takeOver() && isCancelled
    const error = refused ?? (isOutOfTime ? timedOut() : undefined)
    this.#output.write(error === undefined ? frame : errorResponse(errorFields(error)))
  }

  async #ready(frame: Buffer, held: Buffer | undefined): Promise<void> {
    const status = transactionStatus(frame)
    this.#status = status
    this.#clock.stop()
    const cycle = this.#cycles.ended()
    if (this.#cycles.count > 0) this.#clock.start()
    if (status === "I") {
      await this.#publish(cycle)
      this.#names.closePortals()
    } else if (cycle !== undefined) this.#pending = addWritten(this.#pending, cycle.written)
    if (this.#cycles.isIdle) this.#refusals.clear()
    await this.#askPath()
    if (held !== undefined) this.#output.write(held)
    this.#output.write(frame)
    this.#report(cycle?.sent ?? [])
    this.#hasFailed = false
    this.#room?.()
    this.#room = undefined
    this.#events.ready(status)
    this.#output.flush()
  }

  #report(sent: readonly Sent[]): void {
    for (const { statement, startMs } of sent) {
      const report = directReport(this.#state.origin.rooms.warehouse, statement)
      if (isAskedFor(statement)) this.#state.lastReport = report
      this.#events.statementFinished(report, directEnd(startMs, this.#hasFailed))
    }
  }

  /** A cycle's own part may be told twice, because its statements may go on after a COMMIT in its middle. */
  async #publish(cycle: Cycle | undefined): Promise<void> {
    const written = addWritten(this.#pending, cycle?.written ?? nothingWritten)
    this.#pending = nothingWritten
    if (!isNothing(written)) await publish(written, this.#state.origin.rooms)
  }

  /** Asked only where rules hold relations by name, and only when nothing else is under way. */
  async #askPath(): Promise<void> {
    const { rooms, identity } = this.#state.origin
    const { allow, deny } = rooms.policy().effective(identity.roles)
    if (allow.matchesEverything && deny.isEmpty) return
    if (this.#path.schemas !== undefined || this.#status === "E" || !this.#cycles.isIdle) return
    const pause = Promise.withResolvers<void>()
    this.#pause = pause.promise
    try {
      const schemas = await askSearchPath(this.#connection)
      if (schemas !== undefined) this.#path.learned(schemas)
    } finally {
      this.#pause = undefined
      pause.resolve()
    }
  }
}
