import { startRedis } from "../test/support/redis-server.ts"
import { benchOptions } from "./lib/options.ts"
import { figure, publish, ratio, type Table } from "./lib/report.ts"
import { find, inRounds, type Measurement, type NamedLoad } from "./lib/rounds.ts"
import { startSluice } from "./lib/sluice.ts"
import { Stack } from "./lib/stack.ts"
import type { Target } from "./lib/target.ts"
import { rangeSql } from "./lib/warehouse.ts"

/**
 * What an answer costs that is not in this instance's memory but in the Redis that instances share, beside PostgreSQL itself
 * and an answer from memory. The instances that are measured keep one entry in memory, of `starts` that are asked for.
 */

const options = benchOptions()
const starts = 50

/** Rows of a range whose answer has about so many bytes. */
const sizes = [
  { name: "1 row", rows: 1 },
  { name: "100 kB", rows: 1_180 },
  { name: "500 kB", rows: 5_900 },
] as const

function loads(): NamedLoad[] {
  return sizes.flatMap(({ name, rows }) =>
    [1, 16].map((clients) => ({
      name: `${name}, ${clients} ${clients === 1 ? "client" : "clients"}`,
      script: `\\set lo random(1, ${starts})\n${rangeSql(":lo", rows)};\n`,
      protocol: "simple" as const,
      clients,
      seconds: options.seconds,
    })),
  )
}

function tables(measurements: readonly Measurement[], targets: readonly Target[]): Table[] {
  const names = targets.map(({ name }) => name)
  const rows = (cell: (one: Measurement, direct: Measurement) => string): string[][] =>
    loads().map(({ name }) => {
      const direct = find(measurements, name, "direct")
      const cells = names.map((target) => {
        const one = find(measurements, name, target)
        return one === undefined || direct === undefined ? "-" : cell(one, direct)
      })
      return [name, ...cells]
    })
  return [
    {
      title: `Latency p50 / p99, ms, median of ${options.rounds}`,
      head: ["answer", ...names],
      rows: rows(({ p50Ms, p99Ms }) => `${figure(p50Ms)} / ${figure(p99Ms)}`),
    },
    {
      title: "Answers per second, and as a share of direct",
      head: ["answer", ...names],
      rows: rows(
        (one, direct) => `${figure(one.perSecond)} (${ratio(one.perSecond, direct.perSecond)})`,
      ),
    },
  ]
}

await using stack = await Stack.start(["pgbench"], options.targets)
const redis = await startRedis()
const direct = stack.warehouse.target
const shared = { redisUri: redis.uri, isSealed: false }
const targets = [
  direct,
  await stack.add("sluice", () => startSluice(direct)),
  await stack.add("shared", () => startSluice(direct, { name: "shared", shared })),
  await stack.add("sealed", () =>
    startSluice(direct, { name: "sealed", shared: { ...shared, isSealed: true } }),
  ),
].filter((target) => target !== undefined)
const measurements: Measurement[] = []
for (const load of loads())
  measurements.push(
    ...(await inRounds(
      targets.map((target) => ({ target, load })),
      options.rounds,
    )),
  )
await redis.stop()
await publish(
  {
    bench: "bench:shared",
    tables: tables(measurements, targets),
    measurements,
    notes: [
      `sluice: from memory. shared, sealed: one entry in memory, of ${starts} asked for; 49 of 50 answers come from Redis, zstd, sealed ones AES-256-GCM.`,
      "Simple protocol. Load generator, Redis and servers share the machine.",
    ],
  },
  options.isSaved,
)
