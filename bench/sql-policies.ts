import { expand } from "../src/catalog/expand.ts"
import { resolveRelations } from "../src/catalog/resolve.ts"
import type { CatalogSnapshot } from "../src/core/catalog.ts"
import type { Statement } from "../src/core/statement.ts"
import type { Plan } from "../src/pipeline/plan-memo.ts"
import { PlanMemo } from "../src/pipeline/plan-memo.ts"
import { compilePolicies } from "../src/policy/compile.ts"
import { govern } from "../src/policy/govern.ts"
import { judge } from "../src/policy/judge.ts"
import { Policy } from "../src/policy/policy.ts"
import { parseText } from "../src/sql/parser.ts"
import { catalogRelation, policySnapshot } from "../test/support/policy-snapshot.ts"
import { figure, type Table } from "./lib/report.ts"
import { median } from "./lib/statistics.ts"

/** One catalogue and one policy file. */
export type PolicySize = { readonly relations: number; readonly policies: number }

type World = { readonly snapshot: CatalogSnapshot; readonly policy: Policy }

const role = {
  name: "r",
  relations: { allow: ["*"], deny: [] },
  rowLimit: undefined,
  onExceed: "cut" as const,
  statementTimeoutMs: 0,
  mayCache: true,
  mayWrite: false,
}

const columns = ["id", "tenant_id", "product_id", "sold_at", "amount", "name", "category", "region"]

/** The bench's own two tables are governed in every size; the others stand beside them. */
function worldOf({ relations, policies }: PolicySize): World {
  const names = ["retail.sales", "retail.products", "bench.points"]
  for (let index = names.length; index < relations; index += 1) names.push(`other.t${index}`)
  const rule = {
    rowFilters: [{ name: "own", filter: "tenant_id = :tenant", kind: "permissive" as const }],
    unfilteredRoles: [],
    masks: [{ column: "name", mask: "left(name, 1) || '***'", exceptRoles: [] }],
    deniedColumns: [{ columns: ["region"], exceptRoles: [] }],
    fence: true,
  }
  const input = {
    claims: { tenant: { type: "int8" } },
    functions: [],
    relations: Object.fromEntries(names.slice(0, policies).map((name) => [name, rule])),
  }
  const compiled = compilePolicies(input, ["r"])
  const snapshot = policySnapshot(
    names.map((name) => {
      const [schema = "", relation = ""] = name.split(".")
      return catalogRelation(schema, relation, { columns })
    }),
  )
  return { snapshot, policy: new Policy([role], compiled.policies) }
}

const claims = { tenant: 7 }

/** Resolve, judge, rewrite and verify; the parsed rewrite, as a plan has it. */
function governed(statement: Statement, { snapshot, policy }: World): number {
  if (statement.class.kind !== "read") throw new Error("the bench has a statement that is no read")
  const { traits } = statement.class
  const scope = { snapshot, searchPath: ["retail"], database: "warehouse" }
  const { resolved: named, unknown } = resolveRelations(traits.relations, scope)
  const expanded = expand(named, snapshot).relations
  const effective = policy.effective(["r"])
  const verdict = judge(statement, { named, expanded, unknown }, effective)
  const { rules } = effective
  if (verdict.kind !== "allowed" || rules === undefined) throw new Error("the bench is refused")
  const found = govern({
    statement,
    traits,
    rules,
    sight: undefined,
    claims,
    scope,
    expanded,
    unknown,
    explain: "none",
  })
  if (found.kind !== "rewritten") throw new Error(`the bench has a statement that is ${found.kind}`)
  return parseText(found.query.text).length
}

function timeUs(run: () => unknown): number {
  const started = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - started) / 1_000
}

export type PolicyRow = {
  readonly name: string
  readonly parseUs: number
  readonly governedUs: readonly number[]
  readonly lookUpUs: number
}

/** Microseconds of one text: parsed alone, parsed and governed in each size, and looked up once it has a plan. */
export function measurePolicies(
  name: string,
  text: string,
  options: { readonly sizes: readonly PolicySize[]; readonly repetitions: number },
): PolicyRow {
  const { sizes, repetitions } = options
  const worlds = sizes.map(worldOf)
  const parse = (): Statement => {
    const [statement] = parseText(text)
    if (statement === undefined) throw new Error("the bench has an empty statement")
    return statement
  }
  const parsed: number[] = []
  const all = worlds.map((): number[] => [])
  for (let turn = 0; turn < repetitions + 3; turn += 1) {
    const parseUs = timeUs(parse)
    const taken = worlds.map((world) => timeUs(() => governed(parse(), world)))
    // The first rounds warm the code and the tables that belong to a catalogue.
    if (turn < 3) continue
    parsed.push(parseUs)
    for (const [index, us] of taken.entries()) all[index]?.push(us)
  }
  return { name, parseUs: median(parsed), governedUs: all.map(median), lookUpUs: lookUpUs(parse()) }
}

const lookUpsAtOnce = 10_000

/** What a repetition costs in place of all of it: one look-up of the plan. */
function lookUpUs(statement: Statement): number {
  const plans = new PlanMemo()
  plans.set(statement, "id", {} as Plan)
  const rounds = Array.from({ length: 20 }, () =>
    timeUs(() => {
      for (let turn = 0; turn < lookUpsAtOnce; turn += 1) plans.get(statement, "id")
    }),
  )
  return median(rounds) / lookUpsAtOnce
}

export function policyTable(rows: readonly PolicyRow[], sizes: readonly PolicySize[]): Table {
  return {
    title:
      "Microseconds per statement text under policies: parse, judge, rewrite, verify, parse again (p50)",
    head: [
      "statement",
      "parse alone",
      ...sizes.map(
        ({ relations, policies }) => `${figure(policies)} policies, ${figure(relations)} relations`,
      ),
      "large : small",
      "again (plan)",
    ],
    rows: rows.map(({ name, parseUs, governedUs, lookUpUs: again }) => [
      name,
      figure(parseUs),
      ...governedUs.map(figure),
      `${((governedUs.at(-1) ?? 0) / (governedUs[0] ?? 1)).toFixed(2)}x`,
      figure(again),
    ]),
  }
}
