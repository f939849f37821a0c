import { GatewayError, unreachable } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ExecuteCall, StatementClass, TransactionCommand } from "../core/statement.ts"
import { ask } from "./ask.ts"
import { boundCommand } from "./bound-facts.ts"
import { runCopy } from "./copy-command.ts"
import { openCursor } from "./cursor-commands.ts"
import { errorOfBound } from "./execute-errors.ts"
import { commandResult } from "./local-result.ts"
import { executedRequest, explainedRequest, prepare } from "./prepare-command.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import { type CommandOutcome, readOnlyRemark, runSessionCommand } from "./session-commands.ts"
import type { SessionState } from "./session-state.ts"

const noRemarks: readonly Remark[] = []

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
      const command = boundCommand(statementClass.command, request.parameters)
      const outcome = runSessionCommand(command, state, request)
      return outcome instanceof Promise
        ? outcome.then((ready) => commandOutcome(ready, request, state))
        : commandOutcome(outcome, request, state)
    }
    case "cursor":
      return openCursor(request, statementClass, state)
    case "prepare":
      return prepare(request, statementClass, state)
    case "execute":
      return runExecuted(statementClass.call, request, state)
    case "explain_execute":
      return explainedRequest(statementClass, request, state).then((ready) =>
        runStatement(ready, state),
      )
    case "copy":
      return runCopy(request, statementClass, state)
    default:
      return ask(request, state)
  }
}

function runExecuted(
  call: ExecuteCall,
  request: RunRequest,
  state: SessionState,
): RunOutcome | Promise<RunOutcome> {
  const executed = executedRequest(call, request, state)
  const outcome =
    executed instanceof Promise
      ? executed.then((ready) => runStatement(ready, state))
      : runStatement(executed, state)
  if (!(outcome instanceof Promise)) return outcome
  return outcome.catch((thrown: unknown) => {
    throw errorOfBound(thrown, call)
  })
}

function commandOutcome(
  outcome: CommandOutcome,
  request: RunRequest,
  state: SessionState,
): RunOutcome | Promise<RunOutcome> {
  if (outcome.kind === "forward") return ask(request, state)
  return { result: outcome.result, report: undefined, remarks: outcome.remarks }
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
    else if (transaction.isPipelined) {
      transaction.endImplicit()
      transaction.beginImplicit()
    }
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
  return endOnWarehouse(tag, state).then(close, (thrown: unknown) => {
    // A COMMIT that fails has ended the transaction by rolling it back.
    state.cursors.rollback()
    transaction.rollback()
    state.scope = undefined
    throw thrown
  })
}

async function endOnWarehouse(tag: "COMMIT" | "ROLLBACK", state: SessionState): Promise<void> {
  try {
    if (tag === "COMMIT") await state.cursors.commit(state.limits.spoolBytesMax, state.memory)
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
    state.objects.release(transaction.savepointNames.length)
    await scope?.release(name)
  } else {
    transaction.rollbackTo(name)
    state.cursors.rollbackTo(transaction.savepointNames.length - 1)
    state.objects.rollbackTo(transaction.savepointNames.length - 1)
    await scope?.rollbackTo(name)
  }
  return finished(tag)
}
