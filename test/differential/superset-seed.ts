/**
 * Tables for the Superset-style statements of test/corpora: `sales` for superset_style_queries.json (the same rows on
 * PostgreSQL and DuckDB), and what superset_statements.json names. Deterministic.
 */
const customers = ["Ann Lee", "Björn", "O'Brien", "anna n", "Zoë N", "per%cent", "a\\b", null]
const regions = ["north", "south", "east", "Région", null]
const statuses = ["paid", "open", "refunded"]
const rowCount = 60

function literal(value: string | null): string {
  return value === null ? "NULL" : `'${value.replaceAll("'", "''")}'`
}

function pad(value: number): string {
  return String(value).padStart(2, "0")
}

/** One row as a VALUES list; every literal means the same on both engines. */
function salesRow(i: number): string {
  const date = `2024-${pad(1 + (i % 12))}-${pad(1 + ((i * 7) % 28))}`
  const price = i % 9 === 0 ? "NULL" : (((i * 7919) % 9973) / 100).toFixed(2)
  const tags = i % 5 === 0 ? "NULL" : `ARRAY['x', 't${i % 4}']`
  const payload = `'{"country": "${i % 2 === 0 ? "DE" : "US"}", "cart": {"total": ${i}.5}, "type": "purchase"}'`
  return `(${[
    i,
    `DATE '${date}'`,
    `TIMESTAMP '${date} ${pad(i % 24)}:${pad((i * 13) % 60)}:05'`,
    `${i * 10}.25`,
    1 + (i % 8),
    price,
    literal(customers[i % customers.length] ?? null),
    literal(regions[i % regions.length] ?? null),
    literal(statuses[i % statuses.length] ?? null),
    i % 3 !== 0,
    tags,
    1_704_067_200 + i * 40_000,
    payload,
    literal(`product ${i % 6}`),
    `${i}.75`,
  ].join(", ")})`
}

function salesTable(jsonType: string): string {
  const rows = Array.from({ length: rowCount }, (_, index) => salesRow(index + 1)).join(",\n")
  return `
CREATE TABLE sales (id int, order_date date, order_ts timestamp, sales decimal(12,2), qty int, price decimal(10,2),
  customer text, region text, status text, active boolean, tags text[], ts_epoch bigint, payload ${jsonType}, product text,
  amount decimal(12,2));
INSERT INTO sales VALUES ${rows};
CREATE SCHEMA "Sales Schema";
CREATE TABLE "Sales Schema"."group" ("order" int, "Mixed" text);
INSERT INTO "Sales Schema"."group" VALUES (1, 'one'), (2, NULL);
`
}

export const salesOnDuckdb = salesTable("json")

/** `i` runs over 1..40 in each SELECT. */
function filled(
  table: string,
  columns: readonly (readonly [definition: string, value: string])[],
): string {
  const definitions = columns.map(([definition]) => definition).join(", ")
  const values = columns.map(([, value]) => value).join(", ")
  return `CREATE TABLE ${table} (${definitions});\nINSERT INTO ${table} SELECT ${values} FROM generate_series(1, 40) i;`
}

const day = "date '2024-01-01' + i * 9"
const moment = "timestamp '2024-01-01 05:00' + i * interval '3 days 7 hours'"

/** Everything on PostgreSQL; run after the real Superset seed, which uses schemas of its own. */
export const supersetStyleSeed = `
SET client_min_messages = warning;
DROP TABLE IF EXISTS sales; DROP SCHEMA IF EXISTS "Sales Schema" CASCADE;
${salesTable("jsonb")}
${filled("orders", [
  ["id int PRIMARY KEY", "i"],
  ["a int", "i"],
  ["b text", "'b' || i"],
  ["d date", day],
  ["qty int", "i % 5"],
  ["unit_price numeric(10,2)", "i * 1.5"],
  ["status text", "CASE WHEN i % 4 = 0 THEN 'cancelled' ELSE 'paid' END"],
  ["order_ts timestamp", moment],
  ["customer_id int", "i % 7"],
  ["amount numeric(10,2)", "i * 3.25"],
  ["created_at timestamp", moment],
  ["tags text[]", "ARRAY['t' || i % 3, 'u']"],
  ["product_id int", "i % 6"],
  ["channel text", "CASE WHEN i % 2 = 0 THEN 'web' ELSE 'app' END"],
])}
${filled("customers", [
  ["id int PRIMARY KEY", "i"],
  ["region text", "'r' || i % 3"],
  ["country text", "CASE WHEN i % 2 = 0 THEN 'DE' ELSE 'US' END"],
])}
${filled("birth_names", [
  ["ds timestamp", "timestamp '1960-01-01' + i * interval '400 days'"],
  ["gender text", "CASE WHEN i % 2 = 0 THEN 'boy' ELSE 'girl' END"],
  ["name text", "(ARRAY['Ann','Joanna','Bob','O''Brien','Zoë'])[1 + i % 5]"],
  ["num bigint", "i * 100"],
])}
${filled("cleaned_sales_data", [
  ["order_number int", "i"],
  ["order_date timestamp", "timestamp '2003-01-06' + i * interval '9 days'"],
  ["sales numeric(10,2)", "i * 11.11"],
  ["product_line text", "'line ' || i % 4"],
  ["deal_size text", "(ARRAY['Small','Medium','Large'])[1 + i % 3]"],
  ["customer_name text", "'c' || i % 9"],
  ["price_each numeric(10,2)", "i + 0.5"],
  ["status text", "CASE WHEN i % 5 = 0 THEN 'Open' ELSE 'Shipped' END"],
  ["country text", "CASE WHEN i % 2 = 0 THEN 'USA' END"],
  ["territory text", "CASE WHEN i % 3 = 0 THEN 'NA' ELSE 'EMEA' END"],
])}
CREATE TABLE "Sales Schema"."Cleaned Sales" (order_number int, "productLine" text, "Total Price (€)" numeric);
INSERT INTO "Sales Schema"."Cleaned Sales" SELECT i, 'p' || i % 3, i * 1.1 FROM generate_series(1, 2500) i;
${filled("flights", [
  ['"AIRLINE" text', "(ARRAY['AA','DL','UA'])[1 + i % 3]"],
  ['"DEPARTURE_DELAY" int', "i % 20 - 5"],
  ["airline text", "(ARRAY['AA','DL'])[1 + i % 2]"],
  ["arrival_delay int", "i % 30"],
])}
DROP SCHEMA IF EXISTS analytics CASCADE; CREATE SCHEMA analytics;
${filled("analytics.events", [
  ["event_time timestamp", moment],
  ["user_id int", "i % 9"],
  ["event_name text", "(ARRAY['login','purchase','view'])[1 + i % 3]"],
])}
DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
${filled("shop.orders", [
  ["created_at timestamp", moment],
  ["status text", "(ARRAY['paid','refunded','open'])[1 + i % 3]"],
])}
${filled("log_events", [
  ["ts_epoch bigint", "1704067200 + i * 30000"],
  ["ts_ms bigint", "(1704067200 + i * 30000) * 1000::bigint"],
])}
${filled("users", [["age int", "10 + i"]])}
${filled("products", [["price float8", "i * 33.3"]])}
${filled("daily", [
  ["d date", day],
  ["sales numeric", "i * 2.5"],
  ["region text", "'r' || i % 2"],
])}
${filled("subscriptions", [
  ["customer_id int", "i % 6"],
  ["status text", "'s' || i"],
  ["updated_at timestamp", `CASE WHEN i % 8 = 0 THEN NULL ELSE ${moment} END`],
])}
${filled("events", [
  [
    "payload jsonb",
    `jsonb_build_object('type', CASE WHEN i % 2 = 0 THEN 'purchase' ELSE 'view' END, 'country', 'DE', 'cart', jsonb_build_object('total', i), 'user', jsonb_build_object('id', 'u' || i))`,
  ],
])}
${filled("web_orders", [["id int", "i"]])}
${filled("store_orders", [["id int", "i"]])}
DELETE FROM store_orders WHERE id > 11;
${filled("sf_population", [
  ['"LON" float8', "-122 - i / 100.0"],
  ['"LAT" float8', "37 + i / 90.0"],
  ['"OCCUPANCY" float8', "i / 7.0"],
])}
${filled("payments", [
  ["order_id int", "i"],
  ["status text", "CASE WHEN i % 3 = 0 THEN 'ok' ELSE 'no' END"],
])}
${filled("org", [
  ["id int", "i"],
  ["parent_id int", "CASE WHEN i = 1 THEN NULL ELSE i / 2 END"],
])}
CREATE TABLE t ("we'ird" text, x text, "100% ""quoted"" label" int);
INSERT INTO t VALUES ('it''s', 'a_bc', 1), ('it''s', 'aXbc', 2);
GRANT USAGE ON SCHEMA "Sales Schema", analytics, shop TO PUBLIC;
ANALYZE;
`
