/**
 * The shapes of TPC-H's 22 queries (joins, sub-queries and aggregates as its specification, revision 3, describes them), over a
 * small schema of its eight tables with the columns that the shapes need.
 */
export const tpchTables: Readonly<Record<string, string>> = {
  region: "id integer, tenant integer, r_name text",
  nation: "id integer, tenant integer, n_name text, n_region integer",
  supplier:
    "id integer, tenant integer, s_name text, s_nation integer, s_balance numeric(12,2), s_comment text",
  part: "id integer, tenant integer, p_name text, p_brand text, p_type text, p_size integer, p_container text",
  partsupp:
    "id integer, tenant integer, ps_part integer, ps_supplier integer, ps_quantity integer, ps_cost numeric(12,2)",
  customer:
    "id integer, tenant integer, c_name text, c_nation integer, c_phone text, c_balance numeric(12,2), c_segment text",
  orders:
    "id integer, tenant integer, o_customer integer, o_status text, o_total numeric(12,2), o_date date, o_priority text, o_comment text",
  lineitem:
    "id integer, tenant integer, l_order integer, l_part integer, l_supplier integer, l_quantity integer, l_price numeric(12,2), l_discount numeric(4,2), l_tax numeric(4,2), l_flag text, l_status text, l_ship date, l_commit date, l_receipt date, l_mode text, l_instruct text",
}

const volume = "l_price * (1 - l_discount)"

export const tpchShapes: readonly (readonly [name: string, sql: string])[] = [
  [
    "1 pricing summary",
    `SELECT l_flag, l_status, sum(l_quantity), sum(l_price), sum(${volume}), sum(${volume} * (1 + l_tax)), avg(l_quantity), avg(l_discount), count(*) FROM pp.lineitem WHERE l_ship <= date '1998-12-01' - interval '90' day GROUP BY l_flag, l_status ORDER BY l_flag, l_status`,
  ],
  [
    "2 cheapest supplier",
    "SELECT s_balance, s_name, n_name, p.id FROM pp.part p, pp.supplier s, pp.partsupp, pp.nation n, pp.region r WHERE p.id = ps_part AND s.id = ps_supplier AND p_size > 5 AND s_nation = n.id AND n_region = r.id AND r_name = 'EUROPE' AND ps_cost = (SELECT min(ps_cost) FROM pp.partsupp i, pp.supplier si, pp.nation ni, pp.region ri WHERE p.id = i.ps_part AND si.id = i.ps_supplier AND si.s_nation = ni.id AND ni.n_region = ri.id AND ri.r_name = 'EUROPE') ORDER BY s_balance DESC, n_name, s_name, p.id LIMIT 100",
  ],
  [
    "3 shipping priority",
    `SELECT l_order, sum(${volume}) AS revenue, o_date FROM pp.customer c, pp.orders o, pp.lineitem WHERE c_segment = 'BUILDING' AND c.id = o_customer AND l_order = o.id AND o_date < date '1997-03-15' AND l_ship > date '1992-03-15' GROUP BY l_order, o_date ORDER BY revenue DESC, o_date, l_order LIMIT 10`,
  ],
  [
    "4 order priority",
    "SELECT o_priority, count(*) FROM pp.orders WHERE o_date >= date '1993-07-01' AND EXISTS (SELECT * FROM pp.lineitem WHERE l_order = orders.id AND l_commit < l_receipt) GROUP BY o_priority ORDER BY o_priority",
  ],
  [
    "5 local supplier volume",
    `SELECT n_name, sum(${volume}) AS revenue FROM pp.customer c, pp.orders o, pp.lineitem, pp.supplier s, pp.nation n, pp.region r WHERE c.id = o_customer AND l_order = o.id AND l_supplier = s.id AND s_nation = n.id AND n_region = r.id AND r_name = 'ASIA' GROUP BY n_name ORDER BY revenue DESC, n_name`,
  ],
  [
    "6 forecast revenue",
    "SELECT sum(l_price * l_discount) FROM pp.lineitem WHERE l_ship >= date '1994-01-01' AND l_ship < date '1994-01-01' + interval '1' year AND l_discount BETWEEN 0.01 AND 0.08 AND l_quantity < 24",
  ],
  [
    "7 volume shipping",
    `SELECT supp, cust, year, sum(volume) FROM (SELECT n1.n_name AS supp, n2.n_name AS cust, extract(year FROM l_ship) AS year, ${volume} AS volume FROM pp.supplier s, pp.lineitem, pp.orders o, pp.customer c, pp.nation n1, pp.nation n2 WHERE s.id = l_supplier AND o.id = l_order AND c.id = o_customer AND s_nation = n1.id AND c_nation = n2.id AND n1.n_name <> n2.n_name) AS shipping GROUP BY supp, cust, year ORDER BY 1, 2, 3`,
  ],
  [
    "8 market share",
    `SELECT year, sum(CASE WHEN nation = 'FRANCE' THEN volume ELSE 0 END) / nullif(sum(volume), 0) FROM (SELECT extract(year FROM o_date) AS year, ${volume} AS volume, n2.n_name AS nation FROM pp.part p, pp.supplier s, pp.lineitem, pp.orders o, pp.customer c, pp.nation n1, pp.nation n2, pp.region r WHERE p.id = l_part AND s.id = l_supplier AND l_order = o.id AND o_customer = c.id AND c_nation = n1.id AND n1.n_region = r.id AND s_nation = n2.id) AS nations GROUP BY year ORDER BY year`,
  ],
  [
    "9 profit by product type",
    `SELECT nation, year, sum(amount) FROM (SELECT n_name AS nation, extract(year FROM o_date) AS year, ${volume} - ps_cost * l_quantity AS amount FROM pp.part p, pp.supplier s, pp.lineitem, pp.partsupp, pp.orders o, pp.nation n WHERE s.id = l_supplier AND ps_supplier = l_supplier AND ps_part = l_part AND p.id = l_part AND o.id = l_order AND s_nation = n.id AND p_name LIKE '%a%') AS profit GROUP BY nation, year ORDER BY nation, year DESC`,
  ],
  [
    "10 returned items",
    `SELECT c.id, c_name, sum(${volume}) AS revenue, c_balance, n_name FROM pp.customer c, pp.orders o, pp.lineitem, pp.nation n WHERE c.id = o_customer AND l_order = o.id AND l_flag = 'R' AND c_nation = n.id GROUP BY c.id, c_name, c_balance, n_name ORDER BY revenue DESC, c.id LIMIT 20`,
  ],
  [
    "11 important stock",
    "SELECT ps_part, sum(ps_cost * ps_quantity) AS value FROM pp.partsupp, pp.supplier s, pp.nation n WHERE ps_supplier = s.id AND s_nation = n.id GROUP BY ps_part HAVING sum(ps_cost * ps_quantity) > (SELECT sum(ps_cost * ps_quantity) * 0.01 FROM pp.partsupp, pp.supplier s, pp.nation n WHERE ps_supplier = s.id AND s_nation = n.id) ORDER BY value DESC, ps_part",
  ],
  [
    "12 shipping modes",
    "SELECT l_mode, sum(CASE WHEN o_priority = '1-URGENT' OR o_priority = '2-HIGH' THEN 1 ELSE 0 END), sum(CASE WHEN o_priority <> '1-URGENT' THEN 1 ELSE 0 END) FROM pp.orders o, pp.lineitem WHERE o.id = l_order AND l_mode IN ('MAIL', 'SHIP') AND l_commit < l_receipt GROUP BY l_mode ORDER BY l_mode",
  ],
  [
    "13 customer distribution",
    "SELECT c_count, count(*) AS dist FROM (SELECT c.id, count(o.id) FROM pp.customer c LEFT OUTER JOIN pp.orders o ON c.id = o_customer AND o_comment NOT LIKE '%special%requests%' GROUP BY c.id) AS c_orders (c_id, c_count) GROUP BY c_count ORDER BY dist DESC, c_count DESC",
  ],
  [
    "14 promotion effect",
    `SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN ${volume} ELSE 0 END) / nullif(sum(${volume}), 0) FROM pp.lineitem, pp.part p WHERE l_part = p.id AND l_ship >= date '1993-09-01'`,
  ],
  [
    "15 top supplier",
    `WITH revenue (supplier_no, total) AS (SELECT l_supplier, sum(${volume}) FROM pp.lineitem WHERE l_ship >= date '1993-01-01' GROUP BY l_supplier) SELECT s.id, s_name, total FROM pp.supplier s, revenue WHERE s.id = supplier_no AND total = (SELECT max(total) FROM revenue) ORDER BY s.id`,
  ],
  [
    "16 parts and suppliers",
    "SELECT p_brand, p_type, p_size, count(DISTINCT ps_supplier) AS n FROM pp.partsupp, pp.part p WHERE p.id = ps_part AND p_brand <> 'Brand#1' AND p_type NOT LIKE 'MEDIUM%' AND p_size IN (1, 4, 9, 14, 19, 23, 36, 45) AND ps_supplier NOT IN (SELECT id FROM pp.supplier WHERE s_comment LIKE '%Complaints%') GROUP BY p_brand, p_type, p_size ORDER BY n DESC, p_brand, p_type, p_size",
  ],
  [
    "17 small quantity orders",
    "SELECT sum(l_price) / 7.0 FROM pp.lineitem, pp.part p WHERE p.id = l_part AND l_quantity < (SELECT 0.9 * avg(l_quantity) FROM pp.lineitem WHERE l_part = p.id)",
  ],
  [
    "18 large volume customers",
    "SELECT c_name, c.id, o.id, o_date, o_total, sum(l_quantity) FROM pp.customer c, pp.orders o, pp.lineitem WHERE o.id IN (SELECT l_order FROM pp.lineitem GROUP BY l_order HAVING sum(l_quantity) > 40) AND c.id = o_customer AND o.id = l_order GROUP BY c_name, c.id, o.id, o_date, o_total ORDER BY o_total DESC, o_date, o.id LIMIT 100",
  ],
  [
    "19 discounted revenue",
    `SELECT sum(${volume}) FROM pp.lineitem, pp.part p WHERE (p.id = l_part AND p_brand = 'Brand#1' AND p_container IN ('SM CASE', 'SM BOX') AND l_quantity BETWEEN 1 AND 30 AND p_size BETWEEN 1 AND 50) OR (p.id = l_part AND p_brand = 'Brand#2' AND l_quantity >= 10 AND l_mode IN ('AIR', 'MAIL'))`,
  ],
  [
    "20 part promotion",
    "SELECT s_name FROM pp.supplier s, pp.nation n WHERE s.id IN (SELECT ps_supplier FROM pp.partsupp WHERE ps_part IN (SELECT id FROM pp.part WHERE p_name LIKE 'a%') AND ps_quantity > (SELECT 0.1 * sum(l_quantity) FROM pp.lineitem WHERE l_part = ps_part AND l_supplier = ps_supplier)) AND s_nation = n.id ORDER BY s_name",
  ],
  [
    "21 waiting suppliers",
    "SELECT s_name, count(*) AS waits FROM pp.supplier s, pp.lineitem l1, pp.orders o, pp.nation n WHERE s.id = l1.l_supplier AND o.id = l1.l_order AND l1.l_receipt > l1.l_commit AND EXISTS (SELECT * FROM pp.lineitem l2 WHERE l2.l_order = l1.l_order AND l2.l_supplier <> l1.l_supplier) AND NOT EXISTS (SELECT * FROM pp.lineitem l3 WHERE l3.l_order = l1.l_order AND l3.l_supplier <> l1.l_supplier AND l3.l_receipt > l3.l_commit) AND s_nation = n.id GROUP BY s_name ORDER BY waits DESC, s_name LIMIT 100",
  ],
  [
    "22 global sales opportunity",
    "SELECT code, count(*), sum(c_balance) FROM (SELECT substring(c_phone FROM 1 FOR 2) AS code, c_balance FROM pp.customer WHERE substring(c_phone FROM 1 FOR 2) IN ('13', '31', '23') AND c_balance > (SELECT avg(c_balance) FROM pp.customer WHERE c_balance > 0.00) AND NOT EXISTS (SELECT * FROM pp.orders WHERE o_customer = customer.id)) AS custsale GROUP BY code ORDER BY code",
  ],
]

const choices: Readonly<Record<string, readonly string[]>> = {
  r_name: ["EUROPE", "ASIA"],
  n_name: ["FRANCE", "GERMANY", "CHINA"],
  s_comment: ["fine", "Customer Complaints"],
  p_brand: ["Brand#1", "Brand#2"],
  p_type: ["PROMO TIN", "MEDIUM TIN", "SMALL STEEL"],
  p_container: ["SM CASE", "SM BOX"],
  p_name: ["almond", "azure", "blue"],
  c_phone: ["13-1", "31-2", "23-3", "99-9"],
  c_segment: ["BUILDING", "MACHINERY"],
  o_priority: ["1-URGENT", "2-HIGH", "3-MEDIUM"],
  o_comment: ["plain", "special big requests"],
  l_flag: ["R", "N"],
  l_mode: ["MAIL", "SHIP", "AIR"],
}

/** Two of three rows of each table belong to tenant 1. */
const rowsPerTable = 90

/** Tables, rows and nothing random: values follow from the row's number. */
export function tpchSeed(): string {
  const statements = Object.entries(tpchTables).map(([table, columns]) => {
    const parts = columns.split(/, (?=[a-z])/)
    const rows = Array.from(
      { length: rowsPerTable },
      (_, index) => `(${parts.map((part, at) => value(part, index + 1, at)).join(", ")})`,
    )
    return `CREATE TABLE pp.${table} (${columns});\nINSERT INTO pp.${table} VALUES ${rows.join(",\n")};`
  })
  return statements.join("\n")
}

function value(column: string, row: number, place: number): string {
  const [name = "", type = ""] = column.split(" ")
  // Numbers that spread without a common rhythm, so that joins find partners.
  const mixed = (row * 7 + place * 13 + row * row) % 97
  if (name === "id") return String(row)
  if (name === "tenant") return String(row % 3 === 0 ? 2 : 1)
  const words = choices[name]
  if (words !== undefined) return `'${words[mixed % words.length]}'`
  if (type === "date") return `date '1992-01-01' + ${mixed * 20 + place * 9}`
  if (type === "text") return `'${name} ${mixed}'`
  if (/discount|tax/.test(name)) return String((mixed % 10) / 100)
  if (type.startsWith("numeric")) return `${mixed * 10}.25`
  return String((mixed % 29) + 1)
}
