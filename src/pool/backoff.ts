/** First pause after a failed connect. A restarted PostgreSQL is back in 20-200 ms, so that one early look pays. */
export const backoffMsMin = 100
/** Longest pause: what an operator waits at most after the warehouse is back. */
export const backoffMsMax = 5_000
/** Share of a pause that is random, so that a fleet does not knock in step. */
const jitterShare = 0.2

/** Pause before the next attempt, in milliseconds, after so many failures in a row (1 = the first). */
export function backoffMs(failureCount: number, random: number): number {
  const full = Math.min(backoffMsMax, backoffMsMin * 2 ** Math.min(failureCount - 1, 16))
  return full * (1 - jitterShare * random)
}
