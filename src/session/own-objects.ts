import type { Portal, PreparedStatement } from "./named-objects.ts"
import type { SessionState } from "./session-state.ts"
import type { SqlCursor } from "./sql-cursors.ts"

type Row = readonly (string | undefined)[]

/** Rows of one answer, oldest first: texts go to the warehouse as literals, each cut to `textCharsMax`. */
const rowsMax = 500
const textCharsMax = 10_000

/** pg_prepared_statements (PostgreSQL manual, 53.16). Result types and plans are the warehouse's and not known here. */
export function preparedRows({ objects }: SessionState): readonly Row[] {
  const named = objects.allPrepared().filter(({ name }) => name !== "")
  return named.slice(0, rowsMax).map(preparedRow)
}

function preparedRow(prepared: PreparedStatement): Row {
  const { name, origin, describedTypes, parameterTypes } = prepared
  const types = `{${(describedTypes ?? parameterTypes).join(",")}}`
  return [
    name,
    shown(origin.text),
    time(origin.ms),
    types,
    undefined,
    String(origin.isSql),
    "0",
    "0",
  ]
}

/** pg_cursors (PostgreSQL manual, 53.8): those of DECLARE, and named portals. */
export function cursorRows({ cursors, objects }: SessionState): readonly Row[] {
  const portals = objects.allPortals().filter(({ name }) => name !== "")
  return [...cursors.all().map(cursorRow), ...portals.map(portalRow)].slice(0, rowsMax)
}

function cursorRow({ name, origin, isHeld, isBinary, isScrollable }: SqlCursor): Row {
  return [
    name,
    shown(origin.text),
    String(isHeld),
    String(isBinary),
    String(isScrollable),
    time(origin.ms),
  ]
}

function portalRow({ name, prepared, formats, boundMs }: Portal): Row {
  const isBinary = formats[0] === 1
  return [name, shown(prepared.origin.text), "false", String(isBinary), "false", time(boundMs)]
}

function shown(text: string): string {
  return text.slice(0, textCharsMax).toWellFormed()
}

function time(ms: number): string {
  return new Date(ms).toISOString()
}
