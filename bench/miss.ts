import { benchOptions } from "./lib/options.ts"
import { startPgBouncer } from "./lib/peers.ts"
import { figure, publish, ratio, type Table } from "./lib/report.ts"
import { find, inRounds, type Measurement, type NamedLoad } from "./lib/rounds.ts"
import { startSluice } from "./lib/sluice.ts"
import { hasGateway, Stack } from "./lib/stack.ts"
import { median } from "./lib/statistics.ts"
import { type StreamFigures, stream } from "./lib/stream.ts"
import type { Target } from "./lib/target.ts"
import { pointSql, streamRowCount, streamSql } from "./lib/warehouse.ts"

/**
 * What a question costs that the cache cannot answer: the latency added for one client, the throughput left for sixteen, and
 * a result of a million rows on its way through. README.md says how to read it.
 */

const options = benchOptions()

/**
 * A literal, or parameter, that no other statement has: every one is a miss. In the simple protocol each text is new too, so
 * that parse, policy and key are paid each time; in the others the text repeats and only the parameters differ.
 */
const unique = `\\set id random(1, 100000)
\\set once random(1, 9000000000000000000)
${pointSql}:id AND :once > 0::bigint;
`

const base = { script: unique, seconds: options.seconds }
const loads: readonly NamedLoad[] = [
  { ...base, name: "new text, simple, 1 client", protocol: "simple", clients: 1 },
  { ...base, name: "new parameters, extended, 1 client", protocol: "extended", clients: 1 },
  { ...base, name: "new parameters, prepared, 1 client", protocol: "prepared", clients: 1 },
  { ...base, name: "new text, simple, 16 clients", protocol: "simple", clients: 16, sample: 0.1 },
  {
    ...base,
    name: "new parameters, extended, 16 clients",
    protocol: "extended",
    clients: 16,
    sample: 0.1,
  },
]

type StreamRounds = { readonly target: string; readonly rounds: StreamFigures[] }

async function streams(targets: readonly Target[]): Promise<StreamRounds[]> {
  const all = targets.map((target) => ({ target: target.name, rounds: [] as StreamFigures[] }))
  const rounds = options.isQuick ? 1 : Math.min(options.rounds, 5)
  for (let round = 0; round <= rounds; round += 1)
    for (const [index, target] of targets.entries()) {
      const figures = await stream(target, `${streamSql} WHERE ${round} = ${round}`)
      if (figures.rows !== streamRowCount)
        throw new Error(`${target.name} sent ${figures.rows} rows instead of ${streamRowCount}`)
      process.stderr.write(
        `stream ${round}/${rounds}  ${target.name}  ${Math.round(figures.ms)} ms\n`,
      )
      // Round 0 warms the server's buffers.
      if (round > 0) all[index]?.rounds.push(figures)
    }
  return all
}

function added(ms: number): string {
  return `${ms >= 0 ? "+" : ""}${figure(ms)}`
}

function latencyTable(measurements: readonly Measurement[], names: readonly string[]): Table {
  const rows = loads
    .filter((load) => load.clients === 1)
    .map((load) => {
      const p50 = (name: string): number => find(measurements, load.name, name)?.p50Ms ?? Number.NaN
      const cells = names
        .slice(1)
        .map((name) => `${figure(p50(name))} (${added(p50(name) - p50("direct"))})`)
      return [load.name, figure(p50("direct")), ...cells]
    })
  return {
    title: "One client: p50 in ms, and what it adds to direct",
    head: ["load", ...names],
    rows,
  }
}

function throughputTable(measurements: readonly Measurement[], names: readonly string[]): Table {
  const rows = loads
    .filter((load) => load.clients > 1)
    .map((load) => {
      const rate = (name: string): number =>
        find(measurements, load.name, name)?.perSecond ?? Number.NaN
      const cells = names.map(
        (name) => `${figure(rate(name))} (${ratio(rate(name), rate("direct"))})`,
      )
      return [load.name, ...cells]
    })
  return { title: "Answers per second, and as a share of direct", head: ["load", ...names], rows }
}

const mebibyte = 1024 ** 2

function streamTable(all: readonly StreamRounds[]): Table {
  const ms = (one: StreamRounds | undefined): number =>
    median(one?.rounds.map((figures) => figures.ms) ?? [])
  const direct = ms(all.find((one) => one.target === "direct"))
  return {
    title: `${streamRowCount} rows x 5 columns`,
    head: ["target", "ms", "MB/s", "speed : direct", "RSS before, MiB", "RSS most, MiB"],
    rows: all.map((one) => {
      const bytes = one.rounds[0]?.bytes ?? Number.NaN
      const most = Math.max(...one.rounds.map((figures) => figures.rssBytesMax ?? Number.NaN))
      const before = one.rounds[0]?.rssBytesBefore ?? Number.NaN
      return [
        one.target,
        figure(ms(one)),
        figure(bytes / 1000 / ms(one)),
        ratio(direct, ms(one)),
        figure(before / mebibyte),
        figure(most / mebibyte),
      ]
    }),
  }
}

await using stack = await Stack.start(["pgbench", "pgbouncer"], options.targets)
const direct = stack.warehouse.target
const started = [
  direct,
  await stack.add("pgbouncer", () => startPgBouncer(stack.warehouse, "transaction")),
  hasGateway ? await stack.add("sluice", () => startSluice(direct)) : undefined,
  hasGateway
    ? await stack.add("sluice cache off", () =>
        startSluice(direct, { name: "sluice cache off", isCacheEnabled: false }),
      )
    : undefined,
].filter((target) => target !== undefined)
const names = started.map((target) => target.name)
const measurements: Measurement[] = []
for (const load of loads) {
  const entries = started
    .filter((target) => load.protocol !== "prepared" || target.name !== "pgbouncer")
    .map((target) => ({ load, target }))
  measurements.push(...(await inRounds(entries, options.rounds)))
}
const streamed = await streams(started)
await publish(
  {
    bench: "bench:miss",
    tables: [
      latencyTable(measurements, names),
      throughputTable(measurements, names),
      streamTable(streamed),
    ],
    measurements: [...measurements, ...streamed],
    notes: [
      "Every statement has a literal or parameter that none had before; PgBouncer in transaction mode has no `prepared`.",
      "Load generator and servers share the machine.",
    ],
  },
  options.isSaved,
)
