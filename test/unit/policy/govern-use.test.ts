import { equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { loadParser } from "../../../src/sql/parser.ts"
import { catalogRelation, named, policySnapshot } from "../../support/policy-snapshot.ts"
import { outcome, type ReaderInput, relationInput, rowFilter } from "./reader.ts"

const columns = ["id"]
const view = (name: string, definition: string) =>
  catalogRelation("sales", name, {
    kind: "view",
    columns,
    definition,
    dependsOn: [named("sales.orders")],
  })

const snapshot = policySnapshot(
  [
    catalogRelation("sales", "orders", { columns }),
    catalogRelation("sales", "open", { columns }),
    view("v_fine", "SELECT sales.fine(id) AS id FROM sales.orders"),
    view("v_leak", "SELECT sales.leak(id) AS id FROM sales.orders"),
    catalogRelation("pg_catalog", "pg_class", { columns: ["oid"] }),
  ],
  { usersFunctions: { "sales.fine": "immutable", "sales.leak": "immutable" } },
)

const reader: ReaderInput = {
  snapshot,
  functions: ["sales.fine"],
  relations: { "sales.orders": relationInput({ rowFilters: [rowFilter("id = 1")] }) },
}
const inner = '(SELECT "id" FROM "sales"."orders" WHERE (id = 1\n) OFFSET 0) AS "orders"'
const estimates =
  "42501 row_policy_refused: EXPLAIN is not allowed on a relation with a row or column policy (The planner's estimates would tell about rows that are hidden from you. A role may be given `explain: coarse`.)"
const counts =
  "42501 row_policy_refused: EXPLAIN ANALYZE is not allowed on a relation with a row or column policy (It would count rows that are hidden from you.)"
const form =
  "42501 row_policy_refused: EXPLAIN in this format is not allowed on a relation with a row or column policy (Your role sees one line of text.)"

const cases: readonly (readonly [
  sql: string,
  explain: "none" | "coarse" | "full",
  expected: string,
])[] = [
  ["EXPLAIN SELECT id FROM orders", "none", estimates],
  ["EXPLAIN ANALYZE SELECT id FROM orders", "none", estimates],
  ["EXPLAIN SELECT id FROM orders", "coarse", `EXPLAIN SELECT id FROM ${inner}`],
  ["EXPLAIN SELECT id FROM orders", "full", `EXPLAIN SELECT id FROM ${inner}`],
  ["EXPLAIN ANALYZE SELECT id FROM orders", "coarse", counts],
  ["EXPLAIN ANALYZE SELECT id FROM orders", "full", counts],
  ["EXPLAIN (FORMAT JSON) SELECT id FROM orders", "coarse", form],
  [
    "EXPLAIN (FORMAT JSON) SELECT id FROM orders",
    "full",
    `EXPLAIN (FORMAT JSON) SELECT id FROM ${inner}`,
  ],
  ["EXPLAIN ANALYZE SELECT id FROM open", "none", "untouched"],
  // What views call their owner vouches for, and nobody else.
  [
    "SELECT id FROM v_fine",
    "none",
    `SELECT id FROM (SELECT sales.fine(id) AS id FROM ${inner}) AS "v_fine"`,
  ],
  [
    "SELECT id FROM v_leak",
    "none",
    "42501 row_policy_refused: permission denied for relation v_leak (A view that calls what could read hidden rows cannot be read under the policies that hold for you.)",
  ],
]

/** A reader from whom `count` views are hidden one by one, because what they show is denied. */
function hiding(count: number): ReaderInput {
  const views = Array.from({ length: count }, (_, index) =>
    catalogRelation("sales", `v_${index}`, {
      kind: "view",
      columns,
      dependsOn: [named("secret.pay")],
    }),
  )
  const relations = [catalogRelation("secret", "pay", { columns }), ...views]
  return {
    snapshot: policySnapshot([...relations, ...snapshot.relations.values()]),
    deny: ["secret.*"],
  }
}

describe("what a reader may use", () => {
  before(loadParser)

  for (const [sql, explain, expected] of cases)
    it(`${sql}, with explain: ${explain}`, () =>
      equal(outcome(sql, { ...reader, explain }), expected))

  it("is no path that has pg_catalog behind a schema, with denials and no rules", () => {
    const searchPath = ["sales", "pg_catalog"]
    equal(outcome("SELECT 1", { ...hiding(1), searchPath }).slice(0, 5), "0A000")
    equal(outcome("SELECT 1", { ...hiding(1), searchPath: ["pg_catalog"] }), "untouched")
  })

  it("is the catalogue, up to 10,000 relations that are hidden one by one", () => {
    const many = hiding(10_001)
    equal(outcome("SELECT 1 FROM pg_class", hiding(10_000)).slice(0, 5) === "54000", false)
    equal(
      outcome("SELECT 1 FROM pg_class", many),
      "54000 statement_too_complex: more than 10000 relations are hidden from you one by one (Ask the owner of the gateway's configuration to deny schemas in place of relations.)",
    )
    equal(outcome("SELECT id FROM open", many), "untouched")
  })
})
