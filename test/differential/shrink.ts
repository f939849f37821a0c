import type { Flow } from "../support/query-generator-messages.ts"
import { Lane, newTally, type Sides } from "./oracle.ts"

/** Attempts per divergence: a repro should be short, not perfect. */
const attemptsMax = 40

async function diverges(flow: Flow, sides: Sides): Promise<boolean> {
  const lane = new Lane(sides)
  try {
    const tally = newTally()
    await lane.run(flow, tally, false)
    return tally.divergences.length > 0
  } finally {
    lane.close()
  }
}

/**
 * Leaves exchanges out as long as fresh sessions still diverge. Returns undefined when the divergence does not come back at
 * all, which says that it hangs on the moment or on what other sessions did.
 */
export async function shrink(flow: Flow, sides: Sides): Promise<Flow | undefined> {
  if (!(await diverges(flow, sides))) return undefined
  let best = flow
  let attempts = 1
  for (let at = best.exchanges.length - 1; at >= 0 && attempts < attemptsMax; at -= 1) {
    if (best.exchanges.length === 1) break
    const shorter = { ...best, exchanges: best.exchanges.filter((_, index) => index !== at) }
    attempts += 1
    if (await diverges(shorter, sides)) best = shorter
  }
  return best
}
