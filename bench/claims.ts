import { setImmediate as nextTurn } from "node:timers/promises"
import { TtlClasses } from "../src/cache/ttl-classes.ts"
import type { CatalogSnapshot } from "../src/core/catalog.ts"
import type { Identity } from "../src/core/identity.ts"
import { relationName } from "../src/core/relation.ts"
import type { Statement } from "../src/core/statement.ts"
import { keyBaseOf, planFor } from "../src/pipeline/plan.ts"
import { PlanMemo } from "../src/pipeline/plan-memo.ts"
import type { Rooms } from "../src/pipeline/rooms.ts"
import { compilePolicies } from "../src/policy/compile.ts"
import { Policy } from "../src/policy/policy.ts"
import { SessionSettings, settingDefaults } from "../src/session/settings.ts"
import { loadParser, parseText } from "../src/sql/parser.ts"
import { benchOptions } from "./lib/options.ts"
import { figure, publish, type Table } from "./lib/report.ts"
import { median, percentile } from "./lib/statistics.ts"

/** What a plan costs when many users with claims of their own ask the same charts: the first time, and at every hit. */

const options = benchOptions()
const users = options.isQuick ? 100 : 500
const charts = 20
const rounds = 5

const columns = ["id", "tenant_id", "product_id", "sold_at", "amount", "category", "email"]

const input: Parameters<typeof compilePolicies>[0] = {
  claims: { tenant_id: { type: "int8" }, login: { type: "text" } },
  functions: [],
  guestFilters: { claim: "rls_rules", datasets: {} },
  relations: {
    "retail.sales": {
      rowFilters: [{ name: "own", filter: "tenant_id = :tenant_id", kind: "permissive" }],
      unfilteredRoles: [],
      masks: [{ column: "email", mask: "left(email, 1) || '***'", exceptRoles: [] }],
      deniedColumns: [],
      fence: true,
    },
  },
}

const functions = ["date_trunc", "sum", "to_timestamp", "left", "count"]
const snapshot: CatalogSnapshot = {
  relations: new Map(
    ["sales", "products"].map((relation) => {
      const name = relationName("retail", relation)
      const kind = "table" as const
      const rest = { schema: "retail", identity: relation, dependsOn: [], columns }
      return [name, { name, relation, kind, volatileDefinition: false, ...rest }]
    }),
  ),
  functions: new Map(functions.map((name) => [`pg_catalog.${name}`, "immutable"])),
  implicitSchemas: ["pg_catalog"],
  foldsCase: false,
  userOperators: new Set(),
  version: "0".repeat(64),
}

function chart(index: number): string {
  return `SELECT date_trunc('day', s.sold_at) AS day, p.category, sum(s.amount) AS revenue
FROM retail.sales AS s JOIN retail.products AS p ON p.id = s.product_id
WHERE s.sold_at >= TO_TIMESTAMP('2026-01-${String(index + 1).padStart(2, "0")}', 'YYYY-MM-DD')
  AND p.category IN ('toys', 'books', 'food')
GROUP BY date_trunc('day', s.sold_at), p.category ORDER BY revenue DESC LIMIT 1000`
}

function only(text: string): Statement {
  const [statement] = parseText(text)
  if (statement === undefined) throw new Error("no statement")
  return statement
}

/** What a WeakRef points to lives until the turn of the event loop ends. */
async function heapBytes(): Promise<number> {
  await nextTurn()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

await loadParser()
const role = {
  name: "analyst",
  relations: { allow: ["*"], deny: [] },
  rowLimit: undefined,
  onExceed: "cut" as const,
  statementTimeoutMs: 0,
  mayCache: true,
  mayWrite: false,
}
const compiled = compilePolicies(input, ["analyst"])
const policy = new Policy([role], compiled.policies)
const rooms = {
  warehouse: "mart",
  isCacheEnabled: true,
  policy: () => policy,
  ttl: new TtlClasses([], 60_000),
  plans: new PlanMemo(),
} as unknown as Rooms
const settings = new SessionSettings(settingDefaults(new Map()), "all").view
const statements = Array.from({ length: charts }, (_, index) => only(chart(index)))

/** Every session has objects of its own, as logins make them. */
function sessions(distinct: number): readonly Identity[] {
  return Array.from({ length: users }, (_, user) => ({
    user: `user${user}`,
    roles: ["analyst"],
    claims: { sub: `user${user}`, tenant_id: user % distinct, jti: user },
  }))
}

type Row = {
  readonly tenants: number
  readonly firstUs: number
  readonly hitUs: number
  readonly hitP99Us: number
  readonly plans: number
  readonly kilobytesEach: number
}

async function measure(tenants: number): Promise<Row> {
  const identities = sessions(tenants)
  const before = await heapBytes()
  const distinct = new Set<unknown>()
  const round = (): number => {
    const started = performance.now()
    for (const identity of identities)
      for (const statement of statements) {
        const context = { identity, settings }
        const plan = planFor(statement, context, snapshot, rooms)
        if (plan.verdict.kind !== "allowed") throw new Error(plan.verdict.message)
        keyBaseOf(plan, undefined, { context, rooms })
      }
    return ((performance.now() - started) * 1000) / (users * charts)
  }
  const firstUs = round()
  const again = Array.from({ length: rounds }, round)
  for (const identity of identities)
    for (const statement of statements)
      distinct.add(planFor(statement, { identity, settings }, snapshot, rooms))
  const bytes = (await heapBytes()) - before
  return {
    tenants,
    firstUs,
    hitUs: median(again),
    hitP99Us: percentile(again, 0.99),
    plans: distinct.size,
    kilobytesEach: bytes / distinct.size / 1000,
  }
}

const rows: Row[] = []
for (const tenants of [10, 100, users]) rows.push(await measure(tenants))
const table: Table = {
  title: `Microseconds per question: ${users} sessions, ${charts} charts, every session one after the other`,
  head: [
    "claim sets",
    "first round",
    "later rounds, median",
    "slowest",
    "plans",
    "kB of heap each",
  ],
  rows: rows.map((row) =>
    [row.tenants, row.firstUs, row.hitUs, row.hitP99Us, row.plans, row.kilobytesEach].map(figure),
  ),
}
await publish(
  {
    bench: "bench:claims",
    tables: [table],
    measurements: rows,
    notes: [
      "Judging, rewriting and the fixed part of the key; run with --expose-gc for heap figures.",
    ],
  },
  options.isSaved,
)
