import { GatewayError } from "../core/errors.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { SessionCommand, StatementClass } from "../core/statement.ts"
import { ask } from "./ask.ts"
import { checkJudged } from "./check-judged.ts"
import { type CursorHistory, CursorRows, FetchedRows } from "./cursor-rows.ts"
import { commandResult } from "./local-result.ts"
import type { Portal } from "./named-objects.ts"
import { ResultCursor } from "./result-cursor.ts"
import { checkRowSettings } from "./row-settings.ts"
import type { RunOutcome, RunRequest } from "./run-outcome.ts"
import { cursorExists } from "./session-errors.ts"
import type { SessionState } from "./session-state.ts"
import { inFormats, type SqlCursor, underSettings } from "./sql-cursors.ts"

/** DECLARE: runs the query; its rows stand still until they are fetched. */
export async function openCursor(
  request: RunRequest,
  cursor: DeclaredCursor,
  state: SessionState,
): Promise<RunOutcome> {
  if (!state.transaction.isInBlock && !cursor.isHeld)
    throw new GatewayError({
      sqlState: SqlState.NoActiveSqlTransaction,
      reason: "transaction_state",
      message: "DECLARE CURSOR can only be used in transaction blocks",
    })
  state.cursors.checkFree(cursor.name)
  if (state.objects.findPortal(cursor.name) !== undefined) throw cursorExists(cursor.name)
  const { parseMs, parameters, protocol } = request
  const run = async (formats: readonly FormatCode[]): Promise<RunOutcome> =>
    ask({ statement: cursor.query, parseMs, parameters, formats, protocol }, state)
  const formats: readonly FormatCode[] = cursor.isBinary ? [1] : []
  const settings = state.settings.view
  const outcome = await run(formats)
  const result = new ResultCursor(outcome.result)
  const history = historyOf(cursor, state)
  // Outside a transaction block a WITH HOLD cursor's transaction ends with this statement.
  const isKept = !state.transaction.isInBlock
  if (isKept) await result.spool(state.limits.spoolBytesMax, state.memory)
  const depth = state.transaction.savepointNames.length
  const { name, isHeld } = cursor
  const rows = new CursorRows(result, history, state.memory)
  const reopen: SqlCursor["reopen"] = async (other) => {
    const now = state.settings.view
    const again = new ResultCursor((await run(other)).result)
    return { rows: new CursorRows(again, history, state.memory), settings: now }
  }
  state.cursors.add({
    name,
    isHeld,
    isBinary: cursor.isBinary,
    isBound: parameters.values.length > 0,
    isScrollable: !cursor.isNoScroll,
    origin: { text: request.statement.text, ms: Date.now(), isSql: true },
    query: cursor.query,
    formats,
    rows,
    isKept,
    depth,
    settings,
    judged: outcome.judged,
    reopen,
  })
  return {
    result: commandResult("DECLARE CURSOR"),
    report: outcome.report,
    remarks: outcome.remarks,
  }
}

type DeclaredCursor = Extract<StatementClass, { kind: "cursor" }>

/**
 * PostgreSQL lets a cursor that was declared neither SCROLL nor NO SCROLL go back where its plan happens to allow it. Here it can as
 * long as what it has handed out is small: a large result that is only read forward is not kept.
 */
function historyOf(cursor: DeclaredCursor, state: SessionState): CursorHistory {
  if (cursor.isNoScroll) return { kind: "none" }
  const { spoolBytesMax } = state.limits
  if (cursor.isScroll) return { kind: "whole", bytesMax: spoolBytesMax }
  return { kind: "recent", bytesMax: Math.min(undeclaredHistoryBytesMax, spoolBytesMax) }
}

/** Rows kept of a cursor that was not declared SCROLL. */
const undeclaredHistoryBytesMax = 256 * 1024

/** FETCH and MOVE. */
export function fetchCommand(
  command: Extract<SessionCommand, { kind: "fetch" }>,
  state: SessionState,
  formats: readonly FormatCode[],
): RowStream | Promise<RowStream> {
  const portal = state.cursors.find(command.cursor) ?? state.objects.findPortal(command.cursor)
  if (portal !== undefined && "prepared" in portal && portal.name !== "")
    return portalRows(portal, state).then((rows) => new FetchedRows(rows, command))
  const cursor = state.cursors.get(command.cursor)
  const checked = checkJudged(cursor.judged, state)
  return checked === undefined
    ? fetched(cursor, command, state, formats)
    : checked.then(() => fetched(cursor, command, state, formats))
}

function fetched(
  cursor: SqlCursor,
  command: Extract<SessionCommand, { kind: "fetch" }>,
  state: SessionState,
  formats: readonly FormatCode[],
): RowStream | Promise<RowStream> {
  // A simple FETCH names no formats and takes the cursor's own.
  const isOtherFormat = formats.length > 0 && isBinary(formats) !== isBinary(cursor.formats)
  if (isOtherFormat)
    return inFormats(cursor, formats).then((rows) => new FetchedRows(rows, command))
  const rows = command.isMove ? cursor.rows : underSettings(cursor, state.settings.view)
  return rows instanceof Promise
    ? rows.then((ready) => new FetchedRows(ready, command))
    : new FetchedRows(rows, command)
}

/** A portal of Bind is a cursor, too (PostgreSQL manual, 54.2.3): FETCH goes on where Execute stopped. Forward only. */
async function portalRows(portal: Portal, state: SessionState): Promise<CursorRows> {
  checkRowSettings(portal, state.settings.view)
  await checkJudged(portal.run?.outcome.judged, state)
  if (portal.rows !== undefined) return portal.rows
  const { statement, parseMs } = portal.prepared
  if (portal.run === undefined) {
    if (statement?.class.kind !== "read")
      throw new GatewayError({
        sqlState: SqlState.FeatureNotSupported,
        reason: "construct_unsupported",
        message: `portal "${portal.name}" cannot be fetched from before it was executed`,
      })
    const { parameters, formats } = portal
    const settings = state.settings.view
    const outcome = await ask(
      { statement, parseMs, parameters, formats, protocol: "extended" },
      state,
    )
    portal.run = { outcome, cursor: new ResultCursor(outcome.result), settings }
  }
  portal.rows = new CursorRows(portal.run.cursor, { kind: "none" }, state.memory)
  return portal.rows
}

/** CLOSE: a cursor, or a portal of Bind; without a name all of them. */
export function closeCursor(name: string | undefined, state: SessionState): void {
  if (name !== undefined && name !== "" && state.cursors.find(name) === undefined) {
    if (state.objects.findPortal(name) !== undefined) {
      state.objects.closePortal(name)
      return
    }
  }
  state.cursors.close(name)
  if (name === undefined) state.objects.closeNamedPortals()
}

function isBinary(formats: readonly FormatCode[]): boolean {
  return formats.includes(1)
}
