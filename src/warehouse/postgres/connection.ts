import { GatewayError, InvariantViolation } from "../../core/errors.ts"
import { noParameters, type Parameters } from "../../core/parameters.ts"
import type { RowStream, StatementDescription } from "../../core/result.ts"
import type { IsolationLevel } from "../../core/statement.ts"
import type { TransactionStatus } from "../../wire/backend-messages.ts"
import { terminateMessage } from "../../wire/frontend-encoder.ts"
import type { RunRequest, SavepointCommand, WarehouseConnection } from "../warehouse.ts"
import { type CancelTarget, cancelUntil, sendCancel } from "./cancel.ts"
import type { ConnectionLimits } from "./connection-limits.ts"
import type { Dialled } from "./dial.ts"
import { connectionLost, parseFields, protocolError, serverError } from "./error-map.ts"
import { readPosition } from "./position.ts"
import type { Asker, Question } from "./question.ts"
import { Relay } from "./relay.ts"
import { Reply, type ReplyKind } from "./reply.ts"
import { describeMessages, Run, replyKind, runMessages } from "./run.ts"
import { leavesTraces, type Replay, SettingsState, settingName } from "./settings-replay.ts"
import { decodeRows, type TextRow } from "./text-rows.ts"
import { isolationSql, savepointSql } from "./transaction-sql.ts"

/**
 * Where a connection stands. The whole table:
 *
 * | phase      | run, describe   | ReadyForQuery    | abort, disposal | lost, violation, FATAL | cleaned up | time over |
 * |------------|-----------------|------------------|-----------------|------------------------|------------|-----------|
 * | idle       | running         | dead             |                 | dead                   |            |           |
 * | running    | bug             | idle             | recovering      | dead                   |            |           |
 * | recovering | waits for idle  | (counts)         |                 | dead                   | idle       | dead      |
 * | dead       | 08006           |                  |                 |                        |            |           |
 */
type Phase = "idle" | "running" | "recovering" | "dead"

/** The server's statement_timeout comes first; this long after it the connection is taken for hung. */
const deadlineGraceMs = 1_000
/** Rows of a question of our own. */
const internalRowBytesMax = 1024 * 1024 * 1024

/** Names that a server may report; PostgreSQL 18 reports 15, and extensions may add theirs. */
const parametersMax = 1_000

const never = new AbortController().signal

export class PostgresConnection implements WarehouseConnection, Asker {
  readonly parameters: Map<string, string>
  readonly #socket: Dialled["socket"]
  readonly #relay: Relay
  readonly #cancelTarget: CancelTarget
  readonly #limits: ConnectionLimits
  readonly #onClosed: (connection: PostgresConnection) => void
  readonly #settings = new SettingsState()
  #phase: Phase = "idle"
  #transaction: TransactionStatus = "I"
  #run: Run | undefined
  /** Settings that ride in front of the running statement. */
  #replay: Replay | undefined
  #recovery: Promise<void> | undefined
  /** A statement may have left something in the server's session that is not ours. */
  #isTainted = false
  #deathCause: unknown

  constructor(init: {
    readonly dialled: Dialled
    readonly host: string
    readonly port: number
    readonly limits: ConnectionLimits
    readonly onClosed: (connection: PostgresConnection) => void
  }) {
    const { socket, processId, secretKey, parameters, tls } = init.dialled
    this.parameters = parameters
    this.#socket = socket
    this.#limits = init.limits
    this.#onClosed = init.onClosed
    this.#cancelTarget = { host: init.host, port: init.port, tls, processId, secretKey }
    this.#relay = new Relay(socket, (error) => this.#die(error))
    this.#relay.idle(() => this.#takeUnasked())
  }

  get state(): "clean" | "busy" | "dirty" {
    if (this.#phase === "dead") return "dirty"
    const isClean = this.#phase === "idle" && this.#transaction === "I" && !this.#isTainted
    return isClean ? "clean" : "busy"
  }

  get processId(): number {
    return this.#cancelTarget.processId
  }

  async run(request: RunRequest): Promise<RowStream> {
    const { settings, statementTimeoutMs, signal } = request
    if (this.#phase !== "idle") await this.#untilIdle()
    signal.throwIfAborted()
    if (this.#isTainted) await this.#discard(signal)
    this.#isTainted ||= leavesTraces(request.statement.text)
    const replay = this.#settings.replay(settings, statementTimeoutMs)
    const run = this.#send(runMessages(request, replay), { replay, signal, statementTimeoutMs })
    await run.start()
    return run
  }

  async describe(request: RunRequest): Promise<StatementDescription> {
    const { settings, statementTimeoutMs, signal } = request
    if (this.#phase !== "idle") await this.#untilIdle()
    signal.throwIfAborted()
    const replay = this.#settings.replay(settings, statementTimeoutMs)
    const run = this.#send(describeMessages(request, replay), {
      replay,
      signal,
      statementTimeoutMs,
      kind: "describe",
    })
    await run.start()
    await run.next()
    const types = run.reply.parameterDescription
    if (types === undefined) throw this.#broken(protocolError("no ParameterDescription"))
    const parameterTypes: number[] = []
    for (let at = 7; at + 4 <= types.length; at += 4) parameterTypes.push(types.readUInt32BE(at))
    return { parameterTypes, rowDescription: run.description, notices: run.notices }
  }

  async beginTransaction(
    isolation: IsolationLevel | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const level = isolation === undefined ? "" : ` ISOLATION LEVEL ${isolationSql[isolation]}`
    await this.command(`BEGIN${level} READ ONLY`, signal)
    this.#settings.began()
  }

  async savepoint({ kind, name }: SavepointCommand): Promise<"done"> {
    const quoted = `"${name.replaceAll('"', '""')}"`
    await this.command(`${savepointSql[kind]} ${quoted}`, never)
    // What was set after the savepoint is undone on the server, and this connection's own record must follow it.
    if (kind === "savepoint") this.#settings.markSavepoint(name)
    else if (kind === "release") this.#settings.releasedSavepoint(name)
    else this.#settings.rolledBackTo(name)
    return "done"
  }

  async endTransaction(): Promise<void> {
    // What is unread is given up: a ROLLBACK has to wait for its end.
    this.#run?.[Symbol.dispose]()
    if (this.#phase !== "idle") await this.#untilIdle()
    if (this.#transaction !== "I") await this.command("ROLLBACK", never)
    this.#settings.rolledBack()
  }

  async position(signal: AbortSignal): Promise<string | undefined> {
    return readPosition(this, signal)
  }

  async checkSetting(
    name: string,
    value: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const parameters: Parameters = {
      types: [25, 25],
      formats: [],
      values: [Buffer.from(settingName(name)), Buffer.from(value)],
    }
    const isInTransaction = this.#transaction !== "I"
    // Local to its transaction: outside one it ends with the statement, inside one with the savepoint.
    if (isInTransaction) await this.command("SAVEPOINT sluice_check", signal)
    let canonical: string | undefined
    try {
      await this.query(
        { text: "SELECT pg_catalog.set_config($1, $2, true)", parameters, signal },
        ([text]) => {
          canonical = text ?? undefined
        },
      )
    } finally {
      if (isInTransaction && this.#phase !== "dead") {
        await this.command("ROLLBACK TO SAVEPOINT sluice_check", never)
        await this.command("RELEASE SAVEPOINT sluice_check", never)
      }
    }
    return canonical
  }

  /** A statement of our own without rows, with the settings as they are. */
  async command(text: string, signal: AbortSignal): Promise<void> {
    await this.query({ text, parameters: noParameters, signal }, () => {})
  }

  /** A question of our own; rows as text. */
  async query(question: Question, visit: (row: TextRow) => void): Promise<void> {
    const { text, parameters, signal, settings } = question
    if (this.#phase !== "idle") await this.#untilIdle()
    signal.throwIfAborted()
    const statementTimeoutMs = question.timeoutMs ?? this.#limits.internalTimeoutMs
    const replay = settings && this.#settings.replay(settings, statementTimeoutMs)
    const bytes = runMessages(
      { statement: { text }, parameters, resultFormats: [], protocol: "simple" },
      replay,
    )
    const run = this.#send(bytes, { replay, signal, statementTimeoutMs })
    await run.start()
    let rowBytes = 0
    for (;;) {
      const batch = await run.next()
      if (batch === undefined) return
      rowBytes += batch.bytes.length
      if (rowBytes > internalRowBytesMax) throw this.#broken(protocolError("too large a catalogue"))
      decodeRows(batch, visit)
    }
  }

  async settle(settleTimeoutMs: number): Promise<"clean" | "dirty"> {
    let timer: NodeJS.Timeout | undefined
    const timeUp = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.#die(new Error(`the connection was not clean within ${settleTimeoutMs} ms`))
        resolve()
      }, settleTimeoutMs)
    })
    const clean = this.#cleanUp().catch((error: unknown) => this.#die(error))
    await Promise.race([clean, timeUp])
    clearTimeout(timer)
    return this.state === "clean" ? "clean" : "dirty"
  }

  async #cleanUp(): Promise<void> {
    await this.endTransaction()
    if (this.#isTainted) await this.#discard(never)
  }

  /** Brings the server's session back to what it was after the log-in. Inside a transaction its end has to come first. */
  async #discard(signal: AbortSignal): Promise<void> {
    if (this.#transaction !== "I") return
    await this.command("DISCARD ALL", signal)
    this.#settings.applied(new Map())
    this.#isTainted = false
  }

  close(): void {
    if (this.#phase === "running") {
      // Otherwise the server would notice only at its next write.
      void sendCancel(this.#cancelTarget, this.#limits.cancelTimeoutMs)
    }
    if (this.#phase === "idle" && this.#socket.writable) this.#socket.end(terminateMessage)
    this.#die(new Error("closed by the gateway"))
  }

  async #untilIdle(): Promise<void> {
    if (this.#phase === "running") {
      throw new InvariantViolation("a statement was run while another one's result was unread")
    }
    await this.#recovery
    if (this.#phase === "dead") throw connectionLost(this.#deathCause, true)
  }

  #send(
    bytes: Buffer,
    options: {
      readonly replay: Replay | undefined
      readonly signal: AbortSignal
      readonly statementTimeoutMs: number
      readonly kind?: ReplyKind
    },
  ): Run {
    const { replay, signal, statementTimeoutMs } = options
    if (!this.#socket.writable) {
      const error = connectionLost(this.#deathCause, true)
      this.#die(error)
      throw error
    }
    const reply = new Reply(
      this.#relay,
      {
        onParameter: (name, value) => this.#setParameter(name, value),
        onReady: (status, error) => this.#onReady(status, error),
      },
      { hasPrelude: replay !== undefined, kind: options.kind ?? replyKind(bytes) },
    )
    this.#phase = "running"
    this.#replay = replay
    this.#relay.busy()
    const run = new Run({
      reply,
      relay: this.#relay,
      signal,
      deadlineMs: statementTimeoutMs === 0 ? 0 : statementTimeoutMs + deadlineGraceMs,
      onAbandoned: (abandoned) => {
        this.#recovery = this.#recover(abandoned)
      },
      onBroken: (error) => this.#die(error),
    })
    this.#run = run
    this.#socket.write(bytes)
    return run
  }

  #onReady(status: TransactionStatus, error: GatewayError | undefined): void {
    this.#transaction = status
    // A failed statement took its settings back: they were part of its transaction.
    if (this.#replay !== undefined && error === undefined) {
      this.#settings.applied(this.#replay.after)
    }
    this.#replay = undefined
    if (this.#phase === "running") this.#becomeIdle()
  }

  #becomeIdle(): void {
    this.#phase = "idle"
    this.#run = undefined
    this.#relay.idle(() => this.#takeUnasked())
  }

  /**
   * Cancels what an abandoned statement still does and reads its answer away. The connection is idle again only when the
   * answer has ended *and* every CancelRequest was seen closed by the server, so that none can hit a later statement.
   */
  async #recover(reply: Reply): Promise<void> {
    if (this.#phase === "dead") return
    this.#phase = "recovering"
    const { recoverTimeoutMs } = this.#limits
    const timer = setTimeout(() => {
      this.#die(new Error(`an abandoned statement did not end within ${recoverTimeoutMs} ms`))
    }, recoverTimeoutMs)
    const drained = new AbortController()
    const { cancelTimeoutMs } = this.#limits
    const cancelling = cancelUntil(this.#cancelTarget, cancelTimeoutMs, drained.signal)
    try {
      await this.#drain(reply)
    } catch (error) {
      this.#die(error)
    }
    drained.abort()
    if ((await cancelling) === "unknown") {
      this.#die(new Error("a cancel request may still be under way"))
    }
    clearTimeout(timer)
    this.#recovery = undefined
    if (this.#isRecovering()) this.#becomeIdle()
  }

  #isRecovering(): boolean {
    return this.#phase === "recovering"
  }

  async #drain(reply: Reply): Promise<void> {
    let drainedBytes = 0
    for (;;) {
      const step = reply.advance()
      if (step === "ready") return
      if (step === "rows") drainedBytes += reply.batch?.bytes.length ?? 0
      if (drainedBytes > this.#limits.drainBytesMax) throw new Error("too much is left to drain")
      if (step === "more") await this.#relay.more()
    }
  }

  /** While no statement runs the server may only send what needs no answer, or say that it ends the connection. */
  #takeUnasked(): void {
    try {
      for (let type = this.#relay.peek(); type !== 0; type = this.#relay.peek()) {
        const frame = this.#relay.take()
        if (type === 0x45) throw serverError(parseFields(frame.subarray(5)))
        if (type === 0x53) {
          const [name = "", value = ""] = frame.toString("utf8", 5).split("\0")
          this.#setParameter(name, value)
        } else if (type !== 0x4e && type !== 0x41) {
          throw protocolError(`message "${String.fromCharCode(type)}" that nobody asked for`)
        }
      }
    } catch (error) {
      this.#die(error)
    }
  }

  #setParameter(name: string, value: string): void {
    if (!this.parameters.has(name) && this.parameters.size >= parametersMax)
      throw protocolError(`more than ${parametersMax} parameters`)
    this.parameters.set(name, value)
  }

  #broken(error: GatewayError): GatewayError {
    this.#die(error)
    return error
  }

  #die(cause: unknown): void {
    if (this.#phase === "dead") return
    const isRunning = this.#phase === "running"
    this.#phase = "dead"
    this.#deathCause = cause
    this.#relay.busy()
    this.#socket.destroySoon()
    const error = cause instanceof GatewayError ? cause : connectionLost(cause, false)
    if (isRunning) this.#run?.release()
    this.#relay.fail(error)
    this.#run = undefined
    this.#onClosed(this)
  }
}
