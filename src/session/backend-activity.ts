import type { BackendActivity } from "./backend.ts"
import type { Delivery } from "./delivery.ts"
import type { SessionState } from "./session-state.ts"

/** What a session does now, as pg_stat_activity tells it (PostgreSQL manual, 27.2.3). */
export function activityOf(
  state: SessionState,
  delivery: Delivery,
  backendStartMs: number,
): BackendActivity {
  const { last } = delivery
  const isRunning = last?.isRunning === true
  const { status } = state.transaction
  const queryStartMs = last === undefined ? undefined : onWallClock(last.startMs)
  const idle = last === undefined ? backendStartMs : onWallClock(last.endMs)
  return {
    applicationName: state.settings.get("application_name"),
    state: isRunning ? "active" : idleStates[status],
    statement: last?.statement,
    backendStartMs,
    transactionStartMs: transactionStart(state, isRunning ? queryStartMs : undefined),
    queryStartMs,
    stateChangeMs: isRunning ? (queryStartMs ?? backendStartMs) : idle,
  }
}

const idleStates = {
  I: "idle",
  T: "idle in transaction",
  E: "idle in transaction (aborted)",
} as const

function transactionStart(state: SessionState, implicitMs: number | undefined): number | undefined {
  return state.transaction.isExplicit ? state.transactionStartMs : implicitMs
}

function onWallClock(monotonicMs: number): number {
  return performance.timeOrigin + monotonicMs
}
