import { deepEqual, ok } from "node:assert/strict"
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, it } from "node:test"
import { Client } from "pg"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { proven } from "../../unit/policy/required-filter-cases.ts"

/**
 * What is proven on the query's tree, PostgreSQL's planner has to find as well: t is partitioned by month, and every reading
 * of it in a statement that is let through leaves partitions out.
 */
const months = Array.from({ length: 36 }, (_, index) => ({
  from: firstOf(index),
  to: firstOf(index + 1),
}))

/** The first day of a month, counted from January 2025. */
function firstOf(month: number): string {
  return new Date(Date.UTC(2025, month, 1)).toISOString().slice(0, 10)
}

const partitions = ["t", "part"].flatMap((parent) =>
  months.map(
    ({ from, to }, index) =>
      `CREATE TABLE s.${parent}_${index + 1} PARTITION OF s.${parent} FOR VALUES FROM ('${from}') TO ('${to}')`,
  ),
)

const schema = `
CREATE SCHEMA s;
CREATE TABLE s.t (id integer, day date, tenant integer, amount integer) PARTITION BY RANGE (day);
CREATE TABLE s.part (id integer, day date) PARTITION BY RANGE (day);
${partitions.join(";\n")};
CREATE TABLE s.t2 (id integer, day date, tenant integer);
CREATE TABLE s.u (id integer, day date, a integer, b date);
CREATE TABLE s.plain (id integer, c integer);
CREATE VIEW s.v AS SELECT id, day AS d FROM s.t;
CREATE VIEW s.v_week AS SELECT id FROM s.t WHERE day >= (CURRENT_DATE - 7) AND day <= CURRENT_DATE;
CREATE VIEW s.v_deep AS SELECT d AS when_ FROM s.v;
CREATE VIEW s.v_count AS SELECT day, count(*) AS n FROM s.t GROUP BY day;
CREATE VIEW s.v_plain AS SELECT day FROM s.u;
CREATE MATERIALIZED VIEW s.copy AS SELECT day FROM s.u;
`

/** Cannot be planned here, or read one partition by name. */
const exempt = [/ other\.t/, / db\.s\.t /, / part_1 /, /^SELECT \* FROM t NATURAL|u NATURAL/]

type Node = {
  readonly "Relation Name"?: string
  readonly Alias?: string
  readonly Plans?: readonly Node[]
}

/** Scans of partitions by the alias under which they are read. */
function scansOf(plan: Node): ReadonlyMap<string, number> {
  const scans = new Map<string, number>()
  const nodes = [plan]
  for (const node of nodes) {
    nodes.push(...(node.Plans ?? []))
    const [, parent] = /^(t|part)_\d+$/.exec(node["Relation Name"] ?? "") ?? []
    const alias = (node.Alias ?? "").replace(/_\d+$/, "")
    if (parent !== undefined) scans.set(alias, (scans.get(alias) ?? 0) + 1)
  }
  return scans
}

let postgres: TestPostgres
let client: Client

before(async () => {
  const folder = await mkdtemp(join(tmpdir(), "sluice-required-"))
  await chmod(folder, 0o755)
  const seedFile = join(folder, "seed.sql")
  await writeFile(seedFile, schema)
  postgres = await startPostgres({ seedFiles: [seedFile] })
  await rm(folder, { recursive: true })
  client = new Client({ connectionString: postgres.uri })
  await client.connect()
  await client.query("SET search_path = s")
})

after(async () => {
  await client.end()
  await postgres.stop()
})

const values: Readonly<Record<string, string>> = {
  $1: "DATE '2026-01-05'",
  $2: "DATE '2026-01-09'",
  $3: "DATE '2026-01-07'",
}

const array = "= ANY ('{2026-01-05}')"

for (const sql of proven) {
  if (exempt.some((one) => one.test(sql))) continue
  it(`PostgreSQL leaves partitions out: ${sql}`, async () => {
    const text = sql
      .replace("= ANY ($1)", array)
      .replaceAll(/\$\d/g, (name) => values[name] ?? name)
    const { rows } = await client.query<{ "QUERY PLAN": readonly [{ readonly Plan: Node }] }>(
      `EXPLAIN (FORMAT JSON) ${text}`,
    )
    const plan = rows[0]?.["QUERY PLAN"][0].Plan
    ok(plan !== undefined)
    const whole = [...scansOf(plan)].filter(([, count]) => count >= months.length)
    deepEqual(whole, [])
  })
}
