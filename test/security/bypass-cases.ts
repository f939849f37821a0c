/**
 * What ann, of organisation 1, tries. `rows`: the one right answer, as JSON. `refused`: the SQLSTATE. `error`: some error.
 * `safe`: nothing hidden is shown, whatever comes. On DuckDB an error in the place of rows is right, too: its dialect
 * refuses more. `onDuckdb`: the rows there, where the shadow of the catalogue answers, which holds no rows of anybody's.
 */
export type BypassCase = readonly [
  title: string,
  sql: string,
  expected:
    | { readonly rows: string; readonly onDuckdb?: string }
    | { readonly refused: string; readonly onDuckdb?: string }
    | "error"
    | "safe",
]

const three = { rows: "[[3]]" }
const names = { rows: '[["Ada"],["Alan"],["Ann"]]' }
const denied = { refused: "42501" }
const noColumn = { refused: "42703" }

/** Forms of reading the table: all see three rows. */
const forms: readonly BypassCase[] = [
  ["plain", "SELECT customer FROM sales.orders ORDER BY id", names],
  ["TABLE", "SELECT count(*) FROM (TABLE sales.orders) t", three],
  ["alias", "SELECT o.customer FROM sales.orders AS o ORDER BY o.id", names],
  ["column aliases", "SELECT c FROM sales.orders AS o(a, b, c) ORDER BY a", names],
  [
    "qualified columns",
    "SELECT sales.orders.customer FROM sales.orders ORDER BY sales.orders.id",
    names,
  ],
  ["qualified star", "SELECT count(*) FROM (SELECT sales.orders.* FROM sales.orders) t", three],
  ["ONLY", "SELECT count(*) FROM ONLY sales.orders", three],
  ["ONLY in parentheses", "SELECT count(*) FROM ONLY (sales.orders)", three],
  ["star behind", "SELECT count(*) FROM sales.orders *", three],
  ["quoted", 'SELECT count(*) FROM "sales"."orders"', three],
  ["unicode identifier", 'SELECT count(*) FROM sales.U&"\\006frders"', three],
  [
    "unicode identifier with UESCAPE",
    "SELECT count(*) FROM sales.U&\"!006frders\" UESCAPE '!'",
    three,
  ],
  ["upper case", "SELECT COUNT(*) FROM SALES.ORDERS", three],
  ["database in front", "SELECT count(*) FROM warehouse.sales.orders", three],
  ["comments between", "SELECT count(*) FROM sales /* a */ . /* /* b */ */ orders -- c", three],
  ["comment as a line", "SELECT count(*) FROM --x\nsales.orders", three],
  ["CTE", "WITH x AS (SELECT * FROM sales.orders) SELECT count(*) FROM x", three],
  [
    "materialised CTE",
    "WITH x AS MATERIALIZED (SELECT * FROM sales.orders) SELECT count(*) FROM x",
    three,
  ],
  [
    "inlined CTE",
    "WITH x AS NOT MATERIALIZED (SELECT * FROM sales.orders) SELECT count(*) FROM x",
    three,
  ],
  [
    "CTE of the table's name",
    "WITH orders AS (SELECT * FROM sales.orders) SELECT count(*) FROM orders",
    three,
  ],
  [
    "CTE does not shadow a qualified name",
    "WITH orders AS (SELECT 1) SELECT count(*) FROM sales.orders",
    three,
  ],
  ["quoted CTE", 'WITH "Orders" AS (SELECT 1) SELECT count(*) FROM sales.orders, "Orders"', three],
  [
    "recursive CTE",
    "WITH RECURSIVE r AS (SELECT id FROM sales.orders UNION SELECT id FROM r) SELECT count(*) FROM r",
    three,
  ],
  [
    "CTE in a sub-query",
    "SELECT (WITH t AS (SELECT * FROM sales.orders) SELECT count(*) FROM t)",
    three,
  ],
  ["scalar sub-query", "SELECT (SELECT count(*) FROM sales.orders)", three],
  [
    "sub-query in WHERE",
    "SELECT count(*) FROM sales.open WHERE id IN (SELECT id FROM sales.orders)",
    { rows: "[[2]]" },
  ],
  [
    "EXISTS",
    "SELECT count(*) FROM sales.open p WHERE EXISTS (SELECT 1 FROM sales.orders o WHERE o.id = p.id)",
    { rows: "[[2]]" },
  ],
  [
    "NOT EXISTS",
    "SELECT count(*) FROM sales.open p WHERE NOT EXISTS (SELECT 1 FROM sales.orders o WHERE o.id = p.id)",
    { rows: "[[1]]" },
  ],
  [
    "= ANY",
    "SELECT count(*) FROM sales.open WHERE id = ANY (SELECT id FROM sales.orders)",
    { rows: "[[2]]" },
  ],
  ["ALL", "SELECT 11 > ALL (SELECT id FROM sales.orders)", { rows: "[[true]]" }],
  ["ARRAY", "SELECT cardinality(ARRAY(SELECT id FROM sales.orders))", three],
  [
    "ORDER BY sub-query",
    "SELECT 1 FROM sales.open ORDER BY (SELECT max(customer) FROM sales.orders)",
    { rows: "[[1],[1],[1]]" },
  ],
  [
    "LIMIT sub-query",
    "SELECT count(*) FROM (SELECT 1 FROM generate_series(1, 20) LIMIT (SELECT count(*) FROM sales.orders)) t",
    three,
  ],
  [
    "OFFSET sub-query",
    "SELECT count(*) FROM (SELECT 1 FROM generate_series(1, 6) OFFSET (SELECT count(*) FROM sales.orders)) t",
    three,
  ],
  [
    "GROUP BY sub-query",
    "SELECT count(*) FROM sales.orders GROUP BY (SELECT max(org_id) FROM sales.orders)",
    three,
  ],
  [
    "HAVING sub-query",
    "SELECT count(*) FROM sales.orders HAVING count(*) = (SELECT count(*) FROM sales.orders)",
    three,
  ],
  [
    "CASE sub-query",
    "SELECT CASE (SELECT count(*) FROM sales.orders) WHEN 3 THEN 'few' ELSE 'many' END",
    { rows: '[["few"]]' },
  ],
  [
    "LATERAL",
    "SELECT count(*) FROM sales.open p, LATERAL (SELECT * FROM sales.orders o WHERE o.id = p.id) z",
    { rows: "[[2]]" },
  ],
  [
    "LATERAL function",
    "SELECT count(*) FROM sales.open p, LATERAL unnest(ARRAY(SELECT id FROM sales.orders)) u",
    { rows: "[[9]]" },
  ],
  [
    "JOIN ON",
    "SELECT count(*) FROM sales.open p JOIN sales.orders o ON o.id = p.id",
    { rows: "[[2]]" },
  ],
  ["JOIN USING", "SELECT count(*) FROM sales.open JOIN sales.orders USING (id)", { rows: "[[2]]" }],
  ["NATURAL JOIN", "SELECT count(*) FROM sales.open NATURAL JOIN sales.orders", { rows: "[[2]]" }],
  [
    "FULL JOIN",
    "SELECT count(*) FROM sales.open p FULL JOIN sales.orders o ON o.id = p.id",
    { rows: "[[4]]" },
  ],
  ["RIGHT JOIN", "SELECT count(*) FROM sales.open p RIGHT JOIN sales.orders o ON false", three],
  [
    "CROSS JOIN",
    "SELECT count(*) FROM sales.orders a CROSS JOIN sales.orders b",
    { rows: "[[9]]" },
  ],
  [
    "join in parentheses",
    "SELECT count(*) FROM ((sales.open p CROSS JOIN sales.orders o))",
    { rows: "[[9]]" },
  ],
  [
    "alias of a join",
    "SELECT count(*) FROM (sales.open p JOIN sales.orders o ON o.id = p.id) AS j",
    { rows: "[[2]]" },
  ],
  [
    "UNION",
    "SELECT count(*) FROM (SELECT 0 UNION ALL SELECT id FROM sales.orders) t",
    { rows: "[[4]]" },
  ],
  [
    "UNION TABLE",
    "SELECT count(*) FROM (SELECT id FROM sales.open UNION ALL SELECT id FROM (TABLE sales.orders) q) t",
    { rows: "[[6]]" },
  ],
  [
    "EXCEPT",
    "SELECT count(*) FROM (SELECT id FROM sales.orders EXCEPT SELECT id FROM sales.open) t",
    { rows: "[[1]]" },
  ],
  [
    "INTERSECT",
    "SELECT count(*) FROM (SELECT id FROM sales.orders INTERSECT SELECT id FROM sales.open) t",
    { rows: "[[2]]" },
  ],
  [
    "VALUES probe",
    "SELECT count(*) FROM (VALUES (1), (11), (12)) v(id) JOIN sales.orders USING (id)",
    { rows: "[[1]]" },
  ],
  ["window", "SELECT DISTINCT count(*) OVER () FROM sales.orders", three],
  [
    "window frame",
    "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY id DESC) n FROM sales.orders) t",
    three,
  ],
  [
    "GROUPING SETS",
    "SELECT count(*) FROM sales.orders GROUP BY GROUPING SETS ((), (org_id))",
    { rows: "[[3],[3]]" },
  ],
  ["ROLLUP", "SELECT count(*) FROM sales.orders GROUP BY ROLLUP (org_id)", { rows: "[[3],[3]]" }],
  ["DISTINCT ON", "SELECT count(*) FROM (SELECT DISTINCT ON (id) * FROM sales.orders) t", three],
  ["FILTER", "SELECT count(*) FILTER (WHERE org_id = 2) FROM sales.orders", { rows: "[[0]]" }],
  ["OR true", "SELECT count(*) FROM sales.orders WHERE org_id = 1 OR true", three],
  ["other organisation", "SELECT count(*) FROM sales.orders WHERE org_id = 2", { rows: "[[0]]" }],
  [
    "alias named like the claim's column",
    "SELECT count(*) FROM (SELECT 2 AS org_id) x, sales.orders",
    three,
  ],
  [
    "outer column named like the filter's",
    "SELECT (SELECT count(*) FROM sales.orders) FROM (SELECT 2 AS org_id) x",
    three,
  ],
  ["sum", "SELECT sum(amount) FROM sales.orders", { rows: "[[60]]" }],
  ["max", "SELECT max(amount) FROM sales.orders", { rows: "[[30]]" }],
  [
    "string_agg",
    "SELECT string_agg(customer, ',' ORDER BY id) FROM sales.orders",
    { rows: '[["Ada,Alan,Ann"]]' },
  ],
  [
    "percentile",
    "SELECT percentile_disc(1) WITHIN GROUP (ORDER BY amount) FROM sales.orders",
    { rows: "[[30]]" },
  ],
  [
    "ROWS FROM",
    "SELECT count(*) FROM ROWS FROM (generate_series(1, (SELECT count(*) FROM sales.orders)::int)) x",
    three,
  ],
  ["mapping table", "SELECT text_of FROM sales.invoices", { rows: '[["one"]]' }],
  ["quoted table", 'SELECT word FROM sales."Quoted"', { rows: '[["mine"]]' }],
  ["quoted name is another", "SELECT word FROM sales.Quoted", "safe"],
  [
    "long IN list",
    `SELECT count(*) FROM sales.orders WHERE id IN (${Array.from({ length: 2_000 }, (_, index) => index).join(",")})`,
    three,
  ],
  [
    "deep nesting",
    `${"SELECT * FROM (".repeat(60)}SELECT count(*) FROM sales.orders${") t".repeat(60)}`,
    three,
  ],
  [
    "string with a quote",
    "SELECT count(*) FROM sales.orders WHERE customer <> 'x'' OR 1=1 --'",
    three,
  ],
  ["escape string", "SELECT count(*) FROM sales.orders WHERE customer <> E'x\\' OR 1=1 --'", three],
  [
    "dollar quotes",
    "SELECT count(*) FROM sales.orders WHERE customer <> $q$' OR true --$q$",
    three,
  ],
  ["several statements", "SELECT 1; SELECT count(*) FROM sales.orders", "safe"],
  ["zero-width character in the name", "SELECT * FROM sales.or\u200bders", "error"],
  ["confusable character", "SELECT * FROM sales.ordеrs", "error"],
]

/** Whole rows and columns that are masked or denied. */
const columns: readonly BypassCase[] = [
  ["mask", "SELECT email FROM sales.orders ORDER BY id", { rows: '[["a***"],["a***"],["a***"]]' }],
  [
    "mask under another name",
    "SELECT email AS x FROM sales.orders ORDER BY id LIMIT 1",
    { rows: '[["a***"]]' },
  ],
  [
    "predicate on a mask",
    "SELECT count(*) FROM sales.orders WHERE email LIKE 'ada@%'",
    { rows: "[[0]]" },
  ],
  [
    "join on a mask",
    "SELECT count(*) FROM sales.orders o JOIN (VALUES ('ada@one.example')) v(email) USING (email)",
    { rows: "[[0]]" },
  ],
  [
    "group by a mask",
    "SELECT email, count(*) FROM sales.orders GROUP BY email",
    { rows: '[["a***",3]]' },
  ],
  [
    "order by a mask",
    "SELECT customer FROM sales.orders ORDER BY email, id LIMIT 1",
    { rows: '[["Ada"]]' },
  ],
  ["min of a mask", "SELECT min(email) FROM sales.orders", { rows: '[["a***"]]' }],
  ["length of a mask", "SELECT max(length(email)) FROM sales.orders", { rows: "[[4]]" }],
  ["denied column", "SELECT ssn FROM sales.orders", noColumn],
  ["denied column qualified", "SELECT o.ssn FROM sales.orders o", noColumn],
  ["denied column in three parts", "SELECT sales.orders.ssn FROM sales.orders", noColumn],
  [
    "predicate on a denied column",
    "SELECT count(*) FROM sales.orders WHERE ssn LIKE 'z%'",
    noColumn,
  ],
  ["CASE on a denied column", "SELECT CASE WHEN ssn > 'a' THEN 1 END FROM sales.orders", noColumn],
  ["order by a denied column", "SELECT id FROM sales.orders ORDER BY ssn", noColumn],
  ["group by a denied column", "SELECT count(*) FROM sales.orders GROUP BY ssn", noColumn],
  ["aggregate over a denied column", "SELECT max(ssn) FROM sales.orders", noColumn],
  [
    "filter by a denied column",
    "SELECT count(*) FILTER (WHERE ssn IS NULL) FROM sales.orders",
    noColumn,
  ],
  [
    "window over a denied column",
    "SELECT row_number() OVER (ORDER BY ssn) FROM sales.orders",
    noColumn,
  ],
  [
    "join USING a denied column",
    "SELECT 1 FROM (VALUES ('a')) v(ssn) JOIN sales.orders USING (ssn)",
    "error",
  ],
  [
    "natural join by a denied column",
    "SELECT count(*) FROM (VALUES ('a')) v(ssn) NATURAL JOIN sales.orders",
    three,
  ],
  [
    "denied column through a sub-query",
    "SELECT x.ssn FROM (SELECT * FROM sales.orders) x",
    noColumn,
  ],
  [
    "denied column by EXISTS",
    "SELECT 1 FROM sales.open WHERE EXISTS (SELECT 1 FROM sales.orders WHERE ssn = word)",
    noColumn,
  ],
  ["star", "SELECT count(*) FROM (SELECT * FROM sales.orders) AS t(a, b, c, d, e, f)", three],
  [
    "star has no more columns",
    "SELECT 1 FROM (SELECT * FROM sales.orders) AS t(a, b, c, d, e, f, g)",
    "error",
  ],
  ["whole row", "SELECT o FROM sales.orders o ORDER BY o.id LIMIT 1", "safe"],
  ["whole row as text", "SELECT o::text FROM sales.orders o", "safe"],
  ["row_to_json", "SELECT row_to_json(o) FROM sales.orders o", "safe"],
  ["to_jsonb", "SELECT to_jsonb(o) FROM sales.orders o", "safe"],
  ["json_agg", "SELECT json_agg(o) FROM sales.orders o", "safe"],
  ["composite expansion", "SELECT (o).* FROM sales.orders o", "safe"],
  ["composite field", "SELECT (o).ssn FROM sales.orders o", "error"],
  [
    "composite comparison",
    "SELECT count(*) FROM sales.orders a, sales.orders b WHERE a = b",
    "safe",
  ],
  ["count of rows", "SELECT count(o) FROM sales.orders o", "safe"],
  ["ROW", "SELECT ROW(o.*) FROM sales.orders o", "safe"],
  [
    "jsonb_populate_record",
    "SELECT jsonb_populate_record(NULL::sales.orders, to_jsonb(o)) FROM sales.orders o",
    "safe",
  ],
  ["ctid", "SELECT ctid FROM sales.orders", denied],
  ["xmin", "SELECT xmin FROM sales.orders", denied],
  ["tableoid", "SELECT tableoid FROM sales.orders", denied],
  ["TABLESAMPLE", "SELECT * FROM sales.orders TABLESAMPLE BERNOULLI (100)", denied],
]

/** Errors that would tell of a hidden row if it were looked at. */
const oracles: readonly BypassCase[] = [
  ["cast of a hidden value", "SELECT count(*) FROM sales.orders WHERE note::int > 0", three],
  ["cast in the select list", "SELECT sum(note::int) FROM sales.orders", { rows: "[[36]]" }],
  ["division", "SELECT count(*) FROM sales.orders WHERE 1 / (id - 11) < 1", three],
  [
    "division in ORDER BY",
    "SELECT count(*) FROM (SELECT id FROM sales.orders ORDER BY 1 / (id - 12)) t",
    three,
  ],
  [
    "cast in a join",
    "SELECT count(*) FROM sales.open p JOIN sales.orders o ON o.note::int = p.id + 10",
    { rows: "[[2]]" },
  ],
  [
    "cast below a CTE",
    "WITH x AS NOT MATERIALIZED (SELECT * FROM sales.orders) SELECT count(*) FROM x WHERE note::int > 0",
    three,
  ],
  [
    "cast below a view",
    "SELECT count(*) FROM sales.invoices WHERE id / (id - 2) < 9",
    { rows: "[[1]]" },
  ],
  ["cast error shows no value", "SELECT customer::int FROM sales.orders", { refused: "22P02" }],
  ["date error shows no value", "SELECT customer::date FROM sales.orders", "error"],
  ["overflow", "SELECT (amount * 1e9)::int FROM sales.orders", "error"],
  [
    "regular expression of a value",
    "SELECT count(*) FROM sales.orders WHERE 'a' ~ ('(' || customer)",
    "error",
  ],
  ["more than one row", "SELECT (SELECT id FROM sales.orders)", "error"],
  [
    "RAISE NOTICE by a cheap function",
    "SELECT count(*) FROM sales.orders WHERE sales.shout(customer)",
    denied,
  ],
  ["EXPLAIN", "EXPLAIN SELECT * FROM sales.orders", denied],
  ["EXPLAIN ANALYZE", "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM sales.orders", denied],
  ["EXPLAIN of a view", "EXPLAIN SELECT * FROM sales.v_count", denied],
  [
    "EXPLAIN in a sub-query's shadow",
    "EXPLAIN SELECT 1 WHERE EXISTS (SELECT 1 FROM sales.orders)",
    denied,
  ],
]

/** Relations that show, hold or are parts of governed ones. */
const relatives: readonly BypassCase[] = [
  ["view", "SELECT n FROM sales.v_count", three],
  ["view that shows a denied column", "SELECT harmless FROM sales.v_orders", "error"],
  ["view over a view", "SELECT nothing FROM sales.v_deep", "error"],
  ["view without a policy below", "SELECT count(*) FROM sales.v_open", three],
  ["materialised view", "SELECT * FROM sales.m_orders", "error"],
  ["view over a materialised view", "SELECT * FROM sales.v_m", "error"],
  ["partitioned table", "SELECT count(*) FROM sales.events", "safe"],
  ["partition", "SELECT * FROM sales.events_low", { rows: '[[1,1,"mine"]]' }],
  ["parent of a governed child", "SELECT * FROM sales.parent", { rows: '[[1,1,"mine"]]' }],
  ["governed child", "SELECT what FROM sales.child", "safe"],
  ["view that calls", "SELECT * FROM sales.v_leak", "error"],
  ["sequence", "SELECT last_value FROM sales.counter", "error"],
  ["TOAST", "SELECT * FROM pg_toast.pg_toast_16400", "error"],
]

/** Functions and catalogues that read past the relations that a statement names. */
const calls: readonly BypassCase[] = [
  ["security definer function", "SELECT * FROM sales.leak()", denied],
  ["function in the select list", "SELECT sales.leak_text(1)", denied],
  [
    "function of a user that hides behind a system's name",
    "SET search_path = sales; SELECT lower(1)",
    "error",
  ],
  ["functional notation", "SELECT p.says FROM sales.open p", denied],
  ["functional notation in parentheses", "SELECT (p).says FROM sales.open p", denied],
  ["operator", "SELECT 1 OPERATOR(sales.@@@) 2", "error"],
  ["operator on the path", "SET search_path = sales; SELECT 1 @@@ 2", "error"],
  ["domain with a check", "SELECT 1::sales.sly", "error"],
  [
    "path with pg_catalog behind",
    "SET search_path = sales, pg_catalog; SELECT lower('a')",
    "error",
  ],
  ["query_to_xml", "SELECT query_to_xml('SELECT * FROM sales.orders', true, false, '')", "error"],
  ["table_to_xml", "SELECT table_to_xml('sales.orders', true, false, '')", "error"],
  ["database_to_xml", "SELECT database_to_xml(true, false, '')", "error"],
  ["cursor_to_xml", "SELECT cursor_to_xml('c', 10, true, false, '')", "error"],
  ["ts_stat", "SELECT * FROM ts_stat('SELECT to_tsvector(customer) FROM sales.orders')", "error"],
  ["dblink", "SELECT * FROM dblink('', 'SELECT 1') AS t(a int)", "error"],
  ["pg_read_file", "SELECT pg_read_file('base/1/1259')", "error"],
  ["lo_get", "SELECT lo_get(1)", "error"],
  ["currtid2", "SELECT currtid2('sales.orders', '(0,1)')", "error"],
  [
    "size of a table",
    "SELECT pg_relation_size('sales.orders')",
    { rows: "[[null]]", onDuckdb: "[[0]]" },
  ],
  [
    "live rows",
    "SELECT pg_stat_get_live_tuples('sales.orders'::regclass)",
    { ...denied, onDuckdb: "[[0]]" },
  ],
  ["pg_stats", "SELECT most_common_vals FROM pg_stats", "error"],
  ["pg_statistic", "SELECT stavalues1 FROM pg_catalog.pg_statistic", "error"],
  ["pg_stats_ext", "SELECT * FROM pg_stats_ext", "error"],
  ["pg_stat_user_tables", "SELECT n_live_tup FROM pg_stat_user_tables", "error"],
  ["pg_statio_user_tables", "SELECT * FROM pg_statio_user_tables", "error"],
  ["pg_sequences", "SELECT * FROM pg_sequences", "error"],
  ["set_config", "SELECT set_config('sluice.org_id', '2', false)", "safe"],
  ["current_setting", "SELECT current_setting('search_path')", "safe"],
  ["pg_sleep", "SELECT pg_sleep(0)", "error"],
  ["unknown function", "SELECT nowhere(1)", "error"],
  ["DuckDB: query()", "SELECT * FROM query('SELECT * FROM sales.orders')", "error"],
  ["DuckDB: query_table()", "SELECT * FROM query_table('sales.orders')", "error"],
  ["DuckDB: duckdb_tables()", "SELECT * FROM duckdb_tables()", "error"],
  ["DuckDB: pragma", "SELECT * FROM pragma_storage_info('sales.orders')", "error"],
  ["DuckDB: file", "SELECT * FROM '/etc/passwd'", "error"],
  ["DuckDB: stats", "SELECT stats(customer) FROM sales.orders", "error"],
  ["DuckDB: rowid", "SELECT rowid FROM sales.orders", "error"],
  ["DuckDB: SUMMARIZE", "SUMMARIZE sales.orders", "error"],
]

/** Statements that are no reads of one's own. */
const commands: readonly BypassCase[] = [
  ["CREATE TABLE AS", "CREATE TABLE sales.copy AS TABLE sales.orders", "error"],
  ["SELECT INTO", "SELECT * INTO sales.copy FROM sales.orders", "error"],
  ["INSERT SELECT", "INSERT INTO sales.open SELECT id, customer FROM sales.orders", "error"],
  ["CREATE VIEW", "CREATE VIEW sales.mine AS SELECT * FROM sales.orders", "error"],
  [
    "data-modifying CTE",
    "WITH d AS (DELETE FROM sales.orders RETURNING *) SELECT * FROM d",
    "error",
  ],
  ["UPDATE RETURNING", "UPDATE sales.orders SET note = '' RETURNING *", "error"],
  ["FOR UPDATE", "SELECT * FROM sales.orders FOR UPDATE", "error"],
  ["DO", "DO $$ BEGIN RAISE NOTICE 'x'; END $$", "error"],
  ["SET ROLE", "SET ROLE postgres", "error"],
  ["SET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION postgres", "error"],
  ["row_security", "SET row_security = off", "error"],
  ["standard_conforming_strings", "SET standard_conforming_strings = off", "error"],
  ["a claim as a setting", "SET sluice.org_id = '2'", "error"],
  ["COPY to a program", "COPY sales.orders TO PROGRAM 'cat'", "error"],
  ["COPY of the table", "COPY sales.orders TO STDOUT", "safe"],
  ["COPY of a denied column", "COPY sales.orders (ssn) TO STDOUT", "error"],
  ["COPY of a query", "COPY (SELECT * FROM sales.orders) TO STDOUT", "safe"],
  ["FETCH from a cursor of nobody", "FETCH ALL FROM c", "error"],
  ["LOAD", "LOAD 'x'", "error"],
  ["VACUUM", "VACUUM VERBOSE sales.orders", "error"],
]

export const bypassCases: readonly BypassCase[] = [
  ...forms,
  ...columns,
  ...oracles,
  ...relatives,
  ...calls,
  ...commands,
]
