import { deepEqual, equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { checkConstructs } from "../../../src/policy/guards/constructs.ts"
import type { Construct } from "../../../src/policy/rules.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"

const all: readonly Construct[] = ["cross_join", "select_star", "recursive", "no_limit"]

function found(sql: string): readonly Construct[] {
  const [statement] = parseText(sql)
  if (statement === undefined) throw new Error("no statement")
  return all.filter((construct) => checkConstructs(statement.ast, [construct]) !== undefined)
}

const cases: readonly (readonly [sql: string, constructs: readonly Construct[]])[] = [
  ["SELECT a FROM t LIMIT 3", []],
  ["SELECT a FROM t", ["no_limit"]],
  ["SELECT a FROM t LIMIT ALL", ["no_limit"]],
  ["SELECT a FROM t LIMIT NULL", ["no_limit"]],
  ["SELECT a FROM t FETCH FIRST 3 ROWS ONLY", []],
  ["SELECT a FROM t LIMIT $1", []],
  ["SELECT a FROM (SELECT a FROM t LIMIT 1) x", ["no_limit"]],
  ["SELECT a FROM t UNION SELECT b FROM u LIMIT 1", []],
  // stars
  ["SELECT * FROM t LIMIT 1", ["select_star"]],
  ["SELECT t.* FROM t LIMIT 1", ["select_star"]],
  ["TABLE t LIMIT 1", ["select_star"]],
  ["SELECT count(*) FROM t LIMIT 1", []],
  ["SELECT * FROM (SELECT a FROM t) x LIMIT 1", []],
  ["SELECT * FROM (SELECT * FROM t) x LIMIT 1", ["select_star"]],
  ["WITH x AS (SELECT a FROM t) SELECT * FROM x LIMIT 1", []],
  ["WITH x AS (SELECT * FROM t) SELECT a FROM x LIMIT 1", ["select_star"]],
  ["SELECT a FROM t WHERE EXISTS (SELECT * FROM u) LIMIT 1", []],
  ["SELECT a FROM t WHERE a IN (SELECT * FROM u) LIMIT 1", ["select_star"]],
  ["SELECT x.* FROM (SELECT a FROM t) x JOIN u ON x.a = u.a LIMIT 1", []],
  ["SELECT * FROM generate_series(1, 3) LIMIT 1", []],
  // recursion
  ["WITH RECURSIVE x AS (SELECT 1 UNION SELECT a FROM x) SELECT a FROM x LIMIT 1", ["recursive"]],
  ["SELECT a FROM (WITH RECURSIVE x AS (SELECT 1 AS a) SELECT a FROM x) y LIMIT 1", ["recursive"]],
  // products
  ["SELECT a FROM t, u LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t CROSS JOIN u LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t JOIN u ON true LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t JOIN u ON t.a = 1 LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t JOIN u ON t.a = u.a LIMIT 1", []],
  ["SELECT a FROM t JOIN u USING (a) LIMIT 1", []],
  ["SELECT a FROM t NATURAL JOIN u LIMIT 1", []],
  ["SELECT a FROM t LEFT JOIN u ON t.a = u.a LIMIT 1", []],
  ["SELECT a FROM t, u WHERE t.a = u.a LIMIT 1", []],
  ["SELECT a FROM t, u WHERE t.a = u.a OR t.b = u.b LIMIT 1", []],
  ["SELECT a FROM t, u WHERE x = y LIMIT 1", []],
  ["SELECT a FROM t, u WHERE x = x LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t, u, v WHERE t.a = u.a LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t, u, v WHERE t.a = u.a AND v.b = u.b LIMIT 1", []],
  ["SELECT a FROM t x, t y WHERE x.a = y.a LIMIT 1", []],
  ["SELECT a FROM t x, t y WHERE x.a = x.b LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t, u WHERE t.a IN (SELECT u.a FROM v) LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t, unnest(t.list) LIMIT 1", []],
  ["SELECT a FROM t, LATERAL (SELECT a FROM u WHERE u.a = t.a) x LIMIT 1", []],
  ["SELECT a FROM t, (SELECT max(a) FROM u) m LIMIT 1", []],
  ["SELECT a FROM t, (SELECT a FROM u) m LIMIT 1", ["cross_join"]],
  ["SELECT a FROM t, (SELECT max(a) FROM u GROUP BY b) m LIMIT 1", ["cross_join"]],
  ["SELECT a FROM (SELECT 1 FROM t, u) x LIMIT 1", ["cross_join"]],
  ["SELECT (SELECT count(*) FROM t, u) LIMIT 1", ["cross_join"]],
]

describe("constructs that a role may be kept from", () => {
  before(loadParser)
  for (const [sql, constructs] of cases)
    it(`${sql}: ${constructs.join(", ") || "none"}`, () => deepEqual(found(sql), constructs))

  it("the refusal is typed and says what to do instead", () => {
    const [statement] = parseText("SELECT * FROM t")
    const refusal = checkConstructs(statement?.ast ?? {}, ["select_star"])
    equal(refusal?.sqlState, "42501")
    equal(refusal?.reason, "construct_forbidden")
    equal(refusal?.hint, "Name the columns that you need.")
  })
})
