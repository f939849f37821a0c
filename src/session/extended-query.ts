import { GatewayError } from "../core/errors.ts"
import type { Parameters } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { describe } from "../pipeline/describe.ts"
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
import { changeFormats, checkResultFormats, columnCount } from "../wire/rows.ts"
import type { Delivery } from "./delivery.ts"
import { describeLocal } from "./describe-local.ts"
import {
  deallocatePrepared,
  type NamedObjects,
  type Portal,
  type PreparedStatement,
} from "./named-objects.ts"
import { ResultCursor } from "./result-cursor.ts"
import type { RunOutcome } from "./run-outcome.ts"
import type { SessionState } from "./session-state.ts"
import { questionOf, runStatement, transactionFailed } from "./statement-runner.ts"

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
    this.#objects.addPrepared({
      name: message.name,
      statement,
      parseMs: performance.now() - startMs,
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
      const parameters: Parameters = {
        types: prepared.describedTypes ?? prepared.parameterTypes,
        formats: message.parameterFormats,
        values: message.values,
      }
      this.#objects.addPortal({
        name: message.portal,
        prepared,
        parameters,
        formats: message.resultFormats,
        run: undefined,
        isFinished: false,
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
        this.#writeDescription(cursor.result.description)
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
      else this.#objects.closePortal(message.name)
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
    const { statement } = portal.prepared
    if (this.#state.mustSpool) await this.#state.spool()
    if (statement === undefined) return this.#writeDescription(undefined)
    const described = await describe(this.#question(portal, statement), this.#state.origin.rooms)
    const { rowDescription } = described
    if (rowDescription !== undefined)
      checkResultFormats(portal.formats, columnCount(rowDescription))
    this.#writeDescription(
      rowDescription === undefined ? undefined : changeFormats(rowDescription, portal.formats),
    )
  }

  #describeStatement(prepared: PreparedStatement): void | Promise<void> {
    const { statement } = prepared
    const { output } = this.#delivery
    // A statement that returns rows cannot be described in a failed transaction; PostgreSQL lets the others be.
    this.#checkNotFailed(statement)
    if (statement === undefined || !asksForData(statement)) {
      output.write(parameterDescription(prepared.parameterTypes))
      this.#writeDescription(
        statement === undefined ? undefined : describeLocal(statement, this.#state, []),
      )
      return undefined
    }
    const question = questionOf(
      {
        statement,
        parseMs: prepared.parseMs,
        parameters: { types: prepared.parameterTypes, formats: [], values: [] },
        formats: [],
      },
      this.#state,
    )
    const { rooms } = this.#state.origin
    const described = this.#state.mustSpool
      ? this.#state.spool().then(() => describe(question, rooms))
      : describe(question, rooms)
    const send = (ready: Awaited<typeof described>): void => {
      prepared.describedTypes = ready.parameterTypes
      output.write(parameterDescription(ready.parameterTypes))
      this.#writeDescription(ready.rowDescription)
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
    if (portal.run !== undefined) return this.#send(portal, portal.run, rowsMax)
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
      checkFormats(portal, outcome)
      if (isDescriptionOwed) this.#writeDescription(outcome.result.description)
      const run = { outcome, cursor: new ResultCursor(outcome.result) }
      portal.run = run
      return this.#send(portal, run, rowsMax)
    }
    return started instanceof Promise ? started.then(go) : go(started)
  }

  #send(portal: Portal, run: NonNullable<Portal["run"]>, rowsMax: number): void | Promise<void> {
    this.#delivery.attribute(run.outcome)
    if (rowsMax === 0 && run.cursor.isUntouched && this.#delivery.sendRows(run.outcome)) {
      run.cursor.finish()
      portal.isFinished = true
      return undefined
    }
    const wanted = rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax
    const sent = run.cursor.send(this.#delivery.output, wanted)
    const finish = (rowCount: number): void => {
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

  #checkNotFailed(statement: Statement | undefined): void {
    if (this.#state.transaction.status !== "E" || statement === undefined) return
    if (statement.class.kind === "transaction") {
      const { kind } = statement.class.command
      if (kind === "commit" || kind === "rollback" || kind === "rollback_to") return
    }
    throw transactionFailed()
  }
}

/** A list of formats that fits no result of so many columns: checked when the columns are known. */
function checkFormats({ formats }: Portal, { result }: RunOutcome): void {
  if (formats.length > 1 && result.description !== undefined)
    checkResultFormats(formats, columnCount(result.description))
}

/** True for what is described by the warehouse. What is refused says so when it is executed, as a write does in PostgreSQL. */
function asksForData(statement: Statement | undefined): boolean {
  const kind = statement?.class.kind
  return kind === "read" || kind === "explain"
}

function parameterCountOf(prepared: PreparedStatement): number {
  const statementClass = prepared.statement?.class
  const used =
    statementClass?.kind === "read" || statementClass?.kind === "explain"
      ? statementClass.traits.parameterCount
      : 0
  return Math.max(used, prepared.parameterTypes.length)
}
