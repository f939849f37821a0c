import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { makeCertificate } from "./lib/certificate.ts"
import { startFloor } from "./lib/floor.ts"
import { benchOptions } from "./lib/options.ts"
import { startPgBouncer } from "./lib/peers.ts"
import { figure, publish, ratio, type Table } from "./lib/report.ts"
import { type Entry, find, inRounds, type Measurement, type NamedLoad } from "./lib/rounds.ts"
import { startSluice } from "./lib/sluice.ts"
import { hasGateway, Stack } from "./lib/stack.ts"
import type { Target } from "./lib/target.ts"

/**
 * What one chart of a BI tool costs: a connection, a login, eleven statements that are not about data, one that is, and the
 * end. The texts and their order were captured from Superset 6.1. README.md says how to read it.
 */

const corpora = new URL("../test/corpora/", import.meta.url)
const seedFile = fileURLToPath(new URL("superset_real_seed.sql", corpora))
const captured = JSON.parse(
  readFileSync(new URL("superset_real_captured.json", corpora), "utf8"),
) as readonly { readonly sql: string }[]

/** A captured text, by what it starts with: the bench must not drift from what was seen on the wire. */
function text(start: string): string {
  const found = captured.find(({ sql }) => sql.trim().startsWith(start))
  if (found === undefined) throw new Error(`the corpus has no statement that starts with ${start}`)
  return found.sql.trim().replace(/;$/, "")
}

const chart = text("SELECT\n  status AS status,\n  SUM(amount)")

const turns = (query: string): string =>
  [
    "BEGIN",
    text("SELECT t.oid, typarray"),
    "ROLLBACK",
    "BEGIN",
    text("select pg_catalog.version()"),
    text("select current_schema()"),
    text("show transaction isolation level"),
    text("show standard_conforming_strings"),
    "ROLLBACK",
    "BEGIN",
    text('set search_path = "sales"'),
    query,
    "ROLLBACK",
  ]
    .map((sql) => `${sql};\n`)
    .join("")

const hit = turns(chart)
const miss = `\\set once random(1, 9000000000000000000)\n${turns(chart.replace("GROUP BY", "AND id <> :once\nGROUP BY"))}`

const options = benchOptions()

function load(kind: "hit" | "miss", sslMode: "disable" | "require", clients: number): NamedLoad {
  return {
    name: `${kind}, ${sslMode === "require" ? "TLS" : "no TLS"}, ${clients} client${clients === 1 ? "" : "s"}`,
    script: kind === "hit" ? hit : miss,
    protocol: "simple",
    clients,
    sslMode,
    seconds: options.seconds,
    isConnecting: true,
  }
}

const loads = (["hit", "miss"] as const).flatMap((kind) =>
  (["disable", "require"] as const).flatMap((sslMode) => [
    load(kind, sslMode, 1),
    load(kind, sslMode, 8),
  ]),
)

const columns = ["direct", "pgbouncer", "pgbouncer session", "floor", "sluice"] as const

function row(measurements: readonly Measurement[], name: string): string[] {
  const rate = (target: string): number => find(measurements, name, target)?.perSecond ?? Number.NaN
  return [
    name,
    ...columns.map((target) => figure(rate(target))),
    ratio(rate("sluice"), rate("direct")),
    ratio(rate("sluice"), rate("pgbouncer")),
    ratio(rate("sluice"), rate("floor")),
  ]
}

function tables(measurements: readonly Measurement[]): Table[] {
  return [
    {
      title: `Chart loads per second, median of ${options.rounds}`,
      head: ["load", ...columns, "sluice : direct", ": pgbouncer", ": floor"],
      rows: loads.map(({ name }) => row(measurements, name)),
    },
  ]
}

const certificate = await makeCertificate()
try {
  await using stack = await Stack.start(["pgbench", "pgbouncer"], options.targets, {
    seedFiles: [seedFile],
    settings: {
      ssl: "on",
      ssl_cert_file: certificate.certFile,
      ssl_key_file: certificate.keyFile,
    },
  })
  const direct = stack.warehouse.target
  // One round of PBKDF2 in place of 4096: the client's work at each login, about 1 ms, is no server's and would hide them all.
  await stack.warehouse.server.run(
    `SET scram_iterations = 1; ALTER ROLE ${direct.user} PASSWORD '${direct.password}'`,
  )
  const [role] = await stack.warehouse.server.run(
    `SELECT rolpassword AS verifier FROM pg_authid WHERE rolname = '${direct.user}'`,
  )
  const targets: readonly (Target | undefined)[] = [
    direct,
    await stack.add("pgbouncer", () => startPgBouncer(stack.warehouse, "transaction", certificate)),
    await stack.add("pgbouncer session", () =>
      startPgBouncer(stack.warehouse, "session", certificate),
    ),
    await stack.add("floor", () => startFloor(direct, chart)),
    hasGateway
      ? await stack.add("sluice", () =>
          startSluice(direct, {
            tls: certificate,
            verifier: String(role?.["verifier"]),
            nodeArguments: options.isProfiled ? ["--cpu-prof", "--cpu-prof-dir=.cache"] : [],
          }),
        )
      : undefined,
  ]
  const measurements: Measurement[] = []
  for (const one of loads) {
    const entries: Entry[] = targets
      .filter((target) => target !== undefined)
      .filter((target) => target.name !== "floor" || one.sslMode === "disable")
      .map((target) => ({ target, load: one }))
    measurements.push(...(await inRounds(entries, options.rounds)))
  }
  const noisiest = Math.max(...measurements.map((one) => one.spread))
  await publish(
    {
      bench: "bench:chart",
      tables: tables(measurements),
      measurements,
      notes: [
        "One chart load is TCP, (TLS,) SCRAM-SHA-256, 13 simple queries and Terminate, by pgbench -C. The floor trusts the login and has no TLS.",
        "SCRAM runs with 1 iteration everywhere, so that the client's PBKDF2 does not hide the servers. PgBouncer takes 16 server connections (transaction mode), 300 (session mode).",
        `Largest spread of one figure over its rounds: ${(noisiest * 100).toFixed(0)} %. Load generator and servers share the machine.`,
      ],
    },
    options.isSaved,
  )
} finally {
  await certificate.remove()
}
