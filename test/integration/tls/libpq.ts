import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

/** How one connection of a real libpq ended. */
export type Outcome = {
  readonly ok: boolean
  readonly tls: boolean
  /** libpq's text without what differs from run to run. */
  readonly error: string
}

export type LibpqOutcome = Outcome & { readonly protocol: number }

const root = fileURLToPath(new URL("../../../", import.meta.url))
const program = fileURLToPath(new URL("libpq.py", import.meta.url))

/** No certificate, list or password of whoever runs the tests may play a part. */
const environment = { PATH: process.env["PATH"], HOME: "/nonexistent", LC_ALL: "C" }

function stable(error: string): string {
  return error
    .replaceAll(/port \d+/g, "port N")
    .replaceAll(/connection to server at .*? failed: /g, "")
    .replaceAll(/^psql: error: /gm, "")
    .trim()
}

export function psqlVersion(): string {
  return execFileSync("psql", ["--version"], { encoding: "utf8" }).trim()
}

/** One connection by psql, which asks the server for nothing. */
export function psql(conninfo: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn("psql", ["-X", "-w", conninfo, "-c", "\\conninfo"], { env: environment })
    let out = ""
    let error = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      out += text
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      error += text
    })
    child.once("close", (code) =>
      resolve({ ok: code === 0, tls: out.includes("SSL connection"), error: stable(error) }),
    )
  })
}

/** The libpq inside psycopg's wheel: newer than Debian's, so that it knows direct TLS and protocol 3.2. */
export class Libpq {
  readonly version: number
  readonly #ask: (conninfo: string) => Promise<string>
  readonly #end: () => Promise<void>

  private constructor(
    version: number,
    ask: (conninfo: string) => Promise<string>,
    end: () => Promise<void>,
  ) {
    this.version = version
    this.#ask = ask
    this.#end = end
  }

  static async start(): Promise<Libpq> {
    execFileSync("scripts/install-debian.sh", ["psql", "openssl"], { cwd: root, stdio: "inherit" })
    const installed = spawnSync(
      "bash",
      ["scripts/install-python.sh", "test/clients/requirements-psycopg3.txt"],
      { cwd: root, encoding: "utf8" },
    )
    if (installed.status !== 0) throw new Error(installed.stderr)
    const child = spawn(installed.stdout.trim(), [program], {
      env: environment,
      stdio: ["pipe", "pipe", "inherit"],
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const read = async (): Promise<string> => {
      const { value } = await lines.next()
      if (typeof value !== "string") throw new Error("the libpq program ended")
      return value
    }
    const { libpq } = JSON.parse(await read()) as { readonly libpq: number }
    return new Libpq(
      libpq,
      async (conninfo) => {
        child.stdin.write(`${conninfo}\n`)
        return read()
      },
      async () => {
        const closed = once(child, "close")
        child.stdin.end()
        await closed
      },
    )
  }

  async connect(conninfo: string): Promise<LibpqOutcome> {
    const outcome = JSON.parse(await this.#ask(conninfo)) as LibpqOutcome
    return { ...outcome, error: stable(outcome.error) }
  }

  close(): Promise<void> {
    return this.#end()
  }
}
