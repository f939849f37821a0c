import { noParameters } from "../core/parameters.ts"
import type { Statement } from "../core/statement.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { emptyQueryResponse } from "../wire/backend-messages.ts"
import type { Delivery } from "./delivery.ts"
import { deallocatePrepared } from "./named-objects.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import { endImplicitTransaction, type SessionState } from "./session-state.ts"
import { runStatement } from "./statement-runner.ts"

/**
 * The simple protocol (PostgreSQL manual, 54.2.2): every statement of the string in order, in one implicit transaction, until
 * the first error. Returns a promise only when something must be waited for. ReadyForQuery is the caller's.
 */
export function simpleQuery(
  sql: string,
  state: SessionState,
  delivery: Delivery,
): void | Promise<void> {
  const startMs = performance.now()
  const parsed = statementsOf(sql, state.origin.rooms)
  return parsed instanceof Promise
    ? parsed.then((statements) => runAll(statements, startMs, state, delivery))
    : runAll(parsed, startMs, state, delivery)
}

/** The statements of one string, and what the time to parse them all was: it counts for the first. */
type Script = { readonly statements: readonly Statement[]; readonly parseMs: number }

function runAll(
  statements: readonly Statement[],
  startMs: number,
  state: SessionState,
  delivery: Delivery,
): void | Promise<void> {
  if (!state.transaction.isPipelined) state.transaction.beginImplicit(statements.length > 1)
  if (statements.length === 0) delivery.output.write(emptyQueryResponse)
  return runFrom(0, { statements, parseMs: performance.now() - startMs }, state, delivery)
}

function runFrom(
  first: number,
  script: Script,
  state: SessionState,
  delivery: Delivery,
): void | Promise<void> {
  const { statements } = script
  for (let index = first; index < statements.length; index += 1) {
    const statement = statements[index]
    if (statement === undefined) break
    if (statement.class.kind === "empty") {
      if (statements.length === 1) delivery.output.write(emptyQueryResponse)
      continue
    }
    const parseMs = index === 0 ? script.parseMs : 0
    const pending = runOne(
      { statement, parseMs, parameters: noParameters, formats: [], protocol: "simple" },
      state,
      delivery,
    )
    if (pending !== undefined)
      return pending.then(() => runFrom(index + 1, script, state, delivery))
  }
  // Before a batch's Sync its transaction goes on.
  return state.transaction.isPipelined ? undefined : endImplicitTransaction(state)
}

function runOne(
  request: RunRequest,
  state: SessionState,
  delivery: Delivery,
): undefined | Promise<void> {
  delivery.begin(request.statement)
  const outcome = runStatement(request, state)
  return outcome instanceof Promise
    ? outcome.then((ready) => sendWhole(request, ready, state, delivery))
    : sendWhole(request, outcome, state, delivery)
}

function sendWhole(
  { statement }: RunRequest,
  outcome: RunOutcome,
  state: SessionState,
  delivery: Delivery,
): undefined | Promise<void> {
  if (statement.class.kind === "session") deallocatePrepared(statement.class.command, state.objects)
  return delivery.sendWhole(outcome)
}
