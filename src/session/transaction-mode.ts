import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { SessionCommand, TransactionMode } from "../core/statement.ts"
import type { SessionState } from "./session-state.ts"
import { isolationValue } from "./setting-table.ts"
import { booleanValue, takesOneArgument } from "./setting-values.ts"
import { currentIsolation } from "./shown-value.ts"

/**
 * transaction_isolation and transaction_deferrable, which SET knows as settings (PostgreSQL manual, 19.11): the mode that such a
 * SET asks for; undefined for every other setting.
 */
export function modeOfSetting(
  command: Extract<SessionCommand, { kind: "set" }>,
  state: SessionState,
): TransactionMode | undefined {
  const { name, values } = command
  if (name !== "transaction_isolation" && name !== "transaction_deferrable") return undefined
  const [value, ...more] = values ?? [state.settings.get(`default_${name}`)]
  if (value === undefined || more.length > 0) throw takesOneArgument(name)
  const none = { isolation: undefined, readOnly: undefined, deferrable: undefined }
  return name === "transaction_isolation"
    ? { ...none, isolation: isolationValue(name, value) }
    : { ...none, deferrable: booleanValue(name, value) === "on" }
}

/** Takes effect in the open transaction; outside one, such a SET is accepted and over at once. */
export function changeMode(mode: TransactionMode, state: SessionState): void {
  const { transaction } = state
  if (!transaction.isExplicit) return
  if (mode.isolation !== undefined && mode.isolation !== currentIsolation(state)) {
    checkIsolationChange(state)
    transaction.isolation = mode.isolation
    state.openScope()
  }
  const { deferrable } = mode
  if (deferrable !== undefined) {
    checkDeferrableChange(state)
    const asked = transaction.mode ?? { isolation: undefined, readOnly: undefined }
    transaction.mode = { ...asked, deferrable }
  }
}

/** check_transaction_isolation (variable.c): before the first query, and not below a savepoint. */
function checkIsolationChange(state: SessionState): void {
  if (state.scope?.hasQueried === true)
    throw tooLate("SET TRANSACTION ISOLATION LEVEL must be called before any query")
  if (state.transaction.savepointNames.length > 0)
    throw tooLate("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
}

/** check_transaction_deferrable (variable.c): asks in the other order, and even when nothing would change. */
function checkDeferrableChange(state: SessionState): void {
  if (state.transaction.savepointNames.length > 0)
    throw tooLate("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction")
  if (state.scope?.hasQueried === true)
    throw tooLate("SET TRANSACTION [NOT] DEFERRABLE must be called before any query")
}

function tooLate(message: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ActiveSqlTransaction,
    reason: "transaction_state",
    message,
  })
}
