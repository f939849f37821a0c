import { deepEqual, equal, ok, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import * as fc from "fast-check"
import { GatewayError } from "../../../src/core/errors.ts"
import type { RelationRef } from "../../../src/core/relation.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { readCases } from "../../support/cases.ts"
import { corpus, corpusTexts, type Item } from "./corpora.ts"

function errorOf(text: string): GatewayError {
  try {
    parseText(text)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown
    throw thrown
  }
  throw new Error(`no error: ${text}`)
}

before(loadParser)

describe("a syntax error is PostgreSQL's own", () => {
  for (const item of readCases("test/cases/sql/syntax-errors.case", { escapes: true })) {
    it(`syntax-errors.case:${item.line} ${JSON.stringify(item.input)}`, () => {
      const { sqlState, message, position } = errorOf(item.input)
      equal(`${sqlState} ${message} at ${position ?? "-"}`, item.expected)
    })
  }
})

it("statements of one text carry their slices and their offsets in characters", () => {
  const text = "  SELECT 1;\n-- c\nSELECT 'ä😀' ; /* d */ ;SELECT 2 /* e */  "
  const found = parseText(text).map((statement) => [statement.offset, statement.text])
  deepEqual(found, [
    [2, "SELECT 1"],
    [17, "SELECT 'ä😀'"],
    [40, "SELECT 2 /* e */"],
  ])
  for (const [offset, slice] of found) {
    equal(Array.from(text).slice(Number(offset)).join("").startsWith(String(slice)), true)
  }
})

it("the query of a cursor has its own offset", () => {
  const [, cursor] = parseText("SELECT 'ä'; DECLARE c CURSOR FOR SELECT 'ö' FROM t")
  const found = cursor?.class
  ok(found?.kind === "cursor")
  equal(found.query.offset, 33)
  equal(found.query.canonical, parseText("select 'ö' from t")[0]?.canonical)
})

it("a space that is none to PostgreSQL stays part of the text", () => {
  equal(parseText("SELECT 1 AS x\u00a0")[0]?.text, "SELECT 1 AS x\u00a0")
})

for (const text of ["", " \n\t", ";", ";;", "-- c", "/* a */;"]) {
  it(`${JSON.stringify(text)} is one empty statement`, () => {
    deepEqual(
      parseText(text).map((statement) => statement.class),
      [{ kind: "empty" }],
    )
  })
}

it("NUL and lone surrogates are refused before the parser sees them", () => {
  equal(errorOf("SELECT 1\0; DROP TABLE t").sqlState, "22021")
  equal(errorOf("SELECT '\ud800'").sqlState, "22021")
})

it("a comment between the parts of NOT IN and NULLS LAST does no harm", () => {
  const [statement] = parseText(
    "SELECT a NOT /* ä */ IN (1) FROM t ORDER BY 1 NULLS -- c\n LAST; SELECT 2",
  )
  equal(statement?.class.kind, "read")
  equal(
    statement?.canonical,
    parseText("SELECT a NOT IN (1) FROM t ORDER BY 1 NULLS LAST")[0]?.canonical,
  )
})

const deepTexts: ReadonlyMap<string, string> = new Map([
  ["1+1+...", `SELECT 1${"+1".repeat(20_000)}`],
  ["parentheses", `SELECT ${"(".repeat(50_000)}1${")".repeat(50_000)}`],
  ["sub-queries", `SELECT ${"(SELECT ".repeat(1_500)}1${")".repeat(1_500)}`],
  ["NOT NOT ...", `SELECT ${"NOT ".repeat(5_000)}true`],
  ["UNION", `SELECT 1${" UNION SELECT 1".repeat(5_000)}`],
  ["CASE", `SELECT ${"CASE WHEN true THEN 1 ELSE ".repeat(3_000)}1${" END".repeat(3_000)}`],
  ["joins", `SELECT 1 FROM a${" JOIN b ON true".repeat(5_000)}`],
  ["a little too deep", `SELECT 1${"+1".repeat(1_000)}`],
])

describe("a statement nested too deeply", () => {
  for (const [name, text] of deepTexts) {
    it(`${name} is refused as too complex`, () => {
      const { sqlState, reason } = errorOf(text)
      deepEqual([sqlState, reason], ["54001", "statement_too_complex"])
    })
  }

  it("leaves the parser as good as new, however often", async () => {
    const text = "SELECT a, b FROM t WHERE x IN (1, 2) ORDER BY 1"
    const wanted = JSON.stringify(parseText(text))
    for (let round = 0; round < 100; round += 1) {
      throws(() => parseText(deepTexts.get("1+1+...") ?? ""))
      // The next instance is made in microtasks; statements arrive by events.
      await new Promise(setImmediate)
      equal(JSON.stringify(parseText(text)), wanted)
    }
  })

  it("recovers although several come in one synchronous stretch", async () => {
    for (let round = 0; round < 5; round += 1) throws(() => parseText(deepTexts.get("UNION") ?? ""))
    await new Promise(setImmediate)
    equal(parseText("SELECT 1").length, 1)
  })
})

it("ordinary depth is taken: 900 terms, 900 unions, 250 sub-queries, 10,000 conditions", () => {
  for (const text of [
    `SELECT 1${"+1".repeat(900)}`,
    `SELECT 1${" UNION SELECT 1".repeat(900)}`,
    `SELECT ${"(SELECT ".repeat(250)}1${")".repeat(250)}`,
    `SELECT true${" AND true".repeat(10_000)}`,
  ]) {
    equal(parseText(text)[0]?.class.kind, "read")
  }
})

it("whatever text comes in, statements or a typed error come out", () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      ..."SELECT|FROM|(|)|'|\"|$$|--|/*|;|,|E'|U&'|\\|\u200b|\0|1|.|::|WITH|AS".split("|"),
    ),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const text = pieces.join(" ")
      try {
        for (const statement of parseText(text)) ok(text.includes(statement.text))
      } catch (thrown) {
        ok(thrown instanceof GatewayError, String(thrown))
        ok(["42601", "22021", "0A000", "54001", "42P20"].includes(thrown.sqlState))
      }
    }),
    { numRuns: 500 },
  )
})

describe("the corpora", () => {
  it("hold only statements that parse and are classified, but for two that PostgreSQL rejects too", () => {
    const kinds = new Map<string, number>()
    const rejected: string[] = []
    for (const text of corpusTexts()) {
      try {
        for (const { class: found } of parseText(text)) {
          kinds.set(found.kind, (kinds.get(found.kind) ?? 0) + 1)
        }
      } catch (thrown) {
        ok(thrown instanceof GatewayError)
        rejected.push(`${thrown.sqlState} ${thrown.message}`)
      }
    }
    const atParenthesis = '42601 syntax error at or near ")"'
    deepEqual(rejected, [atParenthesis, atParenthesis])
    ok((kinds.get("read") ?? 0) > 300, JSON.stringify([...kinds]))
    equal(kinds.get("empty"), undefined)
  })

  for (const item of corpus("adversarial_sql.json")) {
    it(`adversarial ${item.name ?? ""}: ${item.kind ?? ""}`, () => checkAdversarial(item))
  }
})

/** A write is no read, unless it is one by a function's doing, which is then reported by name; a read hides no table. */
function checkAdversarial(item: Item): void {
  if (item.ok === false) {
    equal(errorOf(item.sql).sqlState, "42601")
    return
  }
  const found = parseText(item.sql).map((statement) => statement.class)
  const reads = found.filter((one) => one.kind === "read")
  if (item.kind === "write" && reads.length === found.length) {
    ok(
      reads.some((read) => read.traits.functions.length > 0),
      "a write was taken for a read",
    )
  }
  if (item.kind !== "read") return
  const relations = new Set(
    found.flatMap((one) =>
      one.kind === "read" || one.kind === "explain" ? one.traits.relations.flatMap(namesOf) : [],
    ),
  )
  for (const table of item.tables ?? []) ok(relations.has(table), `${table} was not found`)
}

function namesOf({ catalog, schema, name }: RelationRef): string[] {
  return [name, `${schema ?? ""}.${name}`, `${catalog ?? ""}.${schema ?? ""}.${name}`]
}
