import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { Client, type QueryResult } from "pg"

/** node `pg`: the simple protocol without parameters, the extended one with them. Output as in report.py. */

const numbers = "SELECT n, label FROM clients.numbers ORDER BY n"
const kinds =
  "SELECT id, flag, small, big, real4, real8, exact, name, code, day::text, moment::text, moment_tz, span, uid, blob, ints, words FROM clients.kinds ORDER BY id"
const slow =
  "SELECT count(*) FROM generate_series(1, 100000) AS a(i), generate_series(1, 100000) AS b(j), generate_series(1, 1000) AS c(k) WHERE i + j + k < 0"
const cancelAfterMs = 700

type Outcome = { readonly ok: boolean; readonly got: unknown }
type Check = readonly [name: string, run: (client: Client, uri: string) => Promise<Outcome>]
type Failure = { code?: string; severity?: string; message?: string; position?: string }

/** What pg's Query takes beyond its type declarations. */
type QueryWithRowLimit = { text: string; values: unknown[]; rows: number }

async function failure(client: Client, text: string, values?: unknown[]): Promise<unknown[]> {
  try {
    await client.query(text, values)
    return ["no error"]
  } catch (error) {
    const { code, severity, message, position } = error as Failure
    return [code, severity, message, position]
  }
}

async function column(client: Client, text: string): Promise<unknown[]> {
  const { rows } = await client.query<unknown[]>({ text, rowMode: "array" })
  return rows.map((row) => row[0])
}

const checks: readonly Check[] = [
  [
    "query without parameters",
    async (client) => {
      const { rows, rowCount, command } = await client.query(numbers)
      return { ok: rowCount === 100, got: [command, rows.slice(0, 3)] }
    },
  ],
  [
    "query with parameters",
    async (client) => {
      const text = "SELECT n, label FROM clients.numbers WHERE n = $1 OR label = $2 ORDER BY n"
      const { rows } = await client.query(text, [7, "label 9"])
      return { ok: rows.length === 2, got: rows }
    },
  ],
  [
    "named statement runs many times",
    async (client) => {
      const got: unknown[] = []
      for (let n = 1; n <= 10; n += 1) {
        const text = "SELECT label FROM clients.numbers WHERE n = $1"
        const { rows } = await client.query({ name: "by number", text, values: [n] })
        got.push(rows[0])
      }
      return { ok: got.length === 10, got }
    },
  ],
  [
    "every type",
    async (client) => {
      const { rows, fields } = await client.query(kinds)
      return { ok: rows.length === 3, got: [fields.map((field) => field.dataTypeID), rows] }
    },
  ],
  [
    "parameters of many types",
    async (client) => {
      const text =
        "SELECT $1::boolean AS a, $2::bigint AS b, $3::numeric(10, 3) AS c, $4::text AS d, $5::timestamptz AS e, $6::integer[] AS f, $7::text AS g"
      const values = [
        true,
        "9223372036854775807",
        "12.340",
        "Zażółć 🦥 '\"\\",
        "2026-02-28 01:02:03.4+02",
        [1, null, 3],
        null,
      ]
      const { rows } = await client.query(text, values)
      return { ok: true, got: rows }
    },
  ],
  [
    "no rows keep their columns",
    async (client) => {
      const { rows, fields } = await client.query(
        "SELECT n, label FROM clients.numbers WHERE n < $1",
        [0],
      )
      return { ok: rows.length === 0, got: fields.map((field) => field.name) }
    },
  ],
  [
    "portal with a row limit",
    async (client) => {
      // `rows` is Execute's row limit: pg fetches such parts until the portal is done.
      const query: QueryWithRowLimit = { text: `${numbers} OFFSET $1`, values: [3], rows: 7 }
      const { rows } = await client.query<{ n: number }>(query)
      const isInOrder = rows.every((row, index) => row.n === index + 4)
      return { ok: rows.length === 97 && isInOrder, got: [rows[0], rows.at(-1)] }
    },
  ],
  [
    "commit and rollback",
    async (client) => {
      const got: unknown[] = []
      for (const text of ["BEGIN", "SELECT 1", "COMMIT", "BEGIN READ ONLY", "ROLLBACK"])
        got.push((await client.query(text)).command)
      return { ok: true, got }
    },
  ],
  [
    "failed transaction recovers",
    async (client) => {
      await client.query("BEGIN")
      const first = await failure(client, "SELECT nope FROM clients.numbers WHERE n = $1", [1])
      const second = await failure(client, "SELECT 1")
      const { command } = await client.query("COMMIT")
      const after = await column(client, "SELECT 1")
      return {
        ok: first[0] === "42703" && second[0] === "25P02" && command === "ROLLBACK",
        got: [first, second, command, after],
      }
    },
  ],
  [
    "settings go with their transaction",
    async (client) => {
      const before = await column(client, "SHOW timezone")
      await client.query("BEGIN")
      await client.query("SET timezone TO 'Asia/Tokyo'")
      const inside = await column(client, "SELECT moment_tz::text FROM clients.kinds WHERE id = 1")
      await client.query("ROLLBACK")
      const after = await column(client, "SHOW timezone")
      return { ok: before[0] === after[0], got: [before, inside, after] }
    },
  ],
  [
    "cursor by SQL",
    async (client) => {
      await client.query("BEGIN")
      await client.query(`DECLARE c CURSOR FOR ${numbers}`)
      const parts: unknown[] = []
      for (const text of ["FETCH 3 FROM c", "FETCH FORWARD 2 FROM c", "FETCH ALL FROM c"]) {
        const { command, rowCount, rows } = await client.query(text)
        parts.push([command, rowCount, rows[0]])
      }
      await client.query("CLOSE c")
      await client.query("COMMIT")
      return { ok: true, got: parts }
    },
  ],
  [
    "several statements in one query",
    async (client) => {
      const results = (await client.query(
        "SELECT 1 AS a; SELECT 2 AS b",
      )) as unknown as QueryResult[]
      const wrong = await failure(client, "SELECT 1; SELECT nope; SELECT 3")
      return { ok: results.length === 2, got: [results.map((result) => result.rows), wrong] }
    },
  ],
  [
    "questions without waiting for answers",
    async (client) => {
      const text = "SELECT n FROM clients.numbers WHERE n = $1"
      const results = await Promise.all([1, 2, 3, 4, 5].map((n) => client.query(text, [n])))
      return { ok: results.length === 5, got: results.map((result) => result.rows[0]) }
    },
  ],
  [
    "errors have state and position",
    async (client) => {
      const got = [
        await failure(client, "SELEC 1"),
        await failure(client, "SELECT 'ü', nope FROM clients.numbers WHERE n = $1", [1]),
        await failure(client, "SELECT $1::integer", ["x"]),
        await failure(client, "SELECT n FROM clients.numbers WHERE n = $2", [1]),
      ]
      return { ok: got[0]?.[0] === "42601", got }
    },
  ],
  [
    "cancel",
    async (client, uri) => {
      const started = performance.now()
      const running = failure(client, slow)
      await sleep(cancelAfterMs)
      await cancel(client, uri)
      const got = await running
      const isQuick = performance.now() - started < 10_000
      return { ok: got[0] === "57014" && isQuick, got: [got, await column(client, "SELECT 1")] }
    },
  ],
]

/** CancelRequest as pg sends it: on a connection of its own that the server closes without a word. */
async function cancel(client: Client, uri: string): Promise<void> {
  type Dialer = {
    connect(port: number, host: string): void
    cancel(pid: number, key: number): void
  }
  type Parts = { connection: Dialer & NodeJS.EventEmitter; processID: number; secretKey: number }
  const { processID, secretKey } = client as unknown as Parts
  const { connection } = new Client({ connectionString: uri }) as unknown as Parts
  connection.on("error", () => {})
  connection.connect(client.port, client.host)
  await once(connection, "connect")
  connection.cancel(processID, secretKey)
  await once(connection, "end")
}

const uri = process.argv[2] ?? ""
for (const [name, run] of checks) {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 10_000 })
  client.on("error", () => {})
  let outcome: Outcome
  try {
    await client.connect()
    outcome = await run(client, uri)
  } catch (error) {
    outcome = { ok: false, got: String(error) }
  }
  await client.end().catch(() => {})
  process.stdout.write(`${JSON.stringify({ name, ...outcome })}\n`)
}
