import { commandComplete, portalSuspended } from "../wire/backend-messages.ts"
import { checkJudged } from "./check-judged.ts"
import { FetchedRows } from "./cursor-rows.ts"
import type { Delivery } from "./delivery.ts"
import { ResultCursor } from "./result-cursor.ts"
import type { SessionState } from "./session-state.ts"
import { type SqlCursor, underSettings } from "./sql-cursors.ts"
import { transactionFailed } from "./statement-runner.ts"

/** A cursor of DECLARE is a portal: Execute hands out its next rows, at most `rowsMax` (0 = all). */
export async function executeCursor(
  cursor: SqlCursor,
  rowsMax: number,
  { state, delivery }: { readonly state: SessionState; readonly delivery: Delivery },
): Promise<void> {
  if (state.transaction.status === "E") throw transactionFailed()
  await checkJudged(cursor.judged, state)
  const rows = await underSettings(cursor, state.settings.view)
  const count = rowsMax === 0 ? Number.POSITIVE_INFINITY : rowsMax
  const fetched = new FetchedRows(rows, {
    kind: "fetch",
    cursor: cursor.name,
    direction: "forward",
    count,
    isMove: false,
  })
  const { output, tellNotices } = delivery
  const result = new ResultCursor(fetched)
  const sent = await result.send(output, Number.POSITIVE_INFINITY, tellNotices)
  output.write(sent === count ? portalSuspended : commandComplete(`SELECT ${sent}`))
}
