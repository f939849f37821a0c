import { fileURLToPath } from "node:url"
import { Client } from "pg"
import { type RunningGateway, startGateway } from "../test/support/gateway.ts"
import { startPostgres, type TestPostgres } from "../test/support/postgres-server.ts"
import { startRedis } from "../test/support/redis-server.ts"
import { benchOptions } from "./lib/options.ts"
import { figure, publish } from "./lib/report.ts"
import { percentile } from "./lib/statistics.ts"

/**
 * How long the caller of an invalidation waits until every instance has confirmed: three gateways, one Redis, `wait: cluster`,
 * by the number of answers that each of them holds in memory.
 */

const options = benchOptions()
const sizes = options.isQuick ? [1_000] : [1_000, 100_000, 1_000_000]
const relationCount = 100
const gatewayCount = 3
const calls = options.isQuick ? 50 : 400
const warmUpCalls = 20
const filler = fileURLToPath(new URL("lib/fill-memory.ts", import.meta.url))

async function ask(gateway: RunningGateway, item: object): Promise<void> {
  const response = await fetch(new URL("/v1/invalidations", gateway.controlUrl), {
    method: "POST",
    headers: { authorization: `Bearer ${gateway.token}`, "content-type": "application/json" },
    body: JSON.stringify({ items: [item], wait: "cluster" }),
  })
  const outcome = (await response.json()) as { instances?: { confirmed: number } }
  if (response.status !== 200 || outcome.instances?.confirmed !== gatewayCount)
    throw new Error(`not every instance confirmed: ${response.status} ${JSON.stringify(outcome)}`)
}

async function fill(gateway: RunningGateway, entries: number): Promise<void> {
  const client = new Client({ connectionString: gateway.uri })
  await client.connect()
  await client.query("SELECT count(*) FROM bench.seed")
  await client.end()
  const response = await fetch(new URL("/v1/status", gateway.controlUrl), {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  const status = (await response.json()) as { cache?: { entries: number } }
  if ((status.cache?.entries ?? 0) < entries)
    throw new Error(`${status.cache?.entries} of ${entries} entries are in memory`)
}

/** The time of each call in ms; `item` for the number of the call. */
async function timed(
  gateways: readonly RunningGateway[],
  count: number,
  item: (call: number) => object,
): Promise<number[]> {
  const times: number[] = []
  for (let call = 0; call < count; call += 1) {
    const gateway = gateways[call % gateways.length]
    if (gateway === undefined) break
    const startMs = performance.now()
    // oxlint-disable-next-line no-await-in-loop -- one caller, as an orchestrator is
    await ask(gateway, item(call))
    times.push(performance.now() - startMs)
  }
  return times
}

async function measure(server: TestPostgres, entries: number, redisUri: string): Promise<Row[]> {
  const gateways = await Promise.all(
    Array.from({ length: gatewayCount }, () =>
      startGateway({
        config: `warehouses:
  warehouse: { engine: postgres, uri: "${server.uri}" }
redis: { uri: "${redisUri}", keyPrefix: "bench${entries}" }
cache: { memoryBytesMax: 8GiB, entriesMax: ${entries + 1_000}, shared: { enabled: false } }
log: { level: warn }
`,
        nodeArguments: ["--max-old-space-size=4096", "--import", filler],
        environment: {
          BENCH_ENTRIES: String(entries),
          BENCH_RELATIONS: String(relationCount),
        },
      }),
    ),
  )
  try {
    await Promise.all(gateways.map((gateway) => fill(gateway, entries)))
    await timed(gateways, warmUpCalls, () => ({ relation: "bench.seed" }))
    const cold = await timed(gateways, relationCount, (call) => ({ relation: `bench.t${call}` }))
    const empty = await timed(gateways, calls, () => ({ relation: "bench.seed" }))
    return [
      { entries, what: `1 % of the entries each, ${relationCount} calls`, times: cold },
      { entries, what: `no entry, ${calls} calls`, times: empty },
    ]
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()))
  }
}

type Row = { readonly entries: number; readonly what: string; readonly times: readonly number[] }

const server = await startPostgres()
const redis = await startRedis()
const rows: Row[] = []
try {
  await server.run(`CREATE SCHEMA bench; CREATE TABLE bench.seed (id int);
DO $$ BEGIN FOR i IN 0..${relationCount - 1} LOOP EXECUTE format('CREATE TABLE bench.t%s (id int)', i); END LOOP; END $$;
GRANT USAGE ON SCHEMA bench TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA bench TO PUBLIC;`)
  // oxlint-disable-next-line no-await-in-loop -- one size after the other
  for (const entries of sizes) rows.push(...(await measure(server, entries, redis.uri)))
} finally {
  await redis.stop()
  await server.stop()
}

await publish(
  {
    bench: "bench:invalidate",
    tables: [
      {
        title: "Time until every one of three instances has confirmed, ms",
        head: ["entries in each instance", "call reaches", "p50", "p99", "slowest"],
        rows: rows.map(({ entries, what, times }) => [
          entries.toLocaleString("en-US"),
          what,
          figure(percentile(times, 0.5)),
          figure(percentile(times, 0.99)),
          figure(Math.max(...times)),
        ]),
      },
    ],
    measurements: rows.map(({ entries, what, times }) => ({
      entries,
      what,
      p50Ms: percentile(times, 0.5),
      p99Ms: percentile(times, 0.99),
    })),
    notes: [
      "One caller, one call after the other, to each instance in turn; entries share one answer's bytes and have keys of their own.",
      "Gateways, Redis, PostgreSQL and caller share the machine.",
    ],
  },
  options.isSaved,
)
