import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted, Statement } from "../core/statement.ts"
import { isPublicCatalogue } from "../policy/judge.ts"
import type { EffectivePolicy } from "../policy/policy.ts"
import { emitTree } from "../sql/emit.ts"
import { isAnalyze } from "../sql/explain-options.ts"
import type { Estimate } from "./estimate.ts"
import type { Plan } from "./plan-memo.ts"

/** True when the role's policy wants to know the cost of this statement before it runs. */
export function needsEstimate(plan: Plan): boolean {
  if (plan.verdict.kind !== "allowed") return false
  const { costMax, rowsEstimatedMax } = plan.verdict.policy.guards
  if (costMax === undefined && rowsEstimatedMax === undefined) return false
  // The system catalogue is small, and tools ask it about everything else.
  if (plan.relations.length > 0 && plan.relations.every(isPublicCatalogue)) return false
  const { statement } = plan.asked
  return statement.class.kind === "read" || isAnalyze(statement.ast)
}

/** What is planned for the estimate: the text that would run, or the query of an EXPLAIN ANALYZE, which runs it. */
export function queryToEstimate(emitted: Emitted, { class: statementClass }: Statement): Emitted {
  return statementClass.kind === "explain" ? emitTree(statementClass.inner) : emitted
}

/**
 * Throws 54000 (`cost_limit_exceeded`) above a limit. Who reads under a row or column policy is told no number: the
 * estimates come from rows that the policy hides.
 */
export function checkEstimate(
  estimate: Estimate,
  { guards }: EffectivePolicy,
  isGoverned: boolean,
): void {
  const { costMax, rowsEstimatedMax } = guards
  const isCost = estimate.cost > (costMax ?? Infinity)
  if (!isCost && estimate.rows <= (rowsEstimatedMax ?? Infinity)) return
  const [found, limit] = isCost ? [estimate.cost, costMax] : [estimate.rows, rowsEstimatedMax]
  const what = isCost ? "cost" : "number of rows"
  throw new GatewayError({
    sqlState: SqlState.ProgramLimitExceeded,
    reason: "cost_limit_exceeded",
    message: isGoverned
      ? `the estimated ${what} is above the limit`
      : `the estimated ${what} of ${rounded(found)} is above the limit of ${limit}`,
    hint: "Restrict the statement further; the limit belongs to your role at the gateway.",
    safeToRetry: false,
    stage: "bind",
  })
}

/** Two digits: an estimate has no more. */
function rounded(value: number): string {
  return String(Number(value.toPrecision(2)))
}
