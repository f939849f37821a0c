import type { Statement } from "../../core/statement.ts"
import { lastReportValues } from "../last-report.ts"
import type { LocalValue } from "../local-result.ts"
import type { SessionState } from "../session-state.ts"
import { settingRule } from "../setting-table.ts"
import { factsText } from "./facts-text.ts"
import { signalText } from "./signals.ts"

/** The text to send for what is the gateway's own to answer; undefined when the warehouse's own answer is right. */
export function ownText(statement: Statement, state: SessionState): string | undefined {
  const { class: statementClass } = statement
  if (statementClass.kind !== "session") return undefined
  const { command } = statementClass
  if (command.kind === "signal_backend") return signalText(command)
  if (command.kind === "facts") return factsText(statement, state)
  return command.kind === "show" ? showText(command.name.toLowerCase(), state) : undefined
}

/** Settings under `sluice.` are known to the warehouse only once this session has set them there. */
function showText(name: string, state: SessionState): string | undefined {
  if (name === "sluice.last") return lastReportText(state)
  const rule = name.startsWith("sluice.") ? settingRule(name) : undefined
  if (rule === undefined) return undefined
  const known = literal(state.settings.get(name))
  return `SELECT coalesce(nullif(pg_catalog.current_setting('${rule.name}', true), ''), ${known}) AS "${rule.name}"`
}

function lastReportText({ lastReport }: SessionState): string {
  const { columns, row } = lastReportValues(lastReport)
  const items = columns.map(
    ({ name, type }, index) => `${literal(row?.[index] ?? null)}::pg_catalog.${type} AS ${name}`,
  )
  return `SELECT ${items.join(", ")}${row === undefined ? " WHERE false" : ""}`
}

function literal(value: LocalValue): string {
  return value === null ? "NULL" : `'${String(value).replaceAll("'", "''")}'`
}
