import { GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"

/** 57P03: the shadow did not start, ended or hung. A GatewayError is handed on as it is. */
export function unavailable(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause
  return new GatewayError({
    sqlState: SqlState.CannotConnectNow,
    reason: "catalogue_unavailable",
    message: "the catalogue of this warehouse cannot be asked at the moment",
    hint: "Try again; tables can be queried meanwhile.",
    safeToRetry: true,
    cause,
  })
}

export function answerTooLarge(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "catalogue_answer_too_large",
    message: "the answer of the catalogue is larger than 64 MB",
    hint: "Ask for fewer columns or rows.",
  })
}
