import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { needsNewCatalog, planFor } from "./plan.ts"
import type { Question } from "./question.ts"
import { refusal } from "./refusal.ts"
import type { Rooms } from "./rooms.ts"
import { withClaims } from "./with-claims.ts"

/**
 * Whether rows that a question was given before may still be handed out under the policy in force: it must be allowed, and to
 * the same rows and columns. Rejects otherwise. `canonical`: what the warehouse was asked then.
 */
export async function judgeAgain(
  question: Question,
  canonical: string,
  rooms: Rooms,
): Promise<void> {
  const snapshot = rooms.catalog.current() ?? (await rooms.catalog.refreshNow())
  const plan = planFor(question.statement, question, snapshot, rooms)
  if (needsNewCatalog(plan, rooms)) {
    await rooms.catalog.refreshNow()
    return judgeAgain(question, canonical, rooms)
  }
  const known = await withClaims(question, plan, rooms)
  if (known !== undefined) return judgeAgain(known, canonical, rooms)
  if (plan.verdict.kind === "refused") throw refusal(plan.verdict)
  if (plan.asked.canonical === canonical) return
  throw new GatewayError({
    sqlState: SqlState.InsufficientPrivilege,
    reason: "row_policy_refused",
    message: "the policies on what this cursor reads have changed",
    hint: "Declare it again, or run the statement again.",
  })
}
