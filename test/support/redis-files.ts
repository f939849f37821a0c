import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"

/** Redis from the distribution: the binary is a dozen shared libraries' client, so that no package of npm carries it. */
const packages = ["redis-server", "redis-sentinel"]
const installCommand = `apt-get install -y --no-install-recommends ${packages.join(" ")}`

function onPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter)
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

function install(): void {
  process.stderr.write(`redis-server is not on the PATH; running: ${installCommand}\n`)
  // RUNLEVEL 1: the package's own service is not started.
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" }
  execFileSync("sh", ["-c", `apt-get update -q && ${installCommand}`], {
    env: environment,
    stdio: ["ignore", process.stderr, process.stderr],
  })
}

/** Path of `redis-server`, which is also the sentinel. Throws with the command to run when there is none. */
export function redisServerPath(): string {
  const found = onPath("redis-server")
  if (found !== undefined) return found
  if (process.getuid?.() === 0 && onPath("apt-get") !== undefined) install()
  const installed = onPath("redis-server")
  if (installed !== undefined) return installed
  throw new Error(
    `the tests need redis-server 7.0 or newer on the PATH; on Debian and Ubuntu: sudo ${installCommand}`,
  )
}
