import { type Exchange, encodeExchange } from "../support/query-generator-messages.ts"

/** One counter per table; every read says by its column names whose counter it shows. */
export const freshSeed = `
DROP SCHEMA IF EXISTS fresh CASCADE;
CREATE SCHEMA fresh;
CREATE TABLE fresh.a (k int PRIMARY KEY, n bigint);
CREATE TABLE fresh.b (k int PRIMARY KEY, n bigint);
CREATE TABLE fresh.parts (k int, n bigint, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE fresh.parts_low PARTITION OF fresh.parts FOR VALUES FROM (0) TO (100);
CREATE TABLE fresh.parts_high PARTITION OF fresh.parts FOR VALUES FROM (100) TO (200);
INSERT INTO fresh.a SELECT i, 0 FROM generate_series(1, 50) i;
INSERT INTO fresh.b SELECT i, 0 FROM generate_series(1, 50) i;
INSERT INTO fresh.parts SELECT i, 0 FROM generate_series(90, 110) i;
CREATE VIEW fresh.v AS SELECT max(n) AS n FROM fresh.a;
CREATE VIEW fresh.v_of_v AS SELECT v.n AS a, (SELECT max(n) FROM fresh.b) AS b FROM fresh.v;
GRANT USAGE ON SCHEMA fresh TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA fresh TO PUBLIC;
`

/** A thing that one writer changes, with the names by which its invalidation may be asked for. */
export type Target = {
  readonly relation: string
  readonly write: (counter: number) => string
  readonly items: readonly Readonly<Record<string, string>>[]
}

export const targets: readonly Target[] = [
  {
    relation: "a",
    write: (counter) => `UPDATE fresh.a SET n = ${counter}`,
    items: [
      { relation: "fresh.a" },
      { relation: "warehouse.fresh.a" },
      { relation: '"fresh"."a"' },
    ],
  },
  {
    relation: "b",
    write: (counter) => `UPDATE fresh.b SET n = ${counter}`,
    items: [{ relation: "fresh.b" }, { schema: "fresh" }],
  },
  {
    relation: "low",
    write: (counter) => `UPDATE fresh.parts_low SET n = ${counter}`,
    items: [{ relation: "fresh.parts_low" }, { relation: "fresh.parts" }],
  },
  {
    relation: "high",
    write: (counter) => `UPDATE fresh.parts SET n = ${counter} WHERE k >= 100`,
    items: [
      { relation: "fresh.parts" },
      { glob: "fresh.parts_*" },
      { relation: "fresh.parts_high" },
    ],
  },
]

export type Shape = {
  readonly name: string
  readonly weight: number
  readonly exchanges: readonly Buffer[]
  /** Which exchange has the row. */
  readonly answerAt: number
}

function query(sql: string): Exchange {
  return [{ kind: "query", sql }]
}

function extended(sql: string, value: string): Exchange {
  return [
    { kind: "parse", name: "", sql, types: [23] },
    {
      kind: "bind",
      portal: "",
      statement: "",
      formats: [],
      values: [Buffer.from(value)],
      resultFormats: [],
    },
    { kind: "describe", target: "portal", name: "" },
    { kind: "execute", portal: "", rowsMax: 0 },
    { kind: "sync" },
  ]
}

function shape(name: string, weight: number, exchanges: readonly Exchange[], answerAt = 0): Shape {
  return { name, weight, exchanges: exchanges.map(encodeExchange), answerAt }
}

/** Steps of a series that a slow read joins with: some tens of milliseconds, so that fills are under way when an ack comes. */
const slowSteps = 150_000
/** Rows of a result that takes several batches on its way. */
const streamRows = 20_000

export const shapes: readonly Shape[] = [
  shape("plain a", 10, [query("SELECT max(n) AS a FROM fresh.a")]),
  shape("plain b", 10, [query("SELECT n AS b FROM fresh.b WHERE k = 7")]),
  shape("join", 8, [
    query("SELECT a.n AS a, b.n AS b FROM fresh.a JOIN fresh.b USING (k) WHERE k = 3"),
  ]),
  shape("view", 8, [query("SELECT n AS a FROM fresh.v")]),
  shape("view of view", 8, [query("SELECT a, b FROM fresh.v_of_v")]),
  shape("parent of partitions", 8, [
    query(
      "SELECT max(n) FILTER (WHERE k < 100) AS low, max(n) FILTER (WHERE k >= 100) AS high FROM fresh.parts",
    ),
  ]),
  shape("partition itself", 5, [query("SELECT max(n) AS low FROM fresh.parts_low")]),
  shape("extended", 8, [extended("SELECT n AS a FROM fresh.a WHERE k = $1", "9")]),
  shape("extended over a view", 5, [extended("SELECT a, b FROM fresh.v_of_v WHERE $1 > 0", "1")]),
  shape(
    "in a transaction",
    5,
    [query("BEGIN"), query("SELECT n AS b FROM fresh.b WHERE k = 8"), query("ROLLBACK")],
    1,
  ),
  shape("cte", 4, [query("WITH b AS (SELECT max(n) AS n FROM fresh.b) SELECT n AS b FROM b")]),
  shape("slow", 3, [
    query(
      `SELECT max(a.n) AS a, count(md5(g::text)) FROM fresh.a a, generate_series(1, ${slowSteps}) g WHERE a.k = 1`,
    ),
  ]),
  shape("slow over partitions", 2, [
    query(
      `SELECT max(p.n) AS low, count(md5(g::text)) FROM fresh.parts p, generate_series(1, ${slowSteps}) g WHERE p.k = 95`,
    ),
  ]),
  shape("stream", 2, [
    query(
      `SELECT b.n AS b, g, repeat('x', 40) FROM fresh.b b, generate_series(1, ${streamRows}) g WHERE b.k = 1`,
    ),
  ]),
]
