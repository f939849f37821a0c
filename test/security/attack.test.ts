import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../support/frontend-encoder.ts"
import { errors, textRows } from "../support/wire-client.ts"
import { type Attack, attacks } from "./attack-cases.ts"
import { attackSeed, longNames, widePolicies } from "./attack-world.ts"
import { marker, policies } from "./tenants.ts"
import { TwoWorlds } from "./two-worlds.ts"

/** In the second world hidden values are others, and hidden rows are more. */
function startWorlds(engine: "postgres" | "duckdb"): Promise<TwoWorlds> {
  return TwoWorlds.start({
    engine,
    worlds: [
      { hidden: marker, extra: attackSeed(engine, marker, 0) },
      { hidden: "007", extra: attackSeed(engine, "007", 40) },
    ],
    policies: policies + widePolicies,
  })
}

async function attacked(worlds: TwoWorlds, engine: string, [sql, expected]: Attack): Promise<void> {
  const messages = await worlds.ask(query(sql))
  const [error] = errors(messages)
  if (engine === "postgres")
    equal(error === undefined ? JSON.stringify(textRows(messages)) : error["C"], expected)
  if (!/^(?:SELECT|WITH|VALUES|TABLE)/.test(sql)) return
  await worlds.ask(query(`COPY (${sql}\n) TO STDOUT`))
  await worlds.ask(query(`BEGIN; DECLARE c CURSOR FOR ${sql}\n; FETCH ALL FROM c; COMMIT`))
  await worlds.ask(parse(sql), describeMessage("statement"), bind(), execute(), sync)
}

for (const engine of ["postgres", "duckdb"] as const)
  describe(`attacks in two worlds on ${engine}`, () => {
    let worlds: TwoWorlds
    before(async () => {
      worlds = await startWorlds(engine)
    })
    after(() => worlds.stop())

    for (const [group, items] of attacks)
      for (const item of items) it(`${group}: ${item[0]}`, () => attacked(worlds, engine, item))
  })

describe("declared types of parameters", () => {
  let worlds: TwoWorlds
  before(async () => {
    worlds = await startWorlds("postgres")
  })
  after(() => worlds.stop())

  const coded = [
    ["teller", "1"],
    ["_teller", "{1}"],
    ["teller2", "1"],
    ["pair", "(1,b)"],
    ["holder", "(1)"],
    ["colour", "red"],
  ] as const
  for (const [name, value] of coded)
    it(`run no code of ${name}`, async () => {
      const types = [await worlds.userType(name)]
      const asked = [parse("SELECT $1", { types }), bind({ values: [value] }), execute(), sync]
      equal(errors(await worlds.ask(...asked))[0]?.["C"], "42501")
    })

  it("stay free where they are made of nothing but data", async () => {
    const types = [await worlds.userType("harmless")]
    const asked = [parse("SELECT $1", { types }), bind({ values: ["(1,b)"] }), execute(), sync]
    deepEqual(textRows(await worlds.ask(...asked)), [["(1,b)"]])
  })
})

/** DuckDB makes blanks of these before it parses; to PostgreSQL's grammar they are parts of names. */
const blanks = [
  "\u00a0",
  "\u1680",
  "\u2000",
  "\u2003",
  "\u200b",
  "\u2028",
  "\u202f",
  "\u205f",
  "\u3000",
  "\ufeff",
]

const blankForms: readonly ((blank: string) => string)[] = [
  (b) => `SELECT * FROM open AS a${b}NATURAL${b}JOIN${b}orders`,
  (b) => `SELECT * FROM open AS a${b}POSITIONAL${b}JOIN${b}orders`,
  (b) => `SELECT id AS x${b}FROM${b}orders${b}-- FROM open`,
  (b) => `SELECT 1 AS x${b}UNION${b}SELECT${b}id${b}FROM${b}orders`,
  (b) => `SELECT * FROM (open JOIN open b USING (id)) AS "j${b}NATURAL${b}JOIN${b}orders"`,
  (b) =>
    `SELECT sum(id) OVER "w${b}FROM${b}orders${b}--" FROM open WINDOW "w${b}FROM${b}orders${b}--" AS (ORDER BY id)`,
  (b) =>
    `SELECT id FROM open WHERE id IN (SELECT 1 AS x${b}UNION${b}SELECT${b}id${b}FROM${b}orders)`,
  (b) => `WITH w${b}AS${b}(SELECT${b}1) AS (SELECT 2) SELECT * FROM open`,
]

const duckdbOnly: readonly string[] = [
  `SELECT * FROM sales.${longNames.long}`,
  `SELECT * FROM sales."${longNames.long}"`,
  `SELECT note FROM sales.open JOIN sales.${longNames.long} USING (id)`,
  "SELECT * FROM sales.v_macro",
  "SELECT * FROM sales.v_total",
  "SELECT * FROM sales.v_query",
  "SELECT * FROM sales.v_table",
  "SELECT * FROM sales.v_values",
  "SELECT * FROM sales.peek()",
  "SELECT sales.total()",
  "SELECT reverse(word) FROM sales.open",
  "SELECT main.reverse(word) FROM sales.open",
  "SELECT pg_catalog.reverse(word) FROM sales.open",
  'SELECT pg_catalog."REVERSE"(word) FROM sales.open',
  "SELECT * FROM histogram_values(sales.orders, customer)",
  "SELECT * FROM histogram(sales.orders, customer)",
  "SELECT * FROM summary(sales.orders)",
  "SELECT COLUMNS(*) FROM sales.orders",
  "SELECT count(COLUMNS('s.*')) FROM sales.orders",
  "SELECT stats(id) FROM sales.orders",
  "SELECT error(customer) FROM sales.orders",
  "SELECT json_serialize_plan('SELECT * FROM sales.orders')",
  "SELECT json_serialize_sql('SELECT * FROM sales.orders')",
  "SELECT * FROM json_execute_serialized_sql('{}')",
  "SELECT * FROM duckdb_tables",
  "SELECT * FROM main.duckdb_views",
  "SELECT * FROM sqlite_master",
  "SELECT * FROM temp.duckdb_tables",
  "SELECT * FROM system.main.duckdb_columns",
  "SELECT * FROM mart.sales.orders",
  'SELECT * FROM "/etc/passwd"',
  'SELECT * FROM "seed.csv"',
  'SELECT * FROM "http://127.0.0.1/x.parquet"',
  "SELECT * FROM read_csv('/etc/passwd')",
  "SELECT * FROM glob('/*')",
  "SELECT getenv('HOME')",
  "SELECT getvariable('x')",
  "SELECT current_setting('temp_directory') FROM sales.open",
  "SELECT rowid FROM sales.orders",
  "SELECT orders.rowid FROM sales.orders",
  "FROM sales.orders",
  "FROM sales.orders SELECT customer",
  "SUMMARIZE SELECT * FROM sales.orders",
  "DESCRIBE sales.orders",
  "PIVOT sales.orders ON customer USING count(*)",
  "UNPIVOT sales.orders ON email INTO NAME n VALUE v",
  "SELECT * EXCLUDE (id) FROM sales.orders",
  "SELECT * REPLACE (ssn AS customer) FROM sales.orders",
  "SELECT * FROM sales.open POSITIONAL JOIN sales.orders",
  "SELECT * FROM sales.open ASOF JOIN sales.orders USING (id)",
  "SELECT [x FOR x IN (SELECT list(customer) FROM sales.orders)]",
  "SELECT list_transform([1], x -> (SELECT count(*) FROM sales.orders WHERE org_id = 2))",
  "SELECT customer FROM sales.orders USING SAMPLE 5",
  "SELECT customer FROM sales.orders QUALIFY row_number() OVER () > 3",
  "SELECT orders.customer.x FROM sales.orders",
  "SELECT struct_extract(o, 'ssn') FROM sales.orders o",
  "SELECT #1 FROM sales.orders",
  "PRAGMA storage_info('sales.orders')",
  "PRAGMA table_info('sales.orders')",
  "CALL pragma_storage_info('sales.orders')",
  "ATTACH ':memory:' AS x",
  "INSTALL httpfs",
  "LOAD httpfs",
  "EXPORT DATABASE '/tmp/x'",
  "COPY sales.orders TO '/tmp/x.parquet'",
  "CHECKPOINT",
  "SET threads = 1",
  "SET VARIABLE x = 1",
  "CREATE MACRO sales.m() AS TABLE SELECT * FROM sales.orders",
  "CREATE SECRET x (TYPE s3)",
  "EXECUTE IMMEDIATE 'SELECT * FROM sales.orders'",
  "SHOW TABLES",
  "SHOW ALL TABLES",
  "USE sales",
]

/** To PostgreSQL all names of WITH RECURSIVE are visible in all of its queries; DuckDB would take some for tables. */
const scopes: readonly string[] = [
  "WITH RECURSIVE x AS (SELECT * FROM orders), orders AS (SELECT 1 AS id) SELECT * FROM x",
  "WITH RECURSIVE orders AS (SELECT * FROM orders) SELECT * FROM orders",
  "WITH RECURSIVE orders AS (SELECT id, note FROM orders UNION ALL SELECT id, note FROM orders WHERE false) SELECT * FROM orders",
  "WITH RECURSIVE orders(id, note) AS (SELECT 1, 'a' UNION ALL SELECT id, note FROM orders WHERE id < 0) SELECT * FROM orders",
  "WITH RECURSIVE x AS (WITH y AS (SELECT * FROM orders) SELECT * FROM y), orders AS (SELECT 1 AS id) SELECT * FROM x",
  "SELECT * FROM (WITH orders AS (SELECT 1 AS id) SELECT 2) q, orders",
  "WITH a AS (WITH orders AS (SELECT 1 AS id) SELECT * FROM orders) SELECT * FROM a, orders LIMIT 3",
  "SELECT (WITH orders AS (SELECT 1 AS id) SELECT max(id) FROM orders), (SELECT max(id) FROM orders)",
  "(WITH orders AS (SELECT 1 AS id) SELECT id FROM orders) UNION SELECT id FROM orders",
  "WITH orders AS (SELECT 1 AS id) (SELECT id FROM orders UNION SELECT (SELECT max(id) FROM orders))",
  'WITH "ORDERS" AS (SELECT 1 AS id) SELECT * FROM orders',
  'WITH orders AS (SELECT 1 AS id) SELECT * FROM "ORDERS"',
  "WITH RECURSIVE z(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM z, (WITH orders AS (SELECT * FROM orders) SELECT count(*) AS c FROM orders) q WHERE i < c) SELECT max(i) FROM z",
  "WITH RECURSIVE orders AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM orders",
  "WITH RECURSIVE orders AS (SELECT 1 AS id), x AS (SELECT * FROM orders) SELECT * FROM x",
  "SELECT * FROM open, LATERAL (WITH RECURSIVE orders AS (SELECT * FROM orders) SELECT count(*) FROM orders) q",
]

/** The greatest id of the table is 15 in one world and 140 in the other, and so on: what the engine knows of it must not decide whether a cast fails. */
const ranges: readonly string[] = [
  "SELECT count(*) FROM sales.orders WHERE customer::int > 0 OR id <= 20",
  "SELECT customer::int > 0 OR id <= 20 FROM sales.orders",
  "SELECT customer::int > 0 AND id > 20 FROM sales.orders",
  "SELECT count(*) FROM sales.orders o JOIN sales.open p ON customer::int > 0 AND o.id > 20",
  "SELECT count(*) FROM sales.orders WHERE customer::int > 0 OR customer <= 'b'",
  "SELECT count(*) FROM sales.orders WHERE customer::int > 0 OR amount < 8000",
  "SELECT count(*) FROM sales.orders WHERE customer::int > 0 OR email < 'b'",
  "SELECT count(*) FROM sales.orders WHERE customer::int > 0 OR note IS NOT NULL",
  "SELECT sum(c) FROM (SELECT id, customer::int AS c FROM sales.orders) y JOIN (VALUES (0), (40)) p(id) USING (id)",
  "SELECT sum(c) FROM (SELECT id, customer::int AS c FROM sales.orders) y WHERE id IN (SELECT unnest(ARRAY[0, 40]))",
  "SELECT count(*) FROM sales.orders o JOIN (SELECT word::int AS w FROM sales.open) p ON p.w = o.id WHERE o.id = 50",
  "SELECT count(*) FROM sales.invoices WHERE text_of::int > 0 OR id <= 20",
  "SELECT count(*) FROM sales.v_deep WHERE name::int > 0 OR name <= 'c'",
  "SELECT count(*) FROM sales.v_orders WHERE who::int > 0 OR id <= 20",
  "SELECT vector_type(id) FROM sales.orders",
]

describe("DuckDB's own words", () => {
  let worlds: TwoWorlds
  before(async () => {
    worlds = await startWorlds("duckdb")
  })
  after(() => worlds.stop())

  for (const sql of duckdbOnly)
    it(`show nothing: ${sql.slice(0, 80)}`, async () => {
      await worlds.ask(query(sql))
    })

  for (const sql of ranges)
    it(`fail whatever hidden rows hold: ${sql.slice(0, 80)}`, async () => {
      equal(errors(await worlds.ask(query(sql))).length, 1)
    })

  for (const sql of scopes)
    it(`mean what was judged: ${sql.slice(0, 80)}`, async () => {
      await worlds.ask(query(`SET search_path = sales; ${sql}`))
    })

  it("recur as in PostgreSQL", async () => {
    const sums = [
      [
        "WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(t.n) FROM t",
        "15",
      ],
      [
        "WITH RECURSIVE q (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM q WHERE i < 3), r AS (WITH q AS (SELECT 9 AS i) SELECT * FROM q) SELECT sum(q.i * r.i) FROM q, r",
        "54",
      ],
    ] as const
    for (const [sql, sum] of sums) deepEqual(textRows(await worlds.ask(query(sql))), [[sum]])
  })

  for (const blank of blanks)
    it(`are not made of U+${(blank.codePointAt(0) ?? 0).toString(16)}`, async () => {
      for (const form of blankForms)
        await worlds.ask(query(`SET search_path = sales; ${form(blank)}`))
    })

  it("keep what stands in quotes", async () => {
    const rows = await worlds.ask(
      query(`SELECT 'it''s\u00a0' AS y, "a\u00a0b".id FROM sales.open "a\u00a0b" ORDER BY 2`),
    )
    deepEqual(textRows(rows)[0], ["it's\u00a0", "1"])
    deepEqual(
      textRows(await worlds.ask(query("SELECT word AS straße FROM sales.open ORDER BY 1"))),
      [["a"], ["b"], ["c"]],
    )
  })

  it("cut a name where PostgreSQL does", async () => {
    const messages = await worlds.ask(query(`SELECT * FROM sales.${longNames.long}`))
    deepEqual([errors(messages), textRows(messages)], [[], []])
  })
})
