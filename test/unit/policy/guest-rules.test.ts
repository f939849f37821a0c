import { deepEqual, equal, ok } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { readGuestClause } from "../../../src/policy/guest-clause.ts"
import { readGuestRules } from "../../../src/policy/guest-rules.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { catalogRelation, named, policySnapshot } from "../../support/policy-snapshot.ts"
import { governed, outcome, type ReaderInput, relationInput, rowFilter } from "./reader.ts"

const filters = {
  claim: "rls_rules",
  datasets: new Map([["12", [{ schema: "sales", relation: "orders" }]]]),
}

function problem(value: unknown): string | undefined {
  return readGuestRules(value, filters).problem
}

const rule = { dataset: 12, clause: "org_id = 7" }

const problems: readonly (readonly [value: unknown, problem: string | undefined])[] = [
  [[], undefined],
  [[rule], undefined],
  [[{ ...rule, dataset: "12" }], undefined],
  [[{ ...rule, dataset: null }], undefined],
  [[{ clause: "org_id = 7" }], undefined],
  [[{ ...rule, dataset: "sales.orders" }], undefined],
  [Array.from({ length: 100 }, () => rule), undefined],
  [[{ clause: `org_id = 7${" ".repeat(1_990)}` }], undefined],
  ["org_id = 7", "is no list of rules"],
  [{ 0: rule }, "is no list of rules"],
  [Array.from({ length: 101 }, () => rule), "has more than 100 rules"],
  [["org_id = 7"], "has a rule that is no object"],
  [[null], "has a rule that is no object"],
  [[{ ...rule, role: "x" }], "has a rule with another key than dataset and clause"],
  [[{ dataset: 12 }], "has a rule without a clause"],
  [[{ clause: 7 }], "has a rule without a clause"],
  [[{ clause: "  " }], "has a rule without a clause"],
  [[{ clause: `org_id = 7${" ".repeat(1_991)}` }], "has a clause of more than 2000 characters"],
  [[{ clause: "a = '\0'" }], "has a clause that is no text"],
  [[{ clause: "a = '\ud800'" }], "has a clause that is no text"],
  [[{ ...rule, dataset: true }], "has a dataset that is neither number nor text"],
  [
    [{ ...rule, dataset: 13 }],
    "names a dataset that guestFilters.datasets does not map to a relation",
  ],
  [[{ clause: "a = 1; SELECT 1" }], 'syntax error at or near ";"'],
  [[{ clause: "a = 1, b" }], "is not one expression"],
  [[{ clause: "a = :b" }], "has a clause with a place :name"],
]

const open: readonly string[] = [
  "a",
  "a = 1",
  "t.a <> 'x'",
  "a IN (1, 2)",
  "a NOT IN (1, 2)",
  "a BETWEEN 1 AND 2",
  "a LIKE 'x%' AND NOT (b ILIKE 'y')",
  "a IS NULL OR b IS NOT TRUE",
  "lower(a) = 'x'",
  "pg_catalog.lower(a) = 'x'",
  "a = ANY(ARRAY[1, 2])",
  "CASE WHEN a = 1 THEN b ELSE c END",
  "coalesce(a, b) = 1",
  "greatest(a, b) = 1",
  "a = current_date",
  "a = '1'::int",
  "a = '1'::pg_catalog.int8",
  "a = '1'::varchar(3)",
  "a = '1'::int[]",
  "a = position('x' in b)",
  "a + 1 > -b",
]

/** Every one of them could look past its row, or mean what somebody else has made. */
const closed: readonly (readonly [clause: string, what: string])[] = [
  ["a.b.c = 1", "a name that is no column's"],
  ["t.* IS NULL", "a name that is no column's"],
  ["a OPERATOR(pg_catalog.=) 1", "an operator that is not listed"],
  ["a @@@ 1", "an operator that is not listed"],
  ["a || b ^ 2 = 1", "an operator that is not listed"],
  ["count(*) > 1", "a call that is not plain"],
  ["lower(DISTINCT a) = 'x'", "a call that is not plain"],
  ["lower(a) OVER () = 'x'", "a call that is not plain"],
  ["lower(VARIADIC a) = 'x'", "a call that is not plain"],
  ["s.lower(a) = 'x'", "a call that is not plain"],
  ["w.pg_catalog.lower(a) = 'x'", "a call that is not plain"],
  ["pg_catalog.lower.x(a) = 'x'", "a call that is not plain"],
  ["sum(a) = 1", "a function that is not listed"],
  ["pg_sleep(1) IS NULL", "a function that is not listed"],
  ["a = '1'::regclass", "a type that is not listed"],
  ["a = '1'::s.int4", "a type that is not listed"],
  ["a = '1'::w.pg_catalog.int4", "a type that is not listed"],
  ["a = (b).c", "A_Indirection"],
  ["a = b[1]", "A_Indirection"],
  ["a IN (SELECT b FROM s.t)", "SubLink"],
  ["a = current_time", "a function about the session"],
  ["ROW(a, b) = ROW(1, 2)", "RowExpr"],
  ["a COLLATE \"C\" = 'x'", "CollateClause"],
  ["a = GROUPING(b)", "GroupingFunc"],
]

const snapshot = policySnapshot([
  ...["orders", "lines", "parent"].map((name) =>
    catalogRelation("sales", name, {
      columns: ["id", "org_id", "ssn"],
      ...(name === "parent" ? { dependsOn: [named("sales.lines")] } : {}),
    }),
  ),
  catalogRelation("sales", "unread"),
  catalogRelation("sales", "v", {
    kind: "view",
    columns: ["id"],
    dependsOn: [named("sales.orders")],
    definition: "SELECT id FROM sales.orders",
  }),
  catalogRelation("pg_catalog", "pg_class", { columns: ["oid", "relname"] }),
])

function reader(rules: unknown, parts: Partial<ReaderInput> = {}): ReaderInput {
  return {
    snapshot,
    guestFilters: { claim: "rls_rules", datasets: { 12: ["sales.orders"], 14: ["sales.gone"] } },
    claims: rules === undefined ? {} : { rls_rules: rules },
    ...parts,
  }
}

const refused = "42501 guest_rule_refused: permission denied for table orders"
const told = "Tell whoever issues the token."

describe("row rules of a token", () => {
  before(loadParser)

  for (const [index, [value, expected]] of problems.entries())
    it(`list ${index} ${expected ?? "can be read"}`, () =>
      equal(problem(value), expected === undefined ? undefined : `claim "rls_rules" ${expected}`))

  for (const clause of open) it(`may be ${clause}`, () => ok(readGuestClause(clause)))

  for (const [clause, what] of closed)
    it(`may not be ${clause}`, () => {
      const found = problem([{ clause }])
      equal(found, `claim "rls_rules" has a clause with what guests' rules may not have: ${what}`)
    })

  it("tell of the columns, functions and operators that they use", () => {
    const { columns, functions, operators } = readGuestClause(
      "t.a BETWEEN 1 AND lower(b, 2) AND pg_catalog.upper(c) = 'x'",
    )
    deepEqual(columns.map((parts) => parts.join(".")).toSorted(), ["b", "c", "t.a"])
    deepEqual(operators.toSorted(), ["<=", "=", ">="])
    deepEqual(
      functions.toSorted((one, other) => one.name.localeCompare(other.name)),
      [
        { schema: undefined, name: "lower", argumentCount: 2 },
        { schema: "pg_catalog", name: "upper", argumentCount: 1 },
      ],
    )
  })
})

const orders = (where: string): string =>
  `SELECT id FROM (SELECT "id", "org_id", "ssn" FROM "sales"."orders" WHERE ${where} OFFSET 0) AS "orders"`

describe("a read under row rules of a token", () => {
  before(loadParser)

  const cases: readonly (readonly [
    title: string,
    sql: string,
    input: ReaderInput,
    expected: string,
  ])[] = [
    ["none", "SELECT id FROM orders", reader(undefined), "untouched"],
    ["an empty list", "SELECT id FROM orders", reader([]), "untouched"],
    ["one", "SELECT id FROM orders", reader([rule]), orders("(org_id = 7\n)")],
    [
      "two",
      "SELECT id FROM orders",
      reader([rule, { clause: "lower(ssn) = 'x'" }]),
      orders("((org_id = 7\n) AND (pg_catalog.lower(ssn) = 'x'\n))"),
    ],
    [
      "one beside a role's",
      "SELECT id FROM orders",
      reader([rule], {
        relations: { "sales.orders": relationInput({ rowFilters: [rowFilter("id > 0")] }) },
      }),
      orders("((id > 0\n) AND (org_id = 7\n))"),
    ],
    ["one for another relation", "SELECT id FROM lines", reader([rule]), "untouched"],
    [
      "one for all of a statement's relations",
      "SELECT id FROM lines",
      reader([{ clause: "org_id = 7" }]),
      orders("(org_id = 7\n)").replaceAll("orders", "lines"),
    ],
    [
      "one for a view's relation",
      "SELECT id FROM v",
      reader([rule]),
      `SELECT id FROM (${orders("(org_id = 7\n)")}) AS "v"`,
    ],
    ["one that names no relation of data", "SELECT 1", reader([{ clause: "a = 1" }]), "untouched"],
    [
      "a list that cannot be read",
      "SELECT id FROM orders",
      reader("org_id = 7"),
      `${refused} (The row rules of your token cannot be read. ${told})`,
    ],
    ["a list that cannot be read, and no relation", "SELECT 1", reader("x"), "untouched"],
    [
      "one for a relation that is not there",
      "SELECT id FROM orders",
      reader([{ ...rule, dataset: 14 }]),
      `${refused} (A row rule of your token is for a relation that is not there. ${told})`,
    ],
    [
      "one with a column that is not there",
      "SELECT id FROM orders",
      reader([{ clause: "org = 7" }]),
      `${refused} (A row rule of your token does not fit this relation: it names what is no column of it. ${told})`,
    ],
    [
      "one with another table's column",
      "SELECT id FROM orders",
      reader([{ clause: "lines.org_id = 7" }]),
      `${refused} (A row rule of your token does not fit this relation: it names what is no column of it. ${told})`,
    ],
    [
      "one with its own table's column",
      "SELECT id FROM orders",
      reader([{ clause: "orders.org_id = 7" }]),
      orders("(orders.org_id = 7\n)"),
    ],
    [
      "one whose function could be somebody's own",
      "SELECT id FROM orders",
      reader([{ clause: "abs(org_id) = 7" }]),
      `${refused} (A row rule of your token does not fit this relation: it calls what may be a function of somebody's own. ${told})`,
    ],
    [
      "one for a relation without columns",
      "SELECT 1 FROM unread",
      reader([{ clause: "a = 1" }]),
      "unread",
    ],
    [
      "one, in the catalogue",
      "SELECT oid FROM pg_class",
      reader([{ clause: "oid = 1" }]),
      'SELECT oid FROM (SELECT "oid", "relname" FROM pg_catalog.pg_class OFFSET 0) AS "pg_class"',
    ],
  ]
  for (const [title, sql, input, expected] of cases)
    it(title, () => equal(outcome(sql, input), expected))

  it("waits for the columns of all relations that rules name", () => {
    const found = governed("SELECT 1 FROM orders, unread", reader([{ clause: "id = 1" }]))
    ok(found.kind === "unread")
    deepEqual(
      found.relations.map(({ relation }) => relation),
      ["unread"],
    )
    equal(found.refusal.reason, "guest_rule_refused")
  })

  it("says which rules were applied", () => {
    const found = governed("SELECT id FROM orders", reader([rule, rule]))
    deepEqual(found.kind === "rewritten" ? found.applied : [], [
      "sales.orders: token's rule 1, token's rule 2",
    ])
  })
})
