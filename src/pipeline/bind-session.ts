import type { SessionValues } from "../core/session-values.ts"
import type { Statement } from "../core/statement.ts"
import { bindSession } from "../sql/bind-session.ts"

/**
 * The statement as the session means it that sends it. The warehouse would answer pg_backend_pid() or current_user for the
 * gateway's connection, and show everybody's statements in pg_stat_activity. `values` is asked only where it is needed.
 */
export function boundStatement(statement: Statement, values: () => SessionValues): Statement {
  const { class: statementClass } = statement
  if (statementClass.kind !== "read" && statementClass.kind !== "explain") return statement
  return statementClass.traits.usesSessionFact ? bindSession(statement, values()) : statement
}

/** Statements that run now: in those that define something, such as a view or a default, current_user is to stay a call. */
const runningNow: ReadonlySet<string> = new Set([
  "SelectStmt",
  "ExplainStmt",
  "DeclareCursorStmt",
  "InsertStmt",
  "UpdateStmt",
  "DeleteStmt",
  "MergeStmt",
])

/** The same for any statement of a session that writes. */
export function boundForDirect(statement: Statement, values: () => SessionValues): Statement {
  const { class: statementClass, ast } = statement
  if (statementClass.kind === "read" || statementClass.kind === "explain")
    return boundStatement(statement, values)
  const isBindable = Object.keys(ast).some((tag) => runningNow.has(tag))
  return isBindable ? bindSession(statement, values()) : statement
}
