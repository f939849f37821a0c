/**
 * What a SELECT may be made of (gram.y of PostgreSQL 18: SelectStmt, from_clause, a_expr, func_expr), one template a feature.
 * `{A}`, `{B}`: tables as a and b; `{TA}`: a table without an alias. `{a.n}`, `{a.m}`, `{a.s}`, `{a.d}`, `{a.b}`: a whole number,
 * numeric, text, date and boolean of a; `{a.p}`: a condition on a; `{k}`, `{w}`: constants.
 */
export type Feature = readonly [name: string, template: string]

const clauses: readonly Feature[] = [
  ["plain columns", "SELECT a.id, {a.s} AS x, {a.n} AS y FROM {A} ORDER BY 1"],
  ["star", "SELECT * FROM {A} ORDER BY a.id"],
  ["star of an alias", "SELECT a.* FROM {A} ORDER BY a.id"],
  ["star of a table", "SELECT {TA.name}.* FROM {TA} ORDER BY id"],
  ["columns by schema and table", "SELECT {TA.qualified}.id FROM {TA} ORDER BY 1"],
  ["no target", "SELECT FROM {A} WHERE {a.p}"],
  ["label without AS", "SELECT a.id label FROM {A} ORDER BY label"],
  ["quoted label", 'SELECT a.id AS "Two Words" FROM {A} ORDER BY "Two Words"'],
  ["WHERE", "SELECT a.id FROM {A} WHERE {a.p} AND NOT ({a.p}) OR {a.p} ORDER BY 1"],
  ["DISTINCT", "SELECT DISTINCT {a.s} AS x FROM {A} ORDER BY 1"],
  ["DISTINCT ON", "SELECT DISTINCT ON ({a.b}) a.id FROM {A} ORDER BY {a.b:same}, a.id"],
  ["SELECT ALL", "SELECT ALL a.id FROM {A} ORDER BY 1"],
  ["GROUP BY", "SELECT {a.b} AS x, count(*), sum(a.n) FROM {A} GROUP BY 1 ORDER BY 1, 2"],
  ["GROUP BY expression", "SELECT count(*) FROM {A} GROUP BY {a.s} ORDER BY 1"],
  [
    "GROUP BY DISTINCT",
    "SELECT count(*) FROM {A} GROUP BY DISTINCT a.ok, ROLLUP (a.ok) ORDER BY 1",
  ],
  [
    "GROUPING SETS",
    "SELECT a.ok, count(*) FROM {A} GROUP BY GROUPING SETS ((), (a.ok)) ORDER BY 1, 2",
  ],
  [
    "ROLLUP",
    "SELECT a.ok, a.tenant, count(*) FROM {A} GROUP BY ROLLUP (a.ok, a.tenant) ORDER BY 1, 2, 3",
  ],
  [
    "CUBE and GROUPING()",
    "SELECT grouping(a.ok, a.tenant), count(*) FROM {A} GROUP BY CUBE (a.ok, a.tenant) ORDER BY 1, 2",
  ],
  [
    "HAVING",
    "SELECT a.ok FROM {A} GROUP BY a.ok HAVING count(*) > {k} OR max({a.n}) > 0 ORDER BY 1",
  ],
  ["ORDER BY position", "SELECT {a.n}, a.id FROM {A} ORDER BY 1 DESC, 2"],
  ["ORDER BY expression", "SELECT a.id FROM {A} ORDER BY {a.n} + 1, {a.s}, a.id"],
  ["ORDER BY NULLS", "SELECT a.id FROM {A} ORDER BY {a.d} DESC NULLS LAST, a.id ASC NULLS FIRST"],
  ["ORDER BY USING", "SELECT a.id FROM {A} ORDER BY a.id USING >"],
  ["LIMIT", "SELECT a.id FROM {A} ORDER BY 1 LIMIT {k}"],
  ["LIMIT ALL", "SELECT a.id FROM {A} ORDER BY 1 LIMIT ALL"],
  ["OFFSET", "SELECT a.id FROM {A} ORDER BY 1 OFFSET {k} ROWS"],
  ["FETCH FIRST", "SELECT a.id FROM {A} ORDER BY 1 FETCH FIRST {k} ROWS ONLY"],
  ["FETCH WITH TIES", "SELECT a.ok FROM {A} ORDER BY a.ok FETCH FIRST 1 ROW WITH TIES"],
  ["LIMIT sub-query", "SELECT a.id FROM {A} ORDER BY 1 LIMIT (SELECT count(*) / 2 FROM {B})"],
  [
    "named window",
    "SELECT a.id, sum(a.n) OVER w FROM {A} WINDOW w AS (PARTITION BY a.ok ORDER BY a.id) ORDER BY 1",
  ],
  [
    "window of a window",
    "SELECT a.id, count(*) OVER (w ORDER BY a.id) FROM {A} WINDOW w AS (PARTITION BY a.ok) ORDER BY 1",
  ],
  [
    "frame ROWS",
    "SELECT a.id, sum(a.n) OVER (ORDER BY a.id ROWS BETWEEN {k} PRECEDING AND CURRENT ROW) FROM {A} ORDER BY 1",
  ],
  [
    "frame RANGE",
    "SELECT a.id, count(*) OVER (ORDER BY a.id RANGE BETWEEN {k} PRECEDING AND {k} FOLLOWING EXCLUDE CURRENT ROW) FROM {A} ORDER BY 1",
  ],
  [
    "frame GROUPS",
    "SELECT a.id, count(*) OVER (ORDER BY a.ok GROUPS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES) FROM {A} ORDER BY 1",
  ],
  ["VALUES", "VALUES ({k}, {w}), ({k}, (SELECT max({a.s}) FROM {A})) ORDER BY 1, 2"],
  ["TABLE", "SELECT count(*) FROM (TABLE {TA}) q"],
  ["TABLE alone", "TABLE {TA} ORDER BY id"],
  ["UNION", "SELECT a.id FROM {A} UNION SELECT b.id FROM {B} ORDER BY 1"],
  ["UNION ALL", "SELECT a.id, 1 FROM {A} UNION ALL SELECT b.id, 2 FROM {B} ORDER BY 1, 2"],
  ["INTERSECT", "SELECT a.id FROM {A} INTERSECT SELECT b.id FROM {B} ORDER BY 1"],
  ["EXCEPT ALL", "SELECT {a.n} FROM {A} EXCEPT ALL SELECT {b.n} FROM {B} ORDER BY 1"],
  [
    "nested set operations",
    "(SELECT a.id FROM {A} EXCEPT (SELECT b.id FROM {B} INTERSECT SELECT {k})) UNION VALUES ({k}) ORDER BY 1 LIMIT 9",
  ],
  [
    "WITH",
    "WITH q AS (SELECT * FROM {A}), r (x) AS (SELECT b.id FROM {B}) SELECT q.id FROM q JOIN r ON r.x = q.id ORDER BY 1",
  ],
  [
    "WITH of a table's name",
    "WITH {TA.name} AS (SELECT {k} AS id) SELECT id, (SELECT count(*) FROM {TA}) FROM {TA.name}",
  ],
  [
    "WITH MATERIALIZED",
    "WITH q AS MATERIALIZED (SELECT * FROM {A}) SELECT count(*) FROM q WHERE q.n > {k}",
  ],
  [
    "WITH NOT MATERIALIZED",
    "WITH q AS NOT MATERIALIZED (SELECT * FROM {A}) SELECT count(*) FROM q WHERE q.n > {k}",
  ],
  [
    "WITH RECURSIVE",
    "WITH RECURSIVE q (i) AS (SELECT min(a.id) FROM {A} UNION SELECT q.i + 1 FROM q WHERE q.i < (SELECT max(b.id) FROM {B})) SELECT count(*), max(i) FROM q",
  ],
  [
    "SEARCH",
    "WITH RECURSIVE q (i) AS (SELECT a.id FROM {A} UNION ALL SELECT q.i + 50 FROM q WHERE q.i < 30) SEARCH DEPTH FIRST BY i SET s SELECT i FROM q ORDER BY 1",
  ],
  [
    "CYCLE",
    "WITH RECURSIVE q (i) AS (SELECT a.id FROM {A} UNION ALL SELECT q.i % 3 FROM q) CYCLE i SET looped USING path SELECT count(*) FROM q",
  ],
  ["WITH in a sub-query", "SELECT (WITH q AS (SELECT {a.n} AS n FROM {A}) SELECT max(n) FROM q)"],
  [
    "WITH in a branch",
    "SELECT {k} AS i UNION (WITH q AS (SELECT a.id FROM {A}) SELECT id FROM q) ORDER BY 1",
  ],
]

const from: readonly Feature[] = [
  ["table without alias", "SELECT id FROM {TA} ORDER BY 1"],
  ["column aliases", "SELECT x FROM {TA} AS q (x, y) ORDER BY 1"],
  ["ONLY", "SELECT count(*) FROM ONLY {TA}"],
  ["table with star", "SELECT count(*) FROM {TA} *"],
  ["comma", "SELECT count(*) FROM {A}, {B} WHERE a.id = b.id"],
  ["CROSS JOIN", "SELECT count(*) FROM {A} CROSS JOIN {B}"],
  ["JOIN ON", "SELECT a.id, {b.s} FROM {A} JOIN {B} ON a.id = b.id AND {b.p} ORDER BY 1, 2"],
  ["LEFT JOIN", "SELECT a.id, b.id FROM {A} LEFT JOIN {B} ON a.id = b.id + {k} ORDER BY 1, 2"],
  ["RIGHT JOIN", "SELECT a.id, b.id FROM {A} RIGHT JOIN {B} ON a.n = b.n ORDER BY 2, 1"],
  ["FULL JOIN", "SELECT a.id, b.id FROM {A} FULL JOIN {B} ON a.id = b.id ORDER BY 1, 2"],
  ["JOIN USING", "SELECT id FROM {A} JOIN {B} USING (id) ORDER BY 1"],
  ["JOIN USING AS", "SELECT j.id FROM {A} JOIN {B} USING (id) AS j ORDER BY 1"],
  [
    "NATURAL JOIN",
    "SELECT count(*) FROM (SELECT a.id FROM {A}) x NATURAL JOIN (SELECT b.id FROM {B}) y",
  ],
  ["alias of a join", "SELECT j.i FROM ({A} JOIN {B} USING (id)) AS j (i) ORDER BY 1"],
  [
    "nested joins",
    "SELECT count(*) FROM {A} JOIN ({B} JOIN (VALUES ({k})) v (i) ON b.id > v.i) ON a.id = b.id",
  ],
  [
    "sub-query in FROM",
    "SELECT q.x FROM (SELECT {a.n} AS x, a.id FROM {A} WHERE {a.p}) AS q ORDER BY 1",
  ],
  ["sub-query without alias", "SELECT count(*) FROM (SELECT a.id FROM {A})"],
  [
    "LATERAL",
    "SELECT a.id, q.c FROM {A}, LATERAL (SELECT count(*) AS c FROM {B} WHERE b.id < a.id) q ORDER BY 1",
  ],
  [
    "LEFT JOIN LATERAL",
    "SELECT a.id, q.x FROM {A} LEFT JOIN LATERAL (SELECT max(b.n) AS x FROM {B} WHERE b.tenant = a.tenant) q ON true ORDER BY 1",
  ],
  ["function in FROM", "SELECT g FROM generate_series(1, (SELECT count(*) FROM {A})) g ORDER BY 1"],
  [
    "LATERAL function",
    "SELECT a.id, g FROM {A}, generate_series(a.id, a.id + 1) AS g ORDER BY 1, 2",
  ],
  [
    "column definitions",
    "SELECT q.x FROM {A}, json_to_record(json_build_object('x', a.id)) AS q (x int) ORDER BY 1",
  ],
  [
    "ROWS FROM",
    "SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY(SELECT a.id FROM {A} ORDER BY 1))) AS q (x, y) ORDER BY 1, 2",
  ],
  [
    "WITH ORDINALITY",
    "SELECT * FROM unnest(ARRAY(SELECT {a.s} FROM {A} ORDER BY 1)) WITH ORDINALITY AS q (x, i) ORDER BY 2",
  ],
  [
    "VALUES in FROM",
    "SELECT a.id FROM {A} JOIN (VALUES (1), ({k}), (7)) v (i) ON v.i = a.id ORDER BY 1",
  ],
  [
    "XMLTABLE",
    "SELECT x.v FROM XMLTABLE('/r/v' PASSING (SELECT xmlelement(name r, xmlagg(xmlelement(name v, a.id) ORDER BY a.id)) FROM {A}) COLUMNS v int PATH '.') x",
  ],
  [
    "JSON_TABLE",
    "SELECT j.v FROM JSON_TABLE((SELECT jsonb_agg(a.id ORDER BY a.id) FROM {A}), '$[*]' COLUMNS (v int PATH '$', o FOR ORDINALITY)) j ORDER BY j.o",
  ],
  ["TABLESAMPLE", "SELECT count(*) FROM {TA} TABLESAMPLE BERNOULLI (100)"],
]

const expressions: readonly Feature[] = [
  ["arithmetic", "SELECT a.id, -{a.n} * 2 + {a.m} % 7 - a.id ^ 2 FROM {A} ORDER BY 1"],
  ["comparison", "SELECT a.id, {a.n} < {a.n}, {a.s} >= {w}, {a.m} <> {k} FROM {A} ORDER BY 1"],
  ["AND OR NOT", "SELECT a.id, {a.b} AND NOT {a.b} OR {a.b} FROM {A} ORDER BY 1"],
  ["cast by ::", "SELECT a.id, {a.n}::text, {a.d}::timestamp FROM {A} ORDER BY 1"],
  ["CAST", "SELECT a.id, CAST({a.n} AS numeric(12, 3)) FROM {A} ORDER BY 1"],
  ["typed literal", "SELECT a.id, {a.d} - date '2026-01-01', interval '1' day FROM {A} ORDER BY 1"],
  [
    "BETWEEN",
    "SELECT a.id FROM {A} WHERE {a.n} BETWEEN {k} AND 50 OR {a.n} NOT BETWEEN SYMMETRIC 9 AND {k} ORDER BY 1",
  ],
  [
    "IN list",
    "SELECT a.id FROM {A} WHERE a.id IN (1, 2, {k}) OR {a.s} NOT IN ({w}, 'x') ORDER BY 1",
  ],
  [
    "IN sub-query",
    "SELECT a.id FROM {A} WHERE a.id IN (SELECT b.id FROM {B} WHERE {b.p}) ORDER BY 1",
  ],
  [
    "row IN sub-query",
    "SELECT a.id FROM {A} WHERE (a.id, a.tenant) IN (SELECT b.id, b.tenant FROM {B}) ORDER BY 1",
  ],
  [
    "ANY array",
    "SELECT a.id FROM {A} WHERE {a.n} = ANY (ARRAY[1, {k}]) OR {a.s} LIKE ALL (ARRAY['a%', '%']) ORDER BY 1",
  ],
  [
    "ANY sub-query",
    "SELECT a.id FROM {A} WHERE a.n < ANY (SELECT b.n FROM {B}) AND a.n <= ALL (SELECT b.n + 999999 FROM {B}) ORDER BY 1",
  ],
  [
    "EXISTS",
    "SELECT a.id FROM {A} WHERE EXISTS (SELECT FROM {B} WHERE b.id = a.id AND {b.p}) ORDER BY 1",
  ],
  [
    "scalar sub-query",
    "SELECT a.id, (SELECT count(*) FROM {B} WHERE b.n < a.n) FROM {A} ORDER BY 1",
  ],
  [
    "row comparison",
    "SELECT a.id FROM {A} WHERE (a.id, {a.n}) < ({k}, 5) OR ROW(a.id) = ROW({k}) ORDER BY 1",
  ],
  ["ARRAY", "SELECT a.id, ARRAY[{a.n}, a.id], ARRAY[[1, 2], [3, a.id]] FROM {A} ORDER BY 1"],
  ["ARRAY sub-query", "SELECT ARRAY(SELECT {a.s} FROM {A} ORDER BY 1)"],
  ["subscript", "SELECT a.id, (ARRAY[{a.n}, a.id])[1], (ARRAY[1, 2, 3])[2:3] FROM {A} ORDER BY 1"],
  ["field of a row", "SELECT (a).id, (a).n FROM {A} ORDER BY 1"],
  ["expanded row", "SELECT (q.r).* FROM (SELECT a AS r FROM {A}) q ORDER BY 1"],
  ["whole row", "SELECT a FROM {A} ORDER BY a.id"],
  ["whole row as text", "SELECT a::text, length(a::text) FROM {A} ORDER BY a.id"],
  ["whole row as JSON", "SELECT row_to_json(a), to_jsonb(a) FROM {A} ORDER BY a.id"],
  ["whole rows compared", "SELECT count(*) FROM {A} WHERE a = a AND a IS NOT NULL"],
  ["ROW", "SELECT ROW(a.id, {a.s}), (a.id, {a.n}) FROM {A} ORDER BY a.id"],
  [
    "CASE",
    "SELECT a.id, CASE WHEN {a.p} THEN {a.n} WHEN {a.b} THEN 1 ELSE 0 END FROM {A} ORDER BY 1",
  ],
  [
    "CASE of a value",
    "SELECT a.id, CASE {a.n} WHEN {k} THEN 'x' ELSE {a.s} END FROM {A} ORDER BY 1",
  ],
  [
    "COALESCE and kin",
    "SELECT a.id, coalesce({a.s}, {w}), nullif({a.n}, {k}), greatest({a.n}, {k}), least({a.n}, a.id) FROM {A} ORDER BY 1",
  ],
  [
    "IS NULL",
    "SELECT a.id, {a.s} IS NULL, {a.n} IS NOT NULL, {a.b} IS TRUE, {a.b} IS NOT UNKNOWN FROM {A} ORDER BY 1",
  ],
  [
    "IS DISTINCT FROM",
    "SELECT a.id FROM {A} WHERE {a.s} IS DISTINCT FROM {w} AND {a.n} IS NOT DISTINCT FROM {a.n:same} ORDER BY 1",
  ],
  [
    "LIKE",
    "SELECT a.id FROM {A} WHERE {a.s} LIKE '%a%' OR {a.s} NOT ILIKE {w} OR {a.s} LIKE 'x!%' ESCAPE '!' ORDER BY 1",
  ],
  ["SIMILAR TO", "SELECT a.id FROM {A} WHERE {a.s} SIMILAR TO '%(a|e)%' ORDER BY 1"],
  ["regular expression", "SELECT a.id FROM {A} WHERE {a.s} ~ '^[a-m]' OR {a.s} !~* 'z' ORDER BY 1"],
  ["COLLATE", 'SELECT {a.s} FROM {A} ORDER BY {a.s:same} COLLATE "C"'],
  [
    "AT TIME ZONE",
    "SELECT a.id, {a.d}::timestamp AT TIME ZONE 'Europe/Berlin' FROM {A} ORDER BY 1",
  ],
  [
    "EXTRACT",
    "SELECT a.id, extract(year FROM {a.d}), date_trunc('month', {a.d}) FROM {A} ORDER BY 1",
  ],
  [
    "SUBSTRING, POSITION",
    "SELECT a.id, substring({a.s} FROM 1 FOR 2), position('a' IN {a.s}) FROM {A} ORDER BY 1",
  ],
  [
    "OVERLAY, TRIM",
    "SELECT a.id, overlay({a.s} PLACING 'x' FROM 1), trim(BOTH 'a' FROM {a.s}) FROM {A} ORDER BY 1",
  ],
  [
    "OVERLAPS",
    "SELECT a.id FROM {A} WHERE ({a.d}, {a.d:same} + 1) OVERLAPS (date '2026-01-01', date '2027-01-01') ORDER BY 1",
  ],
  ["OPERATOR()", "SELECT a.id OPERATOR(pg_catalog.+) 1 FROM {A} ORDER BY 1"],
  ["concatenation", "SELECT a.id, {a.s} || '-' || a.id FROM {A} ORDER BY 1"],
  [
    "functions",
    "SELECT a.id, upper({a.s}), abs({a.n}), round({a.m}, 1), md5({a.s}) FROM {A} ORDER BY 1",
  ],
  [
    "named arguments",
    "SELECT a.id, make_interval(days => abs({a.n}) % 9, hours => 1) FROM {A} ORDER BY 1",
  ],
  ["VARIADIC", "SELECT a.id, concat_ws('-', VARIADIC ARRAY[{a.s}, 'x']) FROM {A} ORDER BY 1"],
  [
    "aggregates",
    "SELECT count(*), count({a.s}), sum({a.n}), avg({a.m}), min({a.d}), bool_or({a.b}) FROM {A}",
  ],
  ["aggregate DISTINCT", "SELECT count(DISTINCT {a.s}), sum(DISTINCT {a.n}) FROM {A}"],
  [
    "aggregate ORDER BY",
    "SELECT string_agg({a.s}, ',' ORDER BY a.id DESC), array_agg(a.id ORDER BY {a.s}, a.id) FROM {A}",
  ],
  ["FILTER", "SELECT count(*) FILTER (WHERE {a.p}), sum({a.n}) FILTER (WHERE {a.b}) FROM {A}"],
  [
    "WITHIN GROUP",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY {a.n}), mode() WITHIN GROUP (ORDER BY a.tenant) FROM {A}",
  ],
  ["hypothetical set", "SELECT rank({k}) WITHIN GROUP (ORDER BY a.id) FROM {A}"],
  [
    "window functions",
    "SELECT a.id, row_number() OVER (ORDER BY a.id), lag({a.s}, 1, 'none') OVER (ORDER BY a.id), ntile(3) OVER (ORDER BY a.id) FROM {A} ORDER BY 1",
  ],
  [
    "window FILTER",
    "SELECT a.id, count(*) FILTER (WHERE {a.p}) OVER (ORDER BY a.id) FROM {A} ORDER BY 1",
  ],
  ["set-returning function", "SELECT a.id, generate_series(1, 2) FROM {A} ORDER BY 1, 2"],
  [
    "JSON constructors",
    "SELECT a.id, JSON_OBJECT('n': {a.n}, 's': {a.s}), JSON_ARRAY({a.n}, {a.s} NULL ON NULL) FROM {A} ORDER BY 1",
  ],
  [
    "JSON aggregates",
    "SELECT JSON_ARRAYAGG(a.id ORDER BY a.id), JSON_OBJECTAGG(a.id: {a.s}) FROM {A}",
  ],
  [
    "JSON query functions",
    "SELECT a.id, JSON_VALUE(to_jsonb(a), '$.id'), JSON_EXISTS(to_jsonb(a), '$.n'), JSON_QUERY(to_jsonb(a), '$.ok') FROM {A} ORDER BY 1",
  ],
  ["JSON of a sub-query", "SELECT JSON_ARRAY(SELECT a.id FROM {A} ORDER BY 1)"],
  ["IS JSON", "SELECT a.id, {a.s} IS JSON, {a.s} IS NOT JSON OBJECT FROM {A} ORDER BY 1"],
  [
    "JSON operators",
    "SELECT a.id, to_jsonb(a) -> 'n', to_jsonb(a) ->> 'name', to_jsonb(a) @> '{\"ok\": true}' FROM {A} ORDER BY 1",
  ],
  [
    "XML",
    "SELECT a.id, xmlelement(name e, xmlattributes({a.n} AS n), {a.s}), xmlforest(a.id AS i) FROM {A} ORDER BY 1",
  ],
  [
    "full-text search",
    "SELECT a.id FROM {A} WHERE to_tsvector('simple', {a.s}) @@ to_tsquery('simple', 'a | e') ORDER BY 1",
  ],
  [
    "ranges",
    "SELECT a.id, int4range(a.id, a.id + 5) @> {k}, {a.d} <@ daterange('2026-01-01', '2026-12-31') FROM {A} ORDER BY 1",
  ],
  [
    "escape strings",
    "SELECT a.id FROM {A} WHERE {a.s} <> E'it\\'s' AND {a.s} <> $q$it's$q$ AND {a.s} <> U&'\\0061' ORDER BY 1",
  ],
  ["comments", "SELECT /* one /* two */ */ a.id -- three\nFROM {A} ORDER BY 1"],
  ["quoted names", 'SELECT "a"."id" FROM {A} ORDER BY "a"."id"'],
  ["letters beyond ASCII", "SELECT a.id AS größe, 'ü' || {a.s} FROM {A} ORDER BY 1"],
]

/** What reads no rows of its own, or more than a reader may: refused with a typed reason. */
const refusedOnes: readonly Feature[] = [
  ["FOR UPDATE", "SELECT a.id FROM {A} FOR UPDATE"],
  ["INTO", "SELECT a.id INTO made FROM {A}"],
  ["data-modifying WITH", "WITH q AS (DELETE FROM {TA} RETURNING id) SELECT * FROM q"],
  ["system column", "SELECT a.ctid FROM {A}"],
  ["denied column", "SELECT a.secret FROM {A}"],
  ["unknown function", "SELECT nowhere(a.id) FROM {A}"],
]

/** Expressions that every visible row allows and a hidden one may not: an error would tell of it. */
export const oracles: readonly Feature[] = [
  ["cast of hidden text", "SELECT count(*) FROM {A} WHERE a.note::int >= 0"],
  ["cast of hidden text in a target", "SELECT a.id, a.note::int FROM {A} ORDER BY 1"],
  ["cast below an aggregate", "SELECT sum(a.note::int), max(a.note::numeric) FROM {A}"],
  ["cast in a join", "SELECT count(*) FROM {A} JOIN {B} ON a.note::int = b.note::int"],
  [
    "cast in a sub-query",
    "SELECT a.id FROM {A} WHERE a.note::int IN (SELECT b.note::int FROM {B}) ORDER BY 1",
  ],
  [
    "cast in an anti-join",
    "SELECT a.id FROM {A} WHERE NOT EXISTS (SELECT 1 FROM {B} WHERE b.note::int = a.id) ORDER BY 1",
  ],
  ["cast in a window", "SELECT a.id, sum(a.note::int) OVER (ORDER BY a.id) FROM {A} ORDER BY 1"],
  ["cast in GROUP BY", "SELECT a.note::int % 3 AS x, count(*) FROM {A} GROUP BY 1 ORDER BY 1"],
  ["cast in ORDER BY", "SELECT a.id FROM {A} ORDER BY a.note::int, a.id"],
  [
    "cast in a set operation",
    "SELECT a.note::int FROM {A} UNION SELECT b.note::int FROM {B} ORDER BY 1",
  ],
  ["division", "SELECT count(*) FROM {A} WHERE 100 / (a.id - {hidden}) < 1000"],
  ["division in a target", "SELECT a.id, 100 / (a.id - {hidden}) FROM {A} ORDER BY 1"],
  ["square root", "SELECT count(*) FROM {A} WHERE sqrt({hidden} - a.id) >= 0"],
  ["more than one row", "SELECT (SELECT b.id FROM {B} WHERE b.id = {hidden})"],
  ["probe by key", "SELECT count(*), max({a.s}) FROM {A} WHERE a.id = {hidden}"],
  ["probe by range", "SELECT count(*), min(a.id), max(a.id) FROM {A} WHERE a.id > 900"],
  ["probe of a denied column", "SELECT count(*) FROM {A} WHERE a.secret LIKE '{k}%'"],
  ["probe of a mask", "SELECT count(*) FROM {A} WHERE a.email LIKE '%@%' OR length(a.email) > 9"],
  [
    "count of everything",
    "SELECT count(*), count(DISTINCT a.tenant), sum(a.n), bit_xor(a.id) FROM {A}",
  ],
  ["EXPLAIN", "EXPLAIN SELECT a.id FROM {A} WHERE {a.p}"],
  ["EXPLAIN of a view", "EXPLAIN (COSTS off) SELECT count(*) FROM pp.v0"],
  ["view", "SELECT count(*), max(id) FROM pp.v0"],
  ["view of a view", "SELECT * FROM pp.v1 ORDER BY 1"],
  ["COPY", "COPY (SELECT a.id, {a.s} FROM {A} ORDER BY 1) TO STDOUT"],
  ["COPY of a table", "COPY {TA} TO STDOUT"],
  [
    "cursor",
    "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT a.id FROM {A} ORDER BY 1; FETCH LAST FROM c; FETCH BACKWARD ALL FROM c; COMMIT",
  ],
  [
    "PREPARE",
    "PREPARE q (int) AS SELECT count(*) FROM {A} WHERE a.id >= $1; EXECUTE q ({k}); DEALLOCATE q",
  ],
]

export const features: readonly Feature[] = [...clauses, ...from, ...expressions, ...refusedOnes]
