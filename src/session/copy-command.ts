import type { StatementClass } from "../core/statement.ts"
import { copyTableStatement } from "../pipeline/copy-table.ts"
import { ask, questionOf } from "./ask.ts"
import { copyOptions } from "./copy-options.ts"
import { CopyStream } from "./copy-stream.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import type { SessionState } from "./session-state.ts"

type Copy = Extract<StatementClass, { kind: "copy" }>

/**
 * COPY TO STDOUT: the query is asked as any other read, so that policy, limits and cache hold as they do for it, and its rows are
 * written as COPY writes them. Binary values are laid out alike in both, text values differ by escapes only.
 */
export async function runCopy(
  request: RunRequest,
  copy: Copy,
  state: SessionState,
): Promise<RunOutcome> {
  const { source } = copy
  const isQuery = source.kind === "query"
  const checked = isQuery ? copyOptions(copy.options) : undefined
  if (state.mustSpool) await state.spool()
  const statement = isQuery
    ? source.query
    : await copyTableStatement(source, questionOf(request, state), state.origin.rooms)
  const options = checked ?? copyOptions(copy.options)
  const outcome = await ask(
    {
      statement,
      parseMs: request.parseMs,
      parameters: request.parameters,
      formats: options.format === "binary" ? [1] : [],
      protocol: request.protocol,
    },
    state,
  )
  try {
    return { ...outcome, result: new CopyStream(outcome.result, options) }
  } catch (thrown) {
    if ("next" in outcome.result) outcome.result[Symbol.dispose]()
    throw thrown
  }
}
