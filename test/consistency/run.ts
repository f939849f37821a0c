import { parseArgs } from "node:util"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../support/postgres-server.ts"
import { Random } from "../support/query-generator-random.ts"
import { splitUri } from "../support/query-generator-session.ts"
import { History, overlapsOf, timelineOf, violationsOf } from "./history.ts"
import { freshSeed, targets } from "./shapes.ts"
import { type Invalidate, Run, read, write } from "./workload.ts"

const { values: flags } = parseArgs({
  options: {
    reads: { type: "string", default: "10000" },
    readers: { type: "string", default: "8" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string", default: "20" },
    /** Share of invalidations that are soft. */
    soft: { type: "string", default: "0.3" },
    /** Reads the warehouse itself: what the checker must find nothing wrong with. */
    "origin-only": { type: "boolean", default: false },
  },
})

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Reads of the run in which nobody reports the changes: enough to catch many stale ones. */
const selfCheckReads = 1_000

function invalidateBy(gateway: RunningGateway): Invalidate {
  return async (items, maxStaleMs) => {
    const response = await fetch(new URL("/v1/invalidations", gateway.controlUrl), {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
      body: JSON.stringify({
        items,
        wait: "cluster",
        ...(maxStaleMs === undefined
          ? {}
          : { mode: "soft", max_stale_seconds: maxStaleMs / 1_000 }),
      }),
    })
    const answer = (await response.json()) as { unmatched?: readonly string[] }
    if (response.status !== 200 || (answer.unmatched?.length ?? 0) > 0)
      throw new Error(
        `invalidation of ${JSON.stringify(items)}: ${response.status} ${JSON.stringify(answer)}`,
      )
  }
}

const nobodyReports: Invalidate = () => Promise.resolve()

async function workload(options: {
  readonly server: TestPostgres
  readonly uri: string
  readonly invalidate: Invalidate
  readonly reads: number
  readonly from: number
}): Promise<History> {
  const history = new History()
  const run = new Run(history, options.reads, Number(flags.minutes) * 60_000)
  const seed = Number(flags.seed)
  const clients = await Promise.all(
    targets.map(async () => {
      const client = new Client({ connectionString: options.server.superuserUri })
      await client.connect()
      return client
    }),
  )
  try {
    await Promise.all([
      ...targets.map((target, index) => {
        const client = clients[index]
        if (client === undefined) throw new Error("one client per target")
        const random = new Random(seed + index)
        return write({
          run,
          target,
          client,
          invalidate: options.invalidate,
          random,
          from: options.from,
          softShare: Number(flags.soft),
        })
      }),
      ...Array.from({ length: Number(flags.readers) }, (_, reader) =>
        read({
          run,
          reader,
          session: splitUri(options.uri),
          random: new Random(seed + 1000 + reader),
        }),
      ),
    ])
  } finally {
    await Promise.all(clients.map((client) => client.end()))
  }
  return history
}

function countBy(values: readonly string[]): string {
  const counts = Map.groupBy(values, (value) => value)
  return [...counts]
    .toSorted((a, b) => b[1].length - a[1].length)
    .map(([name, list]) => `${name} ${list.length}`)
    .join(", ")
}

const timelinesMax = 3

/** Prints what happened; returns the number of problems. */
function judge(history: History, isCached: boolean): number {
  const violations = violationsOf(history)
  const overlaps = overlapsOf(history)
  const outcomes = history.reads.map((one) => one.outcome)
  print(
    `freshness: ${history.reads.length} reads, ${history.acks.length} acknowledged changes, ${violations.length} violations`,
  )
  print(`  outcomes: ${countBy(outcomes)}`)
  print(`  reads overtaken by an acknowledgement: ${overlaps.length}`)
  print(`    their outcomes: ${countBy(overlaps.map((one) => one.outcome))}`)
  for (const violation of violations.slice(0, timelinesMax))
    print(
      `VIOLATION: "${violation.read.shape}" saw ${violation.relation} = ${violation.seen}, ${violation.required.counter} was acknowledged before it started\n${timelineOf(history, violation)}`,
    )
  let problems = violations.length
  if (!isCached) return problems
  const isSoft = Number(flags.soft) > 0
  for (const needed of ["hit_l1", "miss", "coalesced", ...(isSoft ? ["stale"] : [])])
    if (!outcomes.includes(needed)) {
      print(`no read was a ${needed}: the run proves nothing about it`)
      problems += 1
    }
  if (!overlaps.some((one) => one.outcome === "miss")) {
    print(
      "no fill was under way at an acknowledgement: the run proves nothing about fills in flight",
    )
    problems += 1
  }
  return problems
}

async function main(): Promise<number> {
  const server = await startPostgres()
  await server.run(freshSeed)
  const gateway = flags["origin-only"]
    ? undefined
    : await startGateway({
        config: `warehouses:\n  warehouse:\n    engine: postgres\n    uri: ${server.uri}\nlog: { level: warn }\n`,
      })
  try {
    const uri = gateway?.uri ?? server.uri
    print(`freshness checker: seed ${flags.seed}`)
    const invalidate = gateway === undefined ? nobodyReports : invalidateBy(gateway)
    const history = await workload({ server, uri, invalidate, reads: Number(flags.reads), from: 1 })
    let problems = judge(history, gateway !== undefined)
    if (gateway === undefined) return problems
    if (history.reads.length < Number(flags.reads)) problems += 1

    // The checker must be able to fail: nobody reports the changes now, and the cache keeps the old values.
    const unreported = violationsOf(
      await workload({
        server,
        uri,
        invalidate: nobodyReports,
        reads: selfCheckReads,
        from: 1_000_000,
      }),
    )
    print(
      `self-check without invalidations: ${unreported.length} stale reads reported, as there must be`,
    )
    if (unreported.length === 0) problems += 1
    return problems
  } finally {
    await gateway?.stop()
    await server.stop()
  }
}

process.exitCode = (await main()) === 0 ? 0 : 1
