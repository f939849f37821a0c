import { parseArgs } from "node:util"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"
import { labSeed } from "../support/query-generator-schema.ts"
import { splitUri } from "../support/query-generator-session.ts"
import { compareOverDuckdb } from "./duckdb.ts"
import { type Invalidate, provokeStale, runFlows, runGenerated } from "./generated.ts"
import type { Divergence, Sides, Tally } from "./oracle.ts"
import { print, printDivergence, printTally, signature } from "./print.ts"
import { shrink } from "./shrink.ts"
import {
  capturedSeed,
  capturedStatements,
  flowsOver,
  madeStatements,
  styleStatements,
} from "./superset-flows.ts"
import { supersetStyleSeed } from "./superset-seed.ts"

const { values: flags } = parseArgs({
  options: {
    comparisons: { type: "string", default: "12000" },
    /** A number, or "random". CI always compares the same statements: what fails there fails here. */
    seed: { type: "string", default: "20261121" },
    lanes: { type: "string", default: "4" },
    minutes: { type: "string", default: "60" },
    "divergences-max": { type: "string", default: "200" },
    /** Puts the origin on both sides: what the oracle itself must call equal. */
    "origin-only": { type: "boolean", default: false },
    only: { type: "string" },
  },
})

const seed = flags.seed === "random" ? Date.now() % 1_000_000 : Number(flags.seed)

/** Plans that may change between two askings would change the order of equal rows and the last digits of sums. */
const steadyPlans = {
  max_parallel_workers_per_gather: "0",
  synchronize_seqscans: "off",
  autovacuum: "off",
  plan_cache_mode: "force_custom_plan",
}
/** As the gateway's own connections are: reads only. */
const readOnly = { options: "-c default_transaction_read_only=on" }

function gatewayConfig(server: TestPostgres): string {
  return `warehouses:
  warehouse:
    engine: postgres
    uri: ${server.uri}
log: { level: warn }
`
}

function invalidateBy(gateway: RunningGateway): Invalidate {
  return async (relations) => {
    const response = await fetch(new URL("/v1/invalidations", gateway.controlUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
      body: JSON.stringify({
        items: relations.map((relation) => ({ relation })),
        wait: "cluster",
      }),
    })
    const answer = (await response.json()) as { unmatched?: readonly string[] }
    if (response.status !== 200 || (answer.unmatched?.length ?? 0) > 0)
      throw new Error(`invalidation of ${relations.join(", ")}: ${JSON.stringify(answer)}`)
  }
}

/** Repros printed; further divergences are only counted. */
const reprosMax = 25

async function printDivergences(divergences: readonly Divergence[], sides: Sides): Promise<void> {
  const groups = Map.groupBy(divergences, signature)
  for (const group of [...groups.values()].slice(0, reprosMax)) {
    const [first] = group
    if (first === undefined) continue
    printDivergence(first, group.length, await shrink(first.flow, sides))
  }
}

async function timed(title: string, run: () => Promise<Tally>, sides: Sides): Promise<Tally> {
  const started = performance.now()
  const tally = await run()
  printTally(title, tally, (performance.now() - started) / 1000)
  await printDivergences(tally.divergences, sides)
  return tally
}

function runSuperset(sides: Sides, lanes: number): Promise<Tally> {
  const flows = [
    ...flowsOver(capturedStatements(), "sales", "every way"),
    ...flowsOver(capturedStatements(), "mart", "as superset"),
    ...flowsOver(styleStatements(), "public", "every way"),
    ...flowsOver(madeStatements(), "public", "every way"),
  ]
  return runFlows(flows, sides, lanes)
}

async function main(): Promise<number> {
  const server = await startPostgres({ settings: steadyPlans })
  await server.run(labSeed)
  await server.run(capturedSeed())
  await server.run(supersetStyleSeed)
  const gateway = flags["origin-only"]
    ? undefined
    : await startGateway({ config: gatewayConfig(server) })
  try {
    const origin = { ...splitUri(server.uri), startup: readOnly }
    const sides: Sides = {
      origin,
      gateway: gateway === undefined ? origin : splitUri(gateway.uri),
      hasReports: gateway !== undefined,
    }
    const options = {
      sides,
      server,
      invalidate: gateway === undefined ? undefined : invalidateBy(gateway),
      seed,
      comparisons: Number(flags.comparisons),
      lanes: Number(flags.lanes),
      msMax: Number(flags.minutes) * 60_000,
      divergencesMax: Number(flags["divergences-max"]),
    }
    print(`differential oracle: seed ${seed}, ${options.lanes} lanes`)
    let problems = 0
    if (flags.only === undefined || flags.only === "superset") {
      const superset = await timed("superset", () => runSuperset(sides, options.lanes), sides)
      problems += superset.divergences.length
    }
    if (flags.only === "superset") return problems
    if (gateway !== undefined && flags.only !== "generated")
      problems += await compareOverDuckdb(server)
    if (flags.only === "duckdb") return problems
    const tally = await timed("generated", () => runGenerated(options), sides)
    problems += tally.divergences.length
    if (tally.conclusive < options.comparisons) {
      print(`too few conclusive comparisons: ${tally.conclusive} of ${options.comparisons}`)
      problems += 1
    }
    if (gateway !== undefined && (await provokeStale(options)) === 0) {
      print("an unreported change was not seen as a divergence: the cache was never in the way")
      problems += 1
    }
    return problems
  } finally {
    await gateway?.stop()
    await server.stop()
  }
}

process.exitCode = (await main()) === 0 ? 0 : 1
