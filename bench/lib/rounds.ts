import { type Figures, type Load, pgbench } from "./pgbench.ts"
import { median, spread } from "./statistics.ts"
import type { Target } from "./target.ts"

export type NamedLoad = Load & {
  readonly name: string
  /** Longer than the usual second, for loads whose log-ins alone take longer. */
  readonly warmUpSeconds?: number
}
export type Entry = { readonly load: NamedLoad; readonly target: Target }

/** Medians over all rounds of one load against one target. */
export type Measurement = {
  readonly load: string
  readonly target: string
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Of perSecond, as a share; see statistics.ts. */
  readonly spread: number
  readonly rounds: readonly Figures[]
}

const warmUpSeconds = 1

/**
 * Measures every entry once per round, so that the machine's drift and its other users fall on all targets alike. Entries
 * run in turn, never together. One unmeasured second before the first round fills caches and connections.
 */
export async function inRounds(entries: readonly Entry[], rounds: number): Promise<Measurement[]> {
  const figures = new Map<Entry, Figures[]>()
  for (const entry of entries) {
    const seconds = Math.max(warmUpSeconds, entry.load.warmUpSeconds ?? 0)
    await pgbench(entry.target, { ...entry.load, perSecond: 0, seconds, sample: 0.01 })
    figures.set(entry, [])
  }
  for (let round = 1; round <= rounds; round += 1)
    for (const entry of entries) {
      const one = await pgbench(entry.target, entry.load)
      figures.get(entry)?.push(one)
      process.stderr.write(
        `round ${round}/${rounds}  ${entry.load.name}  ${entry.target.name}  ${Math.round(one.perSecond)}/s\n`,
      )
    }
  return entries.map((entry) => {
    const all = figures.get(entry) ?? []
    return {
      load: entry.load.name,
      target: entry.target.name,
      perSecond: median(all.map((one) => one.perSecond)),
      p50Ms: median(all.map((one) => one.p50Ms)),
      p99Ms: median(all.map((one) => one.p99Ms)),
      spread: spread(all.map((one) => one.perSecond)),
      rounds: all,
    }
  })
}

export function find(
  measurements: readonly Measurement[],
  load: string,
  target: string,
): Measurement | undefined {
  return measurements.find((one) => one.load === load && one.target === target)
}
