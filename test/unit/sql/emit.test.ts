import { deepEqual, equal, notEqual, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import * as fc from "fast-check"
import { GatewayError } from "../../../src/core/errors.ts"
import type { Ast, Statement } from "../../../src/core/statement.ts"
import { canonicalDigest } from "../../../src/sql/canonical.ts"
import { emitTree, emitUnchanged, limitRows } from "../../../src/sql/emit.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { sameTree } from "../../../src/sql/tree.ts"
import { readCases } from "../../support/cases.ts"
import { corpusReads } from "./corpora.ts"

function statementOf(text: string): Statement {
  const [statement] = parseText(text)
  if (statement === undefined) throw new Error("no statement")
  return statement
}

function treeOf(text: string): Ast {
  return statementOf(text).ast
}

before(loadParser)

describe("a row limit in the text", () => {
  for (const item of readCases("test/cases/sql/limit.case", { escapes: true })) {
    it(`limit.case:${item.line} ${item.input}`, () => {
      const { emitted, enforced } = limitRows(statementOf(item.input), 100)
      const positions = emitted.keepsPositions ? "keeps positions" : "moves positions"
      equal(`${enforced} ${positions}\n${emitted.text}`, item.expected)
      equal(sameTree(treeOf(emitted.text), emitted.ast), true)
    })
  }

  it("leaves a statement of several to its own text", () => {
    const [, second] = parseText("SELECT 'äö' LIMIT 9; SELECT 'ü' FROM t LIMIT 500")
    if (second === undefined) throw new Error("no statement")
    equal(limitRows(second, 9).emitted.text, "SELECT 'ü' FROM t LIMIT 10 ")
  })

  it("moves positions when the new number is longer", () => {
    const { emitted, enforced } = limitRows(
      statementOf("SELECT a FROM t LIMIT ALL OFFSET 1"),
      5_000,
    )
    deepEqual([enforced, emitted.keepsPositions], ["in_sql", false])
    equal(emitted.text, "SELECT a FROM t LIMIT 5001 OFFSET 1")
  })

  it("takes limits beyond 32 bits, and none for Infinity", () => {
    const statement = statementOf("SELECT a FROM t")
    equal(limitRows(statement, 5e9).emitted.text, "SELECT a FROM t\nLIMIT 5000000001")
    equal(limitRows(statement, Number.POSITIVE_INFINITY).enforced, "not_needed")
    equal(limitRows(statement, 0).emitted.text, "SELECT a FROM t\nLIMIT 1")
  })

  it("is remembered", () => {
    const statement = statementOf("SELECT a FROM t")
    equal(limitRows(statement, 7), limitRows(statement, 7))
  })

  it("never changes what a read of the corpora asks, but for the limit", () => {
    for (const text of corpusReads()) {
      const { emitted, enforced } = limitRows(statementOf(text), 10)
      notEqual(enforced, "stream_only", text)
      equal(sameTree(treeOf(emitted.text), emitted.ast), true, text)
    }
  })
})

describe("an emitted tree", () => {
  it("parses back to the same tree, for every read of the corpora", () => {
    const failed = corpusReads().filter((text) => {
      try {
        return !sameTree(treeOf(emitTree(treeOf(text)).text), treeOf(text))
      } catch (thrown) {
        if (thrown instanceof GatewayError) return true
        throw thrown
      }
    })
    deepEqual(failed, [])
  })

  const mended = [
    `WITH "Secret" AS (SELECT 1) SELECT count(*) FROM "Secret"`,
    `WITH "a b" ("C d") AS (SELECT 1) SELECT "C d" FROM "a b" AS "select"`,
    `WITH RECURSIVE "T""x" AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM "T""x") SELECT * FROM "T""x"`,
  ]
  for (const text of mended) {
    it(`keeps the quotes of ${text}`, () => {
      equal(sameTree(treeOf(emitTree(treeOf(text)).text), treeOf(text)), true)
    })
  }

  it("is refused when the deparser does not know a node", () => {
    const tree = treeOf(`SELECT * FROM JSON_TABLE(x, '$' COLUMNS (a int)) j`)
    throws(
      () => emitTree(tree),
      (thrown) =>
        thrown instanceof GatewayError &&
        thrown.sqlState === "0A000" &&
        thrown.reason === "emit_not_verified",
    )
  })

  it("is refused when the text says something else than the tree", () => {
    // A string where the grammar gives an identifier: whatever the deparser makes of it parses to another tree.
    const tree = {
      SelectStmt: { targetList: [{ ColumnRef: { fields: [{ String: { sval: "a" } }] } }] },
    }
    throws(() => emitTree(tree), GatewayError)
    throws(() => emitTree({ NoSuchStmt: {} }), GatewayError)
    throws(() => emitTree({}), GatewayError)
  })

  it("takes default values that the parser would leave out", () => {
    const constant = { A_Const: { ival: { ival: 0 }, isnull: false, location: 3 } }
    const select = { targetList: [{ ResTarget: { val: constant } }] }
    const tree = {
      SelectStmt: { ...select, limitOption: "LIMIT_OPTION_DEFAULT", op: "SETOP_NONE" },
    }
    equal(emitTree(tree).text, "SELECT 0")
  })

  it("carries the parser's own tree, so that its digest is that of the text", () => {
    const emitted = emitTree(treeOf(`select  a from "T" where b=1`))
    equal(canonicalDigest(emitted.ast), statementOf(emitted.text).canonical)
  })

  it("is memoised by the tree", () => {
    const tree = treeOf("SELECT 1")
    equal(emitTree(tree), emitTree(tree))
  })

  it("survives any identifier and any string", () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(text, text, (name, value) => {
        const sql = `WITH ${quoted(name)} AS (SELECT ${literal(value)} AS ${quoted(value)}) SELECT ${quoted(name)}.*, ${quoted(value)} FROM ${quoted(name)}`
        if (/[\0]/.test(sql) || !sql.isWellFormed()) return
        equal(sameTree(treeOf(emitTree(treeOf(sql)).text), treeOf(sql)), true)
      }),
    )
  })
})

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`
}

describe("two trees", () => {
  it("are the same whatever their locations and the order of their fields", () => {
    equal(sameTree(treeOf("SELECT   a"), treeOf("SELECT a")), true)
    equal(sameTree({ A: { x: 1, y: [2] } }, { A: { y: [2], x: 1 } }), true)
    equal(sameTree({ A: { x: false, y: 0, z: "" } }, { A: {} }), true)
  })

  const different: readonly (readonly [Ast, Ast])[] = [
    [{ A: { x: 1 } }, { A: { x: 2 } }],
    [{ A: { x: [1, 2] } }, { A: { x: [2, 1] } }],
    [{ A: { x: [1] } }, { A: { x: [1, 1] } }],
    [{ A: { x: {} } }, { A: {} }],
    [{ A: {} }, { A: { x: {} } }],
    [{ A: { x: "1" } }, { A: { x: 1 } }],
    [{ A: { x: true } }, { A: {} }],
    [{ A: { x: [] } }, { A: { x: {} } }],
    [{ A: { location: "disk" } }, { A: { location: "other" } }],
    [{ A: {} }, { B: {} }],
  ]
  for (const [left, right] of different) {
    it(`${JSON.stringify(left)} and ${JSON.stringify(right)} differ both ways`, () => {
      equal(sameTree(left, right), false)
      equal(sameTree(right, left), false)
    })
  }
})

it("an unchanged statement is the client's text and tree", () => {
  const statement = statementOf("SELECT /* c */ 1")
  const emitted = emitUnchanged(statement)
  deepEqual([emitted.text, emitted.keepsPositions], ["SELECT /* c */ 1", true])
  equal(emitted.ast, statement.ast)
})
