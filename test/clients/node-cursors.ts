import { Client } from "pg"
import Cursor from "pg-cursor"
import QueryStream from "pg-query-stream"

/** pg-cursor and pg-query-stream: portals with row limits, closed early or read to their end. Output as in report.py. */

const numbers = "SELECT n, label FROM clients.numbers WHERE n > $1 ORDER BY n"

type Row = { readonly n: number; readonly label: string }
type Outcome = { readonly ok: boolean; readonly got: unknown }
type Check = readonly [name: string, run: (client: Client) => Promise<Outcome>]

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
    return ["no error"]
  } catch (error) {
    const { code, message, position } = error as Error & { code?: string; position?: string }
    return [code, message, position]
  }
}

const checks: readonly Check[] = [
  [
    "cursor reads in parts to its end",
    async (client) => {
      const cursor = client.query(new Cursor<Row>(numbers, [0]))
      const parts: number[] = []
      for (let rows = await cursor.read(40); rows.length > 0; rows = await cursor.read(40))
        parts.push(rows.length)
      await cursor.close()
      return { ok: parts.join() === "40,40,20", got: parts }
    },
  ],
  [
    "cursor closed early leaves the session usable",
    async (client) => {
      const cursor = client.query(new Cursor<Row>(numbers, [0]))
      const first = await cursor.read(2)
      await cursor.close()
      const { rows } = await client.query<Row>("SELECT n FROM clients.numbers WHERE n = 5")
      return { ok: first.length === 2 && rows.length === 1, got: [first, rows] }
    },
  ],
  [
    "cursor read past its end gives no rows",
    async (client) => {
      const cursor = client.query(new Cursor<Row>(numbers, [98]))
      const got = [await cursor.read(10), await cursor.read(10), await cursor.read(10)]
      await cursor.close()
      return { ok: got[2]?.length === 0, got }
    },
  ],
  [
    "cursor in a transaction beside another",
    async (client) => {
      await client.query("BEGIN")
      const first = client.query(new Cursor<Row>(numbers, [10]))
      const one = await first.read(3)
      await first.close()
      const second = client.query(new Cursor<Row>(numbers, [20]))
      const two = await second.read(3)
      await second.close()
      const { command } = await client.query("COMMIT")
      return { ok: one[0]?.n === 11 && two[0]?.n === 21, got: [one, two, command] }
    },
  ],
  [
    "cursor tells its error",
    async (client) => {
      const wrong = client.query(new Cursor<Row>("SELECT nope FROM clients.numbers", []))
      const got = [await failureOf(wrong.read(1))]
      const late = client.query(
        new Cursor<Row>("SELECT 1 / (n - 50) AS n FROM generate_series(1, 100) AS t(n)", []),
      )
      const rows = await late.read(10)
      got.push(rows.length, await failureOf(late.read(100)))
      const { rows: after } = await client.query("SELECT 1 AS one")
      return { ok: true, got: [...got, after] }
    },
  ],
  [
    "stream reads all rows",
    async (client) => {
      const stream = client.query(new QueryStream(numbers, [0], { batchSize: 9 }))
      const seen: number[] = []
      for await (const row of stream) seen.push((row as Row).n)
      return { ok: seen.length === 100 && seen[99] === 100, got: seen.length }
    },
  ],
  [
    "stream ended early leaves the session usable",
    async (client) => {
      const stream = client.query(new QueryStream(numbers, [0], { batchSize: 3 }))
      const seen: number[] = []
      for await (const row of stream) {
        seen.push((row as Row).n)
        if (seen.length === 5) break
      }
      const { rows } = await client.query("SELECT 2 AS two")
      return { ok: seen.length === 5, got: [seen, rows] }
    },
  ],
  [
    "stream of a large answer",
    async (client) => {
      const text = "SELECT a.n FROM clients.numbers AS a, clients.numbers AS b"
      let sum = 0
      for await (const row of client.query(new QueryStream(text, [], { batchSize: 1000 })))
        sum += (row as Row).n
      return { ok: sum === 505_000, got: sum }
    },
  ],
]

const uri = process.argv[2] ?? ""
for (const [name, run] of checks) {
  const client = new Client({ connectionString: uri, connectionTimeoutMillis: 10_000 })
  client.on("error", () => {})
  let outcome: Outcome
  try {
    await client.connect()
    outcome = await run(client)
  } catch (error) {
    outcome = { ok: false, got: String(error) }
  }
  await client.end().catch(() => {})
  process.stdout.write(`${JSON.stringify({ name, ...outcome })}\n`)
}
