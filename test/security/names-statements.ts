/**
 * Statements over `@.people` and `@.tags`, in which `@` is a schema: every condition on every place of a FROM. Made by rule and not
 * by chance, so that each run asks the same.
 */
export function statements(engine: "postgres" | "duckdb"): readonly string[] {
  return [...plain(), ...joined(), ...(engine === "postgres" ? keyed : native)]
}

/** On the left of a dot where there is one; `?` stands for the name of the table with its dot, or for nothing. */
const conditions: readonly string[] = [
  "?id = 1",
  "1 = ?id",
  "?id > 2",
  "2 < ?id",
  "?id <> 3",
  "?id >= -2147483648",
  "?id < 2147483648",
  "?id < 9223372036854775807",
  "?id < 99999999999999999999",
  "?id = '2'",
  "?id IN (1, 3, 11)",
  "?id NOT IN (1, 3)",
  "?id BETWEEN 2 AND 3",
  "?id NOT BETWEEN 2 AND 3",
  "?id BETWEEN 3 AND 2",
  "?id = 1.0",
  "?id = NULL",
  "?big = 5000000000",
  "?big = -5000000000",
  "?big > 0",
  "?name = 'O''Hara'",
  "?name = '-5'",
  "?name > 'B'",
  "?name IN ('Ada', 'Alan')",
  "?name = '\\'",
  "?mail = 'a***'",
  "?mail = 'ada@x'",
  "?mail > 'b'",
  "?kind = 'a'",
  "?kind = ''",
  "?kind IS NULL",
  "?kind IS NOT NULL",
  "?fine = true",
  "?fine = false",
  "?fine",
  "NOT ?fine",
  "?fine IS NULL",
  "?born = '1990-01-01'",
  "?born = DATE '1990-01-01'",
  "?born >= '1990-01-01'::date",
  "?born >= '2000-02-29'",
  "?born >= TO_DATE('1990-01-01', 'YYYY-MM-DD')",
  "?born BETWEEN '1990-01-01' AND '1995-01-01'",
  "?born = TIMESTAMP '1990-01-01 00:00:00'",
  "?born > TIMESTAMP '1990-01-01 10:00:00'",
  "?made = '2024-01-01 10:00:00'",
  "?made >= '2024-01-01'",
  "?made > DATE '2024-01-01'",
  "?made >= TIMESTAMP '2024-01-01 10:00:00'",
  "?made >= TO_TIMESTAMP('2024-01-01 10:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')",
  "?made < TO_TIMESTAMP('2024-02-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')",
  "?note = '1'",
  "?note::int >= 0",
  "1 / (?id - 11) < 1",
  "?id = 1 AND ?note::int = 1",
  "?id < 4 AND 1 / (?id - 12) < 1 AND ?name <> 'x'",
  "?id = 1 OR ?id = 2",
  "(?id = 1 OR ?id = 2) AND ?name = 'Ada'",
  "NOT (?id = 1)",
  "(?id = 1 AND (?name = 'Ada' AND ?kind = 'a'))",
  "?id + 0 = 1",
  "lower(?name) = 'ada'",
  "?id = (SELECT min(i.id) FROM @.people i)",
  "EXISTS (SELECT 1 FROM @.tags g WHERE g.person = ?id AND g.tag = 'red')",
  "EXISTS (SELECT 1 FROM @.people g WHERE g.id = ?id AND name = 'Ada')",
]

function plain(): readonly string[] {
  return conditions.flatMap((condition) => [
    `SELECT id, name, mail FROM @.people WHERE ${condition.replaceAll("?", "")}`,
    `SELECT count(*), max(p.name) FROM @.people AS p WHERE ${condition.replaceAll("?", "p.")}`,
    `SELECT people.id FROM @.people WHERE ${condition.replaceAll("?", "people.")} ORDER BY id DESC LIMIT 2`,
  ])
}

const sources: readonly string[] = [
  "@.people p JOIN @.tags t ON t.person = p.id",
  "@.people p LEFT JOIN @.tags t ON t.person = p.id",
  "@.tags t LEFT JOIN @.people p ON t.person = p.id",
  "@.people p RIGHT JOIN @.tags t ON t.person = p.id",
  "@.people p FULL JOIN @.tags t ON t.person = p.id",
  "@.people p, @.tags t",
]

const onePerKind: readonly string[] = [
  "p.id = 1",
  "p.id IS NULL",
  "p.name IS NOT NULL",
  "p.kind IS NULL AND t.tag = 'red'",
  "p.born >= '1990-01-01' AND t.id < 4",
  "p.name IN ('Ada', 'Alan') OR t.id = 5",
  "t.person = p.id AND p.fine = true",
]

function joined(): readonly string[] {
  return [
    ...sources.flatMap((source) =>
      onePerKind.map((condition) => `SELECT p.id, p.name, t.tag FROM ${source} WHERE ${condition}`),
    ),
    "SELECT p.id, q.id FROM @.people p LEFT JOIN (@.people q JOIN @.tags t ON t.person = q.id) ON q.id = p.id WHERE q.id IS NULL",
    "SELECT p.id, q.id FROM @.people p LEFT JOIN @.people q ON q.id = p.id + 1 WHERE q.id IS NULL",
    "SELECT p.id, q.id FROM @.people p LEFT JOIN @.people q ON q.id = p.id + 1 WHERE p.id = 4 AND q.name IS NULL",
    "SELECT a FROM @.people AS p (a, id) WHERE id = 1",
    "SELECT a FROM @.people AS p (a, b) WHERE p.b = 1 AND p.a = 2",
    "SELECT id FROM @.people UNION ALL SELECT id FROM @.people WHERE id = 2",
    "SELECT id FROM @.people WHERE id = 1 UNION SELECT id FROM @.tags WHERE id = 2 AND tag = 'blue'",
    "SELECT p.id, l.tag FROM @.people p, LATERAL (SELECT tag FROM @.tags t WHERE t.person = p.id AND t.id = 1) l WHERE p.name = 'Ada'",
    "WITH people AS (SELECT 9 AS id) SELECT id FROM people WHERE id = 9",
    "WITH q AS (SELECT * FROM @.people WHERE id > 1) SELECT id FROM q WHERE id < 3",
    "SELECT id FROM (SELECT id, name FROM @.people WHERE name = 'Ada') AS virtual_table WHERE id = 1",
    "SELECT p.id, (SELECT count(*) FROM @.tags t WHERE t.person = p.id AND p.id = 1) FROM @.people p",
    "SELECT id, rank() OVER (ORDER BY name) FROM @.people WHERE id > 1",
    "SELECT kind, count(*) FROM @.people WHERE id > 1 GROUP BY kind HAVING count(*) > 0",
    "SELECT count(*) FROM @.people NATURAL JOIN (SELECT 1 AS id) one WHERE name = 'Ada'",
    "SELECT count(*) FROM @.people JOIN (SELECT 1 AS id, 'x' AS other) one USING (id) WHERE id = 1 AND other = 'x'",
    "SELECT ssn FROM @.people",
    "SELECT one.ssn FROM @.people p JOIN (SELECT 1 AS id, 'x' AS ssn) one USING (id) WHERE ssn = 'x'",
  ]
}

/** Grouped by the primary key alone (PostgreSQL manual, 7.2.3). */
const keyed: readonly string[] = [
  "SELECT id, name FROM @.people GROUP BY id",
  "SELECT name, mail FROM @.people GROUP BY id HAVING max(note) IS NOT NULL ORDER BY born",
  "SELECT name AS id, count(*) FROM @.people GROUP BY 1",
  "SELECT id, name FROM @.people GROUP BY 1",
  "SELECT id AS k, upper(name) || kind FROM @.people GROUP BY k",
  "SELECT * FROM @.people GROUP BY id",
  "SELECT p.* FROM @.people AS p GROUP BY p.id",
  "SELECT p.name, count(t.id) FROM @.people p LEFT JOIN @.tags t ON t.person = p.id GROUP BY p.id",
  "SELECT p.name, t.tag, count(*) FROM @.people p JOIN @.tags t ON t.person = p.id GROUP BY p.id, t.tag",
  "SELECT p.name, q.name FROM @.people p JOIN @.people q ON q.id = p.id + 1 GROUP BY p.id, q.id",
  "SELECT p.name, q.name FROM @.people p JOIN @.people q ON q.id = p.id + 1 GROUP BY p.id",
  "SELECT @.people.name FROM @.people GROUP BY @.people.id",
  "SELECT name, sum(sum(big)) OVER (PARTITION BY kind) FROM @.people GROUP BY id",
  "SELECT (SELECT max(t.tag) FROM @.tags t WHERE t.person = p.id AND p.name = 'Ada') FROM @.people p GROUP BY p.id",
  "SELECT name FROM @.people GROUP BY (id)",
  "SELECT name FROM @.people GROUP BY DISTINCT id",
  "SELECT name, count(*) FROM @.people GROUP BY ROLLUP (id)",
  "SELECT name FROM @.people GROUP BY org_id",
  "SELECT DISTINCT kind FROM @.people GROUP BY id",
]

/** Views in DuckDB's own dialect mean there what DuckDB means. */
const native: readonly string[] = [
  "SELECT name FROM @.v_unqualified",
  "SELECT * FROM @.v_two",
  "SELECT * FROM @.v_lone",
  "SELECT word FROM @.v_from_main WHERE name = 'Ada'",
  "SELECT * FROM @.v_native",
  "SELECT month, sum(half) FROM @.v_native GROUP BY month",
  "SELECT * FROM @.v_match",
  "SELECT * FROM @.v_labels",
  'SELECT personid, "Full Name" FROM @.v_case WHERE PersonId = 1',
  "SELECT * FROM @.v_windows",
  "SELECT * FROM @.v_deep",
]
