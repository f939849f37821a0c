import { marker } from "./tenants.ts"

/**
 * Relations behind names of every kind. `world.*` is governed: organisation 1 sees its own rows, mail is masked and ssn denied.
 * `seen.*` holds the very rows and columns that ann may see, without a policy: what she gets of the one is what anybody gets
 * of the other.
 */
export const namesPolicies = `
claims:
  org_id: { type: int8 }
relations:
  world.people:
    rowFilters: [{ name: own_org, filter: "people.org_id = :org_id" }]
    masks: [{ column: mail, mask: "left(mail, 1) || '***'" }]
    deniedColumns: [{ columns: [ssn] }]
  world.events:
    rowFilters: [{ name: own_org, filter: "events.org_id = :org_id" }]
    deniedColumns: [{ columns: [ssn] }]
  world.child:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
  world.strict_low:
    rowFilters: [{ name: cheap, filter: "id < 3" }]
    masks: [{ column: what, mask: "'masked'" }]
  world.strict:
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
    masks: [{ column: what, mask: "left(what, 1)" }]
  world.v_named:
    masks: [{ column: who, mask: "upper(who)" }]
  world.v_own:
    masks: [{ column: who, mask: "upper(who)" }, { column: number, mask: "upper(number)" }]
  'world."a.b ""c"""':
    rowFilters: [{ name: own_org, filter: "org_id = :org_id" }]
  other.people:
    rowFilters: [{ name: nobody, filter: "false" }]
`

const common = `
CREATE SCHEMA world;
CREATE SCHEMA seen;
CREATE SCHEMA other;
CREATE TABLE world.people (
  id integer PRIMARY KEY, org_id integer, name text, mail text, ssn text, born date, made timestamp, big bigint,
  kind varchar(10), fine boolean, note text);
INSERT INTO world.people VALUES
  (1, 1, 'Ada', 'ada@x', '${marker}1', DATE '1990-01-01', TIMESTAMP '2024-01-01 10:00:00', 5000000000, 'a', true, '1'),
  (2, 1, 'Alan', 'alan@x', '${marker}2', DATE '1991-02-03', TIMESTAMP '2024-02-01 00:00:00', 2, 'b', false, '2'),
  (3, 1, 'O''Hara', 'oh@x', '${marker}3', NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 1, '-5', 'neg@x', '${marker}4', DATE '2000-02-29', TIMESTAMP '2024-01-01 00:00:00', -5000000000, '', true, '0'),
  (11, 2, '${marker}Bea', 'bea@${marker}', '${marker}5', DATE '1990-01-01', TIMESTAMP '2024-01-01 10:00:00', 5000000000, 'a', true, '${marker}'),
  (12, 2, '${marker}Bob', 'bob@${marker}', '${marker}6', DATE '2001-01-01', TIMESTAMP '2024-02-01 00:00:00', 2, 'b', false, '${marker}'),
  (13, 2, '${marker}Bo', 'bo@${marker}', '${marker}7', NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE seen.people (
  id integer PRIMARY KEY, org_id integer, name text, mail text, born date, made timestamp, big bigint,
  kind varchar(10), fine boolean, note text);
INSERT INTO seen.people
  SELECT id, org_id, name, left(mail, 1) || '***', born, made, big, kind, fine, note FROM world.people WHERE org_id = 1;
CREATE TABLE other.people (id integer, word text);
INSERT INTO other.people VALUES (1, '${marker}');
CREATE TABLE world.tags (id integer, person integer, tag text);
INSERT INTO world.tags VALUES (1, 1, 'red'), (2, 1, 'blue'), (3, 2, 'red'), (4, 11, 'green'), (5, NULL, 'none');
CREATE TABLE seen.tags (id integer, person integer, tag text);
INSERT INTO seen.tags SELECT * FROM world.tags;
CREATE TABLE world."a.b ""c""" (id integer, org_id integer, "dot.ted" text);
INSERT INTO world."a.b ""c""" VALUES (1, 1, 'mine'), (2, 2, '${marker}');
CREATE VIEW world.v_alias(number, who) AS SELECT id, name FROM world.people;
CREATE VIEW world.v_masked AS SELECT mail AS harmless, id FROM world.people;
CREATE VIEW world.v_star AS SELECT * FROM world.people;
CREATE VIEW world.v_cte AS WITH people AS (SELECT id, name FROM world.people) SELECT id, name FROM people;
CREATE VIEW world.v_grouped AS SELECT org_id, count(*) AS n FROM world.people GROUP BY org_id;
CREATE VIEW world.v_join AS SELECT p.id, p.name, t.tag FROM world.people p LEFT JOIN world.tags t ON t.person = p.id;
CREATE VIEW world.v_nested AS SELECT who FROM world.v_alias WHERE number < 3;
CREATE VIEW world.v_named AS SELECT id, name AS who FROM world.people;
CREATE VIEW world.v_above AS SELECT who, id FROM world.v_named;
CREATE VIEW world.v_union AS SELECT id FROM world.people UNION ALL SELECT person FROM world.tags;
CREATE VIEW world.v_sub AS SELECT t.id, (SELECT max(p.name) FROM world.people p WHERE p.id = t.person) AS name FROM world.tags t;
CREATE VIEW world.v_denied AS SELECT ssn AS innocent FROM world.people;
CREATE VIEW world.v_partly AS SELECT id, name, 'x' || ssn AS innocent FROM world.people WHERE id = 1;
CREATE VIEW world.v_over_partly AS SELECT p.id, p.name, p.innocent AS whatever FROM world.v_partly p;
CREATE VIEW world.v_own AS SELECT id, name AS who, ssn AS number FROM world.people WHERE id = 1;
CREATE VIEW world.v_by_ssn AS SELECT ssn, count(*) AS n FROM world.people GROUP BY ssn;
CREATE VIEW world.v_one_row AS SELECT 1 AS one, max(ssn) AS most FROM world.people;
CREATE SCHEMA sly;
CREATE VIEW world.v_where AS SELECT id FROM world.people WHERE ssn LIKE 'z%';
`

const onPostgres = `
CREATE TABLE world."People" (id integer, word text);
INSERT INTO world."People" VALUES (7, 'other table');
CREATE TABLE world.events (id integer, org_id integer, what text, ssn text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE world.events_low PARTITION OF world.events FOR VALUES FROM (0) TO (100);
CREATE TABLE world.events_mid (ssn text, what text, org_id integer, id integer NOT NULL) PARTITION BY RANGE (id);
CREATE TABLE world.events_mid_1 PARTITION OF world.events_mid FOR VALUES FROM (100) TO (200);
ALTER TABLE world.events ATTACH PARTITION world.events_mid FOR VALUES FROM (100) TO (200);
INSERT INTO world.events VALUES (1, 1, 'mine', '${marker}'), (2, 2, '${marker}', '${marker}'), (101, 1, 'mine too', '${marker}'), (102, 2, '${marker}', '${marker}');
CREATE VIEW world.v_partition AS SELECT id, what FROM world.events_low;
CREATE MATERIALIZED VIEW world.m_partition AS SELECT id, what FROM world.events_low;
CREATE VIEW world.v_of_m AS SELECT what FROM world.m_partition;
CREATE TABLE world.parent (id integer, org_id integer, what text);
CREATE TABLE world.child (extra text) INHERITS (world.parent);
CREATE TABLE world.free_child () INHERITS (world.parent);
INSERT INTO world.parent VALUES (1, 9, 'parent');
INSERT INTO world.child VALUES (2, 1, 'mine', 'x'), (3, 2, '${marker}', '${marker}');
INSERT INTO world.free_child VALUES (4, 2, 'free');
CREATE VIEW world.v_parent AS SELECT what FROM world.parent;
CREATE TABLE world.strict (id integer, org_id integer, what text) PARTITION BY RANGE (id);
CREATE TABLE world.strict_low PARTITION OF world.strict FOR VALUES FROM (0) TO (100);
CREATE TABLE world.strict_high PARTITION OF world.strict FOR VALUES FROM (100) TO (200);
INSERT INTO world.strict VALUES (1, 1, 'one'), (2, 2, '${marker}'), (5, 1, '${marker}'), (101, 1, 'high'), (102, 2, '${marker}');
CREATE TABLE world.left_parent (id integer);
CREATE TABLE world.right_parent (id integer);
CREATE TABLE world.both_child () INHERITS (world.left_parent, world.right_parent);
CREATE VIEW world.v_invoker WITH (security_invoker) AS SELECT id, name FROM world.people;
CREATE VIEW world.v_barrier WITH (security_barrier) AS SELECT id, name FROM world.people WHERE id < 3;
CREATE VIEW world.v_late AS SELECT * FROM world.tags;
ALTER TABLE world.tags ADD COLUMN added text;
ALTER TABLE world.people RENAME COLUMN note TO remark;
ALTER TABLE world.people RENAME COLUMN remark TO note;
CREATE RECURSIVE VIEW world.v_recursive (id, depth) AS
  SELECT id, 1 FROM world.people WHERE id = 1 UNION ALL SELECT p.id, r.depth + 1 FROM world.people p JOIN v_recursive r ON p.id = r.id + 1;
CREATE VIEW world.v_lower AS SELECT lower(kind) AS low FROM world.people;
CREATE VIEW world.v_key AS SELECT p.id, p.name, count(t.id) AS n FROM world.people p LEFT JOIN world.tags t ON t.person = p.id GROUP BY p.id;
CREATE FUNCTION sly.left(x varchar, n integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x::text';
CREATE FUNCTION other.lower(x varchar) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT string_agg(name, '','') FROM world.people';
CREATE VIEW world.v_calls AS SELECT other.lower(kind) AS low FROM world.people;
CREATE TABLE world.wide (id integer PRIMARY KEY, org_id integer, day date, what text);
`

/** Views that read the same in each schema; names in them mean its own tables. */
function duckdbViews(schema: string): string {
  return `
SET search_path = '${schema}';
CREATE VIEW ${schema}.v_unqualified AS SELECT name FROM people;
CREATE VIEW ${schema}.v_two AS SELECT p.name, t.tag FROM people p JOIN tags t ON t.person = p.id AND t.tag LIKE 'b%';
CREATE VIEW ${schema}.v_lone AS SELECT p.name, l.word FROM people p JOIN main.lone l USING (id);
CREATE VIEW ${schema}.v_from_main AS SELECT p.name, l.word FROM people p JOIN lone l USING (id);
CREATE VIEW ${schema}.v_native AS SELECT date_trunc('month', born) AS month, year(born) AS y, id / 2 AS half, id // 2 AS whole, id / (id - 1) AS none, id % 2 AS rest,
  sum(id) AS total, avg(id) AS middle, count(*) AS n, CAST(id AS VARCHAR) AS word, round(id / 3, 2) AS r
  FROM people WHERE born IS NOT NULL AND name <> 'x' GROUP BY born, id;
CREATE VIEW ${schema}.v_match AS SELECT id, name ~ 'A.*' AS a, name || '!' AS loud, name LIKE 'A%' AS l FROM people;
CREATE VIEW ${schema}.v_labels AS SELECT count(*), max(name) FROM people;
CREATE VIEW ${schema}.v_case AS SELECT id AS PersonId, name AS "Full Name" FROM people;
CREATE VIEW ${schema}.v_windows AS SELECT id, row_number() OVER (ORDER BY id DESC) AS n, lag(name) OVER (ORDER BY id) AS before FROM people;
CREATE VIEW ${schema}.v_deep AS SELECT name FROM v_unqualified WHERE name IN (SELECT name FROM v_two);
`
}

/** DuckDB keeps a view's names as they were written, and looks them up where the view is. */
const onDuckdb = `
CREATE TABLE main.mine (id integer, word text);
INSERT INTO main.mine VALUES (1, 'of main');
CREATE TABLE main.lone (id integer, word text);
INSERT INTO main.lone VALUES (1, 'lone');
CREATE TABLE other.mine (id integer, word text);
INSERT INTO other.mine VALUES (1, 'of other');
${duckdbViews("world")}${duckdbViews("seen")}SET search_path = 'world';
CREATE VIEW world.v_database AS SELECT p.id, p.name, p.ssn AS innocent FROM "mart"."world"."people" p;
CREATE VIEW main.kept AS SELECT id, name FROM world.people;
CREATE VIEW main.v_kept AS SELECT name FROM mart.kept;
CREATE VIEW world.v_counted(a, b, c, d, e, f, g, h, i, j, k) AS SELECT * FROM people;
CREATE VIEW world.v_branches AS SELECT * FROM people UNION ALL SELECT * FROM people;
CREATE VIEW world.v_other AS SELECT id, regexp_replace(name, 'A.', 'b') AS r FROM people;
CREATE VIEW world.v_exclude AS SELECT * EXCLUDE (ssn) FROM people;
CREATE VIEW world.v_ambiguous AS SELECT p.name, m.word FROM people p JOIN mine m USING (id);
CREATE VIEW other.v_shadow AS SELECT name FROM world.people;
CREATE MACRO other.lower(x) AS (SELECT max(ssn) FROM world.people);
CREATE VIEW other.v_macro AS SELECT lower(name) AS low FROM world.people;
CREATE VIEW world.v_alias_of_mask AS SELECT mail AS id, id AS mail FROM people;
SET search_path = 'main';
`

export const namesSeed = { postgres: common + onPostgres, duckdb: common + onDuckdb } as const
