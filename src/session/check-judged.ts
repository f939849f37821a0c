import { judgeAgain } from "../pipeline/judge-again.ts"
import { checkNotRevoked } from "./identify.ts"
import type { Judged } from "./judged.ts"
import type { SessionState } from "./session-state.ts"

/**
 * Further rows of a cursor or portal are handed out while its reader may still log in and, after a change of the policies, would still be
 * given the same rows. Throws or rejects otherwise. A promise only after a change.
 */
export function checkJudged(
  judged: Judged | undefined,
  { origin }: SessionState,
): Promise<void> | undefined {
  // What the session answered itself.
  if (judged === undefined) return undefined
  checkNotRevoked(origin)
  const policy = origin.rooms.policy()
  if (policy === judged.policy) return undefined
  return again(judged, policy, origin)
}

async function again(
  judged: Judged,
  policy: Judged["policy"],
  { rooms }: SessionState["origin"],
): Promise<void> {
  await judgeAgain(judged.question, judged.canonical, rooms)
  judged.policy = policy
}
