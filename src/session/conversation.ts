import { type GatewayError, toGatewayError } from "../core/errors.ts"
import { AbortScope } from "../pipeline/abort-scope.ts"
import {
  errorFields,
  errorResponse,
  readyForQuery,
  type TransactionStatus,
} from "../wire/backend-messages.ts"
import type { FrameSplitter } from "../wire/frame-splitter.ts"
import { decodeFrontend } from "../wire/frontend-decoder.ts"
import type { FrontendMessage } from "../wire/frontend-messages.ts"
import type { BackendActivity } from "./backend.ts"
import { activityOf } from "./backend-activity.ts"
import { Delivery, outcomeOf } from "./delivery.ts"
import { DirectSession } from "./direct/direct-session.ts"
import { needsDirect } from "./direct/needs-direct.ts"
import { openDirect } from "./direct/open.ts"
import { ExtendedQuery } from "./extended-query.ts"
import { checkStillValid } from "./identify.ts"
import { NamedObjects } from "./named-objects.ts"
import type { Output } from "./output.ts"
import { type Phase, phaseAfter, phaseAfterError, step } from "./phases.ts"
import { ReportedSettings } from "./reported-settings.ts"
import { cancelledByClient, functionCallRefused, idleTooLong } from "./session-errors.ts"
import type { SessionEvents, SessionInit } from "./session-init.ts"
import type { MemoryShare } from "./session-memory.ts"
import { endImplicitTransaction, SessionState } from "./session-state.ts"
import { simpleQuery } from "./simple-query.ts"
import { SqlCursors } from "./sql-cursors.ts"
import { SessionTransaction } from "./transaction.ts"

const terminateType = 0x58

/** Query, Parse, Bind and FunctionCall: what asks something new on a connection that is forwarded. */
const questionTypes: ReadonlySet<number> = new Set([0x51, 0x50, 0x42, 0x46])

/** What a conversation tells the connection under it. */
export type ConversationHost = {
  /** ReadyForQuery was produced: from here the client's silence is counted. */
  ready(isInTransaction: boolean): void
  /** Nothing runs and no transaction is open: a moment in which the session may end. */
  atRest(): void
  /** The conversation is over, and what was produced is its last word. */
  over(): void
}

/**
 * What is said on one authenticated connection: phases, one message after another, errors, ReadyForQuery, and the change to
 * a connection of its own for a session that writes (direct/). It knows no socket: messages come from the splitter of
 * the session (session.ts), answers go to its output, and who calls sees to it that a message waits for the one before.
 */
export class Conversation {
  readonly state: SessionState
  readonly #output: Output
  readonly #delivery: Delivery
  readonly #objects: NamedObjects
  readonly #extended: ExtendedQuery
  readonly #reported: ReportedSettings
  readonly #events: SessionEvents
  readonly #host: ConversationHost
  readonly #startedMs = Date.now()
  /** From the first write on: the connection of the session's own that messages are forwarded to. */
  #direct: DirectSession | undefined
  #phase: Phase = "ready"

  constructor(
    init: SessionInit,
    channel: {
      readonly output: Output
      readonly memory: MemoryShare
      readonly host: ConversationHost
    },
  ) {
    const { settings, limits } = init
    this.#output = channel.output
    this.#host = channel.host
    this.#events = init.events
    this.#objects = new NamedObjects(limits.namedObjectsMax, channel.memory)
    this.state = new SessionState(init.origin, {
      objects: this.#objects,
      settings,
      transaction: new SessionTransaction(settings),
      cursors: new SqlCursors(limits.namedObjectsMax),
      limits,
      memory: channel.memory,
    })
    this.#delivery = new Delivery(this.#output, {
      warehouse: init.origin.rooms.warehouse,
      onStatement: (report, end) => this.#events.statementFinished(report, end),
      minLevel: () => settings.get("client_min_messages"),
    })
    const reportsPath = init.origin.rooms.serverFacts().parameters.has("search_path")
    this.#reported = new ReportedSettings(settings, reportsPath)
    this.#extended = new ExtendedQuery(this.state, this.#objects, this.#delivery)
  }

  /** The first ReadyForQuery. */
  begin(): void {
    this.state.transaction.beginImplicit()
    this.#ready()
  }

  get isClosed(): boolean {
    return this.#phase === "closed"
  }

  get activity(): BackendActivity {
    return activityOf(this.state, this.#delivery, this.#startedMs)
  }

  /** Messages are forwarded: the warehouse answers them, and `isBusy` of the session says nothing of what runs there. */
  get isDirect(): boolean {
    return this.#direct !== undefined
  }

  /** What was forwarded has not been answered yet. */
  get isAwaitingWarehouse(): boolean {
    return this.#direct?.isIdle === false
  }

  /** What was forwarded goes on only with more of the client's input. */
  get isAwaitingClient(): boolean {
    return this.#direct?.isWaitingForClient === true
  }

  /** A batch waits for its Sync: as a transaction, it may hold a lease. */
  get isInBatch(): boolean {
    return this.#phase === "extended" && this.#direct === undefined
  }

  get isInTransaction(): boolean {
    return this.#direct === undefined
      ? this.state.transaction.isExplicit || this.state.transaction.isPipelined
      : this.#direct.status !== "I"
  }

  /** `isStatementRunning`: a cancel that finds none is for the past and must not hit the next one. */
  cancelByClient(isStatementRunning: boolean): void {
    this.#direct?.cancel()
    if (!isStatementRunning || this.#direct !== undefined) return
    this.#events.cancelled("client")
    this.state.abort.abort(cancelledByClient())
  }

  /** The client has said nothing for too long. */
  endIdle(): void {
    const status = this.#direct?.status ?? this.state.transaction.reportedStatus
    this.end(idleTooLong(status !== "I" || this.#phase !== "ready"))
  }

  /**
   * Handles the frame that the splitter has found; a promise where something must be waited for, and it never fails for
   * what a client can send.
   */
  take(splitter: FrameSplitter): undefined | Promise<void> {
    const { type, bytes, start, end } = splitter
    // While COPY FROM STDIN waits for data, the server has something to say of a Terminate, too.
    const isLeaving = type === terminateType && !this.isAwaitingClient
    if (this.#direct !== undefined && !isLeaving) return this.#forward(this.#direct, splitter)
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
      pending = this.state.mayWrite
        ? this.#handleOrForward(message, splitter)
        : this.#handle(message)
    } catch (thrown) {
      return this.#fail(message, thrown)
    }
    if (pending === undefined) return undefined
    return pending.catch((thrown: unknown) => this.#fail(message, thrown))
  }

  /** The frame that the splitter has found, to the warehouse. */
  #forward(direct: DirectSession, splitter: FrameSplitter): undefined | Promise<void> {
    const { type, bytes, start, end } = splitter
    if (questionTypes.has(type)) {
      const { origin } = this.state
      try {
        checkStillValid(origin, origin.rooms.wallMs)
      } catch (thrown) {
        this.end(toGatewayError(thrown))
        return undefined
      }
    }
    return direct.take(type, bytes, start, end)
  }

  #handleOrForward(message: FrontendMessage, splitter: FrameSplitter): void | Promise<void> {
    const needs = needsDirect(message, this.state, this.#objects)
    if (needs === false) return this.#handle(message)
    const goDirect = (): void | Promise<void> => this.#behindOwed(() => this.#goDirect(splitter))
    if (needs === true) return goDirect()
    return needs.then((isDirect) => (isDirect ? goDirect() : this.#handle(message)))
  }

  /** The session leaves its virtual life: what it has goes with it, and the message that needed it is the first one forwarded. */
  async #goDirect(splitter: FrameSplitter): Promise<void> {
    const connection = await openDirect(this.state, this.#objects)
    const direct = new DirectSession({
      connection,
      state: this.state,
      output: this.#output,
      status: this.state.transaction.status,
      events: {
        ready: (status) => this.#onDirectReady(direct, status),
        ended: (error) => (error === undefined ? this.#host.over() : this.end(error)),
        statementFinished: (report, end) => this.#events.statementFinished(report, end),
      },
    })
    this.release()
    this.#objects.closeAllPrepared()
    if (this.#phase === "closed") {
      direct.close()
      return
    }
    this.#direct = direct
    void direct.run()
    await this.#forward(direct, splitter)
  }

  #onDirectReady(direct: DirectSession, status: TransactionStatus): void {
    if (this.#phase === "closed") return
    this.#host.ready(status !== "I")
    if (direct.isIdle && status === "I") this.#host.atRest()
  }

  #handle(message: FrontendMessage): void | Promise<void> {
    switch (message.kind) {
      case "Query":
        return this.#behindOwed(() => this.#simpleQuery(message.sql))
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
        this.#host.over()
        return undefined
      case "FunctionCall":
        return this.#behindOwed(() => {
          throw functionCallRefused()
        })
      case "CopyData":
      case "CopyDone":
      case "CopyFail":
        // Outside COPY these are read and dropped (PostgreSQL manual, 54.2.6).
        return undefined
    }
  }

  #simpleQuery(sql: string): void | Promise<void> {
    // It uses, and so replaces, the unnamed statement and portal (PostgreSQL manual, 54.2.3).
    this.#objects.closePrepared("")
    this.#objects.closePortal("")
    const pending = simpleQuery(sql, this.state, this.#delivery)
    return pending === undefined ? this.#ready() : pending.then(() => this.#ready())
  }

  /** What an unfinished batch is owed comes first; when that is an error, it skips what stands behind it, too. */
  #behindOwed(then: () => void | Promise<void>): void | Promise<void> {
    let settling: void | Promise<void>
    try {
      settling = this.#extended.settle()
    } catch (thrown) {
      return this.#fail({ kind: "Flush" }, thrown)
    }
    if (settling === undefined) return then()
    const settled = settling.then(
      () => true,
      (thrown: unknown) => this.#fail({ kind: "Flush" }, thrown) ?? false,
    )
    return settled.then((isSound) => (isSound && !this.isClosed ? then() : undefined))
  }

  #sync(): void | Promise<void> {
    const finish = (): void => {
      this.state.transaction.beginImplicit()
      this.#ready()
    }
    const end = (): void | Promise<void> => {
      const ending = endImplicitTransaction(this.state)
      return ending === undefined ? finish() : ending.then(finish)
    }
    const pending = this.#extended.settle()
    return pending === undefined ? end() : pending.then(end)
  }

  /** ReadyForQuery, with what has changed before it, and a fresh start for the next statement. */
  #ready(): void {
    const { transaction } = this.state
    const isOpen = transaction.isExplicit || transaction.isPipelined
    if (!isOpen) {
      this.#objects.closePortals()
      transaction.beginImplicit()
    }
    this.#reported.report(this.#output)
    this.#output.write(readyForQuery(transaction.reportedStatus))
    if (this.state.abort.isAborted || this.state.abort.isUsed) this.state.abort = new AbortScope()
    this.#host.ready(isOpen)
    if (!isOpen) this.#host.atRest()
  }

  /** One error of one message: told to the client, and the rest of the batch skipped. */
  #fail(message: FrontendMessage, thrown: unknown): undefined {
    const error = toGatewayError(thrown)
    this.#extended.forget()
    this.#delivery.end(outcomeOf(error), error)
    // What ran when the session ended fails after it: the phase stays closed, so that what it holds is given back.
    if (this.#phase === "closed") return undefined
    if (error.severity === "FATAL") {
      this.end(error)
      return undefined
    }
    this.state.transaction.fail()
    if (!this.state.transaction.isExplicit) this.state.cursors.rollback()
    this.#output.write(errorResponse(errorFields(error)))
    this.#phase = phaseAfterError(message)
    if (this.#phase === "ready") this.#ready()
    return undefined
  }

  /** A malformed body in a sound frame. PostgreSQL answers in the phase that the message's type would have led to. */
  #onUndecodable(type: number, error: GatewayError): undefined | Promise<void> {
    if (error.severity === "FATAL") {
      this.end(error)
      return undefined
    }
    if (this.#phase === "skipping") return undefined
    const meant: FrontendMessage =
      type === 0x51 ? { kind: "Query", sql: "" } : { kind: type === 0x53 ? "Sync" : "Flush" }
    const failed = this.#behindOwed(() => this.#fail(meant, error))
    return failed instanceof Promise ? failed : undefined
  }

  /** Ends the session with a FATAL error. */
  end(error: GatewayError): void {
    if (this.#phase === "closed") return
    if (error.reason === "invariant_violation") this.#events.failed(error)
    this.#delivery.end(outcomeOf(error), error)
    this.#output.write(errorResponse(errorFields(error, { severity: "FATAL" })))
    this.#host.over()
  }

  /** Nothing more is handled. What it holds stays until {@link release}, for what still runs uses it. */
  close(): void {
    this.#phase = "closed"
    this.#direct?.close()
  }

  /** Gives back everything that may hold a lease. */
  release(): void {
    this.#objects.closePortals()
    this.state.cursors.close(undefined)
    this.state.scope?.end().catch((thrown: unknown) => this.#events.failed(toGatewayError(thrown)))
    this.state.scope = undefined
    this.#objects.closeAllPrepared()
    this.state.memory.release()
  }
}
