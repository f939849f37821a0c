import { GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"

/** Something PostgreSQL has and DuckDB has not, or has with another meaning. */
export function unsupported(construct: string, hint?: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: `${construct} is not supported on this warehouse`,
    ...(hint === undefined ? {} : { hint }),
    safeToRetry: true,
  })
}

export function functionNotAllowed(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InsufficientPrivilege,
    reason: "function_not_allowed",
    message: `permission denied for function ${name}`,
    safeToRetry: true,
  })
}

/** The engine's own relations, files and other databases look like tables that are not there. */
export function undefinedRelation(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.UndefinedTable,
    reason: "warehouse_error",
    message: `relation "${name}" does not exist`,
    safeToRetry: true,
  })
}
