import { equal, notEqual, ok } from "node:assert/strict"
import { it } from "node:test"
import {
  type Arbitrary,
  string as anyString,
  array,
  assert as check,
  constantFrom,
  nat,
  oneof,
  option,
  property,
  record,
} from "fast-check"
import { type CacheKeyParts, cacheKey, completeKey, keyBase } from "../../../src/cache/key.ts"
import type { FormatCode, Parameters } from "../../../src/core/parameters.ts"

const base: CacheKeyParts = {
  warehouse: "main",
  origin: "db-1",
  canonical: "c".repeat(64),
  scope: "analyst/7",
  resolution: "v1",
  settingsDigest: "s1",
  rowLimit: 0,
  dateBucket: undefined,
  parameters: { types: [], formats: [], values: [] },
  resultFormats: [],
  vector: { text: "e|t1", epoch: "e", fences: [] },
}

function withParameters(...values: (string | null)[]): CacheKeyParts {
  const bytes = values.map((value) => (value === null ? null : Buffer.from(value)))
  return { ...base, parameters: { types: [], formats: values.map(() => 0), values: bytes } }
}

function typed(types: number[], formats: FormatCode[], ...values: string[]): CacheKeyParts {
  return {
    ...base,
    parameters: { types, formats, values: values.map((text) => Buffer.from(text)) },
  }
}

/** Pairs that a key made by joining, or one that forgot a part, would take for the same. */
const different: readonly (readonly [string, CacheKeyParts, CacheKeyParts])[] = [
  [
    "a colon moves between parts",
    { ...base, origin: "a", canonical: "b:c" },
    { ...base, origin: "a:b", canonical: "c" },
  ],
  [
    "a length prefix moves between parts",
    { ...base, origin: "a", canonical: "1:b" },
    { ...base, origin: "a1:", canonical: "b" },
  ],
  [
    "a part is empty",
    { ...base, origin: "", canonical: "x" },
    { ...base, origin: "x", canonical: "" },
  ],
  ["warehouse", base, { ...base, warehouse: "other" }],
  ["origin", base, { ...base, origin: "db-2" }],
  ["canonical form", base, { ...base, canonical: "d".repeat(64) }],
  ["scope", base, { ...base, scope: "analyst/8" }],
  ["what names mean", base, { ...base, resolution: "v2" }],
  ["settings", base, { ...base, settingsDigest: "s2" }],
  ["row limit", base, { ...base, rowLimit: 10 }],
  ["date bucket", base, { ...base, dateBucket: "2026-01-02" }],
  ["no date bucket and an empty one", base, { ...base, dateBucket: "" }],
  ["no date bucket and a dash", base, { ...base, dateBucket: "-" }],
  ["tokens", base, { ...base, vector: { ...base.vector, text: "e|t2" } }],
  ["text and binary results", base, { ...base, resultFormats: [1] }],
  [
    "one binary column of two",
    { ...base, resultFormats: [0, 1] },
    { ...base, resultFormats: [1, 0] },
  ],
  ["a format for one column and for all", base, { ...base, resultFormats: [0, 0] }],
  ["NULL and the empty string", withParameters(null), withParameters("")],
  ["no parameter and NULL", base, withParameters(null)],
  ["one parameter and two", withParameters("ab"), withParameters("a", "b")],
  ["where two values part", withParameters("a", "b:c"), withParameters("a:b", "c")],
  ["a value that spells another's encoding", withParameters("av01:b"), withParameters("a", "b")],
  ["order of values", withParameters("a", "b"), withParameters("b", "a")],
  ["text and binary parameters", typed([], [0], "1234"), typed([], [1], "1234")],
  ["declared types", typed([23], [0], "1"), typed([25], [0], "1")],
  ["a declared and an undeclared type", typed([], [0], "1"), typed([23], [0], "1")],
  ["letter case", withParameters("A"), withParameters("a")],
  ["bytes that are no UTF-8", latin1("\xff\xfe"), latin1("\xfe\xff")],
  ["composed and decomposed characters", withParameters("\u00e9"), withParameters("e\u0301")],
]

function latin1(text: string): CacheKeyParts {
  return {
    ...base,
    parameters: { types: [], formats: [0], values: [Buffer.from(text, "latin1")] },
  }
}

for (const [title, left, right] of different)
  it(`two keys differ by ${title}`, () => {
    notEqual(cacheKey(left).material, cacheKey(right).material)
    notEqual(cacheKey(left).digest, cacheKey(right).digest)
  })

const same: readonly (readonly [string, CacheKeyParts, CacheKeyParts])[] = [
  ["nothing", base, { ...base }],
  [
    "fences, which follow from the tokens",
    base,
    { ...base, vector: { ...base.vector, fences: ["0/1"] } },
  ],
  ["one text format for all columns and none given", base, { ...base, resultFormats: [0] }],
]

for (const [title, left, right] of same)
  it(`two keys are one when what differs is ${title}`, () => {
    equal(cacheKey(left).material, cacheKey(right).material)
    equal(cacheKey(left).digest, cacheKey(right).digest)
  })

it("a digest is 64 lower-case hex characters", () => {
  ok(/^[0-9a-f]{64}$/.test(cacheKey(base).digest))
})

it("a statement without parameters has one key object until its tokens change", () => {
  const statement = keyBase(base)
  const first = completeKey(statement, base)
  equal(completeKey(statement, { ...base, resultFormats: [0] }), first)
  const raised = { ...base.vector, text: "e|t2" }
  notEqual(completeKey(statement, { ...base, vector: raised }), first)
  notEqual(completeKey(statement, { ...base, resultFormats: [1] }), first)
  equal(completeKey(statement, base).material, first.material)
  ok(completeKey(statement, base).equals(first))
})

it("keys are equal by material, not by object", () => {
  const parts = withParameters("a")
  ok(cacheKey(parts).equals(cacheKey({ ...parts })))
  ok(!cacheKey(parts).equals(cacheKey(withParameters("b"))))
  ok(!cacheKey(parts).equals(cacheKey({ ...parts, scope: "analyst/8" })))
  equal(cacheKey(parts).lookup, cacheKey({ ...parts }).lookup)
})

it("long parameters and long token lists keep the material short and still tell keys apart", () => {
  const long = "x".repeat(100_000)
  const left = withParameters(long, "a")
  const right = withParameters(`${long}a`, "")
  ok(cacheKey(left).material.length < 1_000)
  notEqual(cacheKey(left).material, cacheKey(right).material)
  const tokens = { ...base.vector, text: long }
  ok(cacheKey({ ...base, vector: tokens }).material.length < 1_000)
  const otherTokens = { ...base.vector, text: `${long}y` }
  notEqual(
    cacheKey({ ...base, vector: tokens }).material,
    cacheKey({ ...base, vector: otherTokens }).material,
  )
})

const tricky = oneof(
  constantFrom("", ":", "0:", "1:", "t1:a", "d64:", "n0", "v0", ",", ";", "-", "+", "\0"),
  anyString({ maxLength: 6 }),
)
const parametersOf: Arbitrary<Parameters> = array(
  record({
    type: constantFrom(0, 20, 23, 25),
    format: constantFrom<FormatCode>(0, 1),
    value: option(tricky.map((text) => Buffer.from(text))),
  }),
  { maxLength: 3 },
).map((items) => ({
  types: items.map((item) => item.type),
  formats: items.map((item) => item.format),
  values: items.map((item) => item.value),
}))
const anyParts: Arbitrary<CacheKeyParts> = record({
  warehouse: tricky,
  origin: tricky,
  canonical: tricky,
  scope: tricky,
  resolution: tricky,
  settingsDigest: tricky,
  rowLimit: nat(3),
  dateBucket: option(tricky, { nil: undefined }),
  parameters: parametersOf,
  resultFormats: array(constantFrom<FormatCode>(0, 1), { maxLength: 3 }),
  vector: tricky.map((text) => ({ text, epoch: "", fences: [] })),
})

/** What the key must tell apart, in an encoding of its own. */
function identity(parts: CacheKeyParts): string {
  const { resultFormats, vector, ...rest } = parts
  const formats = resultFormats.join("") === "0" ? "" : resultFormats.join("")
  return JSON.stringify([rest, rest.dateBucket === undefined, formats, vector.text])
}

it("keys are equal exactly when all their parts are", () => {
  check(
    property(anyParts, anyParts, (left, right) => {
      equal(
        cacheKey(left).material === cacheKey(right).material,
        identity(left) === identity(right),
      )
    }),
    { numRuns: 5_000 },
  )
})

it("changing any one part changes the key", () => {
  const names = Object.keys(base) as (keyof CacheKeyParts)[]
  check(
    property(anyParts, anyParts, constantFrom(...names), (left, other, name) => {
      const right = { ...left, [name]: other[name] }
      equal(
        cacheKey(left).material === cacheKey(right).material,
        identity(left) === identity(right),
      )
    }),
    { numRuns: 5_000 },
  )
})
