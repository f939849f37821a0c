import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { platform } from "node:os"
import { join } from "node:path"
import { Client } from "pg"
import {
  copyFolder,
  databaseName,
  reader,
  serverFiles,
  serverIds,
  serverRoot,
  superuser,
} from "./postgres-template.ts"

export type PostgresOptions = {
  /** SQL files that the superuser runs in database `warehouse` before the server is handed out, in order. */
  readonly seedFiles?: readonly string[]
  /** Server settings beyond the defaults of a test, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A real PostgreSQL of its own on 127.0.0.1, gone with the test process. */
export type TestPostgres = {
  readonly host: string
  readonly port: number
  readonly database: string
  /** Role `reader`: may read everything (pg_read_all_data), owns nothing. Password log-in by SCRAM. */
  readonly uri: string
  readonly superuserUri: string
  /** Runs SQL (several statements too) as superuser; the last statement's rows. */
  run(sqlText: string): Promise<Record<string, unknown>[]>
  /** What the server logged since its start, newest last; bounded. */
  log(): string
  /** Freezes every process of the server (SIGSTOP): connections stay open and silent. */
  pause(): void
  resume(): void
  /** Kills every process at once (SIGKILL), as a crash does. `restart` brings the server back. */
  kill(): Promise<void>
  /** Fast shutdown when it runs, then a start on the same port with the same data. */
  restart(): Promise<void>
  /** A streaming standby of it: restarts it once, so that sessions end. Roles and passwords are the same. */
  startReplica(): Promise<TestReplica>
  /** Ends it and deletes its data. Calling it twice is harmless. */
  stop(): Promise<void>
}

export type TestReplica = TestPostgres & {
  /** Resolves when everything that the primary has committed can be read here. */
  untilCaughtUp(): Promise<void>
}

const host = "127.0.0.1"
const startTimeoutMs = 30_000
const stopTimeoutMs = 10_000
const logCharsMax = 200_000
/** Another process may take a port between our look and the server's bind: take the next one. */
const portAttemptsMax = 5

const testSettings: Readonly<Record<string, string>> = {
  listen_addresses: host,
  unix_socket_directories: "",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  shared_buffers: "64MB",
  max_connections: "120",
  timezone: "UTC",
  lc_messages: "C",
  logging_collector: "off",
}

type Run = { readonly child: ChildProcess; readonly ended: Promise<void>; hasEnded: boolean }

/** Servers that still run, so that the process's own end takes them along. */
const running = new Set<{ readonly pid: number; readonly data: string }>()
let isHooked = false

function killAll(): void {
  for (const { pid, data } of running) {
    signalTree(pid, "SIGKILL")
    rmSync(data, { recursive: true, force: true })
  }
}

function hookProcessEnd(): void {
  if (isHooked) return
  isHooked = true
  process.on("exit", killAll)
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      killAll()
      process.kill(process.pid, signal)
    })
  }
}

/** Direct children: the postmaster forks every backend itself, and each stands in a process group of its own. */
function childrenOf(pid: number): number[] {
  if (platform() !== "linux") throw new Error("pausing a test server needs Linux (/proc)")
  const pids: number[] = []
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8")
      // Fields after the parenthesised program name: state, parent.
      const parent = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]
      if (Number(parent) === pid) pids.push(Number(name))
    } catch {
      // Gone while we looked.
    }
  }
  return pids
}

function signalOne(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
  }
}

/** The postmaster first, so that it neither forks nor reacts while its children get theirs. */
function signalTree(pid: number, signal: NodeJS.Signals): void {
  if (platform() !== "linux") return signalOne(pid, signal === "SIGKILL" ? "SIGQUIT" : signal)
  signalOne(pid, "SIGSTOP")
  const children = childrenOf(pid)
  signalOne(pid, signal)
  for (const child of children) signalOne(child, signal)
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", reject)
    server.listen(0, host, () => {
      const address = server.address()
      server.close(() => {
        if (address === null || typeof address === "string") reject(new Error("no port"))
        else resolve(address.port)
      })
    })
  })
}

/** Whether this process stays alive for the server: only while somebody waits for its end. */
function holdProcess(child: ChildProcess, isHeld: boolean): void {
  const pipe = child.stderr as unknown as { ref(): void; unref(): void } | null
  if (isHeld) {
    child.ref()
    pipe?.ref()
  } else {
    child.unref()
    pipe?.unref()
  }
}

class Server implements TestReplica {
  readonly host = host
  readonly port: number
  readonly database = databaseName
  readonly #bin: string
  readonly #data: string
  readonly #settings: Readonly<Record<string, string>>
  readonly #primary: Server | undefined
  #run: Run | undefined
  #log = ""
  #isStopped = false

  constructor(
    init: { bin: string; data: string; port: number; settings: Record<string, string> },
    primary?: Server,
  ) {
    this.#primary = primary
    this.#bin = init.bin
    this.#data = init.data
    this.port = init.port
    this.#settings = { ...testSettings, ...init.settings, port: String(init.port) }
  }

  get uri(): string {
    return `postgresql://${reader.name}:${reader.password}@${host}:${this.port}/${databaseName}`
  }

  get superuserUri(): string {
    return `postgresql://${superuser.name}:${superuser.password}@${host}:${this.port}/${databaseName}`
  }

  log(): string {
    return this.#log
  }

  async start(): Promise<void> {
    const settings = Object.entries(this.#settings).flatMap(([name, value]) => [
      "-c",
      `${name}=${value}`,
    ])
    const child = spawn(join(this.#bin, "postgres"), ["-D", this.#data, ...settings], {
      ...serverIds,
      cwd: this.#data,
      env: { LC_ALL: "C", TZ: "UTC" },
      stdio: ["ignore", "ignore", "pipe"],
      detached: true,
    })
    const run: Run = {
      child,
      hasEnded: false,
      ended: new Promise((resolve) => {
        child.once("close", () => {
          run.hasEnded = true
          resolve()
        })
      }),
    }
    this.#run = run
    const entry = { pid: child.pid ?? 0, data: this.#data }
    if (child.pid !== undefined) running.add(entry)
    void run.ended.then(() => running.delete(entry))
    hookProcessEnd()
    await this.#untilReady(run)
    // A test that forgets stop() still ends: the exit hook takes the server along.
    holdProcess(child, false)
  }

  #untilReady(run: Run): Promise<void> {
    const from = this.#log.length
    return new Promise((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new Error(`PostgreSQL did not start (${why}):\n${this.#log.slice(from)}`))
      const timer = setTimeout(() => fail(`${startTimeoutMs} ms passed`), startTimeoutMs)
      run.child.once("error", (error) => fail(error.message))
      void run.ended.then(() => fail("it ended"))
      run.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        this.#log = (this.#log + text).slice(-logCharsMax)
        if (/ready to accept (?:read-only )?connections/.test(text)) {
          clearTimeout(timer)
          resolve()
        }
      })
      void run.ended.finally(() => clearTimeout(timer))
    })
  }

  async run(sqlText: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.superuserUri })
    client.on("error", () => {})
    await client.connect()
    try {
      const results: unknown = await client.query(sqlText)
      const last: unknown = Array.isArray(results) ? results.at(-1) : results
      return (last as { rows: Record<string, unknown>[] } | undefined)?.rows ?? []
    } finally {
      await client.end()
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const run = this.#run
    if (run === undefined || run.hasEnded || run.child.pid === undefined) return
    signalTree(run.child.pid, signal)
  }

  pause(): void {
    this.#signal("SIGSTOP")
  }

  resume(): void {
    this.#signal("SIGCONT")
  }

  async kill(): Promise<void> {
    if (this.#run !== undefined) holdProcess(this.#run.child, true)
    this.#signal("SIGKILL")
    await this.#run?.ended
  }

  async #shutDown(): Promise<void> {
    const run = this.#run
    if (run === undefined || run.hasEnded || run.child.pid === undefined) return
    holdProcess(run.child, true)
    this.resume()
    // SIGINT: "fast shutdown", which ends sessions with 57P01 (PostgreSQL manual, 18.5).
    signalOne(run.child.pid, "SIGINT")
    const timer = setTimeout(() => this.#signal("SIGKILL"), stopTimeoutMs)
    await run.ended
    clearTimeout(timer)
  }

  async restart(): Promise<void> {
    await this.#shutDown()
    await this.start()
  }

  /** A copy of the stopped server's data that follows it (PostgreSQL manual, 26.2.5). */
  async startReplica(): Promise<TestReplica> {
    await this.#shutDown()
    const data = dataFolder()
    copyFolder(this.#data, data)
    await this.start()
    writeFileSync(join(data, "standby.signal"), "")
    const settings = {
      ...this.#settings,
      primary_conninfo: `host=${host} port=${this.port} user=${superuser.name} password=${superuser.password}`,
    }
    const replica = new Server({ bin: this.#bin, data, port: await freePort(), settings }, this)
    await replica.start()
    return replica
  }

  async untilCaughtUp(): Promise<void> {
    const [at] = (await this.#primary?.run("SELECT pg_current_wal_insert_lsn()::text AS lsn")) ?? []
    const deadline = performance.now() + startTimeoutMs
    for (;;) {
      const [row] = await this.run(
        `SELECT pg_last_wal_replay_lsn() >= '${String(at?.["lsn"])}'::pg_lsn AS is_there`,
      )
      if (row?.["is_there"] === true) return
      if (performance.now() > deadline) throw new Error("the replica did not catch up")
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    await this.#shutDown()
    rmSync(this.#data, { recursive: true, force: true })
  }
}

function dataFolder(): string {
  return join(serverRoot(), `data-${process.pid}-${randomBytes(4).toString("hex")}`)
}

async function startOn(port: number, options: PostgresOptions): Promise<Server> {
  const { bin, template } = serverFiles()
  const data = dataFolder()
  copyFolder(template, data)
  const server = new Server({ bin, data, port, settings: { ...options.settings } })
  try {
    await server.start()
  } catch (error) {
    await server.stop()
    throw error
  }
  return server
}

/** Starts a server with database `warehouse`: about 0.2 s, after 2 s for the very first one on a machine. */
export async function startPostgres(options: PostgresOptions = {}): Promise<TestPostgres> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const server = await startOn(await freePort(), options)
      for (const file of options.seedFiles ?? []) await server.run(readFileSync(file, "utf8"))
      return server
    } catch (error) {
      const isPortTaken = error instanceof Error && error.message.includes("Address already in use")
      if (!isPortTaken || attempt >= portAttemptsMax) throw error
    }
  }
}
