import { unreachable } from "../../core/errors.ts"
import type { FactColumn, Statement } from "../../core/statement.ts"
import type { SessionState } from "../session-state.ts"

/** Facts that are the gateway's own to tell: on the warehouse they would name its role, its database, its process. */
const ownFacts: ReadonlySet<FactColumn["fact"]["kind"]> = new Set([
  "current_user",
  "session_user",
  "backend_pid",
  "current_database",
])

/**
 * The text to send in place of a SELECT of facts of the session; undefined when the warehouse's own answer is
 * right. Values are the gateway's own, quoted as literals (standard_conforming_strings is always on).
 */
export function factsText(statement: Statement, state: SessionState): string | undefined {
  const { class: statementClass } = statement
  if (statementClass.kind !== "session" || statementClass.command.kind !== "facts") return undefined
  const { columns } = statementClass.command
  if (!columns.some(({ fact }) => ownFacts.has(fact.kind))) return undefined
  const items = columns.map(
    ({ label, fact }) => `${expression(fact, state)} AS "${label.replaceAll('"', '""')}"`,
  )
  return `SELECT ${items.join(", ")}`
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function settingText(value: string | number | null): string {
  if (value === null) return "NULL"
  return typeof value === "number" ? `$${value}` : literal(value)
}

function expression(fact: FactColumn["fact"], { origin }: SessionState): string {
  switch (fact.kind) {
    case "current_user":
    case "session_user":
      return `${literal(origin.identity.user)}::pg_catalog.name`
    case "current_database":
      return `${literal(origin.database)}::pg_catalog.name`
    case "backend_pid":
      return String(origin.processId)
    case "version":
    case "current_schema":
      return `pg_catalog.${fact.kind}()`
    case "no_locks":
      return "pg_catalog.pg_advisory_unlock_all()"
    case "current_setting":
      return `pg_catalog.current_setting(${literal(fact.name)}, ${fact.missingOk})`
    case "set_config":
      return `pg_catalog.set_config(${literal(fact.name)}, ${settingText(fact.value)}, ${fact.isLocal})`
    default:
      return unreachable(fact)
  }
}
