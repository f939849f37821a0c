import { execFile, execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const root = fileURLToPath(new URL("../../../", import.meta.url))
/** A whole program: some twenty to fifty checks, two of which wait for a cancel. */
const programMsMax = 120_000
const outputBytesMax = 32 * 1024 * 1024

/** One line of a client program; see test/clients/report.py. */
export type CheckLine = { readonly name: string; readonly ok: boolean; readonly got: unknown }

export type ClientProgram = {
  readonly name: string
  /** Installs what the program needs, loudly, and returns its command without the URI. */
  prepare(): readonly [command: string, ...args: string[]]
}

function python(requirements: string, program: string): [string, string] {
  const interpreter = execFileSync(
    "scripts/install-python.sh",
    [`test/clients/requirements-${requirements}.txt`],
    { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  )
  return [interpreter.trim(), `test/clients/${program}`]
}

function run(file: string, ...args: string[]): void {
  execFileSync(file, args, { cwd: root, stdio: "inherit" })
}

/** libpq's program, compiled anew: it takes a second. */
function libpqProgram(): [string] {
  run("scripts/install-debian.sh", "gcc", "libpq-dev")
  const program = `${root}.cache/libpq_pipeline`
  const include = execFileSync("pg_config", ["--includedir"], { encoding: "utf8" }).trim()
  run("gcc", "-Wall", "-o", program, `-I${include}`, "test/clients/libpq_pipeline.c", "-lpq")
  return [program]
}

/** pgx's program; Go checks the modules against go.sum. */
function goProgram(): [string] {
  run("scripts/install-debian.sh", "go")
  const program = `${root}.cache/pgx_checks`
  run("go", "build", "-C", "test/clients/go", "-o", program, ".")
  return [program]
}

/** Java runs the one source file as it is. */
function javaProgram(): [string, ...string[]] {
  const jar = execFileSync("scripts/install-maven.sh", ["test/clients/pgjdbc.txt"], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  })
  return ["java", "-Duser.timezone=UTC", "-cp", jar.trim(), "test/clients/PgjdbcChecks.java"]
}

export const clientPrograms: readonly ClientProgram[] = [
  {
    name: "psql",
    prepare: () => {
      execFileSync("scripts/install-debian.sh", ["psql"], { cwd: root, stdio: "inherit" })
      return ["test/clients/psql.sh"]
    },
  },
  {
    name: "psycopg2 and SQLAlchemy 1.4",
    prepare: () => python("sqlalchemy-1.4", "sqlalchemy_psycopg2.py"),
  },
  {
    name: "psycopg2 and SQLAlchemy 2.0",
    prepare: () => python("sqlalchemy-2.0", "sqlalchemy_psycopg2.py"),
  },
  { name: "psycopg 3", prepare: () => python("psycopg3", "psycopg3_checks.py") },
  { name: "asyncpg", prepare: () => python("asyncpg", "asyncpg_checks.py") },
  {
    name: "SQLAlchemy 2.0 over psycopg 3",
    prepare: () => python("asyncpg", "sqlalchemy_psycopg3.py"),
  },
  {
    name: "SQLAlchemy 2.0 over asyncpg",
    prepare: () => python("asyncpg", "sqlalchemy_asyncpg.py"),
  },
  { name: "node pg", prepare: () => [process.execPath, "test/clients/node-pg.ts"] },
  {
    name: "pg-cursor and pg-query-stream",
    prepare: () => [process.execPath, "test/clients/node-cursors.ts"],
  },
  { name: "postgres.js", prepare: () => [process.execPath, "test/clients/postgres-js.ts"] },
  {
    name: "Npgsql's start-up",
    prepare: () => [process.execPath, "test/clients/npgsql-startup.ts"],
  },
  { name: "libpq pipeline mode", prepare: libpqProgram },
  { name: "pgx", prepare: goProgram },
  { name: "pgjdbc", prepare: javaProgram },
]

/** Runs a program against one server. Rejects when it crashes, prints something else than its lines, or does not end. */
export async function runProgram(
  command: readonly [string, ...string[]],
  uri: string,
): Promise<ReadonlyMap<string, CheckLine>> {
  const [file, ...args] = command
  const { stdout } = await promisify(execFile)(file, [...args, uri], {
    cwd: root,
    timeout: programMsMax,
    killSignal: "SIGKILL",
    maxBuffer: outputBytesMax,
  })
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as CheckLine)
  return new Map(lines.map((line) => [line.name, line]))
}
