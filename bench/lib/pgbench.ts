import { globSync } from "node:fs"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { spawnPeer } from "./peer-process.ts"
import { percentile } from "./statistics.ts"
import type { Target } from "./target.ts"

export type Protocol = "simple" | "extended" | "prepared"

export type Load = {
  readonly protocol: Protocol
  readonly clients: number
  /** A pgbench script (PostgreSQL manual, pgbench, "Custom Scripts"). */
  readonly script: string
  readonly seconds: number
  /** Transactions a second to offer (open loop); latency then counts from the scheduled start. 0 = as many as go. */
  readonly perSecond?: number
  /** A connection per transaction. */
  readonly isConnecting?: boolean
  /** libpq's sslmode; without it, no TLS. */
  readonly sslMode?: "disable" | "require"
  /** Share of transactions whose latency is kept (0..1); all when left out. */
  readonly sample?: number
}

export type Figures = {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly samples: number
}

/** pgbench's own limit here: connecting, running and disconnecting must end within this beyond the run itself. */
const extraMsMax = 60_000

/** Debian's /usr/bin/pgbench is a Perl wrapper that looks for clusters: the program itself is behind it. */
function program(): string {
  const found = globSync("/usr/lib/postgresql/*/bin/pgbench").toSorted().at(-1)
  if (found === undefined)
    throw new Error("pgbench is missing: run scripts/install-debian.sh pgbench")
  return found
}

function argumentsFor(target: Target, load: Load): string[] {
  const words = ["-n", "-M", load.protocol, "-f", "script.sql"]
  words.push("-c", String(load.clients), "-j", String(Math.min(2, load.clients)))
  words.push("-T", String(load.seconds))
  words.push("-l", "--log-prefix=latency", `--sampling-rate=${load.sample ?? 1}`)
  if (load.isConnecting === true) words.push("-C")
  if (load.perSecond !== undefined && load.perSecond > 0) words.push("-R", String(load.perSecond))
  words.push("-h", target.host, "-p", String(target.port), "-U", target.user, target.database)
  return words
}

/** Third column of pgbench's transaction log: elapsed time in microseconds, the wait for the slot included. */
async function latenciesMs(folder: string): Promise<number[]> {
  const values: number[] = []
  for (const name of await readdir(folder)) {
    if (!name.startsWith("latency.")) continue
    const text = await readFile(join(folder, name), "utf8")
    for (const line of text.split("\n")) {
      const elapsedUs = Number(line.split(" ")[2])
      if (line !== "" && Number.isFinite(elapsedUs)) values.push(elapsedUs / 1000)
    }
  }
  return values
}

/** Runs one load. A client that failed, or a run that did not end, is an error with pgbench's words, never a low figure. */
export async function pgbench(target: Target, load: Load): Promise<Figures> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-pgbench-"))
  try {
    await writeFile(join(folder, "script.sql"), load.script)
    const { host, user, password, database } = target
    await writeFile(
      join(folder, "pgpass"),
      `${host}:${target.port}:${database}:${user}:${password}\n`,
      {
        mode: 0o600,
      },
    )
    const peer = spawnPeer({
      command: program(),
      args: argumentsFor(target, load),
      cwd: folder,
      environment: { PGPASSFILE: join(folder, "pgpass"), PGSSLMODE: load.sslMode ?? "disable" },
    })
    const timer = setTimeout(() => void peer.stop("SIGKILL"), load.seconds * 1000 + extraMsMax)
    await peer.ended
    clearTimeout(timer)
    const tps = /^tps = ([\d.]+)/m.exec(peer.output())?.[1]
    if (peer.child.exitCode !== 0 || tps === undefined)
      throw new Error(`pgbench against ${target.name} (${load.protocol}) failed:\n${peer.output()}`)
    // With -C the log leaves out the time to connect, which is what that load is about.
    const latencies = load.isConnecting === true ? [] : await latenciesMs(folder)
    return {
      perSecond: Number(tps),
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      samples: latencies.length,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
