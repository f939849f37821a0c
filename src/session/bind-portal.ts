import { GatewayError, toGatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { BindMessage } from "../wire/frontend-messages.ts"
import { checkResultFormats } from "../wire/rows.ts"
import { checkBinaryWidths } from "./binary-widths.ts"
import { type Portal, type PreparedStatement, portalBytes } from "./named-objects.ts"
import { parameterCountOf } from "./parameter-types.ts"

/** The portal that a Bind asks for, its values not looked at yet. `depth` counts the savepoints under which it was bound. */
export function portalOf(message: BindMessage, prepared: PreparedStatement, depth: number): Portal {
  const expected = parameterCountOf(prepared)
  if (message.values.length !== expected)
    throw new GatewayError({
      sqlState: SqlState.ProtocolViolation,
      reason: "protocol_violation",
      message: `bind message supplies ${message.values.length} parameters, but prepared statement "${prepared.name}" requires ${expected}`,
    })
  const parameters = {
    types: prepared.describedTypes ?? prepared.parameterTypes,
    formats: message.parameterFormats,
    values: message.values,
  }
  return {
    name: message.portal,
    prepared,
    parameters,
    formats: message.resultFormats,
    bytes: portalBytes(parameters),
    run: undefined,
    boundMs: Date.now(),
    isFinished: false,
    depth,
  }
}

/**
 * What is wrong with a portal's values or result formats, as far as it is known without the warehouse. The portal exists
 * nevertheless, until its transaction ends: without a query, unless only the result formats did not fit (exec_bind_message,
 * postgres.c).
 */
export function faultOfBind(portal: Portal): GatewayError | undefined {
  const { parameters, prepared, name, formats } = portal
  try {
    checkBinaryWidths(parameters, name)
  } catch (thrown) {
    portal.isWithoutQuery = true
    return toGatewayError(thrown)
  }
  if (prepared.describedColumns === undefined) return undefined
  try {
    checkResultFormats(formats, prepared.describedColumns)
  } catch (thrown) {
    return toGatewayError(thrown)
  }
  return undefined
}
