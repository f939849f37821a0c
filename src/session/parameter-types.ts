import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { undefinedParameter } from "../pipeline/answer.ts"
import { sessionParameterTypes } from "./bound-facts.ts"
import type { PreparedStatement } from "./named-objects.ts"
import { signalParameterTypes } from "./signal-backend.ts"

/** How many values a Bind of this statement must bring. */
export function parameterCountOf(prepared: PreparedStatement): number {
  const statementClass = askedStatement(prepared.statement)?.class
  const used =
    statementClass?.kind === "read" || statementClass?.kind === "explain"
      ? statementClass.traits.parameterCount
      : 0
  return Math.max(used, parameterTypesOf(prepared).length)
}

/** Whose parameters those of a statement are: DECLARE's are its query's. */
export function askedStatement(statement: Statement | undefined): Statement | undefined {
  return statement?.class.kind === "cursor" ? statement.class.query : statement
}

/** Types of the parameters of what the session answers itself: as Parse declared them, else as the statement uses them. */
export function parameterTypesOf({
  statement,
  parameterTypes,
}: PreparedStatement): readonly number[] {
  if (statement?.class.kind !== "session") return parameterTypes
  const { command } = statement.class
  if (command.kind === "facts") return sessionParameterTypes(command, parameterTypes)
  if (command.kind !== "signal_backend") return parameterTypes
  const inferred = signalParameterTypes(command)
  const count = Math.max(inferred.length, parameterTypes.length)
  return Array.from({ length: count }, (_, index) => parameterTypes[index] || inferred[index] || 0)
}

/** `SELECT $2`: nothing tells the type of $1 unless Parse declares it (parse_param.c). */
export function checkParameterGap(
  parsed: Statement | undefined,
  declared: readonly number[],
): void {
  const statement = askedStatement(parsed)
  const statementClass = statement?.class
  if (statement === undefined) return
  if (statementClass?.kind !== "read" && statementClass?.kind !== "explain") return
  const { parameterGap, usesParameterZero } = statementClass.traits
  if (usesParameterZero) throw undefinedParameter(statement)
  if (parameterGap === 0 || declared[parameterGap - 1]) return
  throw new GatewayError({
    sqlState: SqlState.IndeterminateDatatype,
    reason: "invalid_parameter",
    message: `could not determine data type of parameter $${parameterGap}`,
    safeToRetry: true,
  })
}
