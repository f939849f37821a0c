import { deepEqual, equal, ok, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { claimLiteral, readClaimType } from "../../../src/policy/claim-types.ts"
import { bindExpression, readExpression } from "../../../src/policy/expression.ts"
import { foreignName } from "../../../src/policy/expression-scope.ts"
import { loadParser, parseTrees } from "../../../src/sql/parser.ts"
import { sameTree } from "../../../src/sql/tree.ts"

function literal(value: unknown, type: string) {
  const claimType = readClaimType(type)
  if (claimType === undefined) throw new Error(`no type ${type}`)
  return claimLiteral(value, claimType)
}

describe("claims as literals", () => {
  before(loadParser)

  const good: readonly (readonly [value: unknown, type: string, text: string])[] = [
    ["x' OR '1'='1", "text", "'x'' OR ''1''=''1'::text"],
    ["back\\slash", "text", "'back\\slash'::text"],
    ["", "text", "''::text"],
    ["😀", "text", "'😀'::text"],
    [7, "int8", "'7'::bigint"],
    ["-7", "int8", "'-7'::bigint"],
    ["9223372036854775807", "int8", "'9223372036854775807'::bigint"],
    ["1.50", "numeric", "'1.50'::numeric"],
    [true, "bool", "'true'::boolean"],
    [
      "00000000-0000-0000-0000-000000000001",
      "uuid",
      "'00000000-0000-0000-0000-000000000001'::uuid",
    ],
    ["2026-01-31", "date", "'2026-01-31'::date"],
    ["2026-01-31T10:00:00Z", "timestamptz", "'2026-01-31T10:00:00Z'::timestamp with time zone"],
    [["a", "b'"], "text[]", "ARRAY['a', 'b''']::text[]"],
    [[], "int8[]", "ARRAY[]::bigint[]"],
  ]
  for (const [value, type, text] of good)
    it(`${JSON.stringify(value)} is a ${type}`, () => {
      const made = literal(value, type)
      equal(made?.text, text)
      const [tree] = parseTrees(`SELECT ${text}`)
      ok(
        sameTree(tree, {
          SelectStmt: {
            targetList: [{ ResTarget: { val: made?.ast } }],
            limitOption: "LIMIT_OPTION_DEFAULT",
            op: "SETOP_NONE",
          },
        }),
      )
    })

  const bad: readonly (readonly [value: unknown, type: string])[] = [
    [undefined, "text"],
    [null, "text"],
    [1, "text"],
    [{ a: 1 }, "text"],
    [["a"], "text"],
    ["a\0b", "text"],
    ["\ud800", "text"],
    ["x".repeat(5_000), "text"],
    ["1 OR 1=1", "int8"],
    [1.5, "int8"],
    ["9223372036854775808", "int8"],
    [2 ** 60, "int8"],
    ["1e5", "numeric"],
    [Number.NaN, "numeric"],
    ["true", "bool"],
    ["today", "date"],
    ["now", "timestamptz"],
    ["not-a-uuid", "uuid"],
    ["a", "text[]"],
    [["a", null], "text[]"],
    [["a", ["b"]], "text[]"],
    [Array.from({ length: 1_001 }, () => 1), "int8[]"],
  ]
  for (const [index, [value, type]] of bad.entries())
    it(`value ${index} is no ${type}`, () => equal(literal(value, type), undefined))

  it("other types are none", () => {
    for (const type of ["regclass", "text[][]", "TEXT", "", "int8[3]"])
      equal(readClaimType(type), undefined)
  })
})

describe("expressions of policies", () => {
  before(loadParser)

  it("have their claims bound in tree and text", () => {
    const expression = readExpression("a = :x AND ':x' <> b::text AND c = any(:list) -- :y")
    deepEqual(expression.claims, ["x", "list"])
    const bound = bindExpression(expression, {
      literal: (claim) => (claim === "x" ? literal("it's", "text") : literal([1, 2], "int8[]")),
      pinsCalls: true,
    })
    ok("text" in bound)
    equal(
      bound.text,
      "(a = 'it''s'::text AND ':x' <> b::text AND c = any(ARRAY['1', '2']::bigint[]) -- :y\n)",
    )
  })

  it("call PostgreSQL's own functions, behind claims of any length and characters of several bytes", () => {
    const source =
      "lower(:a_long_claim) = 'ä' AND f.length(upper(x)) > 1 AND trim(both from y) = lower(:b)"
    const bound = bindExpression(readExpression(source), {
      literal: () => literal("v", "text"),
      pinsCalls: true,
    })
    ok("text" in bound)
    equal(
      bound.text,
      "(pg_catalog.lower('v'::text) = 'ä' AND f.length(pg_catalog.upper(x)) > 1 AND trim(both from y) = pg_catalog.lower('v'::text)\n)",
    )
    const unpinned = bindExpression(readExpression("lower(x) = 'a'"), {
      literal: () => undefined,
      pinsCalls: false,
    })
    ok("text" in unpinned)
    equal(unpinned.text, "(lower(x) = 'a'\n)")
  })

  it("are not bound when a claim has no value", () => {
    deepEqual(
      bindExpression(readExpression("a = :x"), { literal: () => undefined, pinsCalls: true }),
      { missing: "x" },
    )
  })

  const none = [
    "",
    "a = 1; SELECT 2",
    "a = 1) OR (true",
    "a AS b",
    "a, b",
    "a = $1",
    "SELECT 1",
    "a IN (SELECT org FROM map)",
    "a = current_user",
    "ctid IS NOT NULL",
    "EXISTS (SELECT 1 FROM s.t FOR UPDATE)",
    "a = 1) UNION SELECT (2",
    "a = 1 /* ",
  ]
  for (const source of none)
    it(`${JSON.stringify(source)} is none`, () =>
      throws(() => readExpression(source), { name: "ExpressionProblem" }))
})

describe("names in an expression", () => {
  before(loadParser)
  const columns = {
    table: "t",
    ofTable: new Set(["a", "b"]),
    of: (schema: string, name: string) => (schema === "s" && name === "m" ? ["k", "v"] : undefined),
    fold: (name: string) => name,
  }
  const cases: readonly (readonly [source: string, foreign: string | undefined])[] = [
    ["a = 1 AND t.b = 2", undefined],
    ["c = 1", "c"],
    ["u.a = 1", "u.a"],
    ["k = 1", "k"],
    ["a IN (SELECT k FROM s.m)", undefined],
    ["a IN (SELECT m.k FROM s.m WHERE m.v = b)", undefined],
    ["a IN (SELECT x.k FROM s.m x WHERE x.v = t.b)", undefined],
    ["a IN (SELECT m.k FROM s.m x)", "m.k"],
    ["a IN (SELECT c FROM s.m)", "c"],
    ["EXISTS (SELECT * FROM s.m) AND k = 1", "k"],
    ["a IN (SELECT k FROM s.unknown)", "unknown"],
    ["a IN (SELECT k FROM s.m UNION SELECT z FROM s.m)", "z"],
    ["a IN (WITH w AS (SELECT 1 AS k) SELECT k FROM w, s.m)", "WITH"],
    ["EXISTS (SELECT 1 FROM (SELECT 1 AS z) q)", "RangeSubselect"],
    ["(SELECT count(*) FROM s.m) > a", undefined],
  ]
  for (const [source, foreign] of cases)
    it(`${source}: ${foreign ?? "all are known"}`, () => {
      const [tree] = parseTrees(`SELECT ${source}`)
      const found = foreignName(tree?.["SelectStmt"], columns)
      equal(found, foreign)
    })
})
