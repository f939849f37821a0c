import { equal, match } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { expand } from "../../../src/catalog/expand.ts"
import { resolveRelations } from "../../../src/catalog/resolve.ts"
import type {
  CatalogRelation,
  CatalogSnapshot,
  RelationKind,
  Volatility,
} from "../../../src/core/catalog.ts"
import { type RelationName, relationName } from "../../../src/core/relation.ts"
import { checkRequiredFilters } from "../../../src/policy/guards/required-filter.ts"
import type { Refusal } from "../../../src/policy/judge.ts"
import type { RequiredFilter } from "../../../src/policy/relation-policy.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { proven, refused } from "./required-filter-cases.ts"

type Described = {
  readonly kind?: RelationKind
  readonly columns?: readonly string[] | undefined
  readonly of?: readonly string[]
  readonly definition?: string
}

/** `t` is the guarded one; `u` and `plain` are not, and their columns are not known, as those of most relations. */
const described: Readonly<Record<string, Described>> = {
  t: { columns: ["id", "day", "tenant", "amount"] },
  t2: { columns: ["id", "day", "tenant"] },
  u: {},
  plain: {},
  part: { kind: "partitioned_table", columns: ["id", "day"], of: ["part_1"] },
  part_1: {},
  copy: { kind: "materialized_view", columns: ["day"] },
  v: { kind: "view", of: ["t"], definition: "SELECT t.id, t.day AS d FROM s.t" },
  v_week: {
    kind: "view",
    of: ["t"],
    definition: "SELECT t.id FROM s.t WHERE t.day >= (CURRENT_DATE - 7) AND t.day <= CURRENT_DATE",
  },
  v_deep: { kind: "view", of: ["v"], definition: "SELECT v.d AS when_ FROM s.v" },
  v_count: {
    kind: "view",
    of: ["t"],
    definition: "SELECT t.day, count(*) AS n FROM s.t GROUP BY t.day",
  },
  v_ranked: {
    kind: "view",
    of: ["t"],
    definition: "SELECT t.day, row_number() OVER (ORDER BY t.id) AS n FROM s.t",
  },
  v_1: { kind: "view", of: ["t"], definition: "SELECT a.day FROM s.t a, s.t b" },
  ...Object.fromEntries(
    Array.from({ length: 8 }, (_, index) => [
      `v_${index + 2}`,
      {
        kind: "view",
        of: [`v_${index + 1}`],
        definition: `SELECT a.day FROM s.v_${index + 1} a, s.v_${index + 1} b`,
      },
    ]),
  ),
  v_dark: { kind: "view", of: ["t"] },
  v_plain: { kind: "view", of: ["u"], definition: "SELECT u.day FROM s.u" },
}

function named(name: string, volatility: Volatility): readonly [string, Volatility] {
  return [relationName("pg_catalog", name), volatility]
}

function snapshot(foldsCase = false): CatalogSnapshot {
  const relations = new Map<RelationName, CatalogRelation>()
  for (const [relation, parts] of Object.entries(described)) {
    const name = relationName("s", relation)
    relations.set(name, {
      name,
      schema: "s",
      relation,
      kind: parts.kind ?? "table",
      dependsOn: (parts.of ?? []).map((source) => relationName("s", source)),
      volatileDefinition: false,
      columns: parts.columns,
      definition: parts.definition,
    })
  }
  return {
    relations,
    functions: new Map([
      named("random", "volatile"),
      named("make_date", "immutable"),
      named("pg_sleep", "volatile"),
    ]),
    implicitSchemas: ["pg_catalog"],
    foldsCase,
    userOperators: new Set(),
    version: "1",
  }
}

const range: RequiredFilter = {
  schema: "s",
  relation: "t",
  column: "day",
  kind: "range",
  ends: "both",
  example: undefined,
}
const filters = [range, { ...range, relation: "part" }]

function check(sql: string, required = filters, foldsCase = false): Refusal | undefined {
  const [statement] = parseText(sql)
  if (statement === undefined) throw new Error("no statement")
  if (statement.class.kind !== "read") throw new Error("no read")
  const scope = { snapshot: snapshot(foldsCase), searchPath: ["s"], database: "db" }
  const { resolved } = resolveRelations(statement.class.traits.relations, scope)
  const expanded = expand(resolved, scope.snapshot).relations
  return checkRequiredFilters(statement.ast, required, { ...scope, expanded })
}

describe("a relation whose readings must be restricted", () => {
  before(loadParser)

  for (const sql of proven) it(`lets through ${sql}`, () => equal(check(sql), undefined))

  for (const sql of refused)
    it(`refuses ${sql}`, () => {
      const refusal = check(sql)
      equal(refusal?.reason, "filter_required")
      equal(refusal?.sqlState, "42501")
    })

  const kinds: readonly (readonly [
    Pick<RequiredFilter, "kind" | "ends">,
    condition: string,
    isEnough: boolean,
  ])[] = [
    [{ kind: "equality", ends: "both" }, "day = 1", true],
    [{ kind: "equality", ends: "both" }, "day IN (1, 2)", true],
    [{ kind: "equality", ends: "both" }, "day BETWEEN 1 AND 2", false],
    [{ kind: "equality", ends: "both" }, "day >= 1 AND day <= 1", false],
    [{ kind: "range", ends: "min" }, "day >= 1", true],
    [{ kind: "range", ends: "min" }, "1 < day", true],
    [{ kind: "range", ends: "min" }, "day <= 1", false],
    [{ kind: "range", ends: "max" }, "day <= 1", true],
    [{ kind: "range", ends: "max" }, "day > 1", false],
    [{ kind: "range", ends: "max" }, "day = 1", true],
  ]
  for (const [filter, condition, isEnough] of kinds)
    it(`${filter.kind} with ends ${filter.ends}: ${condition} is ${isEnough ? "" : "not "}enough`, () => {
      const refusal = check(`SELECT * FROM t WHERE ${condition}`, [{ ...range, ...filter }])
      equal(refusal === undefined, isEnough)
    })

  it("several relations are each held to their own", () => {
    const both = [range, { ...range, relation: "t2", column: "tenant" }]
    const only = "SELECT * FROM t, t2 WHERE t.day = '2026-01-01'"
    match(check(only, both)?.message ?? "", /s\.t2 must be restricted on column "tenant"/)
    equal(check(`${only} AND t2.tenant = 3`, both), undefined)
  })

  it("a message names relation and column, and the hint shows a condition", () => {
    const refusal = check("SELECT * FROM t")
    equal(refusal?.message, 's.t must be restricted on column "day"')
    match(refusal?.hint ?? "", /WHERE day >= '\.\.\.' AND day < '\.\.\.'/)
    const own = check("SELECT * FROM t", [{ ...range, example: "day >= current_date - 7" }])
    match(own?.hint ?? "", /WHERE day >= current_date - 7\.$/)
    match(check("SELECT * FROM v_deep")?.message ?? "", /s\.t \(read through the view v_deep\)/)
  })

  it("views that double at each step are followed so far and no further", () => {
    match(check("SELECT day FROM v_5")?.message ?? "", /s\.t \(read through the view v_5\)/)
    match(check("SELECT day FROM v_9")?.hint ?? "", /definition cannot be followed/)
  })

  it("a column that the relation has not refuses everything", () => {
    const refusal = check("SELECT * FROM t WHERE dya = 1", [{ ...range, column: "dya" }])
    equal(refusal?.reason, "policy_unfit")
  })

  it("an engine that folds names finds the column in any case", () => {
    equal(check(`SELECT * FROM "T" WHERE "DAY" = '2026-01-01'`, filters, true), undefined)
    equal(check(`SELECT * FROM (SELECT "Day" FROM t) x WHERE x.DAY = 1`, filters, true), undefined)
    equal(check("SELECT * FROM t WHERE tenant = 'DAY'", filters, true)?.reason, "filter_required")
  })
})
