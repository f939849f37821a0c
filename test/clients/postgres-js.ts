import { setTimeout as sleep } from "node:timers/promises"
import postgres from "postgres"

/** postgres.js: named statements by default, pipelined queries, cursors, savepoints, COPY, cancel. Output as in report.py. */

const slow =
  "SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), generate_series(1, 1000) AS c(k) WHERE i + j + k < 0"
const cancelAfterMs = 700
const checkMsMax = 15_000

type Outcome = { readonly ok: boolean; readonly got: unknown }
type Check = readonly [name: string, run: (sql: postgres.Sql) => Promise<Outcome>]

async function failureOf(work: PromiseLike<unknown>): Promise<unknown[]> {
  try {
    await work
    return ["no error"]
  } catch (error) {
    const { code, severity, message, position } = error as Record<string, unknown>
    return [code, severity, message, position]
  }
}

const checks: readonly Check[] = [
  [
    "query without parameters",
    async (sql) => {
      const rows = await sql`SELECT n, label FROM clients.numbers ORDER BY n`
      return { ok: rows.count === 100, got: [rows.command, rows.slice(0, 2), rows.columns] }
    },
  ],
  [
    "query with parameters",
    async (sql) => {
      const rows =
        await sql`SELECT n, label FROM clients.numbers WHERE n = ${7} OR label = ${"label 9"} ORDER BY n`
      return { ok: rows.length === 2, got: rows }
    },
  ],
  [
    "every type",
    async (sql) => {
      const rows =
        await sql`SELECT id, flag, small, big, real4, real8, exact, name, code, day::text, moment::text, moment_tz, span, uid, blob, ints, words FROM clients.kinds ORDER BY id`
      return { ok: rows.length === 3, got: [rows.columns.map((column) => column.type), rows] }
    },
  ],
  [
    "parameters of many types",
    async (sql) => {
      const rows =
        await sql`SELECT ${true}::boolean AS a, ${"9223372036854775807"}::bigint AS b, ${"12.340"}::numeric(10, 3) AS c, ${"Zażółć 🦥"}::text AS d, ${[1, 2, 3]}::integer[] AS e, ${null}::text AS f, ${new Date(0)}::timestamptz AS g`
      return { ok: rows.length === 1, got: rows }
    },
  ],
  [
    "statement is described without being run",
    async (sql) => {
      const { types, columns } =
        await sql`SELECT n, label FROM clients.numbers WHERE n = ${1}`.describe()
      return { ok: columns.length === 2, got: [types, columns] }
    },
  ],
  [
    "many questions at once over one connection",
    async (sql) => {
      const got = await Promise.all(
        Array.from(
          { length: 30 },
          (_, n) => sql`SELECT label FROM clients.numbers WHERE n = ${n + 1}`,
        ),
      )
      return { ok: got.length === 30, got: got.map((rows) => rows[0]?.["label"]) }
    },
  ],
  [
    "an error among many does not stop the others",
    async (sql) => {
      const got = await Promise.all([
        sql`SELECT 1 AS a`,
        failureOf(sql`SELECT nope FROM clients.numbers`),
        sql`SELECT 3 AS c`,
      ])
      return { ok: got[1]?.[0] === "42703", got }
    },
  ],
  [
    "simple protocol with several statements",
    async (sql) => {
      const rows = await sql`SELECT 1 AS a; SELECT 2 AS b`.simple()
      return { ok: rows.length === 2, got: rows }
    },
  ],
  [
    "cursor",
    async (sql) => {
      const parts: number[] = []
      const query = sql`SELECT n FROM clients.numbers ORDER BY n`
      for await (const rows of query.cursor(30)) parts.push(rows.length)
      return { ok: parts.join() === "30,30,30,10", got: parts }
    },
  ],
  [
    "cursor closed early",
    async (sql) => {
      const query = sql`SELECT n FROM clients.numbers ORDER BY n`
      const parts: number[] = []
      await query.cursor(10, (rows) => {
        parts.push(rows.length)
        return parts.length === 2 ? sql.CLOSE : undefined
      })
      return { ok: parts.length === 2, got: [parts, await sql`SELECT 1 AS one`] }
    },
  ],
  [
    "rows one by one",
    async (sql) => {
      let sum = 0
      await sql`SELECT n FROM clients.numbers`.forEach((row) => {
        sum += Number(row["n"])
      })
      return { ok: sum === 5050, got: sum }
    },
  ],
  [
    "transaction with savepoint",
    async (sql) => {
      const got = await sql.begin("read only", async (transaction) => {
        const inner = await failureOf(
          transaction.savepoint((point) => point`SELECT nope FROM clients.numbers`),
        )
        return [inner, await transaction`SELECT 1 AS one`]
      })
      return { ok: true, got }
    },
  ],
  [
    "failed transaction is rolled back",
    async (sql) => {
      const got = await failureOf(sql.begin((transaction) => transaction`SELECT 1 / 0`))
      return { ok: got[0] === "22012", got: [got, await sql`SELECT 1 AS one`] }
    },
  ],
  [
    "errors have state and position",
    async (sql) => {
      const got = [
        await failureOf(sql`SELEC 1`),
        await failureOf(sql`SELECT 'ü', nope FROM clients.numbers WHERE n = ${1}`),
        await failureOf(sql`SELECT * FROM clients.nothing`),
      ]
      return { ok: got[0]?.[0] === "42601", got }
    },
  ],
  [
    "copy to standard output",
    async (sql) => {
      const stream =
        await sql`COPY (SELECT n, label FROM clients.numbers WHERE n < 4 ORDER BY n) TO STDOUT`.readable()
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      const text = Buffer.concat(chunks).toString()
      return { ok: text.startsWith("1\tlabel 1\n"), got: text }
    },
  ],
  [
    "types of arrays come from the catalogue",
    async (sql) => {
      const rows = await sql`SELECT ARRAY[true, false] AS a, ARRAY['x', NULL] AS b, ARRAY[1.5] AS c`
      return { ok: rows.length === 1, got: rows }
    },
  ],
  [
    "cancel",
    async (sql) => {
      const query = sql.unsafe(slow)
      const running = failureOf(query.execute())
      await sleep(cancelAfterMs)
      query.cancel()
      const got = await running
      return { ok: got[0] === "57014", got: [got, await sql`SELECT 1 AS one`] }
    },
  ],
]

function withinTime(work: Promise<Outcome>): Promise<Outcome> {
  const late = { ok: false, got: `no end within ${checkMsMax} ms` }
  return Promise.race([work, sleep(checkMsMax, late, { ref: false })])
}

const uri = process.argv[2] ?? ""
for (const [name, run] of checks) {
  const sql = postgres(uri, { max: 1, connect_timeout: 10, onnotice: () => {} })
  let outcome: Outcome
  try {
    outcome = await withinTime(run(sql))
  } catch (error) {
    outcome = { ok: false, got: String(error) }
  }
  await sql.end({ timeout: 1 })
  process.stdout.write(`${JSON.stringify({ name, ...outcome })}\n`)
}
