import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"

/**
 * The question with the claims that the warehouse knows of its user, where its plan was refused for the want of one: what is
 * allowed without them does not depend on them, so that nothing is looked up for it. Undefined when there is nothing to look
 * up. A promise only when the warehouse has to be asked; it rejects with `claims_unavailable`.
 */
export function withClaims(
  question: Question,
  { verdict }: Plan,
  rooms: Rooms,
): Question | Promise<Question> | undefined {
  if (verdict.kind !== "refused" || verdict.reason !== "claim_missing") return undefined
  const { identity } = question
  const known = rooms.claims.of(identity, rooms.policy())
  if (known instanceof Promise) return known.then((ready) => ({ ...question, identity: ready }))
  return known === identity ? undefined : { ...question, identity: known }
}
