import { equal, ok, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { Emitted, Statement } from "../../../src/core/statement.ts"
import { editText } from "../../../src/sql/edits.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { rewriteRelations } from "../../../src/sql/rewrite-relations.ts"

function statementOf(text: string): Statement {
  const [statement] = parseText(text)
  if (statement === undefined) throw new Error("no statement")
  return statement
}

/** The table t of the schema s is replaced by Q; all other relations stay. */
function rewritten(text: string): Emitted | undefined {
  const { ast } = statementOf("SELECT 1 AS a")
  const query: Emitted = { text: "SELECT 1 AS a", ast, keepsPositions: false }
  return rewriteRelations(statementOf(text), ({ ref }) =>
    ref.name === "t" && (ref.schema ?? "s") === "s" ? { query, schema: "s" } : undefined,
  )
}

/** In code points from 1, as PostgreSQL counts. */
function at(word: string, text: string): number {
  return Array.from(text.slice(0, text.indexOf(word))).length + 1
}

const q = "(SELECT 1 AS a)"

describe("a query in the place of a relation", () => {
  before(loadParser)

  const cases: readonly (readonly [text: string, expected: string | undefined])[] = [
    ["SELECT a FROM t", `SELECT a FROM ${q} AS "t"`],
    ["SELECT a FROM s.t", `SELECT a FROM ${q} AS "t"`],
    ["SELECT a FROM db.s.t x", `SELECT a FROM ${q} x`],
    ["SELECT a FROM t AS x(a)", `SELECT a FROM ${q} AS x(a)`],
    ["SELECT a FROM ONLY t", `SELECT a FROM ${q} AS "t"`],
    ["SELECT a FROM ONLY (t) x", `SELECT a FROM ${q} x`],
    ["SELECT a FROM t *", `SELECT a FROM ${q} AS "t"`],
    ["SELECT s.t.a FROM s.t", `SELECT t.a FROM ${q} AS "t"`],
    ["SELECT 'é', a /* t */ FROM t -- t", `SELECT 'é', a /* t */ FROM ${q} AS "t" -- t`],
    [
      "SELECT 1 FROM u WHERE a IN (SELECT a FROM t)",
      `SELECT 1 FROM u WHERE a IN (SELECT a FROM ${q} AS "t")`,
    ],
    ["SELECT a FROM u UNION SELECT a FROM t", `SELECT a FROM u UNION SELECT a FROM ${q} AS "t"`],
    [
      "WITH t AS (SELECT a FROM t) SELECT a FROM t",
      `WITH t AS (SELECT a FROM ${q} AS "t") SELECT a FROM t`,
    ],
    ["WITH t AS (SELECT 1) SELECT * FROM s.t", `WITH t AS (SELECT 1) SELECT * FROM ${q} AS "t"`],
    ["WITH RECURSIVE t AS (SELECT 1 UNION SELECT * FROM t) SELECT * FROM t", undefined],
    ["SELECT a FROM other.t", undefined],
    ["SELECT 't' FROM u", undefined],
  ]
  for (const [text, expected] of cases) it(text, () => equal(rewritten(text)?.text, expected))

  it("TABLE t is deparsed, because its text has no place for it", () => {
    const emitted = rewritten("TABLE t")
    ok(emitted !== undefined && emitted.text.includes("SELECT 1 AS a"))
    ok(!/from t\b/i.test(emitted.text))
  })

  it("positions are the client's around it", () => {
    const emitted = rewritten("SELECT 'é😀', x FROM t WHERE y")
    const text = emitted?.text ?? ""
    for (const word of ["x FROM", "WHERE"])
      equal(emitted?.clientPosition?.(at(word, text)), at(word, "SELECT 'é😀', x FROM t WHERE y"))
    equal(emitted?.clientPosition?.(at("1 AS a", text)), undefined)
  })

  it("what the callback throws passes", () => {
    throws(
      () =>
        rewriteRelations(statementOf("SELECT 1 FROM t"), () => {
          throw new RangeError("no")
        }),
      RangeError,
    )
  })
})

describe("edits of a text", () => {
  it("are made in bytes and tell positions in characters", () => {
    const edited = editText("é b c", [
      { start: 5, end: 6, text: "CC" },
      { start: 0, end: 2, text: "" },
    ])
    equal(edited.text, " b CC")
    equal(edited.position(2), 3)
  })
})
