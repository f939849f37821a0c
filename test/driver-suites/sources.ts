import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
} from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/**
 * The suites' sources, from the registries by their own clients, pinned and checked. They are kept in
 * `.cache/driver-suites` and are never part of this repository.
 */

export const root = fileURLToPath(new URL("../../", import.meta.url))
export const cacheFolder = join(root, ".cache/driver-suites")
/** A download of some ten megabytes, and what its client does with it. */
const commandMsMax = 600_000

function run(file: string, args: readonly string[], cwd: string): string {
  process.stderr.write(`${file} ${args.join(" ")}\n`)
  return execFileSync(file, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: commandMsMax,
    maxBuffer: 64 * 1024 * 1024,
  })
}

/** Makes a folder of the cache once; a half-made one is never taken for a whole one. */
function madeOnce(name: string, make: (folder: string) => void): string {
  const folder = join(cacheFolder, name)
  if (existsSync(folder)) return folder
  const building = `${folder}.${process.pid}`
  mkdirSync(building, { recursive: true })
  make(building)
  renameSync(building, folder)
  return folder
}

/** Installs the Python drivers and pytest; returns the interpreter. */
export function pythonInterpreter(): string {
  const requirements = "test/driver-suites/requirements.txt"
  return run("scripts/install-python.sh", [requirements], root).trim()
}

/** Unpacks the source distributions of sdists.txt; returns the folder that holds them. */
export function pythonSources(python: string): string {
  return madeOnce("sdists-2026-11", (folder) => {
    // psycopg2's set-up asks pg_config even when nothing is built.
    run("scripts/install-debian.sh", ["libpq-dev", "gcc"], root)
    const list = join(root, "test/driver-suites/sdists.txt")
    const pip = ["-m", "pip", "download", "--disable-pip-version-check", "--quiet", "--no-deps"]
    run(python, [...pip, "--no-binary", ":all:", "--require-hashes", "-r", list], folder)
    for (const archive of readdirSync(folder)) run("tar", ["xzf", archive], folder)
    // pytest puts the folder above `tests` on Python's path: the sources there have no compiled part and would be taken.
    renameSync(join(folder, "asyncpg-0.32.0/asyncpg"), join(folder, "asyncpg-0.32.0/not-built"))
  })
}

/** pgx with its tests, checked by Go against `sum`. The copy is writable, as the module cache is not. */
export function goModule(init: { path: string; version: string; sum: string }): string {
  return madeOnce(`pgx-${init.version}`, (folder) => {
    run("scripts/install-debian.sh", ["go"], root)
    const text = run("go", ["mod", "download", "-json", `${init.path}@${init.version}`], folder)
    const { Dir, Sum } = JSON.parse(text) as { Dir: string; Sum: string }
    if (Sum !== init.sum)
      throw new Error(`${init.path} ${init.version} has sum ${Sum}, not ${init.sum}`)
    cpSync(Dir, folder, { recursive: true })
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
      chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644)
    chmodSync(folder, 0o755)
  })
}

/** pgjdbc's source release from Maven Central with its tests, compiled. */
export function mavenSources(init: { version: string; sha256: string }): string {
  const name = `postgresql-${init.version}-jdbc-src`
  const folder = madeOnce(`pgjdbc-${init.version}`, (building) => {
    run("scripts/install-debian.sh", ["mvn", "javac"], root)
    const artifact = `org.postgresql:postgresql:${init.version}:tar.gz:jdbc-src`
    const copy = ["-q", "-B", "dependency:copy", `-Dartifact=${artifact}`, "-DoutputDirectory=."]
    run("mvn", copy, building)
    const archive = readFileSync(join(building, `${name}.tar.gz`))
    const sha256 = createHash("sha256").update(archive).digest("hex")
    if (sha256 !== init.sha256) throw new Error(`${name} has digest ${sha256}, not ${init.sha256}`)
    run("tar", ["xzf", `${name}.tar.gz`], building)
    run("mvn", ["-q", "-B", "test-compile"], join(building, name))
  })
  return join(folder, name)
}
