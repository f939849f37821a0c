import { type ChildProcess, spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { makeVerifier } from "../../src/wire/scram.ts"
import { endWithThisProcess } from "./child-end.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const readyPollMs = 25
const stopWaitMsMax = 10_000
/** The tail of standard error that a failed start shows. */
const outputCharsMax = 64 * 1024

export type GatewayOptions = {
  /**
   * YAML. The sections `listen`, `control`, `roles` and `users` are added where the text has none: free ports on
   * 127.0.0.1, a bearer token with every scope, and a user `reader` who may read everything.
   * Undefined starts the demo instead.
   */
  readonly config?: string
  /** Database of the URI; the first warehouse's name when left out. */
  readonly database?: string
  /** For a configuration with its own `users`. */
  readonly login?: { readonly user: string; readonly password: string }
  /** Where the demo keeps its data; a folder of its own, deleted by `stop`, when left out. */
  readonly demoDataDir?: string
  readonly environment?: Readonly<Record<string, string>>
  /** Arguments for Node itself, such as `--cpu-prof`. */
  readonly nodeArguments?: readonly string[]
  readonly readyMsMax?: number
}

/** What `--ready-file` holds. `serve` writes the first three; `demo` all of them. */
export type ReadyFile = {
  readonly postgres: string
  readonly control: string
  readonly pid: number
  readonly token?: string
  readonly queries?: readonly string[]
  readonly relation?: string
}

export type RunningGateway = {
  readonly uri: string
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly controlUrl: string
  readonly token: string
  readonly pid: number
  /** The configuration as the gateway reads it; not there for the demo, which has none. */
  readonly configFile: string
  readonly ready: ReadyFile
  /** What it has written to standard output and standard error, the newest {@link outputCharsMax} characters. */
  output(): string
  signal(name: NodeJS.Signals): void
  /** SIGTERM, then SIGKILL after ten seconds. Resolves with the exit code; calling it again is harmless. */
  stop(): Promise<number | null>
}

function hasSection(config: string, name: string): boolean {
  return new RegExp(`^${name}:`, "m").test(config)
}

async function completed(config: string, password: string, token: string): Promise<string> {
  const parts = [config.trimEnd()]
  if (!hasSection(config, "listen")) parts.push("listen: { host: 127.0.0.1, port: 0 }")
  if (!hasSection(config, "control")) {
    const sha256 = createHash("sha256").update(token).digest("hex")
    parts.push(
      `control:
  host: 127.0.0.1
  port: 0
  tokens: [{ name: test, sha256: "${sha256}", scopes: [invalidate, read, metrics, admin] }]`,
    )
  }
  if (!hasSection(config, "roles"))
    parts.push(`roles: { everything: { relations: { allow: ["*"] } } }`)
  if (!hasSection(config, "users"))
    parts.push(
      `users: { reader: { verifier: "${await makeVerifier(password)}", roles: [everything] } }`,
    )
  return `${parts.join("\n")}\n`
}

function firstWarehouse(config: string): string {
  return /^warehouses:\s*\{?\s*([a-z_][\w-]*):/im.exec(config)?.[1] ?? "warehouse"
}

async function whenReady(
  child: ChildProcess,
  readyFile: string,
  readyMsMax: number,
  output: () => string,
): Promise<ReadyFile> {
  const deadline = performance.now() + readyMsMax
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(
        `the gateway ended with ${child.exitCode ?? child.signalCode} before it was ready:\n${output()}`,
      )
    const text = await readFile(readyFile, "utf8").catch(() => "")
    if (text.trimEnd().endsWith("}")) return JSON.parse(text) as ReadyFile
    await sleep(readyPollMs)
  }
  throw new Error(`the gateway was not ready within ${readyMsMax} ms:\n${output()}`)
}

async function end(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode
  const exited = once(child, "exit")
  child.kill("SIGTERM")
  const timer = setTimeout(() => child.kill("SIGKILL"), stopWaitMsMax)
  await exited
  clearTimeout(timer)
  return child.exitCode
}

/**
 * Starts the gateway as its users do, by `bin/sluice.cjs`, and waits until it accepts connections. Rejects with what the
 * process wrote when it ends or stays silent; nothing is left running or lying about then.
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-gateway-"))
  const readyFile = join(folder, "ready.json")
  const password = randomBytes(12).toString("hex")
  const token = randomBytes(16).toString("hex")
  const configFile = join(folder, "sluice.yaml")
  const args = ["--ready-file", readyFile]
  if (options.config === undefined) {
    const dataDir = options.demoDataDir ?? join(folder, "demo")
    args.unshift("demo", "--port", "0", "--control-port", "0", "--data-dir", dataDir)
  } else {
    await writeFile(configFile, await completed(options.config, password, token))
    args.unshift("serve", "--config", configFile)
  }

  const child = spawn(
    process.execPath,
    [...(options.nodeArguments ?? []), join(root, "bin/sluice.cjs"), ...args],
    {
      cwd: root,
      env: { ...process.env, ...options.environment },
      stdio: ["ignore", "pipe", "pipe"],
    },
  )
  let text = ""
  const keep = (chunk: string): void => {
    text = (text + chunk).slice(-outputCharsMax)
  }
  child.stdout.setEncoding("utf8").on("data", keep)
  child.stderr.setEncoding("utf8").on("data", keep)
  const output = (): string => text

  const stop = async (): Promise<number | null> => {
    const code = await end(child)
    await rm(folder, { recursive: true, force: true })
    return code
  }
  endWithThisProcess(child)

  try {
    const ready = await whenReady(child, readyFile, options.readyMsMax ?? 60_000, output)
    const uri = new URL(ready.postgres)
    if (options.config !== undefined) {
      // SQLAlchemy from 1.4 on takes no other spelling of the scheme.
      uri.protocol = "postgresql:"
      uri.username = options.login?.user ?? "reader"
      uri.password = options.login?.password ?? password
      uri.pathname = `/${options.database ?? firstWarehouse(options.config)}`
    }
    return {
      uri: uri.href,
      host: uri.hostname,
      port: Number(uri.port),
      user: decodeURIComponent(uri.username),
      password: decodeURIComponent(uri.password),
      controlUrl: ready.control,
      token: ready.token ?? token,
      pid: ready.pid,
      configFile,
      ready,
      output,
      signal: (name) => void child.kill(name),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
