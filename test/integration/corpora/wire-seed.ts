/**
 * The small shop that the wire corpus asks about: `sales` with orders, customers, events, days and a view. The same rows
 * on PostgreSQL and on DuckDB; every literal means the same to both. The first eight columns of `orders` stand in the
 * recorded order, because a recorded statement asks for columns 5 and 7 by number.
 */
const regions = ["EMEA", "AMER", "APAC", "O'Brien"]
const statuses = ["paid", "open", "void", "shipped"]
const names = ["acme one", "Lee", "o'x", "Zoë"]
const customerCount = 8
const orderCount = 48

function pick(list: readonly string[], index: number): string {
  return `'${(list[index % list.length] ?? "").replaceAll("'", "''")}'`
}

function pad(value: number): string {
  return String(value).padStart(2, "0")
}

function moment(i: number): string {
  const year = i % 3 === 0 ? 2025 : 2026
  return `${year}-0${1 + (i % 3)}-${pad(1 + ((i * 5) % 27))} ${pad(i % 24)}:${pad((i * 7) % 60)}:${pad((i * 11) % 60)}`
}

function tuples(count: number, row: (i: number) => readonly string[]): string {
  return Array.from({ length: count }, (_, index) => `(${row(index + 1).join(", ")})`).join(",\n")
}

const customerRows = tuples(customerCount, (i) => [
  String(i),
  pick(names, i),
  i % 3 === 0 ? "NULL" : `'c${i}@example.test'`,
  pick(regions, i),
])

const orderRows = tuples(orderCount, (i) => [
  String(i),
  String(1 + (i % customerCount)),
  `TIMESTAMP '${moment(i)}'`,
  `${(i * 37) % 200}.25`,
  pick(statuses, i),
  i % 5 === 0 ? "NULL" : `'{"n": ${i}}'`,
  i % 4 === 0 ? "NULL" : `ARRAY['t${i % 3}', 'u']`,
  i % 2 === 0 ? "true" : "false",
  pick(regions, i),
  String(7 + (i % 3)),
  i % 6 === 0 ? "42" : "41",
  pick(names, i),
  i % 3 === 0 ? "NULL" : `'c${i}@example.test'`,
])

const eventRows = tuples(20, (i) => [String(i), String(1_767_225_600 + i * 90_000)])
const dailyRows = tuples(20, (i) => [`DATE '2026-01-${pad(i)}'`, `${i}.5`])

function tables(jsonType: string): string {
  return `
CREATE TYPE sales.order_status AS ENUM ('open', 'paid', 'shipped', 'void');
CREATE TABLE sales.customers (id int PRIMARY KEY, name text, email text, region text, UNIQUE (id, name));
INSERT INTO sales.customers VALUES ${customerRows};
CREATE TABLE sales.orders (id int PRIMARY KEY, customer_id int REFERENCES sales.customers (id), ordered_at timestamp,
  amount numeric(10,2), status sales.order_status, meta ${jsonType}, tags text[], paid boolean, region text, tenant_id int,
  organization_id int, name text, email text, CONSTRAINT amount_is_not_negative CHECK (amount >= 0));
INSERT INTO sales.orders VALUES ${orderRows};
CREATE TABLE sales.events (id int, created_epoch bigint);
INSERT INTO sales.events VALUES ${eventRows};
CREATE TABLE sales.daily (d date, n numeric(10,2));
INSERT INTO sales.daily VALUES ${dailyRows};
CREATE VIEW sales.v_orders AS SELECT o.id, o.status, o.amount, c.name AS customer_name
  FROM sales.orders o JOIN sales.customers c ON c.id = o.customer_id;
CREATE INDEX orders_ordered_at ON sales.orders (ordered_at);
COMMENT ON TABLE sales.orders IS 'one row per order';
COMMENT ON COLUMN sales.orders.amount IS 'gross';
`
}

export const writerPassword = "writer-test-password"

/** Run as superuser: the tables, role `writer`, and role `alice` of the SET ROLE statement. */
export const wireSeedOnPostgres = `
CREATE SCHEMA sales;
CREATE DOMAIN sales.positive AS numeric CHECK (VALUE > 0);
${tables("jsonb")}
CREATE ROLE alice; GRANT pg_read_all_data TO alice; GRANT alice TO reader;
CREATE ROLE writer LOGIN PASSWORD '${writerPassword}';
GRANT pg_read_all_data, alice TO writer; GRANT CREATE ON SCHEMA sales TO writer;
ANALYZE;
`

/** The same tables and rows on DuckDB. */
export const wireSeedOnDuckdb = `
CREATE SCHEMA sales;
${tables("json")}
`

/** What the writing flows leave behind. */
export const wireCleanUp = `
DROP TABLE IF EXISTS sales.upl, sales.upl2, sales.tmp_1_table_2026_11_21;
DO $$ BEGIN
  IF to_regclass('sales.tmp_1_table_2026_11_21_00_10_00') IS NOT NULL THEN
    EXECUTE CASE (SELECT relkind FROM pg_class WHERE oid = to_regclass('sales.tmp_1_table_2026_11_21_00_10_00'))
      WHEN 'v' THEN 'DROP VIEW' ELSE 'DROP TABLE' END || ' sales.tmp_1_table_2026_11_21_00_10_00';
  END IF;
END $$;
`
