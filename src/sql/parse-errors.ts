import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/** Errors of reading a statement, under PostgreSQL's own texts and codes. */

/** Grammar actions that raise another code than 42601 (gram.y); libpg-query hands on the text only. */
function codeOf(message: string): string {
  if (/not yet implemented$|cannot be changed$/.test(message)) {
    return SqlState.FeatureNotSupported
  }
  if (message.startsWith("invalid byte sequence for encoding")) {
    return SqlState.CharacterNotInRepertoire
  }
  return message.startsWith("frame ") ? windowingError : SqlState.SyntaxError
}

const windowingError = "42P20"

/** `position` counts characters (code points) from 1, as the parser reports it; 0 = none. */
export function syntaxError(message: string, position: number): GatewayError {
  if (message.startsWith("memory exhausted")) return statementTooComplex(message)
  return new GatewayError({
    sqlState: codeOf(message),
    reason: "syntax_error",
    message,
    ...(position > 0 ? { position } : {}),
    safeToRetry: true,
  })
}

export function statementTooComplex(cause?: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.StatementTooComplex,
    reason: "statement_too_complex",
    message: "stack depth limit exceeded",
    hint: "Expressions or sub-queries are nested too deeply; split or simplify the statement.",
    safeToRetry: true,
    ...(cause === undefined ? {} : { cause }),
  })
}

export function statementTooLarge(bytes: number, bytesMax: number): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "statement_too_large",
    message: `statement of ${bytes} bytes exceeds the limit of ${bytesMax} bytes`,
    hint: "Load long lists of values into a table and join it.",
    safeToRetry: true,
  })
}

export function invalidText(text: string): GatewayError {
  const what = text.includes("\0") ? "0x00" : "a lone surrogate"
  return new GatewayError({
    sqlState: SqlState.CharacterNotInRepertoire,
    reason: "syntax_error",
    message: `invalid byte sequence for encoding "UTF8": ${what}`,
    safeToRetry: true,
  })
}
