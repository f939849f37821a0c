import { deepEqual, equal, ok } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { expand } from "../../../src/catalog/expand.ts"
import { resolveRelations } from "../../../src/catalog/resolve.ts"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { checkDeclaredTypes } from "../../../src/policy/check-read.ts"
import { compilePolicies, type PoliciesInput } from "../../../src/policy/compile.ts"
import { govern } from "../../../src/policy/govern.ts"
import type { Governed } from "../../../src/policy/governed-read.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { catalogRelation, named, policySnapshot } from "../../support/policy-snapshot.ts"

type RelationInput = PoliciesInput["relations"][string]

const nothing: RelationInput = {
  rowFilters: [],
  unfilteredRoles: [],
  masks: [],
  deniedColumns: [],
  fence: true,
}

function filter(text: string, parts: Partial<RelationInput["rowFilters"][number]> = {}) {
  return { name: "f", filter: text, kind: "permissive" as const, ...parts }
}

const columns = ["id", "org_id", "email", "ssn"]

const input: PoliciesInput = {
  claims: {
    org_id: { type: "int8" },
    login: { type: "text" },
    regions: { type: "text[]" },
  },
  functions: ["sales.fine"],
  relations: {
    "sales.orders": {
      ...nothing,
      rowFilters: [filter("org_id = :org_id", { name: "own" })],
      unfilteredRoles: ["boss"],
      masks: [{ column: "email", mask: "left(email, 1)", exceptRoles: ["boss"] }],
      deniedColumns: [{ columns: ["ssn"], exceptRoles: ["boss"] }],
    },
    "sales.mapped": {
      ...nothing,
      rowFilters: [filter("org_id IN (SELECT m.org_id FROM sales.map m WHERE m.login = :login)")],
    },
    "sales.several": {
      ...nothing,
      rowFilters: [
        filter("id = 1 OR id = 2", { name: "a" }),
        filter("id = 3", { name: "b" }),
        filter("org_id = 1 AND id > 0", { name: "c", kind: "restrictive" }),
        filter("org_id = 9", { name: "d", roles: ["other"] }),
      ],
      fence: false,
    },
    "sales.closed": { ...nothing, rowFilters: [filter("true", { roles: ["other"] })] },
    "sales.masked": { ...nothing, masks: [{ column: "email", mask: "'x'", exceptRoles: [] }] },
    "sales.child": { ...nothing, rowFilters: [filter("org_id = 1")] },
    "sales.family": { ...nothing, rowFilters: [filter("org_id = 1")] },
    "sales.parts": { ...nothing, rowFilters: [filter("org_id = 1")] },
    "sales.copy": { ...nothing, rowFilters: [filter("org_id = 1")] },
    "sales.v_ruled": { ...nothing, rowFilters: [filter("org_id = 1")] },
    "sales.renamed": { ...nothing, deniedColumns: [{ columns: ["gone"], exceptRoles: [] }] },
    "sales.bare": { ...nothing, deniedColumns: [{ columns: ["id"], exceptRoles: [] }] },
    "sales.nocolumns": { ...nothing, rowFilters: [filter("true")] },
    "sales.stranger": { ...nothing, rowFilters: [filter("elsewhere = 1")] },
    "sales.ownfunction": { ...nothing, rowFilters: [filter("fine(id) = 1")] },
    "sales.operator": { ...nothing, rowFilters: [filter("id @@@ 1")] },
  },
}

const table = (name: string, parts: Parameters<typeof catalogRelation>[2] = {}) =>
  catalogRelation("sales", name, { columns, ...parts })

const snapshot = policySnapshot(
  [
    ...["orders", "mapped", "several", "closed", "masked", "child", "copybase"].map((name) =>
      table(name),
    ),
    table("map", { columns: ["login", "org_id"] }),
    table("open", { columns: ["id", "word"] }),
    table("renamed"),
    table("bare", { columns: ["id"] }),
    catalogRelation("sales", "nocolumns"),
    table("stranger"),
    table("ownfunction"),
    table("operator"),
    table("parent", { dependsOn: [named("sales.child")] }),
    table("family", { dependsOn: [named("sales.child")] }),
    table("v_stale", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT 1 FROM sales.orders, sales.dropped",
    }),
    table("parts", { kind: "partitioned_table", dependsOn: [named("sales.parts_1")] }),
    table("parts_1"),
    table("m_orders", { kind: "materialized_view", madeOf: [named("sales.orders")] }),
    table("copy", { kind: "materialized_view", madeOf: [named("sales.orders")] }),
    table("counter", { kind: "sequence" }),
    table("v_orders", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT id AS i FROM sales.orders;",
    }),
    table("v_deep", {
      kind: "view",
      dependsOn: [named("sales.v_orders")],
      definition: "SELECT i FROM sales.v_orders",
    }),
    table("v_ruled", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT id, org_id FROM sales.orders",
    }),
    table("v_unknown", { kind: "view", dependsOn: [named("sales.orders")] }),
    table("v_loop", {
      kind: "view",
      dependsOn: [named("sales.v_loop"), named("sales.orders")],
      definition: "SELECT * FROM sales.v_loop, sales.orders",
    }),
    table("v_two", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT 1; SELECT 2",
    }),
    table("v_write", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "DELETE FROM sales.orders",
    }),
    table("v_size", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT pg_relation_size('x') FROM sales.orders",
    }),
    table("v_who", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT current_user FROM sales.orders",
    }),
    table("v_ctid", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT ctid FROM sales.orders",
    }),
    table("v_same", { kind: "view", dependsOn: [named("sales.open")], definition: "SELECT 1" }),
    table("v_opaque", { kind: "view", opaque: ["sales.leak"] }),
    table("v_vouched", { kind: "view", opaque: ["sales.fine"] }),
    catalogRelation("pg_catalog", "pg_class"),
    catalogRelation("pg_catalog", "pg_stats"),
    catalogRelation("pg_catalog", "pg_statistic_ext"),
    catalogRelation("pg_catalog", "pg_stat_all_tables"),
  ],
  {
    usersFunctions: {
      "sales.fine": "immutable",
      "sales.leak": "immutable",
      "sales.lower": "immutable",
    },
    userCode: new Set(["@@@", "::teller"]),
    userCodeTypes: new Set([16_400]),
  },
)

type Reader = {
  readonly roles?: readonly string[]
  readonly claims?: Readonly<Record<string, unknown>>
  readonly searchPath?: readonly string[]
  readonly catalog?: CatalogSnapshot
}

const annClaims = { org_id: 1, login: "ann", regions: ["x"] }

function governed(sql: string, reader: Reader = {}): Governed {
  const { roles = ["tenant"], claims = annClaims, searchPath = ["sales"] } = reader
  const catalog = reader.catalog ?? snapshot
  const { policies, problems } = compilePolicies(input, ["boss", "other", "tenant"])
  deepEqual(problems, [])
  const rules = policies.rulesFor(roles)
  ok(rules !== undefined)
  const [statement] = parseText(sql)
  ok(statement !== undefined)
  ok(statement.class.kind === "read" || statement.class.kind === "explain")
  const { traits } = statement.class
  const scope = { snapshot: catalog, searchPath, database: "warehouse" }
  const { resolved, unknown } = resolveRelations(traits.relations, scope)
  const expanded = expand(resolved, catalog).relations
  return govern({
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
}

/** The rewritten text, `untouched`, or SQLSTATE, reason and message with hint. */
function outcome(sql: string, reader?: Reader): string {
  const found = governed(sql, reader)
  if (found.kind === "rewritten") return found.query.text
  if (found.kind === "untouched") return "untouched"
  if (found.kind === "unread") return "unread"
  return `${found.sqlState} ${found.reason}: ${found.message}`
}

const standIn =
  '(SELECT "id", "org_id", (pg_catalog.left(email, 1)\n) AS "email" FROM "sales"."orders" WHERE (org_id = \'1\'::bigint\n) OFFSET 0)'

const rewritten: readonly (readonly [sql: string, expected: string])[] = [
  ["SELECT id FROM sales.orders", `SELECT id FROM ${standIn} AS "orders"`],
  ["SELECT id FROM orders", `SELECT id FROM ${standIn} AS "orders"`],
  ["SELECT id FROM warehouse.sales.orders", `SELECT id FROM ${standIn} AS "orders"`],
  ["SELECT o.id FROM sales.orders o", `SELECT o.id FROM ${standIn} o`],
  ["SELECT o.id FROM sales.orders AS o (a, b)", `SELECT o.id FROM ${standIn} AS o (a, b)`],
  [
    "TABLE sales.orders",
    "SELECT * FROM ( SELECT id, org_id, pg_catalog.left(email, 1) AS email FROM sales.orders WHERE org_id = CAST('1' AS bigint) OFFSET 0 ) AS orders",
  ],
  [
    "SELECT id FROM ONLY sales.orders",
    `SELECT id FROM ${standIn.replace("FROM ", "FROM ONLY ")} AS "orders"`,
  ],
  [
    "SELECT id FROM ONLY (sales.orders)",
    `SELECT id FROM ${standIn.replace("FROM ", "FROM ONLY ")} AS "orders"`,
  ],
  ["SELECT id FROM sales.orders *", `SELECT id FROM ${standIn} AS "orders"`],
  ["SELECT sales.orders.id FROM sales.orders", `SELECT orders.id FROM ${standIn} AS "orders"`],
  ["SELECT sales.orders.* FROM sales.orders", `SELECT orders.* FROM ${standIn} AS "orders"`],
  ["SELECT warehouse.sales.orders.id FROM orders", `SELECT orders.id FROM ${standIn} AS "orders"`],
  [
    "SELECT sales.open.id FROM sales.open, sales.orders",
    `SELECT sales.open.id FROM sales.open, ${standIn} AS "orders"`,
  ],
  [
    "SELECT id FROM sales . /* x */ orders -- y",
    "SELECT id FROM ( SELECT id, org_id, pg_catalog.left(email, 1) AS email FROM sales.orders WHERE org_id = CAST('1' AS bigint) OFFSET 0 ) AS orders",
  ],
  ["WITH orders AS (SELECT 1 AS id) SELECT id FROM orders", "untouched"],
  [
    "WITH o AS (SELECT * FROM orders) SELECT id FROM o",
    `WITH o AS (SELECT * FROM ${standIn} AS "orders") SELECT id FROM o`,
  ],
  [
    "WITH orders AS (SELECT * FROM orders) SELECT id FROM orders",
    `WITH orders AS (SELECT * FROM ${standIn} AS "orders") SELECT id FROM orders`,
  ],
  ["WITH RECURSIVE orders AS (SELECT id FROM orders) SELECT id FROM orders", "untouched"],
  [
    "WITH orders AS (SELECT 1) SELECT id FROM sales.orders",
    `WITH orders AS (SELECT 1) SELECT id FROM ${standIn} AS "orders"`,
  ],
  ["SELECT 1 UNION SELECT id FROM orders", `SELECT 1 UNION SELECT id FROM ${standIn} AS "orders"`],
  [
    "SELECT (SELECT count(id) FROM orders o) FROM open",
    `SELECT (SELECT count(id) FROM ${standIn} o) FROM open`,
  ],
  ["SELECT id FROM open", "untouched"],
  [
    "SELECT id FROM several",
    'SELECT id FROM (SELECT "id", "org_id", "email", "ssn" FROM "sales"."several" WHERE (((id = 1 OR id = 2\n) OR (id = 3\n)) AND (org_id = 1 AND id > 0\n))) AS "several"',
  ],
  [
    "SELECT id FROM masked",
    'SELECT id FROM (SELECT "id", "org_id", (\'x\'\n) AS "email", "ssn" FROM "sales"."masked" OFFSET 0) AS "masked"',
  ],
  [
    "SELECT id FROM mapped",
    'SELECT id FROM (SELECT "id", "org_id", "email", "ssn" FROM "sales"."mapped" WHERE (org_id IN (SELECT m.org_id FROM sales.map m WHERE m.login = \'ann\'::text)\n) OFFSET 0) AS "mapped"',
  ],
  [
    "SELECT i FROM v_orders",
    `SELECT i FROM (SELECT id AS i FROM ${standIn} AS "orders") AS "v_orders"`,
  ],
  [
    "SELECT i FROM v_deep",
    `SELECT i FROM (SELECT i FROM (SELECT id AS i FROM ${standIn} AS "orders") AS "v_orders") AS "v_deep"`,
  ],
  [
    "SELECT id FROM parts",
    'SELECT id FROM (SELECT "id", "org_id", "email", "ssn" FROM "sales"."parts" WHERE (org_id = 1\n) OFFSET 0) AS "parts"',
  ],
  ["SELECT x FROM v_vouched", "untouched"],
  ["SELECT 1 FROM v_same", "untouched"],
  ["SELECT relname FROM pg_class", "untouched"],
  ["SELECT 1 FROM pg_statistic_ext", "untouched"],
  ["SELECT count(*), sales.fine(1), coalesce(1), date_trunc('day', now()) FROM open", "untouched"],
  ["EXPLAIN SELECT 1 FROM open", "untouched"],
]

const refusals: readonly (readonly [sql: string, expected: string])[] = [
  ["SELECT 1 FROM closed", "42501 row_policy_refused: permission denied for table closed"],
  ["SELECT 1 FROM m_orders", "42501 row_policy_refused: permission denied for relation m_orders"],
  ["SELECT 1 FROM v_stale", '42P01 relation_not_granted: relation "dropped" does not exist'],
  [
    'SELECT count(*) OVER "w x" FROM sales /* no place */ . orders WINDOW "w x" AS ()',
    "0A000 emit_not_verified: this statement cannot be rewritten safely",
  ],
  [
    "SELECT 1 FROM orders TABLESAMPLE SYSTEM (1)",
    "42501 row_policy_refused: permission denied for relation orders",
  ],
  [
    "SELECT ctid FROM orders",
    "42501 row_policy_refused: a system column is not allowed on a relation with a row or column policy",
  ],
  [
    "EXPLAIN SELECT 1 FROM orders",
    "42501 row_policy_refused: EXPLAIN is not allowed on a relation with a row or column policy",
  ],
  [
    "EXPLAIN SELECT 1 FROM v_deep",
    "42501 row_policy_refused: EXPLAIN is not allowed on a relation with a row or column policy",
  ],
  ["SELECT 1 FROM v_unknown", "42501 row_policy_refused: permission denied for relation v_unknown"],
  ["SELECT 1 FROM v_loop", "42501 row_policy_refused: permission denied for relation v_loop"],
  ["SELECT 1 FROM v_two", "42501 row_policy_refused: permission denied for relation v_two"],
  ["SELECT 1 FROM v_write", "42501 row_policy_refused: permission denied for relation v_write"],
  ["SELECT 1 FROM v_size", "42501 row_policy_refused: permission denied for relation v_size"],
  ["SELECT 1 FROM v_who", "42501 row_policy_refused: permission denied for relation v_who"],
  ["SELECT 1 FROM v_ctid", "42501 row_policy_refused: permission denied for relation v_ctid"],
  ["SELECT 1 FROM v_opaque", "42501 function_not_allowed: permission denied for view v_opaque"],
  ["SELECT 1 FROM nowhere", '42P01 relation_not_granted: relation "nowhere" does not exist'],
  ["SELECT 1 FROM x.nowhere", '42P01 relation_not_granted: relation "x.nowhere" does not exist'],
  [
    "SELECT 1 FROM other.sales.orders",
    '42P01 relation_not_granted: relation "sales.orders" does not exist',
  ],
  ["SELECT 1 FROM counter", "42501 relation_not_granted: permission denied for table counter"],
  ["SELECT 1 FROM pg_stats", "42501 relation_not_granted: permission denied for table pg_stats"],
  [
    "SELECT 1 FROM pg_stat_all_tables",
    "42501 relation_not_granted: permission denied for table pg_stat_all_tables",
  ],
  ["SELECT 1 FROM renamed", "42501 policy_unfit: permission denied for table renamed"],
  ["SELECT 1 FROM bare", "42501 policy_unfit: permission denied for table bare"],
  ["SELECT 1 FROM nocolumns", "42501 policy_unfit: permission denied for table nocolumns"],
  ["SELECT 1 FROM stranger", "42501 policy_unfit: permission denied for table stranger"],
  ["SELECT 1 FROM ownfunction", "42501 policy_unfit: permission denied for table ownfunction"],
  ["SELECT 1 FROM operator", "42501 policy_unfit: permission denied for table operator"],
  ["SELECT sales.leak(1)", "42501 function_not_allowed: permission denied for function leak"],
  ["SELECT lower('a')", "42501 function_not_allowed: permission denied for function lower"],
  ["SELECT unheard_of(1)", "42501 function_not_allowed: permission denied for function unheard_of"],
  [
    "SELECT pg_relation_size('x')",
    "42501 function_not_allowed: permission denied for function pg_relation_size",
  ],
  [
    "SELECT table_to_xml('x', true, true, '')",
    "42501 function_not_allowed: permission denied for function table_to_xml",
  ],
  ["SELECT sales.count(1)", "42501 function_not_allowed: permission denied for function count"],
  ["SELECT o.leak FROM open o", "42501 function_not_allowed: permission denied for function leak"],
  [
    "SELECT (o).table_to_xml FROM open o",
    "42501 function_not_allowed: permission denied for function table_to_xml",
  ],
  [
    "SELECT (o).pg_relation_size FROM open o",
    "42501 function_not_allowed: permission denied for function pg_relation_size",
  ],
  ["SELECT 1 @@@ 2", "42501 function_not_allowed: permission denied for operator @@@"],
  [
    "SELECT 1 OPERATOR(sales.@@@) 2",
    "42501 function_not_allowed: permission denied for operator sales.@@@",
  ],
  [
    "SELECT 1 OPERATOR(sales.+) 2",
    "42501 function_not_allowed: permission denied for operator sales.+",
  ],
  ["SELECT 1::sales.teller", "42501 function_not_allowed: permission denied for type sales.teller"],
  ["SELECT (1).teller", "42501 function_not_allowed: permission denied for type teller"],
]

function applied(sql: string): readonly string[] {
  const found = governed(sql)
  ok(found.kind === "rewritten")
  return found.applied
}

function folding(usersFunctions: Readonly<Record<string, "immutable">>): CatalogSnapshot {
  const { relations } = snapshot
  return policySnapshot([...relations.values()], { foldsCase: true, usersFunctions, version: "2" })
}

describe("a read of somebody from whom policies hide something", () => {
  before(loadParser)

  for (const [sql, expected] of rewritten)
    it(`is run as it should be: ${sql}`, () => equal(outcome(sql), expected))

  for (const [sql, expected] of refusals)
    it(`is refused: ${sql}`, () => equal(outcome(sql), expected))

  it("may read a view twice", () => {
    ok(outcome("SELECT 1 FROM v_orders a, v_orders b").endsWith(") b"))
  })

  it("has a view with a policy of its own filtered twice", () => {
    equal(
      outcome("SELECT id FROM v_ruled"),
      `SELECT id FROM (SELECT "id", "org_id", "email", "ssn" FROM (SELECT id, org_id FROM ${standIn} AS "orders") AS "v_ruled" WHERE (org_id = 1\n) OFFSET 0) AS "v_ruled"`,
    )
  })

  it("sees a materialised view that has a policy of its own by that", () => {
    ok(outcome("SELECT id FROM copy").includes('FROM "sales"."copy" WHERE (org_id = 1\n) OFFSET 0'))
  })

  it("is told nothing more than its role's rules", () => {
    equal(outcome("SELECT id FROM orders", { roles: ["boss"] }), "untouched")
    ok(outcome("SELECT id FROM closed", { roles: ["other"] }).includes("WHERE (true\n)"))
    ok(outcome("SELECT id FROM several", { roles: ["other"] }).includes("(org_id = 9\n)"))
  })

  const wrongClaims: readonly (readonly [
    title: string,
    claims: Readonly<Record<string, unknown>>,
  ])[] = [
    ["none", {}],
    ["null", { org_id: null }],
    ["a list", { org_id: [1] }],
    ["an object", { org_id: {} }],
    ["a text that is no number", { org_id: "1 OR 1=1" }],
    ["inherited", Object.create({ org_id: 1 }) as Readonly<Record<string, unknown>>],
  ]
  for (const [title, claims] of wrongClaims)
    it(`is refused with a claim that is ${title}`, () => {
      const found = governed("SELECT id FROM orders", { claims })
      ok(found.kind === "refused")
      equal(found.reason, "claim_missing")
      equal(found.hint?.includes('"org_id"'), true)
    })

  it("has texts of claims as literals", () => {
    const claims = { ...annClaims, login: "x' OR '1'='1" }
    ok(outcome("SELECT id FROM mapped", { claims }).includes("m.login = 'x'' OR ''1''=''1'::text"))
  })

  it("needs pg_catalog before all other schemas", () => {
    const refused =
      "0A000 row_policy_refused: pg_catalog must stand first in search_path, or not at all"
    equal(outcome("SELECT 1", { searchPath: ["sales", "pg_catalog"] }), refused)
    equal(outcome("SELECT 1", { searchPath: ["pg_catalog", "sales"] }), "untouched")
    equal(outcome("SELECT 1", { searchPath: [] }), "untouched")
  })

  it("may declare parameters of types that run no code", () => {
    equal(checkDeclaredTypes([23, 0, 16_401], snapshot), undefined)
    equal(checkDeclaredTypes([23, 16_400], snapshot)?.message, "permission denied for type 16400")
  })

  it("is told what was applied", () => {
    deepEqual(applied("SELECT 1 FROM orders"), [
      "sales.orders: filter own, mask email, without ssn",
    ])
    deepEqual(applied("SELECT 1 FROM v_orders"), [
      "sales.orders: filter own, mask email, without ssn",
      "sales.v_orders: read by its definition",
    ])
  })

  it("has positions of its own text", () => {
    const found = governed("SELECT ü, id FROM sales.orders WHERE nope = 1")
    ok(found.kind === "rewritten")
    const { clientPosition, text } = found.query
    const at = (name: string): number => text.indexOf(name) + 1
    equal(clientPosition?.(at("ü, id")), 8)
    equal(clientPosition?.(at("nope")), 38)
    equal(clientPosition?.(at("OFFSET 0")), undefined)
  })
})

describe("a read on an engine that folds names and knows no pg_catalog", () => {
  before(loadParser)

  it("finds relations in any case, and calls of filters are left as they are", () => {
    const text = outcome('SELECT id FROM SALES."ORDERS"', { catalog: folding({}) })
    ok(text.includes("(left(email, 1)\n)"), text)
  })

  it("refuses what a macro of the file could stand for", () => {
    const catalog = folding({ "main.LEFT": "immutable" })
    ok(outcome("SELECT id FROM orders", { catalog }).startsWith("42501 policy_unfit"))
    for (const sql of [
      "SELECT left('a', 1)",
      "SELECT pg_catalog.left('a', 1)",
      "SELECT \"LEFT\"('a', 1)",
    ])
      ok(outcome(sql, { catalog }).startsWith("42501 function_not_allowed"), sql)
    equal(outcome("SELECT pg_catalog.upper('a')", { catalog }), "untouched")
  })
})
