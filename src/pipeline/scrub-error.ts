import { GatewayError } from "../core/errors.ts"

/**
 * What a warehouse may say of a governed statement that fails. Its texts can hold values of rows (`invalid input syntax for
 * type integer: "..."`), so that only messages that name parts of the client's own text are passed on; all others become
 * the plain name of their condition (PostgreSQL manual, appendix A). DETAIL, HINT, CONTEXT and further fields are dropped.
 */

/** Raised while the statement is analysed, before a row is read. */
const aboutTheText: ReadonlySet<string> = new Set([
  "42702",
  "42703",
  "42712",
  "42725",
  "42803",
  "42804",
  "42846",
  "42883",
  "42P01",
  "42P08",
  "42P10",
  "42P18",
  "42P19",
  "42P20",
])

const plainMessages: ReadonlyMap<string, string> = new Map([
  ["21000", "more than one row returned by a subquery used as an expression"],
  ["22001", "value too long for its type"],
  ["22003", "numeric value out of range"],
  ["22007", "invalid datetime format"],
  ["22008", "datetime field value out of range"],
  ["22012", "division by zero"],
  ["2201B", "invalid regular expression"],
  ["2201E", "invalid argument for logarithm"],
  ["2201F", "invalid argument for power function"],
  ["22023", "invalid parameter value"],
  ["22P02", "invalid text representation"],
  ["42501", "permission denied by the warehouse"],
  ["42601", "syntax error"],
  ["54000", "program limit exceeded"],
  ["54001", "stack depth limit exceeded"],
  ["53100", "disk full"],
  ["53200", "out of memory"],
  ["57014", "canceling statement due to user request"],
  ["57P01", "terminating connection due to administrator command"],
])

const byClass: ReadonlyMap<string, string> = new Map([
  ["0A", "feature not supported by the warehouse"],
  ["22", "data exception"],
  ["40", "transaction rollback"],
  ["42", "the warehouse refused the statement"],
  ["53", "insufficient resources"],
])

/** The same for every reader, whatever rows the warehouse met. The whole error stays in `cause`, which reaches logs only. */
export function scrubbed(error: GatewayError): GatewayError {
  if (error.reason !== "warehouse_error") return error
  const { sqlState, reason, severity, safeToRetry, position } = error
  const isKept = aboutTheText.has(sqlState) || error.message.endsWith("statement timeout")
  const plain = plainMessages.get(sqlState) ?? byClass.get(sqlState.slice(0, 2))
  return new GatewayError({
    sqlState,
    reason,
    severity,
    safeToRetry,
    message: isKept ? error.message : (plain ?? "the warehouse reported an error"),
    cause: error,
    ...(position === undefined || !isKept ? {} : { position }),
  })
}
