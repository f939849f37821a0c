import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Redis } from "ioredis"
import { endWithThisProcess } from "./child-end.ts"
import { freePort } from "./free-port.ts"
import { redisServerPath } from "./redis-files.ts"

export type RedisServerOptions = {
  /** Lines of redis.conf beyond the defaults of a test. */
  readonly settings?: readonly (readonly [name: string, ...values: string[]])[]
  readonly port?: number
  /** Runs as a sentinel. */
  readonly isSentinel?: boolean
  /** Lets an admin command be sent although the `default` user was given a password. */
  readonly adminPassword?: string
}

const host = "127.0.0.1"
const startTimeoutMs = 10_000
const stopTimeoutMs = 5_000
const portAttemptsMax = 5
const logCharsMax = 100_000

/** A real redis-server on 127.0.0.1 with a folder of its own, gone with the test process. */
export class TestRedis {
  readonly host = host
  readonly port: number
  readonly folder: string
  readonly #options: RedisServerOptions
  #child: ChildProcess | undefined
  #log = ""

  constructor(port: number, options: RedisServerOptions) {
    this.port = port
    this.#options = options
    this.folder = mkdtempSync(join(tmpdir(), "sluice-redis-"))
  }

  get uri(): string {
    return `redis://${host}:${this.port}/0`
  }

  get node(): string {
    return `${host}:${this.port}`
  }

  log(): string {
    return this.#log
  }

  async start(): Promise<void> {
    const child = spawn(redisServerPath(), this.#arguments(), {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
    })
    this.#child = child
    endWithThisProcess(child)
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString("utf8")).slice(-logCharsMax)
      })
    const deadlineMs = Date.now() + startTimeoutMs
    while (!(await this.#answers())) {
      if (child.exitCode !== null || Date.now() > deadlineMs)
        throw new Error(`redis-server did not start: ${this.#log}`)
      await sleep(20)
    }
  }

  /** Freezes it (SIGSTOP): connections stay open and silent, new ones are taken by the kernel. */
  pause(): void {
    this.#child?.kill("SIGSTOP")
  }

  resume(): void {
    this.#child?.kill("SIGCONT")
  }

  /** Ends it at once (SIGKILL), as a crash does; `start` brings it back on the same port with what it had written to disk. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    child.kill("SIGCONT")
    await ended
  }

  /** Sends one command over a connection of its own. */
  async command(name: string, ...parameters: (string | number)[]): Promise<unknown> {
    const { adminPassword } = this.#options
    const client = new Redis({
      host,
      port: this.port,
      lazyConnect: true,
      protocol: 2,
      enableReadyCheck: false,
      commandTimeout: stopTimeoutMs,
      retryStrategy: null,
      ...(adminPassword === undefined ? {} : { password: adminPassword }),
    })
    client.on("error", () => undefined)
    try {
      await client.connect()
      return await client.call(name, ...parameters)
    } finally {
      client.disconnect()
    }
  }

  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A sentinel writes what it learns into its file, so that the file must be its own. */
  #arguments(): string[] {
    const isSentinel = this.#options.isSentinel === true
    const lines = [
      ["port", String(this.port)],
      ["bind", host],
      ["dir", this.folder],
      ...(isSentinel
        ? []
        : [
            ["save", '""'],
            ["appendonly", "no"],
          ]),
      ...(this.#options.settings ?? []),
    ]
    const file = join(this.folder, "redis.conf")
    if (!isSentinel || !existsSync(file))
      writeFileSync(file, `${lines.map((words) => words.join(" ")).join("\n")}\n`)
    return isSentinel ? [file, "--sentinel"] : [file]
  }

  async #answers(): Promise<boolean> {
    try {
      await this.command("PING")
      return true
    } catch (error) {
      // An ACL that lets nobody in without a password is an answer, too.
      return error instanceof Error && /NOAUTH|NOPERM|WRONGPASS/.test(error.message)
    }
  }
}

/** Starts a server on a free port, without persistence unless the settings say otherwise: about 50 ms. */
export async function startRedis(options: RedisServerOptions = {}): Promise<TestRedis> {
  for (let attempt = 1; ; attempt += 1) {
    const server = new TestRedis(options.port ?? (await freePort()), options)
    try {
      await server.start()
      return server
    } catch (error) {
      await server.stop()
      const isPortTaken = error instanceof Error && error.message.includes("Address already in use")
      if (!isPortTaken || options.port !== undefined || attempt >= portAttemptsMax) throw error
    }
  }
}
