import type { SessionState } from "./session-state.ts"
import { settingRule } from "./setting-table.ts"

/** Names that SQL gives to settings of its own (PostgreSQL manual, SHOW). */
const settingAliases: Readonly<Record<string, string>> = {
  timezone: "TimeZone",
  transaction_isolation: "transaction_isolation",
  "transaction isolation level": "transaction_isolation",
  session_authorization: "session_authorization",
}

/** A setting's value as SHOW prints it, or undefined when only the warehouse knows. */
export function shownValue(
  name: string,
  state: SessionState,
): { readonly label: string; readonly value: string } | undefined {
  const alias = settingAliases[name.toLowerCase()] ?? name
  if (alias === "transaction_isolation") return { label: alias, value: currentIsolation(state) }
  if (alias.toLowerCase() === "transaction_deferrable")
    return { label: "transaction_deferrable", value: currentDeferrable(state) ? "on" : "off" }
  if (alias.toLowerCase() === "is_superuser") return { label: "is_superuser", value: "off" }
  if (alias.toLowerCase() === "session_authorization")
    return { label: "session_authorization", value: state.origin.identity.user }
  const entry = settingRule(alias)
  // The rule's value is what readers have.
  if (entry !== undefined && state.mayWrite && readOnlySettings.has(entry.name))
    return { label: entry.name, value: isReadOnly(entry.name, state) ? "on" : "off" }
  if (entry !== undefined) return { label: entry.name, value: state.settings.get(alias) }
  const reported = state.origin.rooms.serverFacts().parameters.get(alias.toLowerCase())
  return reported === undefined ? undefined : { label: alias.toLowerCase(), value: reported }
}

const readOnlySettings: ReadonlySet<string> = new Set([
  "default_transaction_read_only",
  "transaction_read_only",
])

function isReadOnly(name: string, { transaction }: SessionState): boolean {
  return name === "transaction_read_only" && transaction.mode?.readOnly === true
}

export function currentIsolation(state: SessionState): string {
  const level = state.transaction.isExplicit ? state.transaction.isolation : undefined
  return level ?? state.settings.get("default_transaction_isolation")
}

export function currentDeferrable({ transaction, settings }: SessionState): boolean {
  const asked = transaction.isExplicit ? transaction.mode?.deferrable : undefined
  return asked ?? settings.get("default_transaction_deferrable") === "on"
}
