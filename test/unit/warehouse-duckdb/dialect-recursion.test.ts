import { doesNotThrow, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { loadParser, parseTrees } from "../../../src/sql/parser.ts"
import { adaptStatement } from "../../../src/warehouse/duckdb/dialect.ts"

/** DuckDB reads the table `t` where PostgreSQL reads the query of that name. */
const readDifferently = [
  "WITH RECURSIVE t AS (SELECT x FROM t) SELECT x FROM t",
  "WITH RECURSIVE a AS (SELECT x FROM t), t AS (SELECT 1 AS x) SELECT x FROM a",
  "WITH RECURSIVE t AS (SELECT x FROM t UNION SELECT 1) SELECT x FROM t",
  "WITH RECURSIVE t AS (SELECT 1 AS x EXCEPT SELECT x FROM t) SELECT x FROM t",
  "WITH RECURSIVE t AS (SELECT 1 AS x INTERSECT SELECT x FROM t) SELECT x FROM t",
  "WITH RECURSIVE b AS (SELECT 1 AS n UNION ALL SELECT n FROM b WHERE EXISTS (SELECT 1 FROM t)), t AS (SELECT 1) SELECT n FROM b",
  "WITH RECURSIVE t AS (SELECT 1 AS x UNION SELECT x FROM t ORDER BY (SELECT max(x) FROM t)) SELECT x FROM t",
  "SELECT (WITH RECURSIVE t AS (SELECT x FROM t) SELECT max(x) FROM t)",
  "SELECT 1 UNION (WITH RECURSIVE t AS (SELECT x FROM t) SELECT x FROM t)",
]

const readAlike = [
  "WITH RECURSIVE t AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM t WHERE x < 3) SELECT x FROM t",
  "WITH RECURSIVE t AS (SELECT 1 AS x UNION SELECT y FROM (SELECT x AS y FROM t) q) SELECT x FROM t",
  "WITH RECURSIVE a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT x FROM b",
  "WITH RECURSIVE t AS (SELECT x FROM s.t) SELECT x FROM t",
  "WITH t AS (SELECT x FROM t) SELECT x FROM t",
]

describe("WITH RECURSIVE for DuckDB", () => {
  before(loadParser)

  for (const sql of readDifferently)
    it(`is refused: ${sql}`, () => {
      const [ast = {}] = parseTrees(sql)
      throws(() => adaptStatement(ast, undefined), /at this place of WITH RECURSIVE/)
    })

  for (const sql of readAlike)
    it(`is taken: ${sql}`, () => {
      const [ast = {}] = parseTrees(sql)
      doesNotThrow(() => adaptStatement(ast, undefined))
    })
})
