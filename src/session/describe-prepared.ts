import { InvariantViolation, toGatewayError } from "../core/errors.ts"
import type { StatementDescription } from "../core/result.ts"
import type { Statement } from "../core/statement.ts"
import { describe } from "../pipeline/describe.ts"
import { changeFormats, checkResultFormats, columnCount } from "../wire/rows.ts"
import { questionOf } from "./ask.ts"
import { describeLocal } from "./describe-local.ts"
import type { Portal, PreparedStatement } from "./named-objects.ts"
import { executedStatement } from "./prepare-command.ts"
import type { SessionState } from "./session-state.ts"

/** True for what is described by the warehouse. What is refused says so when it is executed, as a write does in PostgreSQL. */
export function asksForData(statement: Statement | undefined): boolean {
  const kind = statement?.class.kind
  return kind === "read" || kind === "explain" || kind === "execute"
}

/** Types of a statement that asks for data. A promise only where the warehouse has to be asked. */
export function askDescription(
  prepared: PreparedStatement,
  state: SessionState,
  declared = prepared.parameterTypes,
): StatementDescription | Promise<StatementDescription> {
  const { statement, types } = executedStatement(prepared, state)
  if (statement === undefined) throw new InvariantViolation("an empty statement was described")
  const parameters = { types: types ?? declared, formats: [], values: [] }
  const { parseMs } = prepared
  const question = questionOf(
    { statement, parseMs, parameters, formats: [], protocol: "extended" },
    state,
  )
  const { rooms } = state.origin
  return state.mustSpool
    ? state.spool().then(() => describe(question, rooms))
    : describe(question, rooms)
}

/** RowDescription of a portal that was not run yet, in its formats. */
export async function portalDescription(
  { prepared, parameters, formats }: Portal,
  state: SessionState,
): Promise<Buffer | undefined> {
  const { statement } = executedStatement(prepared, state)
  if (statement === undefined) return undefined
  if (!asksForData(statement)) return describeLocal(statement, state, formats)
  const { rowDescription } = await askDescription(prepared, state, parameters.types)
  if (rowDescription === undefined) return undefined
  checkResultFormats(formats, columnCount(rowDescription))
  return changeFormats(rowDescription, formats)
}

/** True for an error that is told instead of ParseComplete; others may be gone when the statement is executed, or come then. */
export function isRaisedAtParse(thrown: unknown): boolean {
  const { stage, severity, reason } = toGatewayError(thrown)
  if (stage === "parse" || severity === "FATAL") return true
  return reason === "cancelled" || reason === "statement_timeout"
}

/** True for a statement that only the warehouse can prove: until then nothing is said of its Parse and Bind. */
export function isProvenLater(statement: Statement | undefined): boolean {
  const kind = statement?.class.kind
  return kind === "read" || kind === "explain"
}
