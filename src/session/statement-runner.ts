import { GatewayError, unreachable } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import { SqlState } from "../core/sql-state.ts"
import type { StatementClass, TransactionCommand } from "../core/statement.ts"
import { answer } from "../pipeline/answer.ts"
import type { Answer, Question } from "../pipeline/question.ts"
import { checkStillValid } from "./identify.ts"
import { commandResult } from "./local-result.ts"
import { ResultCursor } from "./result-cursor.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import { type CommandOutcome, readOnlyRemark, runSessionCommand } from "./session-commands.ts"
import type { SessionState } from "./session-state.ts"

const noRemarks: readonly Remark[] = []

/**
 * The question that a statement of this session is, as the spine takes it. Refused when the session's token has expired:
 * what was asked before then, cursors too, is still read to its end.
 */
export function questionOf(request: RunRequest, state: SessionState): Question {
  checkStillValid(state.origin.identity, state.origin.rooms.wallMs)
  return {
    statement: request.statement,
    parseMs: request.parseMs,
    parameters: request.parameters,
    resultFormats: request.formats,
    identity: state.origin.identity,
    settings: state.settings.view,
    caching: state.caching,
    statementTimeoutMs: state.statementTimeoutMs,
    transaction: state.scope,
    abort: state.abort,
  }
}

/**
 * Runs one statement of a session: what concerns the session itself is done here, what asks for data goes through the
 * spine. Both protocols call this. A promise comes back only where something must be waited for.
 */
export function runStatement(
  request: RunRequest,
  state: SessionState,
): RunOutcome | Promise<RunOutcome> {
  const { class: statementClass } = request.statement
  if (state.transaction.status === "E" && !endsFailure(statementClass)) throw transactionFailed()
  switch (statementClass.kind) {
    case "transaction":
      return runTransaction(statementClass.command, state)
    case "session": {
      const outcome = runSessionCommand(statementClass.command, state, request.formats)
      return outcome instanceof Promise
        ? outcome.then((ready) => commandOutcome(ready, request, state))
        : commandOutcome(outcome, request, state)
    }
    case "cursor":
      return openCursor(request, statementClass, state)
    default:
      return ask(request, state)
  }
}

function commandOutcome(
  outcome: CommandOutcome,
  request: RunRequest,
  state: SessionState,
): RunOutcome | Promise<RunOutcome> {
  if (outcome.kind === "forward") return ask(request, state)
  return { result: outcome.result, report: undefined, remarks: outcome.remarks }
}

function ask(request: RunRequest, state: SessionState): RunOutcome | Promise<RunOutcome> {
  if (state.scope !== undefined) state.scope.hasQueried = true
  const asked = state.mustSpool
    ? state.spool().then(() => answer(questionOf(request, state), state.origin.rooms))
    : answer(questionOf(request, state), state.origin.rooms)
  return asked instanceof Promise
    ? asked.then((ready) => answerOutcome(ready, state))
    : answerOutcome(asked, state)
}

function answerOutcome(ready: Answer, state: SessionState): RunOutcome {
  state.lastReport = ready.report
  return ready.kind === "stored"
    ? { result: ready.result, report: ready.report, remarks: noRemarks }
    : { result: ready.rows, report: ready.report, remarks: ready.remarks }
}

/** PostgreSQL lets only these through in a failed transaction. */
function endsFailure(statementClass: StatementClass): boolean {
  if (statementClass.kind !== "transaction") return false
  const { kind } = statementClass.command
  return kind === "commit" || kind === "rollback" || kind === "rollback_to"
}

export function transactionFailed(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InFailedSqlTransaction,
    reason: "failed_transaction",
    message: "current transaction is aborted, commands ignored until end of transaction block",
  })
}

function finished(tag: string, remarks: readonly Remark[] = noRemarks): RunOutcome {
  return { result: commandResult(tag), report: undefined, remarks }
}

function warning(sqlState: string, message: string): Remark {
  return { severity: "WARNING", sqlState, message, hint: undefined }
}

function runTransaction(
  command: TransactionCommand,
  state: SessionState,
): RunOutcome | Promise<RunOutcome> {
  const { transaction } = state
  switch (command.kind) {
    case "begin": {
      const remarks = command.mode.readOnly === false && !state.mayWrite ? [readOnlyRemark] : []
      if (transaction.isExplicit)
        return finished(command.tag, [
          warning(SqlState.ActiveSqlTransaction, "there is already a transaction in progress"),
        ])
      transaction.begin(command.mode.isolation, command.mode)
      state.openScope()
      return finished(command.tag, remarks)
    }
    case "commit":
      return endTransaction(
        transaction.status === "E" ? "ROLLBACK" : "COMMIT",
        command.chain,
        state,
      )
    case "rollback":
      return endTransaction("ROLLBACK", command.chain, state)
    case "savepoint":
      return savepointCommand("SAVEPOINT", command.name, state)
    case "release":
      return savepointCommand("RELEASE", command.name, state)
    case "rollback_to":
      return savepointCommand("ROLLBACK", command.name, state)
    default:
      return unreachable(command)
  }
}

function endTransaction(
  tag: "COMMIT" | "ROLLBACK",
  isChained: boolean,
  state: SessionState,
): RunOutcome | Promise<RunOutcome> {
  const { transaction, scope } = state
  if (!transaction.isExplicit) {
    if (isChained)
      throw new GatewayError({
        sqlState: SqlState.NoActiveSqlTransaction,
        reason: "transaction_state",
        message: `${tag} AND CHAIN can only be used in transaction blocks`,
      })
    // Undoes what an implicit transaction has SET so far, as PostgreSQL does.
    if (tag === "ROLLBACK") transaction.fail()
    return finished(tag, [
      warning(SqlState.NoActiveSqlTransaction, "there is no transaction in progress"),
    ])
  }
  const { isolation, mode } = transaction
  const close = (): RunOutcome => {
    if (tag === "COMMIT") transaction.commit()
    else transaction.rollback()
    state.scope = undefined
    if (isChained) {
      transaction.begin(isolation, mode)
      state.openScope()
    }
    return finished(tag)
  }
  if (scope?.isPinned !== true && state.cursors.isEmpty) return close()
  return endOnWarehouse(tag, state).then(close)
}

async function endOnWarehouse(tag: "COMMIT" | "ROLLBACK", state: SessionState): Promise<void> {
  try {
    if (tag === "COMMIT") await state.cursors.commit(state.limits.spoolBytesMax)
    else state.cursors.rollback()
  } finally {
    await state.scope?.end()
  }
}

async function savepointCommand(
  tag: "SAVEPOINT" | "RELEASE" | "ROLLBACK",
  name: string,
  state: SessionState,
): Promise<RunOutcome> {
  const { transaction, scope } = state
  if (!transaction.isExplicit)
    throw new GatewayError({
      sqlState: SqlState.NoActiveSqlTransaction,
      reason: "transaction_state",
      message: `${tag === "RELEASE" ? "RELEASE SAVEPOINT" : tag === "ROLLBACK" ? "ROLLBACK TO SAVEPOINT" : tag} can only be used in transaction blocks`,
    })
  if (state.mustSpool) await state.spool()
  if (tag === "SAVEPOINT") {
    transaction.savepoint(name)
    await scope?.savepoint(name)
  } else if (tag === "RELEASE") {
    transaction.release(name)
    state.cursors.release(transaction.savepointNames.length)
    await scope?.release(name)
  } else {
    transaction.rollbackTo(name)
    state.cursors.rollbackTo(transaction.savepointNames.length - 1)
    await scope?.rollbackTo(name)
  }
  return finished(tag)
}

async function openCursor(
  request: RunRequest,
  cursor: Extract<StatementClass, { kind: "cursor" }>,
  state: SessionState,
): Promise<RunOutcome> {
  if (!state.transaction.isExplicit && !cursor.isHeld)
    throw new GatewayError({
      sqlState: SqlState.NoActiveSqlTransaction,
      reason: "transaction_state",
      message: "DECLARE CURSOR can only be used in transaction blocks",
    })
  state.cursors.checkFree(cursor.name)
  const { parseMs, parameters } = request
  const run = async (formats: readonly FormatCode[]): Promise<RunOutcome> =>
    ask({ statement: cursor.query, parseMs, parameters, formats }, state)
  const formats: readonly FormatCode[] = cursor.isBinary ? [1] : []
  const outcome = await run(formats)
  const result = new ResultCursor(outcome.result)
  // Outside a transaction block a WITH HOLD cursor's transaction ends with this statement.
  const isKept = !state.transaction.isExplicit
  if (isKept) await result.spool(state.limits.spoolBytesMax)
  const depth = state.transaction.savepointNames.length
  const { name, isHeld } = cursor
  const reopen = async (other: readonly FormatCode[]): Promise<ResultCursor> =>
    new ResultCursor((await run(other)).result)
  state.cursors.add({ name, isHeld, formats, result, isKept, depth, reopen })
  return { ...finished("DECLARE CURSOR", outcome.remarks), report: outcome.report }
}
