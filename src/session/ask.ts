import { answer } from "../pipeline/answer.ts"
import { boundStatement } from "../pipeline/bind-session.ts"
import type { Answer, Question } from "../pipeline/question.ts"
import { checkStillValid } from "./identify.ts"
import type { Judged } from "./judged.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import type { SessionState } from "./session-state.ts"
import { sessionValues } from "./session-values.ts"

/**
 * The question that a statement of this session is, as the spine takes it. Refused when the session's token has expired:
 * what was asked before then, cursors too, is still read to its end.
 */
export function questionOf(request: RunRequest, state: SessionState): Question {
  checkStillValid(state.origin, state.origin.rooms.wallMs)
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
    tellsStale: state.tellsStale,
    statementTimeoutMs: state.statementTimeoutMs,
    transaction: state.scope,
    abort: state.abort,
  }
}

/** Asks the spine. A promise comes back only where something must be waited for. */
export function ask(request: RunRequest, state: SessionState): RunOutcome | Promise<RunOutcome> {
  if (state.scope !== undefined) state.scope.hasQueried = true
  if (state.mustSpool) return state.spool().then(() => askNow(request, state))
  return askNow(request, state)
}

/** Whether the user's own schema exists is part of the question, so that the catalogue has to be there before it is put. */
function askNow(request: RunRequest, state: SessionState): RunOutcome | Promise<RunOutcome> {
  const { catalog } = state.origin.rooms
  if (catalog.current() !== undefined) return put(request, state)
  return catalog.refreshNow().then(() => {
    state.abort.throwIfAborted()
    return put(request, state)
  })
}

function put(request: RunRequest, state: SessionState): RunOutcome | Promise<RunOutcome> {
  const { rooms } = state.origin
  const question = questionOf(request, state)
  const policy = rooms.policy()
  const asked = answer(question, rooms)
  return asked instanceof Promise
    ? asked.then((ready) => answerOutcome(ready, { question, policy, state }))
    : answerOutcome(asked, { question, policy, state })
}

function answerOutcome(
  ready: Answer,
  asked: Pick<Judged, "question" | "policy"> & { readonly state: SessionState },
): RunOutcome {
  const { question, policy, state } = asked
  state.lastReport = ready.report
  const judged = { question, policy, canonical: ready.canonical }
  return ready.kind === "stored"
    ? { result: ready.result, report: ready.report, remarks: ready.remarks, judged }
    : { result: ready.rows, report: ready.report, remarks: ready.remarks, judged }
}
