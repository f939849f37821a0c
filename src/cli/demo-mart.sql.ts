/** Rows of the fact table. */
export const salesCount = 1_200_000

/** The last day of the data. Fixed, so that two builds are alike and no chart depends on the day of the demonstration. */
const lastDay = "DATE '2026-06-30'"
const dayCount = 730

/**
 * A number from 0 to `below` - 1 out of a row's number. hash() alone would do, but its values may change between versions
 * of DuckDB; this mixer (two rounds of a 32-bit multiplicative hash, on 64-bit integers) does not.
 */
function pick(row: string, salt: number, below: number): string {
  const first = `((${row} + ${salt}) * 2654435761) % 4294967296`
  return `((xor(${first}, (${first}) >> 15) * 1640531527) % 4294967296 >> 7) % ${below}`
}

/** Spread towards the low numbers: the smaller of two picks, as some products and customers sell more than others. */
function skewed(row: string, salt: number, below: number): string {
  return `least(${pick(row, salt, below)}, ${pick(row, salt + 101, below)})`
}

/** Statements of the build with the line that announces each. */
export const buildSteps: readonly { readonly title: string; readonly sql: string }[] = [
  {
    title: "dimensions",
    sql: `
CREATE SCHEMA retail;
CREATE SCHEMA marts;
CREATE TABLE retail.tenants AS SELECT * FROM (VALUES
  (1, 'Aurora Outdoor', 'enterprise'), (2, 'Birch & Co', 'business'), (3, 'Cobalt Sports', 'business'),
  (4, 'Dune Living', 'starter'), (5, 'Ember Kitchen', 'starter')
) AS t(tenant_id, tenant_name, plan);
CREATE TABLE retail.regions AS SELECT * FROM (VALUES
  (1, 'North', 'Norway'), (2, 'West', 'Ireland'), (3, 'Central', 'Germany'), (4, 'East', 'Poland'),
  (5, 'South', 'Spain'), (6, 'Overseas', 'Canada')
) AS r(region_id, region_name, country);
CREATE TABLE retail.stores AS
  SELECT i AS store_id, 'Store ' || lpad(i::VARCHAR, 3, '0') AS store_name, i % 6 + 1 AS region_id,
    DATE '2015-01-01' + (${pick("i", 11, 3_000)})::INTEGER AS opened_on
  FROM range(1, 61) AS s(i);
CREATE TABLE retail.products AS
  SELECT i AS product_id, c.adjective || ' ' || n.noun AS product_name, n.category,
    (500 + ${pick("i", 21, 49_500)})::DECIMAL(12, 2) / 100 AS list_price
  FROM range(1, 241) AS p(i)
  JOIN (VALUES (0, 'Alpine'), (1, 'Classic'), (2, 'Compact'), (3, 'Essential'), (4, 'Light'), (5, 'Nordic'),
    (6, 'Pro'), (7, 'Trail'), (8, 'Urban'), (9, 'Vintage'), (10, 'Woven'), (11, 'Zero')) AS c(id, adjective)
    ON c.id = i % 12
  JOIN (VALUES (0, 'Backpack', 'Travel'), (1, 'Jacket', 'Clothing'), (2, 'Lamp', 'Home'), (3, 'Mug', 'Kitchen'),
    (4, 'Tent', 'Outdoor'), (5, 'Shoes', 'Clothing'), (6, 'Knife', 'Kitchen'), (7, 'Blanket', 'Home'),
    (8, 'Bottle', 'Outdoor'), (9, 'Suitcase', 'Travel'), (10, 'Stove', 'Outdoor'), (11, 'Shirt', 'Clothing'),
    (12, 'Chair', 'Home'), (13, 'Pan', 'Kitchen'), (14, 'Map', 'Travel'), (15, 'Gloves', 'Clothing'),
    (16, 'Rug', 'Home'), (17, 'Kettle', 'Kitchen'), (18, 'Rope', 'Outdoor'), (19, 'Pillow', 'Travel')) AS n(id, noun, category)
    ON n.id = i // 12;
CREATE TABLE retail.customers AS
  SELECT i AS customer_id, 'customer' || i || '@example.com' AS email, i % 5 + 1 AS tenant_id,
    CASE WHEN ${pick("i", 31, 10)} < 2 THEN 'wholesale' ELSE 'retail' END AS segment,
    (${lastDay} - ${dayCount} - (${pick("i", 32, 1_000)})::INTEGER)::DATE AS signed_up_on
  FROM range(1, 20001) AS c(i);`,
  },
  {
    title: `${salesCount.toLocaleString("en-US")} sales`,
    sql: `
CREATE TABLE retail.sales AS
  SELECT i AS sale_id,
    ((${skewed("i", 41, 5)}) + 1)::INTEGER AS tenant_id,
    ((${pick("i", 42, 60)}) + 1)::INTEGER AS store_id,
    ((${skewed("i", 43, 240)}) + 1)::INTEGER AS product_id,
    ((${pick("i", 44, 20_000)}) + 1)::INTEGER AS customer_id,
    ((${skewed("i", 45, 6)}) + 1)::INTEGER AS quantity,
    CASE WHEN ${pick("i", 46, 10)} < 2 THEN 0.10 WHEN ${pick("i", 46, 10)} = 2 THEN 0.25 ELSE 0.00 END::DECIMAL(4, 2) AS discount,
    (CASE ${pick("i", 47, 4)} WHEN 0 THEN 'card' WHEN 1 THEN 'card' WHEN 2 THEN 'invoice' ELSE 'wallet' END) AS payment,
    (${lastDay} - ((${dayCount}::BIGINT * (${salesCount} - i)) // ${salesCount})::INTEGER)::TIMESTAMP
      + to_seconds(28800 + ${pick("i", 48, 43_200)}) AS sold_at
  FROM range(1, ${salesCount + 1}) AS s(i);
ALTER TABLE retail.sales ADD COLUMN amount DECIMAL(12, 2);
UPDATE retail.sales SET amount = round(quantity * p.list_price * (1 - discount), 2)
  FROM retail.products AS p WHERE p.product_id = sales.product_id;`,
  },
  {
    title: "daily marts",
    sql: `
CREATE TABLE marts.daily_revenue AS
  SELECT sold_at::DATE AS day, tenant_id, count(*) AS orders, sum(quantity)::BIGINT AS units,
    sum(amount)::DECIMAL(14, 2) AS revenue
  FROM retail.sales GROUP BY ALL ORDER BY day, tenant_id;
CREATE TABLE marts.daily_product_sales AS
  SELECT s.sold_at::DATE AS day, s.tenant_id, p.product_id, p.product_name, p.category,
    sum(s.quantity)::BIGINT AS units, sum(s.amount)::DECIMAL(14, 2) AS revenue
  FROM retail.sales AS s JOIN retail.products AS p USING (product_id)
  GROUP BY ALL ORDER BY day, tenant_id, product_id;
CREATE TABLE marts.daily_region_sales AS
  SELECT s.sold_at::DATE AS day, s.tenant_id, r.region_name, r.country, count(*) AS orders,
    sum(s.amount)::DECIMAL(14, 2) AS revenue
  FROM retail.sales AS s JOIN retail.stores AS t USING (store_id) JOIN retail.regions AS r USING (region_id)
  GROUP BY ALL ORDER BY day, tenant_id, region_name;
CREATE TABLE marts.tenant_monthly AS
  SELECT date_trunc('month', d.day)::DATE AS month, d.tenant_id, t.tenant_name, t.plan,
    sum(d.orders)::BIGINT AS orders, sum(d.revenue)::DECIMAL(14, 2) AS revenue
  FROM marts.daily_revenue AS d JOIN retail.tenants AS t USING (tenant_id)
  GROUP BY ALL ORDER BY month, tenant_id;
CREATE VIEW marts.category_monthly AS
  SELECT date_trunc('month', day) AS month, tenant_id, category, sum(units) AS units, sum(revenue) AS revenue
  FROM marts.daily_product_sales GROUP BY 1, 2, 3;`,
  },
]

/** What a nightly run does to one mart: today's orders came in, revenue of the last day grows. */
export const rebuildDailyRevenueSql = `
BEGIN;
INSERT INTO retail.sales
  SELECT (SELECT max(sale_id) FROM retail.sales) + row_number() OVER (ORDER BY sale_id), tenant_id, store_id, product_id,
    customer_id, quantity, discount, payment, sold_at, amount
  FROM retail.sales WHERE sold_at >= ${lastDay} ORDER BY sale_id LIMIT 100;
DELETE FROM marts.daily_revenue;
INSERT INTO marts.daily_revenue
  SELECT sold_at::DATE AS day, tenant_id, count(*) AS orders, sum(quantity)::BIGINT AS units,
    sum(amount)::DECIMAL(14, 2) AS revenue
  FROM retail.sales GROUP BY ALL ORDER BY day, tenant_id;
COMMIT;`
