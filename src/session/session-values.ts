import type { ActivityRow, SessionValues } from "../core/session-values.ts"
import { type Backend, isSamePrincipal } from "./backend.ts"
import { cursorRows, preparedRows } from "./own-objects.ts"
import type { SessionState } from "./session-state.ts"
import { shownValue } from "./shown-value.ts"

/** track_activity_query_size: what pg_stat_activity keeps of a statement, in characters. */
const queryLengthMax = 1023

/** Sessions that one answer shows, oldest first: their texts go to the warehouse as literals, 1 kB each. */
const activityRowsMax = 500

/** What a statement of this session may ask about it. */
export function sessionValues(state: SessionState, holdsOwnObjects = false): SessionValues {
  const { identity, database, processId, address, rooms } = state.origin
  return {
    engine: rooms.engine,
    user: identity.user,
    database,
    processId,
    address,
    setting: (name) => shownValue(name, state)?.value,
    activity: () => visibleRows(state),
    preparedStatements: () => preparedRows(state),
    cursors: () => cursorRows(state),
    holdsOwnObjects,
  }
}

/** The reader's own sessions; those of others are not there at all. */
function visibleRows({ origin }: SessionState): readonly ActivityRow[] {
  const rows: ActivityRow[] = []
  for (const backend of origin.registry.backends()) {
    if (!isSamePrincipal(backend.origin.identity, origin.identity)) continue
    rows.push(rowOf(backend))
    if (rows.length === activityRowsMax) break
  }
  return rows
}

function rowOf({ origin, activity }: Backend): ActivityRow {
  const { client } = origin.address ?? {}
  return {
    datname: origin.database,
    pid: origin.processId,
    usename: origin.identity.user,
    applicationName: activity.applicationName,
    clientAddress: client?.address,
    clientPort: client?.port,
    backendStart: timestamp(activity.backendStartMs),
    transactionStart: timestampOf(activity.transactionStartMs),
    queryStart: timestampOf(activity.queryStartMs),
    stateChange: timestamp(activity.stateChangeMs),
    state: activity.state,
    query: activity.statement?.text.slice(0, queryLengthMax).toWellFormed() ?? "",
  }
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString()
}

function timestampOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : timestamp(ms)
}
