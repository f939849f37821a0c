/** What the attacks need beside the tenants' seed: types and functions that read what ann may not, and a table with more policies. */
export function attackSeed(engine: "postgres" | "duckdb", hidden: string, more: number): string {
  return (engine === "postgres" ? postgres(hidden) : duckdb(hidden)) + moreRows(more)
}

/** Further rows that nobody of organisation 1 may notice. */
function moreRows(count: number): string {
  if (count === 0) return ""
  const series = `generate_series(1, ${count}) g(i)`
  return `
INSERT INTO sales.orders SELECT 100 + i, 2, 'Z' || i, 'z@zqx', 7777, 'zqx', '5' FROM ${series};
INSERT INTO sales.invoices SELECT 100 + i, 2, 'zqx' FROM ${series};
INSERT INTO sales."Quoted" SELECT 100 + i, 2, 'zqx' FROM ${series};
`
}

function postgres(h: string): string {
  return `
CREATE FUNCTION sales.tells(x integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN RAISE EXCEPTION '%', (SELECT string_agg(customer, ',') FROM sales.orders); END $$;
CREATE DOMAIN sales.teller AS integer CHECK (sales.tells(value));
CREATE DOMAIN sales.teller2 AS sales.teller;
CREATE TYPE sales.pair AS (a sales.teller, b text);
CREATE TYPE sales.harmless AS (a integer, b text);
CREATE TABLE sales.holder (a sales.teller);
CREATE TYPE sales.colour AS ENUM ('red', 'blue');
CREATE FUNCTION sales.paint(x integer) RETURNS sales.colour LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN count(*) > 8 THEN ''red'' ELSE ''blue'' END::sales.colour FROM sales.orders';
CREATE CAST (integer AS sales.colour) WITH FUNCTION sales.paint(integer);
CREATE AGGREGATE sales.agg(integer) (SFUNC = int4pl, STYPE = integer);
CREATE FUNCTION sales."left"(x varchar, n integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x::text';
CREATE FUNCTION sales.upper(x varchar) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''NORTH''::text';
CREATE TABLE sales.wide (id int, org_id int, email varchar(50), region varchar(20), secret text, doc jsonb);
INSERT INTO sales.wide VALUES (1, 1, 'w@one', 'north', 'zqxs', '{"a": 1}'), (2, 1, '${h}@one', '${h}', 'zqxt', '{"a": "${h}"}'), (3, 2, '${h}@two', 'north', 'zqxu', '{}');
CREATE TYPE sales.shade AS ENUM ('dark', 'light');
CREATE FUNCTION sales.unshade(x sales.shade) RETURNS circle LANGUAGE sql IMMUTABLE AS 'SELECT circle(point(0, 0), count(*)) FROM sales.orders';
CREATE CAST (sales.shade AS circle) WITH FUNCTION sales.unshade(sales.shade) AS IMPLICIT;
CREATE TABLE sales.shaded (id integer, c sales.shade);
INSERT INTO sales.shaded VALUES (1, 'dark');
CREATE TABLE sales.computed (id int PRIMARY KEY, org_id int, note text, n int GENERATED ALWAYS AS (note::int) VIRTUAL);
INSERT INTO sales.computed VALUES (1, 1, '11'), (2, 1, '12'), (3, 2, '${h}');
CREATE SCHEMA other;
CREATE TABLE other.orders (id int, customer text, org_id int);
INSERT INTO other.orders VALUES (99, 'elsewhere', 1);
ANALYZE;
`
}

const longName = `${"aaaaaaaaaabbbbbbbbbb".repeat(3)}123`

/** A name as long as PostgreSQL reads, and a longer one that begins with it. */
export const longNames = { short: longName, long: `${longName}456` }

function duckdb(h: string): string {
  return `
CREATE TABLE sales.${longNames.short} (id integer);
CREATE TABLE sales.${longNames.long} (id integer, note text);
INSERT INTO sales.${longNames.long} VALUES (1, '${h}');
CREATE TABLE sales.computed (id int, org_id int, note text, n int GENERATED ALWAYS AS (note::int) VIRTUAL);
INSERT INTO sales.computed VALUES (1, 1, '11'), (2, 1, '12'), (3, 2, '7777');
CREATE MACRO sales.peek() AS TABLE SELECT * FROM sales.orders;
CREATE MACRO sales.total() AS (SELECT string_agg(customer, ',') FROM sales.orders);
CREATE MACRO main.reverse(a) AS (SELECT string_agg(customer, ',') FROM sales.orders);
CREATE VIEW sales.v_macro AS SELECT * FROM sales.peek();
CREATE VIEW sales.v_total AS SELECT sales.total() AS x;
CREATE VIEW sales.v_query AS SELECT * FROM query('SELECT * FROM sales.orders');
CREATE VIEW sales.v_table AS SELECT * FROM query_table('sales.orders');
CREATE VIEW sales.v_values AS SELECT * FROM histogram_values(sales.orders, customer);
`
}

/** Two filters on one table, one of them by a function that the schema has another of; goes behind the tenants' policies. */
export const widePolicies = `
  sales.computed:
    rowFilters:
      - { name: mapped, filter: "org_id IN (SELECT m.org_id FROM sales.org_map m WHERE m.login = :login)" }
    unfilteredRoles: [boss]
  sales.wide:
    rowFilters:
      - { name: own, filter: "org_id = :org_id" }
      - { name: north, kind: restrictive, filter: "upper(region) = 'NORTH'" }
    unfilteredRoles: [boss]
    masks: [{ column: email, mask: "left(email, 1) || '***'", exceptRoles: [boss] }]
    deniedColumns: [{ columns: [secret], exceptRoles: [boss] }]
`
