import {
  capturedSeed,
  capturedStatements,
  styleStatements,
} from "../differential/superset-flows.ts"
import { supersetStyleSeed } from "../differential/superset-seed.ts"
import { features } from "../security/grammar-features.ts"
import { PolicyStatements } from "../security/policy-statements.ts"
import { leave, PolicyWorld } from "../security/policy-world.ts"
import { Random } from "../support/query-generator-random.ts"
import { Coverage, type Outcome, type Suite } from "./coverage.ts"
import { tpchSeed, tpchShapes, tpchTables } from "./shapes.ts"

/** Outcomes of one group of statements. */
export type Share = {
  readonly name: string
  readonly rewritten: number
  /** Of the rewritten ones, those whose answer has at least one row. */
  readonly withRows: number
  readonly sameError: number
  /** Refusals by reason. */
  readonly refused: ReadonlyMap<string, number>
  readonly wrong: readonly string[]
}

export type CoverageOptions = {
  readonly seed: number
  readonly statementsPerFeature: number
  /** Schemas that the statements of each feature are spread over. */
  readonly schemas: number
  /** Superset and TPC-H, too. */
  readonly withCorpora: boolean
}

const claims = `
claims:
  org_id: { type: int8 }
  login: { type: text }
  orgs: { type: "int8[]" }
relations:`

const mapTable = `
CREATE SCHEMA sales;
CREATE TABLE sales.org_map (login text, org_id integer);
INSERT INTO sales.org_map VALUES ('ann', 1), ('bob', 2);
`

class Tally {
  readonly #name: string
  #rewritten = 0
  #withRows = 0
  #sameError = 0
  readonly #refused = new Map<string, number>()
  readonly #wrong: string[] = []

  constructor(name: string) {
    this.#name = name
  }

  count(sql: string, outcome: Outcome): void {
    switch (outcome.kind) {
      case "rewritten":
        this.#rewritten += 1
        if (outcome.hasRows) this.#withRows += 1
        return
      case "same error":
        this.#sameError += 1
        return
      case "refused":
        this.#refused.set(outcome.why, (this.#refused.get(outcome.why) ?? 0) + 1)
        return
      default:
        this.#wrong.push(`${sql}\n  ${outcome.why}`)
    }
  }

  get share(): Share {
    return {
      name: this.#name,
      rewritten: this.#rewritten,
      withRows: this.#withRows,
      sameError: this.#sameError,
      refused: this.#refused,
      wrong: this.#wrong,
    }
  }
}

/** Asks everything and tells what became of it, group by group. */
export async function coverage(options: CoverageOptions): Promise<readonly Share[]> {
  const tallies = new Map<string, Tally>()
  const tallyOf = (name: string): Tally => {
    const known = tallies.get(name) ?? new Tally(name)
    tallies.set(name, known)
    return known
  }
  if (options.withCorpora) {
    await ask(supersetSuite(), supersetStatements(), tallyOf)
    await ask(
      tpchSuite(),
      tpchShapes.map(([name, sql]) => ({ group: `TPC-H ${name}`, sql })),
      tallyOf,
    )
  }
  const random = new Random(options.seed)
  for (let schema = 0; schema < options.schemas; schema += 1) {
    const world = new PolicyWorld(random)
    const seed = mapTable + world.seed("postgres", random)
    const statements = new PolicyStatements(random, world)
    const perFeature = Math.ceil(options.statementsPerFeature / options.schemas)
    const items = features.flatMap((feature) =>
      random.many(perFeature, () => ({ group: feature[0], sql: statements.of(feature).sql })),
    )
    await ask(
      { name: "generated", seed, policies: claims + world.policies, byHand: world.byHand },
      items,
      tallyOf,
    )
  }
  return [...tallies.values()].map(({ share }) => share)
}

type Item = { readonly group: string; readonly sql: string }

async function ask(
  suite: Suite,
  items: readonly Item[],
  tallyOf: (name: string) => Tally,
): Promise<void> {
  const asked = await Coverage.start(suite)
  try {
    for (const { group, sql } of items) tallyOf(group).count(sql, await asked.ask(sql))
  } finally {
    await asked.stop()
  }
}

/** Relations of the Superset seeds that get a policy: their columns, and what a reader sees of them. */
const supersetRelations = [
  { schema: "sales", name: "orders", where: "tenant_id = 1" },
  { schema: "sales", name: "customers", where: "tenant_id = 1" },
  { schema: "sales", name: "events", where: "tenant_id = 1" },
  { schema: "mart", name: "daily_sales_tbl", where: "tenant_id = 1" },
  { schema: "public", name: "sales", where: "id % 4 <> 1" },
] as const

function supersetSuite(): Suite {
  return {
    name: "superset",
    seed: `${capturedSeed()}\n${supersetStyleSeed}`,
    policies: `${claims}${supersetRelations
      .map(
        ({ schema, name, where }) =>
          `\n  ${schema}.${name}: { rowFilters: [{ name: own, filter: "${where.replace("tenant_id = 1", "tenant_id = :org_id")}" }] }`,
      )
      .join("")}\n`,
    byHand: supersetRelations
      .map(({ schema, name, where }) => `DELETE FROM ${schema}.${name} WHERE NOT (${where});`)
      .join("\n"),
  }
}

/** Runs for hours by intention, asks for what changes from second to second, or is no question about tables. */
const leftOut =
  /MD5\(CAST\(a\.id AS TEXT\)\) <|e2e_|now\(\)|current_|pg_|information_schema|random\(|whoami/i

function isRead(sql: string): boolean {
  return /^\s*(?:SELECT|WITH)\b/i.test(sql) && /\bFROM\b/i.test(sql) && !leftOut.test(sql)
}

function supersetStatements(): readonly Item[] {
  return [
    ...styleStatements().map(({ sql }) => ({ group: "Superset's manner", sql })),
    ...capturedStatements().map(({ sql }) => ({ group: "recorded from Superset", sql })),
  ].filter(({ sql }) => isRead(sql))
}

function tpchSuite(): Suite {
  const tables = Object.entries(tpchTables)
  return {
    name: "tpch",
    seed: `CREATE SCHEMA pp;\n${tpchSeed()}`,
    policies: `${claims}${tables
      .map(
        ([name]) =>
          `\n  pp.${name}: { rowFilters: [{ name: own, filter: "tenant = :org_id" }], deniedColumns: [{ columns: [tenant] }] }`,
      )
      .join("")}\n`,
    byHand: tables
      .map(([name, columns]) => {
        const shown = columns.split(", ").flatMap((part) => part.match(/^[a-z]\w*/)?.[0] ?? [])
        return leave({
          schema: "pp",
          name,
          shown: shown.filter((column) => column !== "tenant"),
          where: "tenant = 1",
        })
      })
      .join("\n"),
  }
}
