import type { FormatCode } from "../core/parameters.ts"
import type { Statement } from "../core/statement.ts"
import { changeFormats } from "../wire/rows.ts"
import { lastReportResult } from "./last-report.ts"
import { localResult } from "./local-result.ts"
import { factColumns } from "./session-commands.ts"
import type { SessionState } from "./session-state.ts"
import { settingRule } from "./setting-table.ts"

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
      return command.name.toLowerCase() === "sluice.last"
        ? lastReportResult(undefined, formats).description
        : oneTextColumn(settingRule(command.name)?.name ?? command.name.toLowerCase(), formats)
    case "facts":
      return localResult(factColumns(command.columns), [], { tag: "SELECT 0", formats }).description
    case "fetch": {
      if (command.isMove) return undefined
      const portal = state.cursors.find(command.cursor) ?? state.objects.findPortal(command.cursor)
      const description =
        portal !== undefined && "prepared" in portal
          ? portal.run?.outcome.result.description
          : state.cursors.get(command.cursor).rows.description
      return description === undefined || formats.length === 0
        ? description
        : changeFormats(description, formats)
    }
    default:
      return undefined
  }
}

function oneTextColumn(name: string, formats: readonly FormatCode[]): Buffer | undefined {
  return localResult([{ name, type: "text" }], [], { tag: "SHOW", formats }).description
}
