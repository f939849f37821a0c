import { startFloor } from "./lib/floor.ts"
import { benchOptions } from "./lib/options.ts"
import { startPgBouncer, startPgpool } from "./lib/peers.ts"
import type { Protocol } from "./lib/pgbench.ts"
import { figure, publish, ratio, type Table } from "./lib/report.ts"
import { type Entry, find, inRounds, type Measurement, type NamedLoad } from "./lib/rounds.ts"
import { startSluice } from "./lib/sluice.ts"
import { hasGateway, Stack } from "./lib/stack.ts"
import type { Target } from "./lib/target.ts"
import { pointCount, pointSql, wideSql } from "./lib/warehouse.ts"

/**
 * What a cached answer costs, beside everything else that could stand in its place: PostgreSQL itself, PgBouncer in front
 * of it, pgpool-II's query cache, and the least a Node server can do. README.md says how to read it.
 */

const options = benchOptions()
const manyClients = options.isQuick ? 64 : 256
/** Offered to 256 clients: far below everybody's limit, so that latency and not the queue of a full server is seen. */
const offeredPerSecond = 2_000

const point = `\\set id random(1, ${pointCount})\n${pointSql}:id;\n`
const protocols: readonly Protocol[] = ["simple", "extended", "prepared"]

type Shape = { readonly load: NamedLoad; readonly floor: "point" | "wide" }

/** pgbench's clock runs while its clients log in, and so many take seconds for SCRAM; they are not part of the figure. */
const manyLoginSeconds = 5

function shapes(): Shape[] {
  const { seconds } = options
  const one = (
    name: string,
    load: Omit<NamedLoad, "name" | "seconds" | "script"> & { seconds?: number },
  ): Shape => ({
    load: { name, script: point, seconds, sample: 0.1, ...load },
    floor: "point",
  })
  return [
    ...protocols.map((protocol) =>
      one(`1 row, ${protocol}, 16 clients`, { protocol, clients: 16 }),
    ),
    one("1 row, simple, 1 client", { protocol: "simple", clients: 1 }),
    one(`1 row, simple, ${manyClients} clients`, {
      protocol: "simple",
      clients: manyClients,
      seconds: seconds + manyLoginSeconds,
      warmUpSeconds: manyLoginSeconds,
    }),
    one(`1 row, simple, ${manyClients} clients at ${offeredPerSecond}/s`, {
      protocol: "simple",
      clients: manyClients,
      seconds: seconds + manyLoginSeconds,
      warmUpSeconds: manyLoginSeconds,
      perSecond: offeredPerSecond,
      sample: 1,
    }),
    one("connect + 1 row + close, 8 clients", {
      protocol: "simple",
      clients: 8,
      isConnecting: true,
    }),
    ...protocols.map((protocol) => ({
      load: {
        name: `10k rows, ${protocol}, 16 clients`,
        script: `${wideSql};\n`,
        protocol,
        clients: 16,
        seconds,
      },
      floor: "wide" as const,
    })),
  ]
}

type Targets = {
  readonly everywhere: readonly Target[]
  readonly pgbouncer: Target | undefined
  readonly pgbouncerSession: Target | undefined
  readonly pointFloor: Target | undefined
  readonly wideFloor: Target | undefined
}

async function startTargets(stack: Stack): Promise<Targets> {
  const direct = stack.warehouse.target
  const pgbouncer = await stack.add("pgbouncer", () =>
    startPgBouncer(stack.warehouse, "transaction"),
  )
  const pgbouncerSession = await stack.add("pgbouncer session", () =>
    startPgBouncer(stack.warehouse, "session"),
  )
  const pgpool = await stack.add("pgpool", () => startPgpool(direct, manyClients))
  const pointFloor = await stack.add("floor", () => startFloor(direct, `${pointSql}1`))
  const wideFloor = await stack.add("floor", () => startFloor(direct, wideSql))
  const nodeArguments = options.isProfiled ? ["--cpu-prof", "--cpu-prof-dir=.cache"] : []
  const sluice = hasGateway
    ? await stack.add("sluice", () => startSluice(direct, { nodeArguments }))
    : undefined
  const everywhere = [direct, pgpool, sluice].filter((target) => target !== undefined)
  return { everywhere, pgbouncer, pgbouncerSession, pointFloor, wideFloor }
}

function entriesFor(shape: Shape, targets: Targets): Entry[] {
  const isPrepared = shape.load.protocol === "prepared"
  const all = [
    ...targets.everywhere,
    isPrepared ? targets.pgbouncerSession : targets.pgbouncer,
    shape.floor === "point" ? targets.pointFloor : targets.wideFloor,
  ]
  return all
    .filter((target) => target !== undefined)
    .map((target) => ({ target, load: shape.load }))
}

const columns = ["direct", "pgbouncer", "pgpool", "floor", "sluice"] as const

function row(measurements: readonly Measurement[], load: string): string[] {
  const at = (name: string): Measurement | undefined =>
    find(measurements, load, name) ?? find(measurements, load, `${name} session`)
  const rate = (name: string): number => at(name)?.perSecond ?? Number.NaN
  return [
    load,
    ...columns.map((name) => figure(rate(name))),
    ratio(rate("sluice"), rate("floor")),
    ratio(rate("sluice"), rate("direct")),
    ratio(rate("sluice"), rate("pgpool")),
  ]
}

function latencyRow(measurements: readonly Measurement[], load: string): string[] {
  return [
    load,
    ...columns.map((name) => {
      const one = find(measurements, load, name) ?? find(measurements, load, `${name} session`)
      return one === undefined ? "-" : `${figure(one.p50Ms)} / ${figure(one.p99Ms)}`
    }),
  ]
}

function tables(measurements: readonly Measurement[], loads: readonly string[]): Table[] {
  return [
    {
      title: `Answers per second, median of ${options.rounds}`,
      head: ["load", ...columns, "sluice : floor", ": direct", ": pgpool"],
      rows: loads.map((load) => row(measurements, load)),
    },
    {
      title: "Latency p50 / p99, ms",
      head: ["load", ...columns],
      rows: loads.map((load) => latencyRow(measurements, load)),
    },
  ]
}

await using stack = await Stack.start(["pgbench", "pgbouncer", "pgpool2"], options.targets)
const targets = await startTargets(stack)
const measurements: Measurement[] = []
for (const shape of shapes())
  measurements.push(...(await inRounds(entriesFor(shape, targets), options.rounds)))
const noisiest = Math.max(...measurements.map((one) => one.spread))
await publish(
  {
    bench: "bench:hit",
    tables: tables(
      measurements,
      shapes().map((shape) => shape.load.name),
    ),
    measurements,
    notes: [
      "PgBouncer: transaction mode; session mode for `prepared`. Floor: trusts the login, the others do SCRAM-SHA-256.",
      `Largest spread of one figure over its rounds: ${(noisiest * 100).toFixed(0)} %. Load generator and servers share the machine.`,
    ],
  },
  options.isSaved,
)
