import { equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { array, assert as check, constantFrom, property } from "fast-check"
import { matchesGlob, plainSpelling, relationMatchesGlob } from "../../../src/cache/glob.ts"
import { jitteredTtlMs, TtlClasses } from "../../../src/cache/ttl-classes.ts"
import { type RelationName, relationName } from "../../../src/core/relation.ts"
import { keyOf } from "./entries.ts"

const globs: readonly (readonly [string, string, boolean])[] = [
  ["marts.daily", "marts.daily", true],
  ["marts.daily", "marts.daily2", false],
  ["marts.*", "marts.daily", true],
  ["marts.*", "marts.", true],
  ["marts.*", "mart.daily", false],
  ["*", "", true],
  ["*", "a.b", true],
  ["*.orders", "s.orders", true],
  ["*.orders", "s.orders_old", false],
  ["marts.daily_?", "marts.daily_1", true],
  ["marts.daily_?", "marts.daily_", false],
  ["?", "", false],
  ["a*b*c", "a-b-b-c", true],
  ["a*b*c", "a-c-b", false],
  ["**", "x", true],
  ["*?*", "x", true],
  ["*?*", "", false],
  ["", "", true],
  ["", "a", false],
  ["a.b", "axb", false],
  ["[ab]", "a", false],
  ["Marts.*", "marts.daily", false],
]
for (const [pattern, text, expected] of globs)
  it(`the pattern ${JSON.stringify(pattern)} ${expected ? "matches" : "does not match"} ${JSON.stringify(text)}`, () => {
    equal(matchesGlob(pattern, text), expected)
  })

const textOf = (letters: string[]) =>
  array(constantFrom(...letters), { maxLength: 8 }).map((list) => list.join(""))

it("matching agrees with the definition by recursion", () => {
  const define = (pattern: string, text: string): boolean => {
    if (pattern === "") return text === ""
    const rest = pattern.slice(1)
    if (pattern.startsWith("*"))
      return define(rest, text) || (text !== "" && define(pattern, text.slice(1)))
    return (
      text !== "" && (pattern[0] === "?" || pattern[0] === text[0]) && define(rest, text.slice(1))
    )
  }
  check(
    property(textOf(["a", "b", "*", "?"]), textOf(["a", "b"]), (pattern, text) => {
      equal(matchesGlob(pattern, text), define(pattern, text))
    }),
    { numRuns: 3_000 },
  )
})

it("a pattern full of stars against a long name takes no exponential time", () => {
  equal(matchesGlob(`${"*a".repeat(60)}b`, "a".repeat(1_000)), false)
})

it("patterns are written without the quotes that names need", () => {
  const odd = relationName("Sales", 'a "b".c')
  equal(plainSpelling(odd), 'Sales.a "b".c')
  ok(relationMatchesGlob("Sales.*", odd))
  ok(!relationMatchesGlob("sales.*", odd))
})

const classes = new TtlClasses(
  [
    { pattern: "live.*", ttlMs: 0 },
    { pattern: "ops.tickets", ttlMs: 5_000 },
    { pattern: "ops.*", ttlMs: 60_000 },
  ],
  3_600_000,
)
const ttls: readonly (readonly [string[], number])[] = [
  [[], 3_600_000],
  [["other.t"], 3_600_000],
  [["ops.x"], 60_000],
  [["ops.tickets"], 5_000],
  [["ops.x", "ops.tickets", "other.t"], 5_000],
  [["other.t", "live.now"], 0],
]
for (const [names, ttlMs] of ttls)
  it(`the TTL over ${names.join(", ") || "no relation"} is ${ttlMs} ms`, () => {
    equal(classes.ttlMs(names as RelationName[]), ttlMs)
    equal(classes.ttlMs(names as RelationName[]), ttlMs, "from the memo too")
  })

it("jitter is the same for one key, never lengthens a TTL and shortens it by a tenth at most", () => {
  const values = Array.from({ length: 1_000 }, (_, n) => jitteredTtlMs(1_000, keyOf(`${n}`).digest))
  ok(values.every((value) => value <= 1_000 && value > 900))
  ok(Math.max(...values) - Math.min(...values) > 80, "keys are spread")
  equal(jitteredTtlMs(1_000, keyOf("7").digest), values[7])
  equal(jitteredTtlMs(1_000, "0".repeat(64)), 1_000)
})

it("the shortest time bucket counts: a class's own, or what holds for relations whose class names none", () => {
  const bucketed = new TtlClasses(
    [
      { pattern: "live.*", ttlMs: 10_000, timeBucketMs: 0 },
      { pattern: "hourly.*", ttlMs: 3_600_000, timeBucketMs: 3_600_000 },
      { pattern: "marts.*", ttlMs: 60_000 },
    ],
    1_000,
  )
  const [live, hourly, marts, other] = ["live", "hourly", "marts", "other"].map((schema) =>
    relationName(schema, "t"),
  ) as [RelationName, RelationName, RelationName, RelationName]
  const cases: readonly (readonly [
    relations: RelationName[],
    otherwise: number,
    expected: number,
  ])[] = [
    [[], 5_000, 5_000],
    [[marts], 5_000, 5_000],
    [[other], 0, 0],
    [[hourly], 0, 3_600_000],
    [[hourly, marts], 5_000, 5_000],
    [[hourly, marts], 0, 0],
    [[hourly, live], 5_000, 0],
  ]
  for (const [relations, otherwise, expected] of cases)
    equal(bucketed.timeBucketMs(relations, otherwise), expected, relations.join())
})

it("times past the TTL are the least ones of the relations, and none where a class or the default gives none", () => {
  const late = new TtlClasses(
    [
      { pattern: "a.*", ttlMs: 1, staleWhileRevalidateMs: 50, staleIfErrorMs: 900 },
      { pattern: "b.*", ttlMs: 1, staleWhileRevalidateMs: 70 },
    ],
    3_600_000,
  )
  const [a, b, c] = ["a.t", "b.t", "c.t"] as [RelationName, RelationName, RelationName]
  equal(late.staleWhileRevalidateMs([a, b]), 50)
  equal(late.staleIfErrorMs([a]), 900)
  equal(late.staleIfErrorMs([a, b]), 0)
  equal(late.staleWhileRevalidateMs([b, c]), 0)
  equal(late.staleWhileRevalidateMs([]), 0)
  equal(late.keepMs([a]), 900)
  equal(late.keepMs([b]), 70)
})
