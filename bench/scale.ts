import { freePort } from "../test/support/free-port.ts"
import { query } from "../test/support/frontend-encoder.ts"
import { WireClient } from "../test/support/wire-client.ts"
import { Inspector, type Memory } from "./lib/inspector.ts"
import { benchOptions } from "./lib/options.ts"
import { figure, publish } from "./lib/report.ts"
import { startSluice } from "./lib/sluice.ts"
import { Stack } from "./lib/stack.ts"
import type { Target } from "./lib/target.ts"

/** What an open session costs while nobody asks anything: dashboards and pools keep thousands. README.md says how to read it. */

const options = benchOptions()
const counts = options.isQuick ? [200, 1_000] : [1_000, 10_000]
/** Logins at one time; below the gateway's own bound on connections before login. */
const togetherMax = 50

async function connectTo(target: Target): Promise<WireClient> {
  const { port, user, password, database } = target
  const client = await WireClient.connect({ port, user, password, database, waitMsMax: 60_000 })
  // A session that has worked and stands idle, as a pool keeps it.
  for (const sql of [
    "BEGIN",
    "SET search_path = bench",
    "SELECT name FROM points WHERE id = 1",
    "ROLLBACK",
  ])
    await client.query(query(sql))
  return client
}

async function open(target: Target, clients: WireClient[], count: number): Promise<void> {
  while (clients.length < count) {
    const more = Math.min(togetherMax, count - clients.length)
    clients.push(...(await Promise.all(Array.from({ length: more }, () => connectTo(target)))))
  }
}

type Point = { readonly sessions: number; readonly memory: Memory }

const kilobyte = 1000

function row(point: Point, base: Memory): string[] {
  const { sessions, memory } = point
  const each = (name: keyof Memory): string =>
    figure((memory[name] - base[name]) / sessions / kilobyte)
  return [
    String(sessions),
    each("heapUsed"),
    each("external"),
    each("rss"),
    figure(memory.rss / 1024 ** 2),
  ]
}

await using stack = await Stack.start([], options.targets)
const direct = stack.warehouse.target
await stack.warehouse.server.run(
  `SET scram_iterations = 1; ALTER ROLE ${direct.user} PASSWORD '${direct.password}'`,
)
const [role] = await stack.warehouse.server.run(
  `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = '${direct.user}'`,
)
const inspectorPort = await freePort()
const target = await startSluice(direct, {
  verifier: String(role?.["verifier"]),
  nodeArguments: [`--inspect=127.0.0.1:${inspectorPort}`],
})
const clients: WireClient[] = []
try {
  using inspector = await Inspector.open(inspectorPort)
  // What the first sessions bring into memory (code, memos, the catalogue) is no session's cost.
  const first: WireClient[] = []
  await open(target, first, 200)
  for (const client of first) await client.end()
  const base = await inspector.memory()
  const points: Point[] = []
  for (const sessions of counts) {
    await open(target, clients, sessions)
    points.push({ sessions, memory: await inspector.memory() })
    process.stderr.write(`${sessions} sessions are open\n`)
  }
  const alive = await Promise.all(
    clients
      .filter((_, index) => index % 100 === 0)
      .map((client) => client.query(query("SELECT 1"))),
  )
  if (alive.length === 0) throw new Error("no session was asked")
  await publish(
    {
      bench: "bench:scale",
      tables: [
        {
          title: "One idle session of the gateway, kB, after garbage collection",
          head: ["sessions", "heap", "external", "RSS", "RSS of the process, MiB"],
          rows: points.map((point) => row(point, base)),
        },
      ],
      measurements: [{ sessions: 0, memory: base }, ...points],
      notes: [
        "Each has logged in by SCRAM-SHA-256 without TLS, run a transaction with a SET and a query, and stands idle. kB = 1000 bytes.",
      ],
    },
    options.isSaved,
  )
} finally {
  for (const client of clients) client.destroy()
  await target.stop()
}
