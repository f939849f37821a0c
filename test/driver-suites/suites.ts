import { spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { goOutcomesOf, junitOutcomesOf, type Outcomes, pytestOutcomesOf } from "./outcomes.ts"
import type { Target } from "./servers.ts"
import { goModule, mavenSources, pythonInterpreter, pythonSources, root } from "./sources.ts"

export type DriverSuite = {
  readonly name: string
  readonly version: string
  /** What the suite's own documentation asks the superuser to make. */
  readonly setupSql: string
  /** Fetches what is missing, loudly; returns what runs the suite. `folder` is empty and takes its reports. */
  prepare(): (target: Target, folder: string) => Promise<Outcomes>
}

/** One whole run; a suite that takes longer is cut off, and what it has not reached counts as lost. */
const suiteMsMax = 900_000
/** pytest is started again after a test that hung; so many may hang. */
const restartsMax = 60

type Command = {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  readonly msMax?: number
}

/** Runs it to its end, whatever its exit code: failing tests are what is counted. Resolves with its standard output. */
async function output(command: Command): Promise<string> {
  const child = spawn(command.file, command.args, {
    cwd: command.cwd,
    env: { ...process.env, ...command.env },
    stdio: ["ignore", "pipe", "ignore"],
    timeout: Math.ceil(command.msMax ?? suiteMsMax),
    killSignal: "SIGKILL",
  })
  const chunks: Buffer[] = []
  child.stdout.on("data", (chunk: Buffer) => void chunks.push(chunk))
  await once(child, "close")
  return Buffer.concat(chunks).toString("utf8")
}

function environment(target: Target): Record<string, string> {
  return {
    PGHOST: target.host,
    PGPORT: String(target.port),
    PGUSER: target.user,
    PGPASSWORD: target.password,
    PGDATABASE: target.database,
  }
}

function uri(target: Target, scheme: string): string {
  const { host, port, user, password, database } = target
  return `${scheme}://${user}:${password}@${host}:${port}/${database}`
}

/** A module that cannot be imported here costs its own tests only. */
const pytestArgs = ["-m", "pytest", "-q", "-p", "pytest_outcomes", "-p", "no:cacheprovider"].concat(
  "--continue-on-collection-errors",
)

type PytestSuite = {
  readonly folder: string
  readonly args: readonly string[]
  readonly env?: (target: Target) => Record<string, string>
  readonly targetArgs?: (target: Target) => readonly string[]
}

function pytest(suite: PytestSuite): ReturnType<DriverSuite["prepare"]> {
  const python = pythonInterpreter()
  const cwd = join(pythonSources(python), suite.folder)
  return async (target, folder) => {
    const file = join(folder, "outcomes.jsonl")
    writeFileSync(file, "")
    const deadline = performance.now() + suiteMsMax
    for (let start = 0; start < restartsMax && performance.now() < deadline; start += 1) {
      const before = readFileSync(file, "utf8").length
      await output({
        file: python,
        args: [...pytestArgs].concat(suite.args, suite.targetArgs?.(target) ?? []),
        cwd,
        env: {
          ...environment(target),
          ...suite.env?.(target),
          DRIVER_SUITE_OUTCOMES: file,
          PYTHONPATH: join(root, "test/driver-suites"),
        },
        msMax: deadline - performance.now(),
      })
      if (readFileSync(file, "utf8").length === before) break
    }
    return pytestOutcomesOf(readFileSync(file, "utf8"))
  }
}

function sqlalchemy(dialect: string): DriverSuite {
  return {
    name: `SQLAlchemy dialect suite over ${dialect}`,
    version: "2.0.58",
    setupSql:
      "CREATE SCHEMA test_schema; CREATE SCHEMA test_schema_2; CREATE EXTENSION hstore; CREATE EXTENSION citext",
    prepare: () =>
      pytest({
        folder: "sqlalchemy-2.0.58",
        args: ["test/dialect/test_suite.py", "test/dialect/postgresql"],
        targetArgs: (target) => ["--dburi", uri(target, `postgresql+${dialect}`)],
      }),
  }
}

const pgxPackages = [".", "./pgconn", "./pgproto3", "./pgxpool", "./pgtype", "./stdlib"]

export const driverSuites: readonly DriverSuite[] = [
  {
    name: "pgx",
    version: "5.12.0",
    setupSql:
      "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE DOMAIN uint64 AS numeric(20,0)",
    prepare: () => {
      const path = "github.com/jackc/pgx/v5"
      const sum = "h1:hWwax8YiGT0YiN50U1oIDn5kgR7KC2tG3rmavwpPkxY="
      const cwd = goModule({ path, version: "v5.12.0", sum })
      return async (target, folder) => {
        const text = await output({
          file: "go",
          args: ["test", "-p", "1", "-count", "1", "-timeout", "240s", "-json", ...pgxPackages],
          cwd,
          env: { PGX_TEST_DATABASE: uri(target, "postgresql") },
        })
        writeFileSync(join(folder, "go-test.jsonl"), text)
        return goOutcomesOf(text, path)
      }
    },
  },
  {
    name: "psycopg2",
    version: "2.9.13",
    setupSql: "CREATE EXTENSION hstore",
    prepare: () =>
      pytest({
        folder: "psycopg2-2.9.13",
        args: ["tests"],
        env: (target) => ({
          PSYCOPG2_TESTDB: target.database,
          PSYCOPG2_TESTDB_HOST: target.host,
          PSYCOPG2_TESTDB_PORT: String(target.port),
          PSYCOPG2_TESTDB_USER: target.user,
          PSYCOPG2_TESTDB_PASSWORD: target.password,
        }),
      }),
  },
  {
    name: "asyncpg",
    version: "0.32.0",
    setupSql: "",
    prepare: () => pytest({ folder: "asyncpg-0.32.0", args: ["tests"] }),
  },
  sqlalchemy("psycopg2"),
  sqlalchemy("psycopg"),
  sqlalchemy("asyncpg"),
  {
    name: "pgjdbc",
    version: "42.7.7",
    setupSql: "",
    prepare: () => {
      const sha256 = "216e8ff44559bf1094f671c43d71f65863bff381fa8e0ec6934da5d59f5a112e"
      const cwd = mavenSources({ version: "42.7.7", sha256 })
      return async (target, folder) => {
        writeFileSync(join(cwd, "build.local.properties"), pgjdbcProperties(target))
        // Surefire takes no other folder by its command line.
        const reports = join(cwd, "target/surefire-reports")
        rmSync(reports, { recursive: true, force: true })
        await output({
          file: "mvn",
          args: ["-B", "surefire:test", "-Dmaven.test.failure.ignore=true"],
          cwd,
        })
        if (!existsSync(reports)) throw new Error("Maven ran no test of pgjdbc")
        cpSync(reports, folder, { recursive: true })
        const all = new Map<string, "passed" | "failed" | "skipped">()
        for (const name of readdirSync(folder).filter((one) => one.endsWith(".xml")))
          for (const [test, outcome] of junitOutcomesOf(readFileSync(join(folder, name), "utf8")))
            all.set(test, outcome)
        return all
      }
    },
  },
]

function pgjdbcProperties(target: Target): string {
  return `test.url.PGHOST=${target.host}
test.url.PGPORT=${target.port}
test.url.PGDBNAME=${target.database}
user=${target.user}
password=${target.password}
privilegedUser=${target.user}
privilegedPassword=${target.password}
`
}
