import { equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import * as fc from "fast-check"
import { canonicalForm } from "../../../src/sql/canonical.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { scanTokens } from "../../../src/sql/parser-instance.ts"
import { readCases } from "../../support/cases.ts"
import { corpusReads } from "./corpora.ts"

function digest(text: string | undefined): string {
  return parseText(text ?? "")[0]?.canonical ?? ""
}

before(loadParser)

describe("two texts", () => {
  for (const item of readCases("test/cases/sql/canonical.case")) {
    it(`canonical.case:${item.line} ${item.input.replaceAll("\n", " ")}`, () => {
      const [left, right] = item.input.split("\n~~\n")
      equal(digest(left) === digest(right) ? "same" : "different", item.expected)
    })
  }
})

it("the canonical form holds no location", () => {
  const [statement] = parseText(
    "SELECT ARRAY[a], b IN (1, 2), c::int FROM JSON_TABLE(x, '$' COLUMNS (d int)) j",
  )
  equal(/location|list_start|list_end/.test(canonicalForm(statement?.ast ?? {})), false)
})

it("the canonical form of a whole text equals that of the statement alone", () => {
  const [, second] = parseText("SELECT 'ä'; SELECT a FROM t WHERE b IN (1, 2)")
  equal(second?.canonical, digest("SELECT a FROM t WHERE b IN (1, 2)"))
  equal(second?.offset, 12)
})

const spacing = fc.constantFrom(
  " ",
  "\n",
  "\t",
  " /* c */ ",
  " -- c\n",
  "/* a /* b */ */ ",
  "\r\n\f",
)

/** The text with other white space and comments between its tokens, and keywords in another case. */
function respaced(text: string, spaces: readonly string[]): string {
  const bytes = Buffer.from(text)
  let out = ""
  let end = 0
  for (const [index, token] of scanTokens(text).entries()) {
    const isComment = /^(--|\/\*)/.test(token.text)
    if (isComment) {
      end = token.end
      continue
    }
    // A gap only where there was one: `a.b` and `::` take spaces, but a string's continuation depends on them.
    const gap =
      token.start > end || isSeparated(text, end) ? (spaces[index % spaces.length] ?? " ") : ""
    const word = bytes.toString("utf8", token.start, token.end)
    out += gap + (token.keywordKind === 4 ? word.toUpperCase() : word)
    end = token.end
  }
  return out
}

function isSeparated(text: string, end: number): boolean {
  return /\s/.test(Buffer.from(text).toString("utf8", end, end + 1))
}

it("white space, comments and the case of keywords change no key", () => {
  const reads = corpusReads().filter((text) => !/'\s*\n\s*'/.test(text))
  fc.assert(
    fc.property(
      fc.constantFrom(...reads),
      fc.array(spacing, { minLength: 1, maxLength: 9 }),
      (text, spaces) => {
        equal(digest(respaced(text, spaces)), digest(text))
      },
    ),
    { numRuns: 300 },
  )
})

it("another constant, name or order is another key", () => {
  const seen = new Map<string, string>()
  fc.assert(
    fc.property(fc.integer(), fc.string({ unit: "grapheme" }), (number, text) => {
      const safe = text.replaceAll("\0", "").replaceAll("'", "''")
      if (!safe.isWellFormed()) return
      const sql = `SELECT ${number}, '${safe}'`
      const key = digest(sql)
      equal(seen.get(key) ?? sql, sql)
      seen.set(key, sql)
    }),
  )
})
