import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ExecuteCall } from "../core/statement.ts"
import { type AskedText, argumentPosition } from "../pipeline/execute-arguments.ts"
import { withFields } from "./session-errors.ts"

/**
 * Arguments of EXECUTE reach the warehouse as bound values or in a text of their own (pipeline/execute-arguments.ts). Its errors are
 * told as PostgreSQL tells those of the client's text (EvaluateParams, prepare.c).
 */

/** An error of a bound value: PostgreSQL reads a constant where it stands. */
export function errorOfBound(thrown: unknown, { arguments: values }: ExecuteCall): unknown {
  if (!(thrown instanceof GatewayError)) return thrown
  const match = /^unnamed portal parameter \$(\d+)/.exec(thrown.fields?.get("W") ?? "")
  const argument = values[Number(match?.[1]) - 1]
  const position = argument === undefined ? undefined : argumentPosition(argument)
  if (position === undefined) return thrown
  const fields = new Map(thrown.fields)
  fields.delete("W")
  return withFields(thrown, fields, position)
}

/** An error of the text `asked`, whose columns are the parameters of these numbers. */
export function errorOfAsked(
  thrown: unknown,
  asked: AskedText,
  numbers: readonly number[] = [],
): unknown {
  if (!(thrown instanceof GatewayError) || thrown.position === undefined) return thrown
  const position = asked.clientPosition(thrown.position)
  if (position === undefined) return thrown
  const cast = /^cannot cast type (.+) to (.+)$/.exec(thrown.message)
  const number = numbers[asked.columnAt(thrown.position)]
  if (thrown.sqlState !== SqlState.CannotCoerce || cast === null || number === undefined)
    return withFields(thrown, new Map(thrown.fields), position)
  return new GatewayError({
    sqlState: SqlState.DatatypeMismatch,
    reason: thrown.reason,
    message: `parameter $${number} of type ${cast[1]} cannot be coerced to the expected type ${cast[2]}`,
    hint: "You will need to rewrite or cast the expression.",
    position,
  })
}
