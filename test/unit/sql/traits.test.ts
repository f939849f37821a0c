import { deepEqual, equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { RelationRef } from "../../../src/core/relation.ts"
import type { ReadTraits } from "../../../src/core/statement.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { looksLikeTimeLiteral } from "../../../src/sql/time-literal.ts"
import { readCases } from "../../support/cases.ts"

function traitsOf(text: string): ReadTraits {
  const found = parseText(text)[0]?.class
  if (found?.kind === "read" || found?.kind === "explain") return found.traits
  if (found?.kind === "cursor" && found.query.class.kind === "read") return found.query.class.traits
  throw new Error(`no read: ${found?.kind}`)
}

const plain = /^[a-z_][a-z0-9_]*$/

function showRelation({ catalog, schema, name }: RelationRef): string {
  return [catalog, schema, name]
    .filter((part) => part !== undefined)
    .map((part) => (plain.test(part) ? part : `"${part}"`))
    .join(".")
}

function showTraits(traits: ReadTraits): string {
  const calls = traits.functions.map(
    ({ schema, name, argumentCount }) =>
      `${schema === undefined ? "" : `${schema}.`}${name}/${argumentCount}`,
  )
  return [
    calls.length === 0 ? "" : `functions ${calls.join(" ")}`,
    traits.operators.length === 0 ? "" : `operators ${traits.operators.join(" ")}`,
    traits.usesCurrentDate ? "date" : "",
    traits.usesCurrentTime ? "clock" : "",
    traits.usesTimeLiteral ? "time literal" : "",
    traits.usesSessionFact ? "session" : "",
    traits.usesSystemColumn ? "system" : "",
    traits.usesTableSample ? "sample" : "",
    traits.parameterCount === 0 ? "" : `$${traits.parameterCount}`,
  ]
    .filter((part) => part !== "")
    .join("\n")
}

before(loadParser)

describe("relations of a read", () => {
  for (const item of readCases("test/cases/sql/relations.case")) {
    it(`relations.case:${item.line} ${item.input}`, () => {
      const names = traitsOf(item.input).relations.map(showRelation)
      deepEqual(names.toSorted().join(", "), item.expected.split(", ").toSorted().join(", "))
    })
  }
})

describe("traits of a read", () => {
  for (const item of readCases("test/cases/sql/traits.case")) {
    it(`traits.case:${item.line} ${item.input}`, () => {
      equal(showTraits(traitsOf(item.input)), item.expected)
    })
  }
})

it("names behind a dot are reported, because they may call functions", () => {
  deepEqual(traitsOf("SELECT t.f, (t).g, (f(x)).h, a, t.* FROM t").attributes, ["f", "g", "h"])
})

it("type names are reported as written", () => {
  const { types } = traitsOf("SELECT a::int, b::my_type[], c::s.t, f(d) FROM g() AS g(x u)")
  deepEqual(types.toSorted(), ["my_type", "pg_catalog.int4", "s.t", "u"])
})

it("an identifier above 63 bytes is cut at a character, as PostgreSQL cuts it", () => {
  const [relation] = traitsOf(`SELECT * FROM ${"aäöü".repeat(13)}`).relations
  equal(relation?.name, "aäöü".repeat(9))
  equal(Buffer.byteLength(relation?.name ?? ""), 63)
})

describe("a text that date input reads as relative", () => {
  for (const text of [
    "now",
    "NOW",
    " today ",
    "Tomorrow 12:00",
    "{yesterday}",
    "[now,)",
    "today1",
  ]) {
    it(`${text} is one`, () => equal(looksLikeTimeLiteral(text), true))
    it(`${text} as bytes is one`, () => equal(looksLikeTimeLiteral(Buffer.from(text)), true))
  }
  for (const text of [
    "unknown",
    "snow",
    "epoch",
    "infinity",
    "allballs",
    "nowhere",
    "2024-01-01",
    "",
  ]) {
    it(`${text} is none`, () => equal(looksLikeTimeLiteral(text), false))
  }
})
