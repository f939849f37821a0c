import { GatewayError, toGatewayError } from "../core/errors.ts"
import type { Emitted, Statement } from "../core/statement.ts"
import type { Asked, Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import { scrubbed } from "./scrub-error.ts"

/**
 * A warehouse's error position counts in the text it was sent; the client's counts in what it wrote. What may tell of rows
 * that a policy hides is taken out.
 */
export function inClientsTerms(
  thrown: unknown,
  emitted: Emitted,
  question: Question,
  { asked }: Plan,
): GatewayError {
  const raised = toGatewayError(thrown)
  if (raised.reason !== "warehouse_error") return raised
  const error = asked.governed === undefined ? raised : scrubbed(raised)
  if (error.position === undefined) return error
  const position = clientPosition(error.position, emitted, question.statement, asked)
  if (position === error.position) return error
  const { sqlState, reason, message, severity, safeToRetry, stage } = error
  return new GatewayError({
    sqlState,
    reason,
    message,
    severity,
    safeToRetry,
    stage,
    cause: error.cause,
    ...(position === undefined ? {} : { position }),
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.fields === undefined ? {} : { fields: error.fields }),
  })
}

function clientPosition(
  position: number,
  emitted: Emitted,
  statement: Statement,
  asked: Asked,
): number | undefined {
  if (!emitted.keepsPositions || statement.isRewritten === true) return undefined
  if (position > asked.statement.text.length + 1) return undefined
  const own = asked.governed === undefined ? position : asked.governed.clientPosition(position)
  if (own === undefined || statement.sourcePosition === undefined)
    return own === undefined ? undefined : own + statement.offset
  const source = statement.sourcePosition(own)
  return source === undefined ? undefined : source + statement.offset
}
