import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api"
import { startGateway } from "../support/gateway.ts"
import type { TestPostgres } from "../support/postgres-server.ts"
import { encodeExchange } from "../support/query-generator-messages.ts"
import { RawSession, splitUri } from "../support/query-generator-session.ts"
import { rows, textRows } from "../support/wire-client.ts"
import { fieldsOf, messagesOf } from "./compare.ts"
import { print } from "./print.ts"
import { type CorpusStatement, styleStatements } from "./superset-flows.ts"
import { salesOnDuckdb } from "./superset-seed.ts"

type Answer =
  | { readonly kind: "rows"; readonly rows: readonly string[] }
  | { readonly kind: "error"; readonly message: string }

/** PostgreSQL's meaning of `/` and of NULLs in ORDER BY, which the gateway sets on every connection of its own. */
const postgresMeaning =
  "SET integer_division = true; SET default_null_order = 'nulls_last_on_asc_first_on_desc'; SET TimeZone = 'UTC'"

/** Answers that have no fixed value; `now` moves between the askings. */
const moving: ReadonlySet<string> = new Set(["interval_now"])

/**
 * One spelling for values that engines write differently: booleans, lists, intervals, dates that carry a midnight, and
 * numbers, whose last digits depend on the order in which an engine adds. Twelve digits are what two orders agree on.
 */
export function plainValue(value: string | null): string {
  if (value === null) return "NULL"
  if (value === "t") return "true"
  if (value === "f") return "false"
  if (/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(value)) return Number(value).toPrecision(12)
  if (/^\[.*\]$/s.test(value)) return `{${value.slice(1, -1).replaceAll(", ", ",")}}`
  return value
    .replace(/ 00:00:00(?:\+00)?$/, "")
    .replace(/\+00$/, "")
    .replaceAll(/\bmons?\b/g, "month")
    .replaceAll(/\b(year|month|day)s\b/g, "$1")
}

/** Rows as a multiset: where a statement leaves the order open, the engines choose differently. */
function plainRows(list: readonly (readonly (string | null)[])[]): readonly string[] {
  return list.map((row) => row.map(plainValue).join(" | ")).toSorted()
}

async function askDirect(connection: DuckDBConnection, sql: string): Promise<Answer> {
  try {
    const reader = await connection.runAndReadAll(
      `SELECT CAST(COLUMNS(*) AS VARCHAR) FROM (${sql}) AS direct`,
    )
    return { kind: "rows", rows: plainRows(reader.getRows() as (string | null)[][]) }
  } catch (error) {
    return { kind: "error", message: error instanceof Error ? error.message : String(error) }
  }
}

async function askWire(session: RawSession, sql: string): Promise<Answer> {
  const [answer] = await session.run([encodeExchange([{ kind: "query", sql }])])
  const messages = messagesOf(answer ?? Buffer.alloc(0))
  const error = messages.find((message) => message.type === "E")
  if (error !== undefined) {
    const fields = fieldsOf(error.body)
    return { kind: "error", message: `${fields.get("C") ?? ""} ${fields.get("M") ?? ""}` }
  }
  if (rows(messages).length === 0 && !messages.some((message) => message.type === "T"))
    return { kind: "error", message: "no result" }
  return { kind: "rows", rows: plainRows(textRows(messages)) }
}

async function directAnswers(
  path: string,
  statements: readonly CorpusStatement[],
): Promise<Map<string, Answer>> {
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  const answers = new Map<string, Answer>()
  try {
    await connection.run(salesOnDuckdb)
    await connection.run(postgresMeaning)
    for (const { name, sql } of statements) answers.set(name, await askDirect(connection, sql))
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
  return answers
}

function isSame(one: Answer, other: Answer): boolean {
  return (
    one.kind === "rows" &&
    other.kind === "rows" &&
    one.rows.length === other.rows.length &&
    one.rows.every((row, index) => row === other.rows[index])
  )
}

function show(answer: Answer): string {
  return answer.kind === "error"
    ? `error ${answer.message}`
    : `${answer.rows.length} rows: ${answer.rows.slice(0, 4).join(" ; ")}`
}

/**
 * Asks a gateway over DuckDB Superset-style queries and compares values with those that DuckDB gives when asked directly.
 * Where DuckDB does not take the text (that is what the gateway's dialect is for), PostgreSQL's answer over the same rows is
 * the reference. Returns the number of differences.
 */
export async function compareOverDuckdb(server: TestPostgres): Promise<number> {
  const statements = styleStatements().filter(({ name }) => !moving.has(name))
  const folder = await mkdtemp(join(tmpdir(), "sluice-duckdb-"))
  const path = join(folder, "sales.duckdb")
  let differences = 0
  const counts = { duckdb: 0, postgres: 0 }
  try {
    const direct = await directAnswers(path, statements)
    const gateway = await startGateway({
      config: `warehouses:\n  sales:\n    engine: duckdb\n    path: ${path}\nlog: { level: warn }\n`,
    })
    try {
      const session = await RawSession.open(splitUri(gateway.uri))
      const origin = await RawSession.open(splitUri(server.uri))
      for (const { name, sql } of statements) {
        const own = direct.get(name)
        const isDirect = own?.kind === "rows"
        const expected = isDirect ? own : await askWire(origin, sql)
        // Twice: the second answer comes from the cache.
        for (const asking of ["first", "second"]) {
          const got = await askWire(session, sql)
          if (isSame(expected, got)) continue
          differences += 1
          print(
            `DIFFERENCE over DuckDB in "${name}" (${asking} asking): ${sql}\n  expected (${isDirect ? "DuckDB" : "PostgreSQL"}) ${show(expected)}\n  got ${show(got)}`,
          )
        }
        counts[isDirect ? "duckdb" : "postgres"] += 1
      }
      session.close()
      origin.close()
    } finally {
      await gateway.stop()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  print(
    `duckdb: ${statements.length} statements twice, ${differences} differences (${counts.duckdb} compared with DuckDB itself, ${counts.postgres} with PostgreSQL)`,
  )
  return differences
}
