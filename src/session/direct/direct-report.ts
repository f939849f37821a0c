import type { StatementEnd, StatementReport } from "../../core/observation.ts"
import type { Statement } from "../../core/statement.ts"

const noStages = { parseMs: 0, policyMs: 0, cacheMs: 0, queueMs: 0, warehouseMs: 0, encodeMs: 0 }

/** The report of a statement of a session that writes: it was forwarded, and nothing of it was looked up or stored. */
export function directReport(warehouse: string, statement: Statement): StatementReport {
  return {
    warehouse,
    statement: statement.class.kind,
    cache: "bypass",
    reason: "write_session",
    ageMs: undefined,
    key: undefined,
    tokens: undefined,
    relations: [],
    endpoint: undefined,
    stages: noStages,
  }
}

/** Rows and bytes pass uncounted. */
export function directEnd(startMs: number, hasFailed: boolean): StatementEnd {
  return {
    durationMs: performance.now() - startMs,
    rowCount: 0,
    byteCount: 0,
    outcome: hasFailed ? "error" : "ok",
    errorReason: hasFailed ? "warehouse_error" : undefined,
    sqlState: undefined,
  }
}

/** What `SHOW sluice.last` tells of. */
export function isAskedFor({ class: { kind } }: Statement): boolean {
  return kind !== "session" && kind !== "transaction"
}
