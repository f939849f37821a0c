import { noParameters } from "../core/parameters.ts"
import type { Statement } from "../core/statement.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { emptyQueryResponse } from "../wire/backend-messages.ts"
import type { Delivery } from "./delivery.ts"
import type { SessionState } from "./session-state.ts"
import { type RunOutcome, runStatement } from "./statement-runner.ts"

/**
 * The simple protocol (PostgreSQL manual, 54.2.2): every statement of the string in order, in one implicit transaction, until
 * the first error. Returns a promise only when something must be waited for. ReadyForQuery is the caller's.
 */
export function simpleQuery(
  sql: string,
  state: SessionState,
  delivery: Delivery,
): void | Promise<void> {
  const parsed = statementsOf(sql, state.origin.rooms)
  return parsed instanceof Promise
    ? parsed.then((statements) => runAll(statements, state, delivery))
    : runAll(parsed, state, delivery)
}

function runAll(
  statements: readonly Statement[],
  state: SessionState,
  delivery: Delivery,
): void | Promise<void> {
  state.transaction.beginImplicit()
  if (statements.length === 0) delivery.output.write(emptyQueryResponse)
  return runFrom(0, statements, state, delivery)
}

function runFrom(
  first: number,
  statements: readonly Statement[],
  state: SessionState,
  delivery: Delivery,
): void | Promise<void> {
  for (let index = first; index < statements.length; index += 1) {
    const statement = statements[index]
    if (statement === undefined) break
    if (statement.class.kind === "empty") {
      if (statements.length === 1) delivery.output.write(emptyQueryResponse)
      continue
    }
    const pending = runOne(statement, state, delivery)
    if (pending !== undefined)
      return pending.then(() => runFrom(index + 1, statements, state, delivery))
  }
  state.transaction.endImplicit()
  return undefined
}

function runOne(
  statement: Statement,
  state: SessionState,
  delivery: Delivery,
): undefined | Promise<void> {
  delivery.begin(statement)
  const outcome = runStatement({ statement, parameters: noParameters, formats: [] }, state)
  return outcome instanceof Promise
    ? outcome.then((ready) => sendWhole(ready, delivery))
    : sendWhole(outcome, delivery)
}

function sendWhole(outcome: RunOutcome, delivery: Delivery): undefined | Promise<void> {
  return delivery.sendWhole(outcome)
}
