import { loadParser, parseText } from "../src/sql/parser.ts"
import { StatementMemo } from "../src/sql/statement-memo.ts"
import { benchOptions } from "./lib/options.ts"
import { figure, publish, type Table } from "./lib/report.ts"
import { median, percentile } from "./lib/statistics.ts"
import { measurePolicies, policyTable } from "./sql-policies.ts"

/** What one statement costs in `src/sql`: the first time its text is seen (parse, classify, canonical form) and every later time. */

const options = benchOptions()

const chart = `SELECT date_trunc('day', s.sold_at) AS day, p.category, sum(s.amount) AS revenue
FROM retail.sales AS s JOIN retail.products AS p ON p.id = s.product_id
WHERE s.tenant_id = 4711 AND s.sold_at >= TO_TIMESTAMP('2026-01-01', 'YYYY-MM-DD')
  AND p.category IN ('toys', 'books', 'food')
GROUP BY date_trunc('day', s.sold_at), p.category ORDER BY revenue DESC LIMIT 1000`

function listOf(count: number): string {
  return Array.from({ length: count }, (_, index) => index * 7919).join(", ")
}

const texts: readonly (readonly [name: string, text: string])[] = [
  ["point select", "SELECT id, name, amount FROM bench.points WHERE id = 42"],
  ["chart", chart],
  [
    "chart, 3 sub-queries",
    `WITH a AS (${chart}), b AS (${chart}), c AS (${chart}) SELECT * FROM a, b, c`,
  ],
  ["IN list of 1,000", `SELECT count(*) FROM retail.sales WHERE product_id IN (${listOf(1_000)})`],
  [
    "IN list of 20,000",
    `SELECT count(*) FROM retail.sales WHERE product_id IN (${listOf(20_000)})`,
  ],
]

/** Enough repetitions for a median, few enough that the largest text ends in seconds. */
function repetitions(text: string): number {
  const wanted = Math.round(2_000_000 / text.length)
  return Math.max(5, Math.min(options.isQuick ? 200 : 5_000, wanted))
}

function timeUs(run: () => unknown): number {
  const started = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - started) / 1000
}

type Row = {
  readonly name: string
  readonly chars: number
  readonly firstUs: number
  readonly firstP99Us: number
  readonly againUs: number
}

/** A look-up is shorter than the clock's step, so that a thousand are timed together. */
const lookUpsAtOnce = 1_000

async function measure(name: string, text: string): Promise<Row> {
  const memo = new StatementMemo({
    entriesMax: 100,
    bytesMax: 64 * 1024 ** 2,
    statementBytesMax: 1024 ** 2,
    offLoopBytes: 16 * 1024,
    workerWaitMsMax: 30_000,
  })
  try {
    for (let i = 0; i < 5; i += 1) parseText(text)
    const first = Array.from({ length: repetitions(text) }, () => timeUs(() => parseText(text)))
    await memo.get(text)
    const again = Array.from({ length: 20 }, () =>
      timeUs(() => {
        for (let i = 0; i < lookUpsAtOnce; i += 1) void memo.get(text)
      }),
    )
    return {
      name,
      chars: text.length,
      firstUs: median(first),
      firstP99Us: percentile(first, 0.99),
      againUs: median(again) / lookUpsAtOnce,
    }
  } finally {
    await memo.close()
  }
}

await loadParser()
const rows: Row[] = []
for (const [name, text] of texts) rows.push(await measure(name, text))
const table: Table = {
  title: "Microseconds per statement text",
  head: ["statement", "characters", "first time, p50", "p99", "again (memo)"],
  rows: rows.map((row) => [
    row.name,
    figure(row.chars),
    figure(row.firstUs),
    figure(row.firstP99Us),
    figure(row.againUs),
  ]),
}
const sizes = [
  { relations: 3, policies: 3 },
  { relations: 10_000, policies: 1_000 },
]
const policyRows = texts.map(([name, text]) =>
  measurePolicies(name, text, { sizes, repetitions: Math.min(300, repetitions(text)) }),
)

await publish(
  {
    bench: "bench:sql",
    tables: [table, policyTable(policyRows, sizes)],
    measurements: [...rows, ...policyRows],
    notes: [
      "Under policies: all relations of the texts have a filter with a claim, a mask and a denied column. A repetition of a statement looks its plan up instead.",
      "First time: parse, classify and canonical form on the event loop; texts above 16 kB go to a worker thread in the gateway.",
    ],
  },
  options.isSaved,
)
