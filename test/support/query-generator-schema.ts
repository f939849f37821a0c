/**
 * The schema that generated statements are asked about: every common type, NULL in every nullable column, and the shapes
 * that make caching hard (a view, a materialised view, partitions, two schemas with a table of the same name, quoted
 * identifiers). Deterministic: no random(), no now().
 */
export type ColumnType =
  | "int2"
  | "int4"
  | "int8"
  | "numeric"
  | "float4"
  | "float8"
  | "text"
  | "varchar"
  | "bpchar"
  | "bool"
  | "date"
  | "timestamp"
  | "timestamptz"
  | "interval"
  | "time"
  | "uuid"
  | "json"
  | "jsonb"
  | "bytea"
  | "int4[]"
  | "text[]"
  | "mood"

export type Column = { readonly name: string; readonly type: ColumnType }

export type Table = {
  /** As written after FROM, schema included. */
  readonly qualified: string
  /** As written when search_path finds it. */
  readonly bare: string
  /** Columns that identify a row, for a total ORDER BY. */
  readonly key: readonly string[]
  readonly columns: readonly Column[]
}

const factColumns: readonly Column[] = [
  { name: "id", type: "int4" },
  { name: "dim", type: "int4" },
  { name: "i2", type: "int2" },
  { name: "i4", type: "int4" },
  { name: "i8", type: "int8" },
  { name: "n2", type: "numeric" },
  { name: "n", type: "numeric" },
  { name: "f4", type: "float4" },
  { name: "f8", type: "float8" },
  { name: "t", type: "text" },
  { name: "v", type: "varchar" },
  { name: "c", type: "bpchar" },
  { name: "b", type: "bool" },
  { name: "d", type: "date" },
  { name: "ts", type: "timestamp" },
  { name: "tz", type: "timestamptz" },
  { name: "iv", type: "interval" },
  { name: "tm", type: "time" },
  { name: "u", type: "uuid" },
  { name: "j", type: "json" },
  { name: "jb", type: "jsonb" },
  { name: "by", type: "bytea" },
  { name: "ai", type: "int4[]" },
  { name: "at", type: "text[]" },
  { name: "e", type: "mood" },
]

const dimColumns: readonly Column[] = [
  { name: "id", type: "int4" },
  { name: "name", type: "text" },
  { name: "grp", type: "varchar" },
  { name: "since", type: "date" },
  { name: "rate", type: "numeric" },
]

const partColumns: readonly Column[] = [
  { name: "id", type: "int4" },
  { name: "day", type: "date" },
  { name: "qty", type: "int4" },
  { name: "amount", type: "numeric" },
  { name: "note", type: "text" },
]

export const facts: Table = {
  qualified: "lab.facts",
  bare: "facts",
  key: ["id"],
  columns: factColumns,
}
export const dims: Table = {
  qualified: "lab.dims",
  bare: "dims",
  key: ["id"],
  columns: dimColumns,
}
export const parts: Table = {
  qualified: "lab.parts",
  bare: "parts",
  key: ["id", "day"],
  columns: partColumns,
}

export const factsView: Table = {
  qualified: "lab.v_facts",
  bare: "v_facts",
  key: ["id"],
  columns: [
    { name: "id", type: "int4" },
    { name: "name", type: "text" },
    { name: "n2", type: "numeric" },
    { name: "d", type: "date" },
    { name: "tz", type: "timestamptz" },
    { name: "e", type: "mood" },
    { name: "doubled", type: "numeric" },
  ],
}
export const factsSummary: Table = {
  qualified: "lab.m_facts",
  bare: "m_facts",
  key: ["dim"],
  columns: [
    { name: "dim", type: "int4" },
    { name: "rows", type: "int8" },
    { name: "total", type: "numeric" },
    { name: "last", type: "timestamp" },
  ],
}
export const odd: Table = {
  qualified: '"Odd Schema"."Odd ""Tab.le"',
  bare: '"Odd ""Tab.le"',
  key: ['"Id"'],
  columns: [
    { name: '"Id"', type: "int4" },
    { name: '"Mixed Case"', type: "text" },
    { name: '"select"', type: "numeric" },
    { name: '"Ünï"', type: "text" },
  ],
}

export const tables: readonly Table[] = [facts, dims, parts, factsView, factsSummary, odd]

const factsDefinition = `(
  id int PRIMARY KEY, dim int, i2 int2, i4 int4, i8 int8, n2 numeric(12,2), n numeric, f4 float4, f8 float8,
  t text, v varchar(12), c char(5), b bool, d date, ts timestamp, tz timestamptz, iv interval, tm time, u uuid,
  j json, jb jsonb, by bytea, ai int[], at text[], e lab.mood)`

/** `shift` makes lab2's rows differ from lab's, so that an answer for the wrong search_path cannot look right. */
function factsRows(schema: string, count: number, shift: number): string {
  const k = `(i + ${shift})`
  return `
INSERT INTO ${schema}.facts
SELECT i,
  CASE WHEN ${k} % 13 = 0 THEN NULL ELSE 1 + ${k} % 12 END,
  CASE WHEN ${k} % 9 = 0 THEN NULL ELSE (ARRAY[0,1,-1,7,32767,-32768,100])[1 + ${k} % 7]::int2 END,
  CASE WHEN ${k} % 8 = 0 THEN NULL ELSE (${k} * 37) % 1000 - 300 END,
  CASE WHEN ${k} % 7 = 0 THEN NULL ELSE ${k} * 90071992547409::int8 - 4503599627370497 END,
  CASE WHEN ${k} % 6 = 0 THEN NULL ELSE ((${k} * 7919) % 100000) / 100.0 - 100 END,
  CASE WHEN ${k} % 11 = 0 THEN NULL ELSE (ARRAY['0','0.00','1.50','1.5','-12.345','NaN','123456789012345678901234567890.1','0.000000000000000001','1e10'])[1 + ${k} % 9]::numeric END,
  CASE WHEN ${k} % 10 = 0 THEN NULL ELSE (ARRAY['0','-0','1.5','3.14159','NaN','Infinity','-Infinity','1e-30','16777217'])[1 + ${k} % 9]::float4 END,
  CASE WHEN ${k} % 10 = 1 THEN NULL ELSE (ARRAY['0','-0','0.1','2.718281828459045','NaN','Infinity','-Infinity','1e300','123456.789'])[1 + ${k} % 9]::float8 END,
  CASE WHEN ${k} % 12 = 0 THEN NULL ELSE (ARRAY['', 'plain', 'O''Brien', 'Grüße aus Köln', '日本語', 'a\\b', E'tab\\there', '100% _x_', 'say "hi"', E'line\\nbreak', '🙂 smile', ' lead', 'trail '])[1 + ${k} % 13] END,
  CASE WHEN ${k} % 9 = 1 THEN NULL ELSE 'v' || ${k} % 17 END,
  CASE WHEN ${k} % 9 = 2 THEN NULL ELSE (ARRAY['a','ab','abcde',''])[1 + ${k} % 4] END,
  CASE WHEN ${k} % 5 = 0 THEN NULL ELSE ${k} % 2 = 0 END,
  CASE ${k} % 23 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' WHEN 2 THEN '-infinity' WHEN 3 THEN '0044-03-15 BC' ELSE date '2024-01-01' + ${k} * 5 % 700 END,
  CASE ${k} % 29 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' WHEN 2 THEN '0001-12-31 23:59:59.5 BC' WHEN 3 THEN '294276-12-31 23:59:59.999999' ELSE timestamp '2024-03-30 22:00:00' + ${k} * interval '9 hours 7 minutes 0.25 seconds' END,
  CASE ${k} % 31 WHEN 0 THEN NULL WHEN 1 THEN '-infinity' WHEN 2 THEN '1883-11-18 12:03:58-05' ELSE timestamptz '2024-10-26 22:00:00+00' + ${k} * interval '17 minutes 0.001 seconds' END,
  CASE ${k} % 8 WHEN 0 THEN NULL WHEN 1 THEN interval '1 year 2 mons 3 days 04:05:06.789' WHEN 2 THEN interval '-1 day +02:03:04' WHEN 3 THEN interval '0' ELSE ${k} * interval '5 hours 30 minutes' END,
  CASE WHEN ${k} % 7 = 3 THEN NULL ELSE time '00:00' + ${k} * interval '13 minutes 0.125 seconds' END,
  CASE WHEN ${k} % 9 = 4 THEN NULL ELSE md5(${k}::text)::uuid END,
  CASE WHEN ${k} % 6 = 1 THEN NULL ELSE ('{"n": ' || ${k} || ',  "s":"x' || ${k} % 3 || '"}')::json END,
  CASE WHEN ${k} % 6 = 2 THEN NULL ELSE jsonb_build_object('n', ${k} % 50, 'k', ARRAY['a','b'], 'u', 'ü', 'z', NULL) END,
  CASE WHEN ${k} % 6 = 3 THEN NULL ELSE decode(md5(${k}::text), 'hex') END,
  CASE ${k} % 6 WHEN 4 THEN NULL WHEN 5 THEN '{}' ELSE ARRAY[${k}, NULL, -${k}] END,
  CASE ${k} % 7 WHEN 4 THEN NULL WHEN 5 THEN '{}' ELSE ARRAY['x' || ${k} % 4, NULL, 'a,"b"', ''] END,
  (ARRAY['sad','ok','happy', NULL]::lab.mood[])[1 + ${k} % 4]
FROM generate_series(1, ${count}) i;`
}

function dimsRows(schema: string, prefix: string): string {
  return `
CREATE TABLE ${schema}.dims (id int PRIMARY KEY, name text, grp varchar(10), since date, rate numeric(6,3));
INSERT INTO ${schema}.dims
SELECT i, CASE WHEN i = 5 THEN NULL ELSE '${prefix}' || (ARRAY['Anna','Björn','Chloé','日本','O''Hara','Zoë'])[1 + i % 6] || i END,
  (ARRAY['north','south',NULL])[1 + i % 3], date '2020-02-29' + i * 100, CASE WHEN i % 4 = 0 THEN NULL ELSE i * 1.125 END
FROM generate_series(1, 12) i;`
}

/** SQL that makes the schema anew; run as the owner of the database. `reader` must be granted what it reads. */
export const labSeed = `
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS lab CASCADE; DROP SCHEMA IF EXISTS lab2 CASCADE; DROP SCHEMA IF EXISTS "Odd Schema" CASCADE;
CREATE SCHEMA lab; CREATE SCHEMA lab2; CREATE SCHEMA "Odd Schema";
CREATE TYPE lab.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE lab.facts ${factsDefinition};
CREATE TABLE lab2.facts ${factsDefinition};
${factsRows("lab", 120, 0)}
${factsRows("lab2", 40, 1000)}
${dimsRows("lab", "")}
${dimsRows("lab2", "two ")}
CREATE TABLE lab.parts (id int, day date, qty int, amount numeric(10,2), note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE lab.parts_2024 PARTITION OF lab.parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE lab.parts_2025 PARTITION OF lab.parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE lab.parts_rest PARTITION OF lab.parts DEFAULT;
INSERT INTO lab.parts
SELECT i, date '2023-11-01' + i * 7, CASE WHEN i % 6 = 0 THEN NULL ELSE i % 10 END, i * 1.25, CASE WHEN i % 4 = 0 THEN NULL ELSE 'note ' || i % 5 END
FROM generate_series(1, 120) i;
CREATE VIEW lab.v_facts AS
SELECT f.id, d.name, f.n2, f.d, f.tz, f.e, f.n2 * 2 AS doubled FROM lab.facts f LEFT JOIN lab.dims d ON d.id = f.dim;
CREATE MATERIALIZED VIEW lab.m_facts AS
SELECT coalesce(dim, -1) AS dim, count(*) AS rows, sum(n2) AS total, max(ts) FILTER (WHERE isfinite(ts)) AS last FROM lab.facts GROUP BY 1;
CREATE TABLE "Odd Schema"."Odd ""Tab.le" ("Id" int PRIMARY KEY, "Mixed Case" text, "select" numeric, "Ünï" text);
INSERT INTO "Odd Schema"."Odd ""Tab.le" SELECT i, 'Value ' || i % 7, i * 1.5, CASE WHEN i % 2 = 0 THEN 'ä' || i END FROM generate_series(1, 25) i;
CREATE TABLE lab.empty_one (id int PRIMARY KEY, note text);
GRANT USAGE ON SCHEMA lab, lab2, "Odd Schema" TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA lab, lab2, "Odd Schema" TO PUBLIC;
CREATE TABLE lab.forbidden (id int);
REVOKE ALL ON lab.forbidden FROM PUBLIC;
ANALYZE;
`

/** A change that a writer makes on the warehouse, with what it must report to the gateway afterwards. */
export type Write = { readonly sql: string; readonly relations: readonly string[] }

/** Changes that keep the schema's size; `step` makes each one different from the last. */
export function labWrites(step: number): readonly Write[] {
  return [
    {
      sql: `UPDATE lab.facts SET i4 = coalesce(i4, 0) + 1, n2 = n2 + 1.01, t = 'changed ${step}' WHERE id % 7 = ${step % 7}`,
      relations: ["lab.facts"],
    },
    {
      sql: `UPDATE lab.dims SET name = 'Renamed ${step}', rate = ${step % 100} + 0.125 WHERE id = ${1 + (step % 12)}`,
      relations: ["lab.dims"],
    },
    {
      sql: `UPDATE lab.parts SET amount = amount + 1, note = 'step ${step}' WHERE id % 5 = ${step % 5}`,
      relations: ["lab.parts"],
    },
    {
      sql: `UPDATE lab.parts_2024 SET qty = coalesce(qty, 0) + 1 WHERE id % 5 = ${step % 5}`,
      relations: ["lab.parts_2024"],
    },
    { sql: "REFRESH MATERIALIZED VIEW lab.m_facts", relations: ["lab.m_facts"] },
    {
      sql: `UPDATE lab2.facts SET i4 = ${step}, t = 'two ${step}' WHERE id % 3 = ${step % 3}; UPDATE lab2.dims SET name = 'two ${step}' WHERE id = ${1 + (step % 12)}`,
      relations: ["lab2.facts", "lab2.dims"],
    },
    {
      sql: `UPDATE "Odd Schema"."Odd ""Tab.le" SET "Mixed Case" = 'Changed ${step}' WHERE "Id" % 4 = ${step % 4}`,
      relations: ['"Odd Schema"."Odd ""Tab.le"'],
    },
  ]
}
