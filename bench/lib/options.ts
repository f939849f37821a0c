import { parseArgs } from "node:util"

export type BenchOptions = {
  /** Rounds of the interleaved comparison; figures are medians over them. */
  readonly rounds: number
  readonly seconds: number
  /** Names of targets to measure; undefined = all. */
  readonly targets: readonly string[] | undefined
  /** Short and small, to see that everything works. */
  readonly isQuick: boolean
  /** Only whole runs are written to RESULTS.md: every target, and not quick. */
  readonly isSaved: boolean
  /** Starts the gateway with Node's CPU profiler; the profile goes to `.cache/`. */
  readonly isProfiled: boolean
}

const usage = `options:
  --quick            one short round, nothing saved
  --rounds N         interleaved rounds (default 5)
  --seconds N        length of one measurement (default 2)
  --targets A,B      only these beside direct (pgbouncer, pgpool, floor, sluice), nothing saved
  --profile          CPU profile of the gateway into .cache/
`

function count(text: string | undefined, initial: number, max: number, name: string): number {
  const value = Number(text ?? initial)
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new Error(`${name} must be a whole number from 1 to ${max}`)
}

function parse(): BenchOptions {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      profile: { type: "boolean", default: false },
      rounds: { type: "string" },
      seconds: { type: "string" },
      targets: { type: "string" },
    },
  })
  return {
    rounds: count(values.rounds, values.quick ? 1 : 5, 100, "--rounds"),
    seconds: count(values.seconds, values.quick ? 1 : 2, 600, "--seconds"),
    targets: values.targets?.split(","),
    isQuick: values.quick,
    isSaved: !values.quick && values.targets === undefined,
    isProfiled: values.profile,
  }
}

/** Reads the command line that all benches share; ends the process with the usage when it is not understood. */
export function benchOptions(): BenchOptions {
  try {
    return parse()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`)
    return process.exit(2)
  }
}
