import type { StatementReport } from "../core/observation.ts"
import type { FormatCode } from "../core/parameters.ts"
import type { StoredResult } from "../core/result.ts"
import { type LocalColumn, type LocalValue, localResult } from "./local-result.ts"

const columns: readonly LocalColumn[] = [
  { name: "cache", type: "text" },
  { name: "reason", type: "text" },
  { name: "age_ms", type: "int8" },
  { name: "key", type: "text" },
  { name: "relations", type: "text" },
  { name: "time_bucket", type: "text" },
  { name: "hint", type: "text" },
  { name: "endpoint", type: "text" },
  { name: "parse_ms", type: "float8" },
  { name: "policy_ms", type: "float8" },
  { name: "cache_ms", type: "float8" },
  { name: "queue_ms", type: "float8" },
  { name: "warehouse_ms", type: "float8" },
  { name: "encode_ms", type: "float8" },
  { name: "tier", type: "text" },
  { name: "tokens", type: "text" },
]

/** Where the answer was kept; a follower's came from the memory of its leader's run. */
const tiers: Readonly<Partial<Record<StatementReport["cache"], string>>> = {
  hit_l1: "memory",
  hit_l2: "shared",
}

const rounded = (ms: number): number => Math.round(ms * 1000) / 1000

/** `SHOW sluice.last`: one row about the session's last statement that asked for data; none when there was none yet. */
export function lastReportResult(
  report: StatementReport | undefined,
  formats: readonly FormatCode[],
): StoredResult {
  const { row } = lastReportValues(report)
  return localResult(columns, row === undefined ? [] : [row], { tag: "SHOW", formats })
}

export function lastReportValues(report: StatementReport | undefined): {
  readonly columns: readonly LocalColumn[]
  readonly row: readonly LocalValue[] | undefined
} {
  if (report === undefined) return { columns, row: undefined }
  const { stages } = report
  const row = [
    report.cache,
    report.reason ?? null,
    report.ageMs === undefined ? null : Math.max(0, Math.round(report.ageMs)),
    report.key ?? null,
    report.relations.join(", "),
    report.timeBucket ?? null,
    report.hint ?? null,
    report.endpoint ?? null,
    rounded(stages.parseMs),
    rounded(stages.policyMs),
    rounded(stages.cacheMs),
    rounded(stages.queueMs),
    rounded(stages.warehouseMs),
    rounded(stages.encodeMs),
    tiers[report.cache] ?? null,
    report.tokens ?? null,
  ]
  return { columns, row }
}
