import type { FormatCode } from "../core/parameters.ts"
import type { Statement } from "../core/statement.ts"
import { changeFormats } from "../wire/rows.ts"
import { lastReportResult } from "./last-report.ts"
import { localResult } from "./local-result.ts"
import { factColumns } from "./session-commands.ts"
import type { SessionState } from "./session-state.ts"
import { shownValue } from "./shown-value.ts"
import { signalColumns } from "./signal-backend.ts"

/** RowDescription of what the session answers itself; undefined where there are no rows (NoData). */
export function describeLocal(
  statement: Statement,
  state: SessionState,
  formats: readonly FormatCode[],
): Buffer | undefined {
  if (statement.class.kind !== "session") return undefined
  const { command } = statement.class
  switch (command.kind) {
    case "show":
      return describeShow(command.name.toLowerCase(), state, formats)
    case "facts":
      return localResult(factColumns(command.columns), [], { tag: "SELECT 0", formats }).description
    case "signal_backend":
      return localResult(signalColumns(command), [], { tag: "SELECT 0", formats }).description
    case "fetch": {
      if (command.isMove) return undefined
      const portal = state.cursors.find(command.cursor) ?? state.objects.findPortal(command.cursor)
      // PostgreSQL asks for the portal when the FETCH is run (FetchStatementTargetList gives nothing for an unknown one).
      if (portal === undefined) return undefined
      const description =
        "prepared" in portal ? portal.run?.outcome.result.description : portal.rows.description
      return description === undefined || formats.length === 0
        ? description
        : changeFormats(description, formats)
    }
    default:
      return undefined
  }
}

function describeShow(
  name: string,
  state: SessionState,
  formats: readonly FormatCode[],
): Buffer | undefined {
  if (name === "sluice.last") return lastReportResult(undefined, formats).description
  const labels =
    name === "all" ? ["name", "setting", "description"] : [shownValue(name, state)?.label ?? name]
  const columns = labels.map((label) => ({ name: label, type: "text" as const }))
  return localResult(columns, [], { tag: "SHOW", formats }).description
}
