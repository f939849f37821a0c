import { deepEqual } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { loadParser, parseTrees } from "../../../src/sql/parser.ts"
import { writeEffect } from "../../../src/sql/write-effect.ts"

/** SQL, kind, what it writes (`*` = everything), `+` when names may mean something else afterwards. */
const cases: readonly (readonly [sql: string, expected: string])[] = [
  ["INSERT INTO a.t SELECT * FROM b", "data a.t"],
  ["INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "data t"],
  ["UPDATE t SET x = (SELECT max(y) FROM u)", "data t"],
  ["DELETE FROM ONLY t USING u WHERE t.id = u.id", "data t"],
  ["MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", "data t"],
  ["TRUNCATE a, b.c CASCADE", "data a b.c"],
  ["COPY t FROM STDIN", "data t"],
  ["COPY t TO STDOUT", "data"],
  ["COPY (SELECT 1) TO STDOUT", "data"],
  ["COPY t FROM '/etc/passwd'", "server t"],
  ["COPY t TO PROGRAM 'cat'", "server"],
  ["REFRESH MATERIALIZED VIEW m", "data m"],
  ["WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "data t"],
  ["WITH t AS (SELECT 1 AS id) INSERT INTO t SELECT id FROM t", "data t"],
  ["WITH a AS (INSERT INTO t VALUES (1)), b AS (UPDATE u SET x = 1) DELETE FROM v", "data t u v"],
  ["EXPLAIN ANALYZE UPDATE t SET x = 1", "data t"],
  ["SELECT 1 FROM t FOR UPDATE", "data"],
  ["SELECT * INTO n FROM t", "data +"],
  ["SELECT 1 UNION SELECT 2", "data"],
  ["CREATE TABLE n (id int REFERENCES p)", "definition n p +"],
  ["CREATE TABLE n AS SELECT * FROM t", "definition n t +"],
  ["CREATE TEMP TABLE n AS SELECT * FROM t", "definition"],
  ["CREATE VIEW v AS SELECT * FROM t", "definition t v +"],
  ["CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "definition"],
  ["CREATE INDEX ON t (x)", "definition t +"],
  ["ALTER TABLE s.t ADD COLUMN x int", "definition s.t +"],
  ["ALTER TABLE p ATTACH PARTITION q FOR VALUES IN (1)", "definition p q +"],
  ["ALTER TABLE t RENAME TO u", "definition t +"],
  ["ALTER TABLE t SET SCHEMA s", "definition t +"],
  ["DROP TABLE s.t, u", "definition s.t u +"],
  ["DROP FUNCTION f()", "code * +"],
  ["DROP SCHEMA s CASCADE", "code * +"],
  ["COMMENT ON TABLE s.t IS 'x'", "definition s.t +"],
  ["CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()", "code * +"],
  ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "code * +"],
  ["DO $$ BEGIN END $$", "code * +"],
  ["CALL p()", "code * +"],
  ["GRANT SELECT ON t TO u", "code * +"],
  ["PREPARE p AS INSERT INTO t VALUES ($1)", "data t"],
  ["EXECUTE p(1)", "session"],
  ["CREATE TABLE n AS EXECUTE p", "code * +"],
  ["DECLARE c CURSOR FOR SELECT * FROM t", "data"],
  ["LISTEN c", "session"],
  ["LOCK TABLE t", "session"],
  ["VACUUM t", "session"],
  ["SET work_mem = '1MB'", "session"],
  ["SET ROLE u", "server"],
  ["SET SESSION AUTHORIZATION u", "server"],
  ["SET row_security = off", "server"],
  ["SELECT set_config('work_mem', '1MB', false)", "data"],
  ["SELECT set_config('role', 'x', false)", "server"],
  ["SELECT set_config(name, 'x', false) FROM t", "server"],
  ["BEGIN", "session"],
  ["PREPARE TRANSACTION 'x'", "code * +"],
  ["COMMIT PREPARED 'x'", "code * +"],
  ["ALTER SYSTEM SET work_mem = '1MB'", "server"],
  ["CREATE ROLE x", "code * +"],
  ["GRANT a TO b", "code * +"],
  ["LOAD 'x'", "server"],
  ["CREATE TABLESPACE t LOCATION '/tmp'", "server"],
  ["CREATE DATABASE d", "code * +"],
]

describe("writeEffect", () => {
  before(loadParser)

  for (const [sql, expected] of cases)
    it(`${sql}: ${expected}`, () => {
      const [ast] = parseTrees(sql)
      const effect = writeEffect(ast ?? {})
      const { written, changesSchema, kind } = effect
      const names =
        written === "everything"
          ? ["*"]
          : written
              .map(({ schema, name }) => (schema === undefined ? name : `${schema}.${name}`))
              .toSorted()
      deepEqual([kind, ...names, ...(changesSchema ? ["+"] : [])].join(" "), expected)
    })

  it("names everything that is read, too, but no CTE", () => {
    const [ast] = parseTrees(
      "WITH c AS (SELECT * FROM x) INSERT INTO t SELECT f(y) FROM c JOIN s.z ON true WHERE EXISTS (SELECT FROM w)",
    )
    const { relations, functions } = writeEffect(ast ?? {})
    deepEqual(relations.map(({ name }) => name).toSorted(), ["t", "w", "x", "z"])
    deepEqual(
      functions.map(({ name }) => name),
      ["f"],
    )
  })
})
