import type { Socket } from "node:net"
import { type GatewayError, toGatewayError } from "../core/errors.ts"
import { AbortScope } from "../pipeline/abort-scope.ts"
import {
  errorFields,
  errorResponse,
  parameterStatus,
  readyForQuery,
  type TransactionStatus,
} from "../wire/backend-messages.ts"
import type { FrameSplitter } from "../wire/frame-splitter.ts"
import { decodeFrontend } from "../wire/frontend-decoder.ts"
import type { FrontendMessage } from "../wire/frontend-messages.ts"
import type { Backend, BackendActivity } from "./backend.ts"
import { activityOf } from "./backend-activity.ts"
import type { ClosingSockets } from "./closing-sockets.ts"
import { Delivery, outcomeOf } from "./delivery.ts"
import { DirectSession } from "./direct/direct-session.ts"
import { needsDirect } from "./direct/needs-direct.ts"
import { openDirect } from "./direct/open.ts"
import { ExtendedQuery } from "./extended-query.ts"
import { probeHalfOpen } from "./half-open-probe.ts"
import { checkStillValid } from "./identify.ts"
import { NamedObjects } from "./named-objects.ts"
import { Output } from "./output.ts"
import { type Phase, phaseAfter, phaseAfterError, step } from "./phases.ts"
import { ReportedSettings } from "./reported-settings.ts"
import {
  cancelledByClient,
  clientGone,
  functionCallRefused,
  idleTooLong,
  shuttingDown,
  terminatedByAdministrator,
} from "./session-errors.ts"
import type { SessionEvents, SessionInit } from "./session-init.ts"
import { MemoryShare } from "./session-memory.ts"
import { type SessionOrigin, SessionState } from "./session-state.ts"
import { simpleQuery } from "./simple-query.ts"
import { SqlCursors } from "./sql-cursors.ts"
import { SessionTransaction } from "./transaction.ts"

const terminateType = 0x58

/** Query, Parse, Bind and FunctionCall: what asks something new on a connection that is forwarded. */
const questionTypes: ReadonlySet<number> = new Set([0x51, 0x50, 0x42, 0x46])

/** Messages, and bytes of them, that one session handles before the others have their turn: about a millisecond of hits. */
const turnMessagesMax = 64
const turnBytesMax = 64 * 1024

/**
 * One authenticated connection, from its first ReadyForQuery to its end. Messages are handled one after another in the
 * order they came; what a message needs to wait for stops the next one, not the event loop. Everything that one turn of the
 * event loop produces is written at once.
 */
export class Session implements Backend {
  readonly #socket: Socket
  readonly #splitter: FrameSplitter
  readonly #state: SessionState
  readonly #output: Output
  readonly #delivery: Delivery
  readonly #objects: NamedObjects
  readonly #extended: ExtendedQuery
  readonly #events: SessionEvents
  readonly #reported: ReportedSettings
  readonly #closing: ClosingSockets
  /** From the first write on: the connection of the session's own that messages are forwarded to. */
  #direct: DirectSession | undefined
  readonly #startedMs = Date.now()
  #phase: Phase = "ready"
  /** Waiting: for a statement, for the client to read, or for its next turn. */
  #isBusy = false
  #isStatementRunning = false
  #isDraining = false
  /** The client has closed its side. */
  #hasEnded = false
  #isClosed = false

  constructor(init: SessionInit) {
    const { socket, settings, limits } = init
    this.#socket = socket
    this.#splitter = init.splitter
    this.#events = init.events
    this.#closing = init.closing
    const memory = new MemoryShare(init.memory)
    this.#output = new Output(socket, limits.outputBytesMax, memory)
    this.#objects = new NamedObjects(limits.namedObjectsMax, memory)
    this.#state = new SessionState(init.origin, {
      objects: this.#objects,
      settings,
      transaction: new SessionTransaction(settings),
      cursors: new SqlCursors(limits.namedObjectsMax),
      limits,
      memory,
    })
    this.#delivery = new Delivery(this.#output, {
      warehouse: init.origin.rooms.warehouse,
      onStatement: (report, end) => this.#events.statementFinished(report, end),
      minLevel: () => settings.get("client_min_messages"),
    })
    const reportsPath = init.origin.rooms.serverFacts().parameters.has("search_path")
    this.#reported = new ReportedSettings(settings, reportsPath)
    this.#extended = new ExtendedQuery(this.#state, this.#objects, this.#delivery)
  }

  /** Takes the socket over from the login, with what the client may have sent behind its last message. */
  start(greeting: readonly Buffer[]): void {
    for (const message of greeting) this.#output.write(message)
    this.#state.transaction.beginImplicit()
    this.#socket.on("data", (chunk: Buffer) => this.#onData(chunk))
    this.#socket.on("end", () => this.#onEnd())
    this.#socket.on("error", () => this.#onClose())
    this.#socket.on("close", () => this.#onClose())
    this.#socket.on("timeout", () => this.#onIdleTimeout())
    this.#ready()
    this.#output.flush()
    this.#drain()
    // It may have gone while its startup settings were checked, and tells nobody again.
    if (this.#socket.destroyed) this.#onClose()
    else this.#socket.resume()
  }

  /** True while a message is being handled that must wait for something. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** A cancel that finds no statement running is for the past: it must not hit the next one. */
  cancelByClient(): void {
    this.#direct?.cancel()
    if (!this.#isStatementRunning || this.#direct !== undefined) return
    this.#events.cancelled("client")
    this.#state.abort.abort(cancelledByClient())
  }

  terminateByAdministrator(): void {
    this.#terminate(terminatedByAdministrator())
  }

  get origin(): SessionOrigin {
    return this.#state.origin
  }

  get activity(): BackendActivity {
    return activityOf(this.#state, this.#delivery, this.#startedMs)
  }

  /** Shutdown: an idle session ends now, a busy one after its statement. */
  drain(): void {
    this.#isDraining = true
    if (this.#isAtRest) this.#end(shuttingDown())
  }

  /** Nothing runs, and no transaction is open. */
  get #isAtRest(): boolean {
    if (this.#direct !== undefined) return this.#direct.isIdle && this.#direct.status === "I"
    return !this.#isBusy && !this.#state.transaction.isExplicit
  }

  /** The end of patience: whatever still runs is cancelled. */
  terminate(): void {
    this.#terminate(shuttingDown())
  }

  #terminate(reason: GatewayError): void {
    this.#state.abort.abort(reason)
    this.#end(reason)
  }

  #onData(chunk: Buffer): void {
    try {
      this.#splitter.push(chunk)
      if (this.#isBusy) this.#boundPending()
      else this.#drain()
    } catch (thrown) {
      this.#end(toGatewayError(thrown))
      return
    }
    this.#countInput()
  }

  /** A client that pipelines while a statement runs is read up to a bound, so that its closing is noticed meanwhile. */
  #boundPending(): void {
    const { pendingBytesMax, pendingChunksMax } = this.#state.limits
    const { pendingBytes, pendingChunks } = this.#splitter
    if (pendingBytes > pendingBytesMax || pendingChunks > pendingChunksMax) this.#socket.pause()
  }

  /** What is unread is the beginning of a message, or waits behind a statement. */
  #countInput(): void {
    if (this.#phase === "closed") return
    try {
      this.#state.memory.input(this.#splitter.pendingBytes)
    } catch (thrown) {
      this.#end(toGatewayError(thrown))
    }
  }

  #drain(): void {
    let messagesLeft = turnMessagesMax
    let bytesLeft = turnBytesMax
    while (!this.#isBusy && this.#phase !== "closed") {
      if (this.#output.isFull) {
        this.#wait(this.#output.drained())
        break
      }
      if (messagesLeft === 0 || bytesLeft <= 0) {
        this.#wait(nextTurn())
        break
      }
      messagesLeft -= 1
      bytesLeft -= this.#splitter.end - this.#splitter.start
      const pending = this.#next()
      if (pending === "nothing") break
      if (pending !== undefined) {
        this.#isStatementRunning = true
        this.#wait(pending)
        break
      }
    }
    // While a statement runs, what was produced before it waits for its rows: PostgreSQL sends at Flush, Sync or a full buffer,
    // too, and one write less is one wake-up of the client less (0.03 ms of 0.3 on bench:miss).
    if (!this.#isBusy) {
      this.#output.flush()
      // A batch that waits for its Sync may hold a lease, as a transaction may.
      if (this.#phase === "extended" && this.#direct === undefined) this.#armIdleTimeout(true)
    }
    if (this.#hasEnded && !this.#isBusy && this.#direct?.isIdle !== false) this.#close()
  }

  #wait(pending: Promise<void>): void {
    this.#isBusy = true
    pending.then(
      () => this.#resume(),
      (thrown: unknown) => {
        this.#isBusy = false
        this.#isStatementRunning = false
        this.#end(toGatewayError(thrown))
        this.#release()
      },
    )
  }

  #resume(): void {
    this.#isBusy = false
    this.#isStatementRunning = false
    if (this.#phase === "closed") {
      this.#release()
      return
    }
    if (this.#socket.isPaused()) this.#socket.resume()
    this.#drain()
    this.#countInput()
  }

  /** Handles the next message that is whole. Protocol violations that leave no way to go on are thrown. */
  #next(): undefined | Promise<void> | "nothing" {
    try {
      if (!this.#splitter.next()) return "nothing"
    } catch (thrown) {
      this.#end(toGatewayError(thrown))
      return undefined
    }
    const { type, bytes, start, end } = this.#splitter
    // While COPY FROM STDIN waits for data, the server has something to say of a Terminate, too.
    const isLeaving = type === terminateType && this.#direct?.isWaitingForClient !== true
    if (this.#direct !== undefined && !isLeaving) return this.#forward(this.#direct)
    let message: FrontendMessage
    try {
      message = decodeFrontend(type, bytes, start, end)
    } catch (thrown) {
      return this.#onUndecodable(type, toGatewayError(thrown))
    }
    if (step(this.#phase, message) === "discard") return undefined
    this.#phase = phaseAfter(this.#phase, message)
    let pending: void | Promise<void>
    try {
      pending = this.#state.mayWrite ? this.#handleOrForward(message) : this.#handle(message)
    } catch (thrown) {
      return this.#fail(message, thrown)
    }
    if (pending === undefined) return undefined
    return pending.catch((thrown: unknown) => this.#fail(message, thrown))
  }

  /** The frame that the splitter has found, to the warehouse. */
  #forward(direct: DirectSession): undefined | Promise<void> {
    const { type, bytes, start, end } = this.#splitter
    if (questionTypes.has(type)) {
      const { identity, rooms } = this.#state.origin
      try {
        checkStillValid(identity, rooms.wallMs)
      } catch (thrown) {
        this.#end(toGatewayError(thrown))
        return undefined
      }
    }
    return direct.take(type, bytes, start, end)
  }

  #handleOrForward(message: FrontendMessage): void | Promise<void> {
    const needs = needsDirect(message, this.#state, this.#objects)
    if (needs === false) return this.#handle(message)
    if (needs === true) return this.#goDirect()
    return needs.then((isDirect) => (isDirect ? this.#goDirect() : this.#handle(message)))
  }

  /** The session leaves its virtual life: what it has goes with it, and the message that needed it is the first one forwarded. */
  async #goDirect(): Promise<void> {
    await this.#extended.settle()
    const connection = await openDirect(this.#state, this.#objects)
    const direct = new DirectSession({
      connection,
      state: this.#state,
      output: this.#output,
      status: this.#state.transaction.status,
      events: {
        ready: (status) => this.#onDirectReady(status),
        ended: (error) => this.#onDirectEnded(error),
        statementFinished: (report, end) => this.#events.statementFinished(report, end),
      },
    })
    this.#release()
    this.#objects.closeAllPrepared()
    if (this.#phase === "closed") {
      direct.close()
      return
    }
    this.#direct = direct
    void direct.run()
    await this.#forward(direct)
  }

  #onDirectReady(status: TransactionStatus): void {
    if (this.#phase === "closed") return
    this.#armIdleTimeout(status !== "I")
    if ((this.#isDraining || this.#hasEnded) && this.#isAtRest) this.#endDrained()
  }

  #endDrained(): void {
    if (this.#hasEnded) this.#close()
    else this.#end(shuttingDown())
  }

  #onDirectEnded(error: GatewayError | undefined): void {
    if (error === undefined) this.#close()
    else this.#end(error)
  }

  #handle(message: FrontendMessage): void | Promise<void> {
    switch (message.kind) {
      case "Query": {
        this.#extended.forget()
        // A simple Query uses, and so replaces, the unnamed statement and portal (PostgreSQL manual, 54.2.3).
        this.#objects.closePrepared("")
        this.#objects.closePortal("")
        const pending = simpleQuery(message.sql, this.#state, this.#delivery)
        return pending === undefined ? this.#ready() : pending.then(() => this.#ready())
      }
      case "Parse":
        return this.#extended.parse(message)
      case "Bind":
        return this.#extended.bind(message)
      case "Describe":
        return this.#extended.describe(message)
      case "Execute":
        return this.#extended.execute(message)
      case "Close":
        return this.#extended.close(message)
      case "Flush":
        return this.#extended.settle()
      case "Sync":
        return this.#sync()
      case "Terminate":
        this.#phase = "closed"
        this.#close()
        return undefined
      case "FunctionCall":
        throw functionCallRefused()
      case "CopyData":
      case "CopyDone":
      case "CopyFail":
        // Outside COPY these are read and dropped (PostgreSQL manual, 54.2.6).
        return undefined
    }
  }

  #sync(): void | Promise<void> {
    const finish = (): void => {
      this.#state.transaction.endImplicit()
      this.#state.transaction.beginImplicit()
      this.#ready()
    }
    const pending = this.#extended.settle()
    return pending === undefined ? finish() : pending.then(finish)
  }

  /** ReadyForQuery, with what has changed before it, and a fresh start for the next statement. */
  #ready(): void {
    const { transaction } = this.#state
    if (!transaction.isExplicit) {
      this.#objects.closePortals()
      transaction.beginImplicit()
    }
    this.#reported.report(this.#output)
    this.#output.write(readyForQuery(transaction.status))
    if (this.#state.abort.isAborted || this.#state.abort.isUsed)
      this.#state.abort = new AbortScope()
    this.#armIdleTimeout(transaction.isExplicit)
    if (this.#isDraining && !transaction.isExplicit) this.#end(shuttingDown())
  }

  #armIdleTimeout(isInTransaction: boolean): void {
    const { idleSessionTimeoutMs, idleInTransactionTimeoutMs } = this.#state.limits
    const timeoutMs = isInTransaction ? idleInTransactionTimeoutMs : idleSessionTimeoutMs
    if (this.#socket.timeout !== timeoutMs && (timeoutMs > 0 || this.#socket.timeout))
      this.#socket.setTimeout(timeoutMs)
  }

  #onIdleTimeout(): void {
    if (this.#isBusy || this.#phase === "closed" || this.#direct?.isIdle === false) return
    const status = this.#direct?.status ?? this.#state.transaction.status
    this.#end(idleTooLong(status !== "I" || this.#phase !== "ready"))
  }

  /** One error of one message: told to the client, and the rest of the batch skipped. */
  #fail(message: FrontendMessage, thrown: unknown): undefined {
    const error = toGatewayError(thrown)
    this.#extended.forget()
    this.#delivery.end(outcomeOf(error), error)
    // What ran when the session ended fails after it: the phase stays closed, so that what it holds is given back.
    if (this.#phase === "closed") return undefined
    if (error.severity === "FATAL") {
      this.#end(error)
      return undefined
    }
    this.#state.transaction.fail()
    if (!this.#state.transaction.isExplicit) this.#state.cursors.rollback()
    this.#output.write(errorResponse(errorFields(error)))
    this.#phase = phaseAfterError(message)
    if (this.#phase === "ready") this.#ready()
    return undefined
  }

  /** A malformed body in a sound frame. PostgreSQL answers in the phase that the message's type would have led to. */
  #onUndecodable(type: number, error: GatewayError): undefined {
    if (error.severity === "FATAL") {
      this.#end(error)
      return undefined
    }
    if (this.#phase === "skipping") return undefined
    const meant: FrontendMessage =
      type === 0x51 ? { kind: "Query", sql: "" } : { kind: type === 0x53 ? "Sync" : "Flush" }
    this.#fail(meant, error)
    return undefined
  }

  /** The client will send nothing more. What it asked for before is still answered if it listens. */
  #onEnd(): void {
    this.#hasEnded = true
    const isBusy = this.#isBusy || this.#direct?.isIdle === false
    if (!isBusy || this.#direct?.isWaitingForClient === true) {
      this.#close()
      return
    }
    // A message that every client may get at any time (PostgreSQL manual, 54.2.7): a closed socket fails on it.
    const message = parameterStatus("client_encoding", this.#state.settings.get("client_encoding"))
    probeHalfOpen(this.#socket, message, () => this.#isBusy || this.#direct?.isIdle === false)
  }

  #onClose(): void {
    if (this.#isBusy) {
      this.#events.cancelled("closed_socket")
      this.#state.abort.abort(clientGone())
    }
    this.#close()
  }

  /** Ends the session with a FATAL error. */
  #end(error: GatewayError): void {
    if (this.#phase === "closed") return
    if (error.reason === "invariant_violation") this.#events.failed(error)
    this.#delivery.end(outcomeOf(error), error)
    this.#output.write(errorResponse(errorFields(error, { severity: "FATAL" })))
    this.#phase = "closed"
    this.#close()
  }

  #close(): void {
    this.#phase = "closed"
    if (this.#isClosed) return
    this.#isClosed = true
    this.#output.flush()
    this.#output.close()
    this.#closing.end(this.#socket)
    this.#direct?.close()
    // What a running statement uses is given back when it has ended, which the cancel before brings about.
    if (!this.#isBusy) this.#release()
    this.#events.closed()
  }

  /** Gives back everything that may hold a lease. */
  #release(): void {
    this.#objects.closePortals()
    this.#state.cursors.close(undefined)
    this.#state.scope?.end().catch((thrown: unknown) => this.#events.failed(toGatewayError(thrown)))
    this.#state.scope = undefined
    this.#objects.closeAllPrepared()
    this.#state.memory.release()
  }
}

/** After this, everybody else's input that is there has been read. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
