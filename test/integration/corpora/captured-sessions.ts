import { readFileSync } from "node:fs"

export type CapturedStatement = {
  /** Place in the recording. */
  readonly index: number
  /** Call of Superset's API, or page, that sent it. */
  readonly origin: string
  /** How often it was sent during the recording. */
  readonly times: number
  readonly sql: string
}

/** What one connection sends. The recording holds each statement once; here they stand where Superset sends them. */
export type CapturedSession = {
  readonly title: string
  readonly as: "reader" | "writer"
  readonly statements: readonly CapturedStatement[]
}

type Entry = { readonly origin: string; readonly times: number; readonly sql: string }

const file = new URL("../../corpora/superset_real_captured.json", import.meta.url)

export function capturedStatements(): readonly CapturedStatement[] {
  const entries = JSON.parse(readFileSync(file, "utf8")) as readonly Entry[]
  return entries.map(({ origin, times, sql }, index) => ({ index, origin, times, sql }))
}

/** Tables whose object ids the recorded inspector had read, by the recorded id. */
export const recordedTables: Readonly<Record<string, string>> = {
  16651: "sales.regions",
  16658: "sales.customers",
  16671: "sales.products",
  16680: "sales.orders",
  16700: "sales.events",
  16709: "sales.empty_table",
  16716: '"Mixed Case"."Weird ""Table"""',
  16723: "sales.v_orders",
  16732: "mart.daily_sales",
  16738: "mart.daily_sales_tbl",
}

/** Runs until somebody stops it; the flow of two connections in captured.test.ts. */
export const isStopped = /e2e_i?stop_RUN/
export const isTerminate = /pg_terminate_backend/

/** Connections of the inspector and of expression checks have no search_path; those of charts and SQL Lab have the schema's. */
const withoutSchema = /^(db|dataset\/(physical|get_or_create|filter|validate))/
/** A connection for everything of one origin; elsewhere each query has its own. */
const oneConnection = /^(db|dataset\/(physical|get_or_create)|sqllab|export|options)/

function schemaOf({ sql, origin }: CapturedStatement): string {
  if (sql.includes('"Mixed Case"')) return "Mixed Case"
  return /\bmart\.|daily_sales_tbl/.test(`${sql} ${origin}`) ? "mart" : "sales"
}

/** An export fetches until nothing comes; the other statements are asked once. */
function repeated(statement: CapturedStatement): readonly CapturedStatement[] {
  return statement.sql.startsWith("FETCH ")
    ? Array.from({ length: statement.times }, () => statement)
    : [statement]
}

class Recording {
  readonly #list: readonly CapturedStatement[]

  constructor(list: readonly CapturedStatement[]) {
    this.#list = list
  }

  find(sql: string): CapturedStatement {
    const found = this.#list.find((statement) => statement.sql === sql)
    if (found === undefined) throw new Error(`not in the recording: ${sql}`)
    return found
  }

  /** What the driver asks on every new connection. */
  preamble(): readonly CapturedStatement[] {
    const hstore = this.#list.find(({ sql }) => sql.includes("hstore"))
    const [begin, rollback] = [this.find("BEGIN"), this.find("ROLLBACK")]
    const facts = [
      "select pg_catalog.version()",
      "select current_schema()",
      "show transaction isolation level",
      "show standard_conforming_strings",
    ].map((sql) => this.find(sql))
    return [begin, ...(hstore === undefined ? [] : [hstore]), rollback, begin, ...facts, rollback]
  }

  session(statements: readonly CapturedStatement[]): CapturedSession {
    const [first] = statements
    const origin = first?.origin ?? ""
    const isWritten = statements.some(({ sql }) => sql.startsWith("CREATE "))
    const schema =
      first === undefined || withoutSchema.test(origin)
        ? []
        : [this.find(`set search_path = "${schemaOf(first)}"`)]
    const pid = origin.startsWith("sqllab") ? [this.find("SELECT pg_backend_pid()")] : []
    const own = statements.filter(({ sql }) => !/^(COMMIT$|set search_path)/.test(sql))
    return {
      title: `${origin} (${statements.map(({ index }) => index).join(", ")})`,
      as: isWritten ? "writer" : "reader",
      statements: [
        ...this.preamble(),
        this.find("BEGIN"),
        ...schema,
        ...pid.filter((statement) => !own.includes(statement)),
        ...own.flatMap(repeated),
        this.find(isWritten ? "COMMIT" : "ROLLBACK"),
      ],
    }
  }
}

/** The recording as connections. Every statement is in one of them, but for the two flows of a stopped query. */
export function capturedSessions(list: readonly CapturedStatement[]): readonly CapturedSession[] {
  const recording = new Recording(list)
  const inPreamble = new Set(recording.preamble())
  const rest = list.filter(
    (statement) =>
      !(
        inPreamble.has(statement) ||
        isStopped.test(statement.sql) ||
        isTerminate.test(statement.sql)
      ),
  )
  const groups: CapturedStatement[][] = []
  for (const statement of rest) {
    const group = groups.at(-1)
    const isSame =
      group?.[0]?.origin === statement.origin &&
      oneConnection.test(statement.origin) &&
      !statement.sql.startsWith("DECLARE ")
    if (isSame) group.push(statement)
    else groups.push([statement])
  }
  return groups.map((group) => recording.session(group))
}
