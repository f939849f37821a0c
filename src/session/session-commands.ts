import { GatewayError, unreachable } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import type { RowStream, StoredResult } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { FactColumn, SessionCommand, TransactionMode } from "../core/statement.ts"
import { checkedSetting } from "../pipeline/check-setting.ts"
import { closeCursor, fetchCommand } from "./cursor-commands.ts"
import { lastReportResult } from "./last-report.ts"
import { commandResult, type LocalColumn, type LocalValue, localResult } from "./local-result.ts"
import type { RunRequest } from "./run-outcome.ts"
import type { SessionState } from "./session-state.ts"
import { pathText, type SettingRule, settingRule, valuesOfText } from "./setting-table.ts"
import { unknownSetting } from "./setting-values.ts"
import { shownValue } from "./shown-value.ts"
import { signalBackend } from "./signal-backend.ts"
import { changeMode, modeOfSetting } from "./transaction-mode.ts"

/** What a session command gives back; `forward` asks for the statement to be run on the warehouse after all. */
export type CommandOutcome =
  | {
      readonly kind: "done"
      readonly result: StoredResult | RowStream
      readonly remarks: readonly Remark[]
    }
  | { readonly kind: "forward" }

const forward: CommandOutcome = { kind: "forward" }

function done(result: StoredResult | RowStream, remarks: readonly Remark[] = []): CommandOutcome {
  return { kind: "done", result, remarks }
}

export function runSessionCommand(
  command: SessionCommand,
  state: SessionState,
  { formats, parameters }: Pick<RunRequest, "formats" | "parameters">,
): CommandOutcome | Promise<CommandOutcome> {
  switch (command.kind) {
    case "set":
      return setCommand(command, state)
    case "set_transaction":
      return setTransaction(command.mode, command.isSession, state)
    case "reset":
      state.settings.set(changeable(command.name), undefined, false)
      return done(commandResult("RESET"))
    case "reset_all":
      state.settings.resetAll()
      return done(commandResult("RESET"))
    case "show":
      return show(command.name, state, formats)
    case "facts":
      return facts(command.columns, state, formats)
    case "discard":
      return discard(command.target, state)
    case "deallocate":
      return done(commandResult(command.name === undefined ? "DEALLOCATE ALL" : "DEALLOCATE"))
    case "close_cursor":
      closeCursor(command.name, state)
      return done(commandResult(command.name === undefined ? "CLOSE CURSOR ALL" : "CLOSE CURSOR"))
    case "signal_backend":
      return done(signalBackend({ command, state, parameters }, formats))
    case "fetch":
      return fetched(fetchCommand(command, state, formats))
    case "unlisten":
      return done(commandResult("UNLISTEN"))
    default:
      return unreachable(command)
  }
}

function fetched(rows: RowStream | Promise<RowStream>): CommandOutcome | Promise<CommandOutcome> {
  return rows instanceof Promise ? fetchedLater(rows) : done(rows)
}

async function fetchedLater(rows: Promise<RowStream>): Promise<CommandOutcome> {
  return done(await rows)
}

function changeable(name: string): SettingRule {
  const entry = settingRule(name)
  if (entry !== undefined) return entry
  if (/^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/i.test(name))
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "setting_not_changeable",
      message: `parameter "${name}" cannot be set through this gateway`,
      hint: "docs/ERRORS.md lists the settings that a session may change.",
    })
  throw unknownSetting(name)
}

const settingWarning: Remark = {
  severity: "WARNING",
  sqlState: SqlState.NoActiveSqlTransaction,
  message: "SET LOCAL can only be used in transaction blocks",
  hint: undefined,
}

function setCommand(
  command: Extract<SessionCommand, { kind: "set" }>,
  state: SessionState,
): CommandOutcome | Promise<CommandOutcome> {
  const mode = modeOfSetting(command, state)
  if (mode !== undefined) {
    changeMode(mode, state)
    return done(commandResult("SET"))
  }
  const remarks = command.isLocal && !state.transaction.isInBlock ? [settingWarning] : []
  const entry = changeable(command.name)
  const apply = (value: string | undefined): CommandOutcome => {
    state.settings.set(entry, value, command.isLocal)
    return done(commandResult("SET"), remarks)
  }
  if (command.values === undefined) return apply(undefined)
  if (entry.name === "search_path")
    return apply(pathText(command.values, (index) => command.numbers.includes(index)))
  const value = canonicalValue(entry, command.values, state)
  return typeof value === "string" ? apply(value) : value.then(apply)
}

/** By the table's rule, or by the engine where it knows better; that answer is remembered (pipeline/check-setting.ts). */
export function canonicalValue(
  entry: SettingRule,
  values: readonly string[],
  state: Pick<SessionState, "settings" | "origin" | "abort">,
): string | Promise<string> {
  if (!entry.isCheckedByEngine) return entry.canonical(values, state.settings.view)
  const [value] = values
  if (values.length !== 1 || value === undefined)
    return entry.canonical(values, state.settings.view)
  const checked = checkedSetting(entry.name, value, state.origin.rooms, state.abort.signal)
  if (typeof checked === "string") return checked
  return checked.then((answer) => answer ?? entry.canonical(values, state.settings.view))
}

function setTransaction(
  mode: TransactionMode,
  isSession: boolean,
  state: SessionState,
): CommandOutcome {
  const remarks = mode.readOnly === false && !state.mayWrite ? [readOnlyRemark] : []
  if (isSession) {
    const entry = settingRule("default_transaction_isolation")
    if (entry !== undefined && mode.isolation !== undefined)
      state.settings.set(entry, mode.isolation, false)
    return done(commandResult("SET"), remarks)
  }
  if (!state.transaction.isExplicit)
    return done(commandResult("SET"), [
      { ...settingWarning, message: "SET TRANSACTION can only be used in transaction blocks" },
    ])
  changeMode(mode, state)
  return done(commandResult("SET"), remarks)
}

/** READ WRITE is accepted, because drivers ask for it out of habit; a write then fails with 25006, and this says so ahead. */
export const readOnlyRemark: Remark = {
  severity: "WARNING",
  sqlState: SqlState.Warning,
  message: "transactions through this gateway are read-only",
  hint: undefined,
}

function show(name: string, state: SessionState, formats: readonly FormatCode[]): CommandOutcome {
  if (name.toLowerCase() === "sluice.last") return done(lastReportResult(state.lastReport, formats))
  const shown = shownValue(name, state)
  if (shown === undefined) {
    // Names under sluice. are the gateway's own: no warehouse is asked for one.
    const isOwn = name.toLowerCase().startsWith("sluice.")
    if (state.origin.rooms.engine === "postgres" && !isOwn) return forward
    throw unknownSetting(name)
  }
  return done(
    localResult([{ name: shown.label, type: "text" }], [[shown.value]], { tag: "SHOW", formats }),
  )
}

const factTypes: Readonly<Record<FactColumn["fact"]["kind"], LocalColumn["type"]>> = {
  version: "text",
  current_schema: "name",
  current_database: "name",
  current_user: "name",
  session_user: "name",
  backend_pid: "int4",
  current_setting: "text",
  set_config: "text",
  no_locks: "void",
}

export function factColumns(columns: readonly FactColumn[]): readonly LocalColumn[] {
  return columns.map((column) => ({ name: column.label, type: factTypes[column.fact.kind] }))
}

function facts(
  columns: readonly FactColumn[],
  state: SessionState,
  formats: readonly FormatCode[],
): CommandOutcome | Promise<CommandOutcome> {
  // Only the warehouse knows settings that the gateway does not keep. It is asked for nothing else in the same breath: what
  // it would say of the user is not the client's, and a set_config would change a connection that others use next.
  const isForeign = ({ fact }: FactColumn): boolean =>
    fact.kind === "current_setting" && shownValue(fact.name, state) === undefined
  const foreign = state.origin.rooms.engine === "postgres" ? columns.find(isForeign) : undefined
  if (foreign !== undefined && columns.every(isForeign)) return forward
  if (foreign !== undefined) throw askedTogether()
  const values = columns.map((column) => factValue(column, state))
  const finish = (row: readonly LocalValue[]): CommandOutcome =>
    done(localResult(factColumns(columns), [row], { tag: "SELECT 1", formats }))
  const ready = values.filter((value): value is LocalValue => !(value instanceof Promise))
  return ready.length === values.length
    ? finish(ready)
    : Promise.all(values.map(async (value) => value)).then(finish)
}

function factValue(column: FactColumn, state: SessionState): LocalValue | Promise<LocalValue> {
  const { fact } = column
  switch (fact.kind) {
    case "version":
      return state.origin.rooms.serverFacts().versionText
    case "current_schema":
      return currentSchema(state)
    case "current_database":
      return state.origin.database
    case "current_user":
    case "session_user":
      return state.origin.identity.user
    case "no_locks":
      return ""
    case "backend_pid":
      return state.origin.processId
    case "current_setting": {
      const shown = shownValue(fact.name, state)
      if (shown === undefined && !fact.missingOk) throw unknownSetting(fact.name)
      return shown?.value ?? null
    }
    case "set_config": {
      const entry = changeable(fact.name)
      if (typeof fact.value !== "string") {
        state.settings.set(entry, undefined, fact.isLocal)
        return state.settings.get(entry.name)
      }
      const keep = (value: string): string => {
        state.settings.set(entry, value, fact.isLocal)
        return value
      }
      const value = canonicalValue(entry, valuesOfText(entry, fact.value), state)
      return typeof value === "string" ? keep(value) : value.then(keep)
    }
    default:
      return unreachable(fact)
  }
}

/** The first schema of search_path that exists (PostgreSQL manual, current_schema); NULL when none does. */
function currentSchema(state: SessionState): string | null {
  return (
    state.settings.view.searchPath.find((schema) => state.origin.rooms.hasSchema(schema)) ?? null
  )
}

function discard(target: string, state: SessionState): CommandOutcome {
  if (target === "all") {
    if (state.transaction.isInBlock)
      throw new GatewayError({
        sqlState: SqlState.ActiveSqlTransaction,
        reason: "transaction_state",
        message: "DISCARD ALL cannot run inside a transaction block",
      })
    state.cursors.close(undefined)
    state.settings.resetAll()
  }
  return done(commandResult(`DISCARD ${target.toUpperCase()}`))
}

function askedTogether(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: "a setting of the warehouse cannot be asked for beside facts of the session",
    hint: "Ask for it in a statement of its own.",
  })
}
