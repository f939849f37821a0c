import { deepEqual, equal, notEqual, throws } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { Statement } from "../../../src/core/statement.ts"
import { claimsOfRows, LookupProblem, type LookupRow } from "../../../src/pipeline/lookup-claims.ts"
import { onWarehouse } from "../../../src/pipeline/place.ts"
import {
  askedUnchanged,
  type Plan,
  PlanMemo,
  RewrittenStatement,
} from "../../../src/pipeline/plan-memo.ts"
import { arrayElements, claimFromText } from "../../../src/pipeline/text-values.ts"
import { WantedRelations } from "../../../src/pipeline/wanted-relations.ts"
import type { ClaimLookup } from "../../../src/policy/claim-lookup.ts"
import { readLookup } from "../../../src/policy/claim-lookup.ts"
import { readClaimType } from "../../../src/policy/claim-types.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"

const lookup = (rows: "one" | "many", ...columns: string[]): ClaimLookup =>
  ({ columns, rows }) as unknown as ClaimLookup

const parsedOne = (text: string): Statement => {
  const [only] = parseText(text)
  if (only === undefined) throw new Error("no statement")
  return only
}

const planOf = (asked: Plan["asked"]): Plan => ({
  verdict: {
    kind: "refused",
    sqlState: "42501",
    reason: "claim_missing",
    message: "",
    hint: undefined,
  },
  place: onWarehouse,
  traits: undefined,
  hasUnknown: false,
  hidesNames: false,
  unread: [],
  cacheability: { kind: "bypass", reason: "not_a_read", needsTransaction: false },
  relations: [],
  resolution: "",
  ttlMs: 0,
  timeBucketMs: 0,
  bases: new Map(),
  asked,
  emitted: undefined,
})

describe("arrays as PostgreSQL writes them", () => {
  const cases: readonly (readonly [
    text: string,
    elements: readonly (string | null)[] | undefined,
  ])[] = [
    ["{}", []],
    ["{a,b}", ["a", "b"]],
    ['{NULL,"NULL",null}', [null, "NULL", "null"]],
    ['{"a b","c,d","e\\"f","g\\\\h",""}', ["a b", "c,d", 'e"f', "g\\h", ""]],
    ["{1,-2}", ["1", "-2"]],
    ["", undefined],
    ["a,b", undefined],
    ["{a", undefined],
    ["{a,}", undefined],
    ["{,a}", undefined],
    ["{{a},{b}}", undefined],
    ["[2:3]={a,b}", undefined],
    ['{"a"b}', undefined],
    ['{"a}', undefined],
  ]
  for (const [text, elements] of cases)
    it(`${text} has ${JSON.stringify(elements)}`, () => deepEqual(arrayElements(text), elements))
})

describe("values of a look-up", () => {
  const types = new Map(
    Object.entries({
      org: "int8",
      ok: "bool",
      at: "timestamptz",
      orgs: "int8[]",
      words: "text[]",
    }).flatMap(([name, type]) => {
      const read = readClaimType(type)
      return read === undefined ? [] : [[name, read] as const]
    }),
  )

  const cases: readonly (readonly [ClaimLookup, readonly LookupRow[], object])[] = [
    [lookup("one", "org", "ok"), [["7", "t"]], { org: "7", ok: true }],
    [lookup("one", "org", "ok"), [["7", null]], { org: "7" }],
    [lookup("one", "org"), [], {}],
    [lookup("one", "orgs"), [["{1,2}"]], { orgs: ["1", "2"] }],
    [lookup("one", "orgs"), [["{1,NULL}"]], { orgs: ["1", null] }],
    [lookup("one", "orgs"), [["5"]], {}],
    [lookup("one", "at"), [["2026-01-31 10:00:00+00"]], { at: "2026-01-31T10:00:00+00:00" }],
    [
      lookup("many", "orgs", "words"),
      [
        ["1", "a"],
        ["2", null],
        ["1", "b"],
      ],
      { orgs: ["1", "2"], words: ["a", "b"] },
    ],
    [lookup("many", "orgs"), [], {}],
    [lookup("many", "orgs"), [[null]], { orgs: [] }],
  ]
  for (const [given, rows, claims] of cases)
    it(`${given.rows} ${given.columns.join()} of ${JSON.stringify(rows)} are ${JSON.stringify(claims)}`, () =>
      deepEqual(claimsOfRows(rows, given, types), claims))

  it("several rows for one user are a problem where one was promised", () => {
    throws(() => claimsOfRows([["1"], ["2"]], lookup("one", "org"), types), LookupProblem)
  })

  it("what is no value of its type is left to the type to refuse", () => {
    equal(claimFromText("maybe", "bool"), "maybe")
    equal(claimFromText("infinity", "timestamptz"), "infinity")
    equal(
      claimFromText("2026-01-31 10:00:00.5-03:30", "timestamptz"),
      "2026-01-31T10:00:00.5-03:30",
    )
  })
})

describe("the query of claimsFrom", () => {
  before(loadParser)

  it("binds the user and tells its relations and columns", () => {
    const { statement, relations, columns } = readLookup(
      "SELECT m.org_id, array_agg(m.region) AS regions FROM sales.org_map m WHERE m.login = :user GROUP BY 1",
    )
    equal(statement.text.includes("$1::text"), true)
    deepEqual(
      relations.map(({ schema, name }) => `${schema}.${name}`),
      ["sales.org_map"],
    )
    deepEqual(columns, ["org_id", "regions"])
  })

  const bad: readonly string[] = [
    "SELECT org_id FROM sales.org_map",
    "SELECT org_id FROM org_map WHERE login = :user",
    "SELECT org_id FROM sales.org_map WHERE login = :login",
    "SELECT org_id FROM sales.org_map WHERE login = $1",
    "SELECT org_id FROM sales.org_map WHERE login = :user; SELECT 1",
    "SELECT count(*) FROM sales.org_map WHERE login = :user",
    "SELECT * FROM sales.org_map WHERE login = :user",
    "SELECT org_id, org_id FROM sales.org_map WHERE login = :user",
    "SELECT org_id FROM sales.org_map WHERE login = :user UNION SELECT 1",
    "SELECT org_id FROM sales.org_map WHERE login = :user OR login = current_user",
    "DELETE FROM sales.org_map WHERE login = :user RETURNING org_id",
    "SELECT :user AS org_id",
    "SELECT org_id FROM",
  ]
  for (const source of bad)
    it(`is not ${source}`, () => throws(() => readLookup(source), { name: "ExpressionProblem" }))
})

describe("plans in memory", () => {
  before(loadParser)

  it("stay while they are asked for, and go when others have filled the room", () => {
    const memo = new PlanMemo(20 * 2_000)
    const asked = parsedOne("select 1")
    const plan = planOf(askedUnchanged(asked))
    memo.set(asked, "hot", plan)
    memo.set(asked, "cold", plan)
    for (let other = 0; other < 100; other += 1) {
      memo.set(asked, `other ${other}`, plan)
      equal(memo.get(asked, "hot"), plan)
    }
    equal(memo.get(asked, "cold"), undefined)
    equal(memo.get(asked, "other 99"), plan)
    equal(memo.get(asked, "other 1"), undefined)
  })

  it("1,000 sets of claims for one statement are all kept", () => {
    const memo = new PlanMemo()
    const asked = parsedOne("select 1")
    for (let id = 0; id < 1_000; id += 1) memo.set(asked, String(id), planOf(askedUnchanged(asked)))
    for (let id = 0; id < 1_000; id += 1) notEqual(memo.get(asked, String(id)), undefined)
  })

  it("a rewritten statement is the same after its tree was let go", () => {
    const text = "select a from (select a from s.t where x = 'ü'::text offset 0) as t"
    const governed = { applied: [], clientPosition: () => undefined }
    const original = parsedOne(text)
    const kept = new RewrittenStatement(original, governed)
    equal(kept.statement, original)
    equal(kept.canonical, original.canonical)
    equal(kept.bytes, 2 * text.length)
  })
})

describe("relations that statements need", () => {
  it("are asked for once, and up to a bound", () => {
    const wanted = new WantedRelations()
    equal(wanted.add([{ schema: "s", relation: "a" }]), true)
    equal(wanted.add([{ schema: "s", relation: "a" }]), false)
    for (let index = 0; index < 20_000; index += 1)
      wanted.add([{ schema: "s", relation: `t${index}` }])
    equal(wanted.all.length, 10_000)
    equal(wanted.add([{ schema: "s", relation: "late" }]), false)
  })
})
