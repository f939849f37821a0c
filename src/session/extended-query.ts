import { GatewayError } from "../core/errors.ts"
import type { StatementDescription } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { statementsOf } from "../pipeline/answer.ts"
import {
  bindComplete,
  closeComplete,
  emptyQueryResponse,
  noData,
  parameterDescription,
  parseComplete,
  portalSuspended,
} from "../wire/backend-messages.ts"
import type {
  BindMessage,
  CloseMessage,
  DescribeMessage,
  ExecuteMessage,
  ParseMessage,
} from "../wire/frontend-messages.ts"
import { checkResultFormats, columnCount } from "../wire/rows.ts"
import { faultOfBind, portalOf } from "./bind-portal.ts"
import { checkJudged } from "./check-judged.ts"
import type { Delivery } from "./delivery.ts"
import { describeLocal } from "./describe-local.ts"
import {
  askDescription,
  asksForData,
  isProvenLater,
  isRaisedAtParse,
  portalDescription,
} from "./describe-prepared.ts"
import { executeCursor } from "./execute-cursor.ts"
import {
  deallocatePrepared,
  type NamedObjects,
  type Portal,
  type PreparedStatement,
  preparedBytes,
} from "./named-objects.ts"
import { OwedReplies } from "./owed-replies.ts"
import { askedStatement, checkParameterGap, parameterTypesOf } from "./parameter-types.ts"
import { executedStatement } from "./prepare-command.ts"
import { ResultCursor } from "./result-cursor.ts"
import { checkRowSettings } from "./row-settings.ts"
import type { RunOutcome } from "./run-outcome.ts"
import { cursorExists, errorOfPortal, portalCannotBeRun } from "./session-errors.ts"
import type { SessionState } from "./session-state.ts"
import { runStatement, transactionFailed } from "./statement-runner.ts"

/**
 * The extended protocol (PostgreSQL manual, 54.2.3). Answers to Parse, Bind and Describe of a portal are held back until the next
 * message: when that is its Execute, as nearly all drivers send it, one run on the warehouse serves all, and what the warehouse
 * complains of is raised at the message where PostgreSQL raises it. Flush, Sync and messages of other statements settle them by
 * asking for the description. No error leaves here while anything is owed.
 */
export class ExtendedQuery {
  readonly #state: SessionState
  readonly #objects: NamedObjects
  readonly #delivery: Delivery
  readonly #owed: OwedReplies
  /** The unnamed statement that a Parse under way replaces. */
  #lastUnnamed: PreparedStatement | undefined

  constructor(state: SessionState, objects: NamedObjects, delivery: Delivery) {
    this.#state = state
    this.#objects = objects
    this.#delivery = delivery
    this.#owed = new OwedReplies(delivery, objects)
  }

  parse(message: ParseMessage): void | Promise<void> {
    return this.#settled(() => {
      // Gone even when the new text does not parse, as in PostgreSQL.
      if (message.name === "") {
        this.#lastUnnamed = this.#objects.findPrepared("") ?? this.#lastUnnamed
        this.#objects.closePrepared("")
      }
      const startMs = performance.now()
      const parsed = statementsOf(message.sql, this.#state.origin.rooms)
      return parsed instanceof Promise
        ? parsed.then((statements) => this.#prepare(message, statements, startMs))
        : this.#prepare(message, parsed, startMs)
    })
  }

  #prepare(message: ParseMessage, statements: readonly Statement[], startMs: number): void {
    const [first, ...more] = statements
    if (more.length > 0)
      throw new GatewayError({
        sqlState: SqlState.SyntaxError,
        reason: "syntax_error",
        message: "cannot insert multiple commands into a prepared statement",
      })
    const statement = first?.class.kind === "empty" ? undefined : first
    this.#checkNotFailed(statement)
    checkParameterGap(statement, message.parameterTypes)
    const prepared: PreparedStatement = {
      name: message.name,
      statement,
      parseMs: performance.now() - startMs,
      origin: { text: message.sql, ms: Date.now(), isSql: false },
      bytes: preparedBytes(message.sql),
      parameterTypes: message.parameterTypes,
      describedTypes: this.#describedBefore(message, statement),
    }
    this.#lastUnnamed = undefined
    this.#objects.addPrepared(prepared)
    if (isProvenLater(statement)) this.#owed.oweParse(prepared)
    else this.#delivery.output.write(parseComplete)
  }

  /** A driver that keeps no statements describes the unnamed one and parses it again to run it: what it binds is of the types it was told. */
  #describedBefore(
    { name, parameterTypes }: ParseMessage,
    statement: Statement | undefined,
  ): readonly number[] | undefined {
    const last = name === "" ? this.#lastUnnamed : undefined
    const isSame =
      last?.statement === statement &&
      last?.parameterTypes.length === parameterTypes.length &&
      last.parameterTypes.every((type, index) => type === parameterTypes[index])
    return isSame ? last?.describedTypes : undefined
  }

  bind(message: BindMessage): void | Promise<void> {
    if (!this.#owed.continuesStatement(message.statement))
      return this.#settled(() => this.bind(message))
    let portal: Portal
    let fault: GatewayError | undefined
    try {
      portal = this.#portalOf(message)
      fault = faultOfBind(portal)
      if (fault === undefined) this.#objects.addPortal(portal)
    } catch (thrown) {
      return this.#settled(() => {
        throw thrown
      })
    }
    if (fault !== undefined)
      return this.#settled(() => {
        this.#objects.addPortal(portal)
        throw fault
      })
    if (isProvenLater(portal.prepared.statement)) this.#owed.oweBind(portal)
    else this.#delivery.output.write(bindComplete)
    return undefined
  }

  #portalOf(message: BindMessage): Portal {
    const prepared = this.#objects.prepared(message.statement)
    const { transaction, cursors } = this.#state
    this.#checkNotFailed(prepared.statement)
    const portal = portalOf(message, prepared, transaction.savepointNames.length)
    if (cursors.find(portal.name) !== undefined) throw cursorExists(portal.name)
    return portal
  }

  describe(message: DescribeMessage): void | Promise<void> {
    const { name } = message
    if (message.target === "statement")
      return this.#owed.continuesStatement(name)
        ? this.#describeStatement(this.#objects.prepared(name))
        : this.#settled(() => this.describe(message))
    if (!this.#owed.continuesPortal(name)) return this.#settled(() => this.describe(message))
    // A cursor of DECLARE is a portal, too: psycopg describes it so.
    const cursor = this.#state.cursors.find(name)
    if (cursor !== undefined) {
      this.#writeDescription(cursor.rows.description)
      return undefined
    }
    const portal = this.#objects.portal(name)
    this.#checkNotFailed(portal.prepared.statement)
    if (portal.run === undefined && asksForData(portal.prepared.statement))
      this.#owed.oweDescription(portal)
    else this.#writeDescription(portal.run?.outcome.result.description ?? this.#local(portal))
    return undefined
  }

  execute(message: ExecuteMessage): void | Promise<void> {
    const { portal: name, rowsMax } = message
    if (!this.#owed.endsPortal(name)) return this.#settled(() => this.execute(message))
    const cursor = this.#state.cursors.find(name)
    if (cursor !== undefined)
      return executeCursor(cursor, rowsMax, { state: this.#state, delivery: this.#delivery })
    return this.#execute(this.#objects.portal(name), rowsMax)
  }

  close(message: CloseMessage): void | Promise<void> {
    return this.#settled(() => {
      if (message.target === "statement") this.#objects.closePrepared(message.name)
      else if (this.#state.cursors.find(message.name) === undefined)
        this.#objects.closePortal(message.name)
      else this.#state.cursors.close(message.name)
      this.#delivery.output.write(closeComplete)
      return undefined
    })
  }

  /** Before Flush, Sync and what belongs to no statement: what was held back is sent now, or the error instead of it thrown. */
  settle(): void | Promise<void> {
    const { portal, statement } = this.#owed
    if (portal !== undefined) return this.#settlePortal(portal)
    return statement === undefined ? undefined : this.#settleParse(statement)
  }

  /** After an error nothing held back is sent any more. */
  forget(): void {
    this.#owed.forget()
  }

  #settled(then: () => void | Promise<void>): void | Promise<void> {
    const settling = this.settle()
    return settling === undefined ? then() : settling.then(then)
  }

  #settleParse(prepared: PreparedStatement): void | Promise<void> {
    const raise = (thrown: unknown): void => {
      // A warehouse that cannot be asked now may not be needed later: a statement that was not proven wrong is taken.
      if (!isRaisedAtParse(thrown)) return this.#owed.acknowledge()
      this.#owed.refuse(thrown)
      throw thrown
    }
    try {
      const described = askDescription(prepared, this.#state)
      const proven = ({ notices }: StatementDescription): void => this.#owed.acknowledge(notices)
      return described instanceof Promise ? described.then(proven, raise) : proven(described)
    } catch (thrown) {
      return raise(thrown)
    }
  }

  async #settlePortal(portal: Portal): Promise<void> {
    const { isDescriptionOwed } = this.#owed
    let description: Buffer | undefined
    try {
      description = await portalDescription(portal, this.#state)
    } catch (thrown) {
      this.#owed.refuse(thrown)
      throw thrown
    }
    this.#owed.acknowledge()
    if (isDescriptionOwed) this.#writeDescription(description)
  }

  #describeStatement(prepared: PreparedStatement): void | Promise<void> {
    const { output } = this.#delivery
    // A statement that returns rows cannot be described in a failed transaction; PostgreSQL lets the others be.
    this.#checkNotFailed(prepared.statement)
    const executed = executedStatement(prepared, this.#state)
    const { types } = executed
    const statement = askedStatement(executed.statement)
    if (statement === undefined || !asksForData(statement)) {
      output.write(parameterDescription(parameterTypesOf(prepared)))
      this.#writeDescription(
        statement === undefined ? undefined : describeLocal(statement, this.#state, []),
      )
      return undefined
    }
    const send = (ready: StatementDescription): void => {
      // An EXECUTE has no parameters of its own.
      if (types === undefined) prepared.describedTypes = ready.parameterTypes
      const isCursor = executed.statement !== statement
      if (ready.rowDescription !== undefined && !isCursor)
        prepared.describedColumns = columnCount(ready.rowDescription)
      this.#owed.acknowledge(ready.notices)
      output.write(parameterDescription(types === undefined ? ready.parameterTypes : []))
      this.#writeDescription(isCursor ? undefined : ready.rowDescription)
    }
    const raise = (thrown: unknown): never => {
      this.#owed.refuse(thrown)
      throw thrown
    }
    let described: StatementDescription | Promise<StatementDescription>
    try {
      described = askDescription(prepared, this.#state)
    } catch (thrown) {
      return raise(thrown)
    }
    return described instanceof Promise ? described.then(send, raise) : send(described)
  }

  #local(portal: Portal): Buffer | undefined {
    const { statement } = portal.prepared
    return statement === undefined
      ? undefined
      : describeLocal(statement, this.#state, portal.formats)
  }

  #writeDescription(description: Buffer | undefined): void {
    this.#delivery.output.write(description ?? noData)
  }

  #execute(portal: Portal, rowsMax: number): void | Promise<void> {
    const { statement } = portal.prepared
    if (statement === undefined || portal.isWithoutQuery === true) {
      this.#delivery.output.write(emptyQueryResponse)
      return undefined
    }
    this.#checkNotFailed(statement)
    if (portal.run !== undefined) {
      if (portal.isFinished && portal.run.outcome.result.description === undefined)
        throw portalCannotBeRun(portal.name)
      checkRowSettings(portal, this.#state.settings.view)
      const { run } = portal
      const checked = checkJudged(run.outcome.judged, this.#state)
      if (checked === undefined) return this.#send(portal, run, rowsMax)
      return checked.then(() => this.#send(portal, run, rowsMax))
    }
    this.#delivery.begin(statement)
    const { parameters, formats, prepared } = portal
    const { parseMs } = prepared
    const request = { statement, parseMs, parameters, formats, protocol: "extended" } as const
    let started: RunOutcome | Promise<RunOutcome>
    try {
      started = runStatement(request, this.#state)
    } catch (thrown) {
      return this.#refuse(thrown, portal)
    }
    return started instanceof Promise
      ? started.then(
          (outcome) => this.#begin(portal, statement, outcome, rowsMax),
          (thrown: unknown) => this.#refuse(thrown, portal),
        )
      : this.#begin(portal, statement, started, rowsMax)
  }

  /** The statement runs: everything that was owed is true now. */
  #begin(
    portal: Portal,
    { class: statementClass }: Statement,
    outcome: RunOutcome,
    rowsMax: number,
  ): void | Promise<void> {
    const { isDescriptionOwed } = this.#owed
    if (statementClass.kind === "session") deallocatePrepared(statementClass.command, this.#objects)
    const settings = this.#state.settings.view
    const run = { outcome, cursor: new ResultCursor(outcome.result), settings }
    const isCopy = statementClass.kind === "copy"
    const { description } = outcome.result
    if (!isCopy && portal.formats.length > 1 && description !== undefined)
      try {
        checkResultFormats(portal.formats, columnCount(description))
      } catch (thrown) {
        run.cursor[Symbol.dispose]()
        return this.#refuse(thrown, portal)
      }
    this.#owed.acknowledge(outcome.result.notices)
    // CopyOutResponse, which stands in the place of a description, is part of COPY's own answer, and all of its rows come at once.
    if (isDescriptionOwed || isCopy) this.#writeDescription(description)
    portal.run = run
    return this.#send(portal, run, isCopy ? 0 : rowsMax)
  }

  #refuse(thrown: unknown, portal: Portal): never {
    const error = errorOfPortal(thrown, portal.name)
    this.#owed.refuse(error)
    throw error
  }

  #send(portal: Portal, run: NonNullable<Portal["run"]>, rowsMax: number): void | Promise<void> {
    this.#delivery.attribute(run.outcome)
    if (rowsMax === 0 && run.cursor.isUntouched && this.#delivery.sendRows(run.outcome)) {
      run.cursor.finish()
      portal.isFinished = true
      this.#executed(portal)
      return undefined
    }
    const wanted = rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax
    const { output, tellNotices } = this.#delivery
    const sent = run.cursor.send(output, wanted, tellNotices)
    const finish = (rowCount: number): void => {
      this.#executed(portal)
      // PostgreSQL suspends a portal whose limit was met exactly, without looking whether a row is left.
      if (rowCount === wanted && !portal.isFinished) {
        this.#delivery.output.write(portalSuspended)
        return
      }
      portal.isFinished = true
      this.#delivery.complete(run.cursor, rowCount, run.outcome.remarks)
    }
    return typeof sent === "number" ? finish(sent) : sent.then(finish)
  }

  #executed({ prepared: { statement } }: Portal): void {
    const command = statement?.class.kind === "session" ? statement.class.command : undefined
    const isDiscardAll = command?.kind === "discard" && command.target === "all"
    this.#state.transaction.executed(isDiscardAll || statement?.class.kind === "transaction")
  }

  #checkNotFailed(statement: Statement | undefined): void {
    if (this.#state.transaction.status !== "E" || statement === undefined) return
    if (statement.class.kind === "transaction") {
      const { kind } = statement.class.command
      if (kind === "commit" || kind === "rollback" || kind === "rollback_to") return
    }
    throw transactionFailed()
  }
}
