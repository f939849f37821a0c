import type { TestPostgres } from "../support/postgres-server.ts"
import { FlowGenerator } from "../support/query-generator-flows.ts"
import type { Flow } from "../support/query-generator-messages.ts"
import { Random } from "../support/query-generator-random.ts"
import { labWrites } from "../support/query-generator-schema.ts"
import { Lane, newTally, type Sides, type Tally } from "./oracle.ts"

/** Tells the gateway that relations have changed and waits until every instance knows. */
export type Invalidate = (relations: readonly string[]) => Promise<void>

export type GeneratedOptions = {
  readonly sides: Sides
  readonly server: TestPostgres
  /** Undefined when both sides are the origin. */
  readonly invalidate: Invalidate | undefined
  readonly seed: number
  readonly comparisons: number
  readonly lanes: number
  readonly msMax: number
  /** A run with this many divergences has said what it has to say. */
  readonly divergencesMax: number
}

/** Flows between two changes of the data. Nothing is asked while a change is on its way. */
const flowsPerRound = 250
/** One flow in so many is asked with SHOW sluice.last after each of its statements. */
const reportEvery = 8
async function change(options: GeneratedOptions, random: Random, step: number): Promise<void> {
  const write = random.pick(labWrites(step))
  await options.server.run(write.sql)
  await options.invalidate?.(write.relations)
}

export async function runGenerated(options: GeneratedOptions): Promise<Tally> {
  const random = new Random(options.seed)
  const generator = new FlowGenerator(random)
  const lanes = Array.from({ length: options.lanes }, () => new Lane(options.sides))
  const tally = newTally()
  const deadline = performance.now() + options.msMax
  let step = 0
  const isDone = (): boolean =>
    tally.conclusive >= options.comparisons ||
    tally.divergences.length >= options.divergencesMax ||
    performance.now() > deadline
  try {
    while (!isDone()) {
      // All flows of a round are made before any is run: which flows exist depends on the seed, not on the race of lanes.
      const flows = Array.from({ length: flowsPerRound }, () => generator.next())
      let next = 0
      await Promise.all(
        lanes.map(async (lane) => {
          for (;;) {
            const flow = flows[next]
            if (flow === undefined || isDone()) return
            const isReported = next % reportEvery === 0
            next += 1
            await lane.run(flow, tally, isReported)
          }
        }),
      )
      step += 1
      await change(options, random, step)
    }
  } finally {
    for (const lane of lanes) lane.close()
  }
  return tally
}

/** Runs a fixed list of flows over several lanes. */
export async function runFlows(
  flows: readonly Flow[],
  sides: Sides,
  laneCount: number,
): Promise<Tally> {
  const lanes = Array.from({ length: laneCount }, () => new Lane(sides))
  const tally = newTally()
  let next = 0
  try {
    await Promise.all(
      lanes.map(async (lane) => {
        for (;;) {
          const flow = flows[next]
          if (flow === undefined) return
          next += 1
          await lane.run(flow, tally, true)
        }
      }),
    )
  } finally {
    for (const lane of lanes) lane.close()
  }
  return tally
}

const staleProbe = "SELECT id, t, i4, n2 FROM lab.facts ORDER BY id"

/**
 * Shows that the oracle can fail: a change that nobody reports must be seen as a divergence, because the gateway still has
 * the old answer. Returns how many there were; 0 means that nothing was ever served from a cache.
 */
export async function provokeStale(options: GeneratedOptions): Promise<number> {
  const lane = new Lane(options.sides)
  const flow = {
    name: "stale probe",
    exchanges: [[{ kind: "query", sql: staleProbe } as const]],
  }
  try {
    const warm = newTally()
    await lane.run(flow, warm, false)
    await options.server.run("UPDATE lab.facts SET t = 'nobody reported this' WHERE id = 1")
    const stale = newTally()
    await lane.run(flow, stale, false)
    await options.invalidate?.(["lab.facts"])
    const fresh = newTally()
    await lane.run(flow, fresh, false)
    if (warm.divergences.length + fresh.divergences.length > 0)
      throw new Error("the probe itself diverged where it must not")
    return stale.divergences.length
  } finally {
    lane.close()
  }
}
