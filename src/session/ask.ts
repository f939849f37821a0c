import type { Remark } from "../core/remark.ts"
import { answer } from "../pipeline/answer.ts"
import { boundStatement } from "../pipeline/bind-session.ts"
import type { Answer, Question } from "../pipeline/question.ts"
import { checkStillValid } from "./identify.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import type { SessionState } from "./session-state.ts"
import { sessionValues } from "./session-values.ts"

const noRemarks: readonly Remark[] = []

/**
 * The question that a statement of this session is, as the spine takes it. Refused when the session's token has expired:
 * what was asked before then, cursors too, is still read to its end.
 */
export function questionOf(request: RunRequest, state: SessionState): Question {
  checkStillValid(state.origin.identity, state.origin.rooms.wallMs)
  return {
    statement: boundStatement(request.statement, () => sessionValues(state)),
    parseMs: request.parseMs,
    parameters: request.parameters,
    resultFormats: request.formats,
    protocol: request.protocol,
    identity: state.origin.identity,
    database: state.origin.database,
    settings: state.settings.view,
    caching: state.caching,
    statementTimeoutMs: state.statementTimeoutMs,
    transaction: state.scope,
    abort: state.abort,
  }
}

/** Asks the spine. A promise comes back only where something must be waited for. */
export function ask(request: RunRequest, state: SessionState): RunOutcome | Promise<RunOutcome> {
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
