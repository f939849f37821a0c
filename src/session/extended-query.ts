import { GatewayError } from "../core/errors.ts"
import type { Parameters } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { describe } from "../pipeline/describe.ts"
import {
  bindComplete,
  closeComplete,
  commandComplete,
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
import { changeFormats, checkResultFormats, columnCount } from "../wire/rows.ts"
import { questionOf } from "./ask.ts"
import { checkBinaryWidths } from "./binary-widths.ts"
import { FetchedRows } from "./cursor-rows.ts"
import type { Delivery } from "./delivery.ts"
import { describeLocal } from "./describe-local.ts"
import {
  deallocatePrepared,
  type NamedObjects,
  type Portal,
  type PreparedStatement,
  portalBytes,
  preparedBytes,
} from "./named-objects.ts"
import {
  askedStatement,
  checkParameterGap,
  parameterCountOf,
  parameterTypesOf,
} from "./parameter-types.ts"
import { executedStatement } from "./prepare-command.ts"
import { ResultCursor } from "./result-cursor.ts"
import type { RunOutcome } from "./run-outcome.ts"
import { cursorExists, withFields } from "./session-errors.ts"
import type { SessionState } from "./session-state.ts"
import type { SqlCursor } from "./sql-cursors.ts"
import { runStatement, transactionFailed } from "./statement-runner.ts"

/**
 * The extended protocol (PostgreSQL manual, 54.2.3). Describe of a portal that was not run yet is held back until the next
 * message: when that is its Execute, as nearly all drivers send it, one run on the warehouse serves both.
 */
export class ExtendedQuery {
  readonly #state: SessionState
  readonly #objects: NamedObjects
  readonly #delivery: Delivery
  #owedDescription: Portal | undefined

  constructor(state: SessionState, objects: NamedObjects, delivery: Delivery) {
    this.#state = state
    this.#objects = objects
    this.#delivery = delivery
  }

  parse(message: ParseMessage): void | Promise<void> {
    return this.#settled(() => {
      // Gone even when the new text does not parse, as in PostgreSQL.
      if (message.name === "") this.#objects.closePrepared("")
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
    this.#objects.addPrepared({
      name: message.name,
      statement,
      parseMs: performance.now() - startMs,
      bytes: preparedBytes(message.sql),
      parameterTypes: message.parameterTypes,
      describedTypes: undefined,
    })
    this.#delivery.output.write(parseComplete)
  }

  bind(message: BindMessage): void | Promise<void> {
    return this.#settled(() => {
      const prepared = this.#objects.prepared(message.statement)
      this.#checkNotFailed(prepared.statement)
      const expected = parameterCountOf(prepared)
      if (message.values.length !== expected)
        throw new GatewayError({
          sqlState: SqlState.ProtocolViolation,
          reason: "protocol_violation",
          message: `bind message supplies ${message.values.length} parameters, but prepared statement "${prepared.name}" requires ${expected}`,
        })
      if (prepared.describedColumns !== undefined)
        checkResultFormats(message.resultFormats, prepared.describedColumns)
      const parameters: Parameters = {
        types: prepared.describedTypes ?? prepared.parameterTypes,
        formats: message.parameterFormats,
        values: message.values,
      }
      checkBinaryWidths(parameters, message.portal)
      if (this.#state.cursors.find(message.portal) !== undefined) throw cursorExists(message.portal)
      this.#objects.addPortal({
        name: message.portal,
        prepared,
        parameters,
        formats: message.resultFormats,
        bytes: portalBytes(parameters),
        run: undefined,
        isFinished: false,
        depth: this.#state.transaction.savepointNames.length,
      })
      this.#delivery.output.write(bindComplete)
      return undefined
    })
  }

  describe(message: DescribeMessage): void | Promise<void> {
    return this.#settled(() => {
      if (message.target === "statement")
        return this.#describeStatement(this.#objects.prepared(message.name))
      // A cursor of DECLARE is a portal, too: psycopg describes it so.
      const cursor = this.#state.cursors.find(message.name)
      if (cursor !== undefined) {
        this.#writeDescription(cursor.rows.description)
        return undefined
      }
      const portal = this.#objects.portal(message.name)
      this.#checkNotFailed(portal.prepared.statement)
      if (portal.run === undefined && asksForData(portal.prepared.statement))
        this.#owedDescription = portal
      else this.#writeDescription(portal.run?.outcome.result.description ?? this.#local(portal))
      return undefined
    })
  }

  /** Execute is the one message before which an owed description of the same portal need not be settled. */
  execute(message: ExecuteMessage): void | Promise<void> {
    const cursor = this.#state.cursors.find(message.portal)
    if (cursor !== undefined)
      return this.#settled(() => this.#executeCursor(cursor, message.rowsMax))
    const portal = this.#objects.portal(message.portal)
    if (this.#owedDescription !== undefined && this.#owedDescription !== portal)
      return this.#settled(() => this.#execute(portal, message.rowsMax))
    const isDescriptionOwed = this.#owedDescription === portal
    this.#owedDescription = undefined
    return this.#execute(portal, message.rowsMax, isDescriptionOwed)
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

  /** Before Flush and Sync: what was held back is sent now. */
  settle(): void | Promise<void> {
    return this.#settled(() => undefined)
  }

  /** After an error nothing held back is sent any more. */
  forget(): void {
    this.#owedDescription = undefined
  }

  /** Sends an owed description first, by asking for it alone. */
  #settled(then: () => void | Promise<void>): void | Promise<void> {
    const portal = this.#owedDescription
    if (portal === undefined) return then()
    this.#owedDescription = undefined
    return this.#describePortal(portal).then(then)
  }

  async #describePortal(portal: Portal): Promise<void> {
    if (this.#state.mustSpool) await this.#state.spool()
    const { statement, types } = executedStatement(portal.prepared, this.#state)
    if (statement === undefined) return this.#writeDescription(undefined)
    if (!asksForData(statement))
      return this.#writeDescription(describeLocal(statement, this.#state, portal.formats))
    const parameters = types === undefined ? portal.parameters : { types, formats: [], values: [] }
    const question = this.#question({ ...portal, parameters }, statement)
    const described = await describe(question, this.#state.origin.rooms)
    const { rowDescription } = described
    if (rowDescription !== undefined)
      checkResultFormats(portal.formats, columnCount(rowDescription))
    this.#writeDescription(
      rowDescription === undefined ? undefined : changeFormats(rowDescription, portal.formats),
    )
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
    const question = questionOf(
      {
        statement,
        parseMs: prepared.parseMs,
        parameters: { types: types ?? prepared.parameterTypes, formats: [], values: [] },
        formats: [],
      },
      this.#state,
    )
    const { rooms } = this.#state.origin
    const described = this.#state.mustSpool
      ? this.#state.spool().then(() => describe(question, rooms))
      : describe(question, rooms)
    const send = (ready: Awaited<typeof described>): void => {
      // An EXECUTE has no parameters of its own.
      if (types === undefined) prepared.describedTypes = ready.parameterTypes
      const isCursor = executed.statement !== statement
      if (ready.rowDescription !== undefined && !isCursor)
        prepared.describedColumns = columnCount(ready.rowDescription)
      output.write(parameterDescription(types === undefined ? ready.parameterTypes : []))
      this.#writeDescription(isCursor ? undefined : ready.rowDescription)
    }
    return described instanceof Promise ? described.then(send) : send(described)
  }

  #question(portal: Portal, statement: Statement) {
    return questionOf(
      {
        statement,
        parseMs: portal.prepared.parseMs,
        parameters: portal.parameters,
        formats: portal.formats,
      },
      this.#state,
    )
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

  #execute(portal: Portal, rowsMax: number, isDescriptionOwed = false): void | Promise<void> {
    const { statement } = portal.prepared
    const { output } = this.#delivery
    if (statement === undefined) {
      if (isDescriptionOwed) output.write(noData)
      output.write(emptyQueryResponse)
      return undefined
    }
    this.#checkNotFailed(statement)
    if (portal.run !== undefined) {
      // A command is run once; only a portal with rows says again that it has none left (pquery.c: PortalRun).
      if (portal.isFinished && portal.run.outcome.result.description === undefined)
        throw portalCannotBeRun(portal.name)
      return this.#send(portal, portal.run, rowsMax)
    }
    this.#delivery.begin(statement)
    const request = {
      statement,
      parseMs: portal.prepared.parseMs,
      parameters: portal.parameters,
      formats: portal.formats,
    }
    const started = runStatement(request, this.#state)
    const go = (outcome: RunOutcome): void | Promise<void> => {
      if (statement.class.kind === "session")
        deallocatePrepared(statement.class.command, this.#objects)
      const isCopy = statement.class.kind === "copy"
      if (!isCopy) checkFormats(portal, outcome)
      // CopyOutResponse, which stands in the place of a description, is part of COPY's own answer, and all of its rows come at once.
      if (isDescriptionOwed || isCopy) this.#writeDescription(outcome.result.description)
      const run = { outcome, cursor: new ResultCursor(outcome.result) }
      portal.run = run
      return this.#send(portal, run, isCopy ? 0 : rowsMax)
    }
    return started instanceof Promise
      ? started.catch((thrown: unknown) => throwOfPortal(thrown, portal)).then(go)
      : go(started)
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
    const sent = run.cursor.send(this.#delivery.output, wanted)
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

  /** A cursor of DECLARE is a portal: Execute hands out its next rows. */
  async #executeCursor({ name, rows }: SqlCursor, rowsMax: number): Promise<void> {
    if (this.#state.transaction.status === "E") throw transactionFailed()
    const count = rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax
    const fetched = new FetchedRows(rows, {
      kind: "fetch",
      cursor: name,
      direction: "forward",
      count,
      isMove: false,
    })
    const { output } = this.#delivery
    const sent = await new ResultCursor(fetched).send(output, Number.POSITIVE_INFINITY)
    output.write(sent === count ? portalSuspended : commandComplete(`SELECT ${sent}`))
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

function portalCannotBeRun(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ObjectNotInPrerequisiteState,
    reason: "transaction_state",
    message: `portal "${name}" cannot be run`,
  })
}

/** A list of formats that fits no result of so many columns: checked when the columns are known. */
function checkFormats({ formats }: Portal, { result }: RunOutcome): void {
  if (formats.length > 1 && result.description !== undefined)
    checkResultFormats(formats, columnCount(result.description))
}

/** True for what is described by the warehouse. What is refused says so when it is executed, as a write does in PostgreSQL. */
function asksForData(statement: Statement | undefined): boolean {
  const kind = statement?.class.kind
  return kind === "read" || kind === "explain" || kind === "execute"
}

/** The warehouse knows every portal as the unnamed one; its errors name the client's. */
function throwOfPortal(thrown: unknown, { name }: Portal): never {
  if (name === "" || !(thrown instanceof GatewayError)) throw thrown
  const where = thrown.fields?.get("W")
  if (where === undefined || !where.includes("unnamed portal ")) throw thrown
  const fields = new Map(thrown.fields)
  fields.set("W", where.replace("unnamed portal ", `portal "${name}" `))
  throw withFields(thrown, fields)
}
