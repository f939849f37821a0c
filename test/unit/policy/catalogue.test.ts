import { deepEqual, equal } from "node:assert/strict"
import { hash } from "node:crypto"
import { readFileSync } from "node:fs"
import { before, describe, it } from "node:test"
import { catalogueConditions } from "../../../src/policy/catalogue-relations.ts"
import { type CatalogueSight, isRestricted, sightOf } from "../../../src/policy/catalogue-sight.ts"
import { loadParser } from "../../../src/sql/parser.ts"
import { catalogRelation, named, policySnapshot } from "../../support/policy-snapshot.ts"
import { effectiveOf, outcome, type ReaderInput, relationInput, rowFilter } from "./reader.ts"

/**
 * What the catalogue's rewrite makes for four readers, whole. That it hides what it must is proven on a server
 * (test/security/introspection.test.ts); here each part of it is held to what was proven there.
 */
const goldens: Readonly<Record<string, unknown>> = JSON.parse(
  readFileSync(new URL("catalogue-goldens.json", import.meta.url), "utf8"),
)

const columns = ["id", "org_id", "ssn"]
const inSales = (name: string, parts: Parameters<typeof catalogRelation>[2] = {}) =>
  catalogRelation("sales", name, { columns, ...parts })

const system: Readonly<Record<string, readonly string[]>> = {
  "pg_catalog.pg_class": ["oid", "relname", "reltuples", "relpages", "relallvisible"],
  "pg_catalog.pg_attribute": ["attrelid", "attnum"],
  "pg_catalog.pg_proc": ["oid", "proname", "prosrc"],
  "pg_catalog.pg_rewrite": ["oid", "ev_action"],
  "pg_catalog.pg_views": ["schemaname", "viewname", "definition"],
  "pg_catalog.pg_am": ["oid"],
  "pg_catalog.pg_policy": ["oid"],
  "pg_catalog.pg_stats": ["tablename"],
  "pg_catalog.pg_unheard_of": ["oid"],
  "information_schema.columns": ["table_name", "generation_expression"],
  "information_schema.tables": ["table_name"],
}

const snapshot = policySnapshot(
  [
    ...["orders", "open", "closed", "child", "it's"].map((name) => inSales(name)),
    inSales("parent", { dependsOn: [named("sales.child")] }),
    inSales("parts", { kind: "partitioned_table", dependsOn: [named("sales.parts_1")] }),
    inSales("parts_1"),
    inSales("copy", { kind: "materialized_view", madeOf: [named("sales.v_orders")] }),
    inSales("copy_ruled", { kind: "materialized_view", madeOf: [named("sales.orders")] }),
    inSales("copy_open", { kind: "materialized_view", madeOf: [named("sales.open")] }),
    inSales("v_orders", {
      kind: "view",
      dependsOn: [named("sales.orders")],
      definition: "SELECT id FROM sales.orders",
    }),
    inSales("v_secret", {
      kind: "view",
      dependsOn: [named("secret.pay")],
      definition: "SELECT id FROM secret.pay",
    }),
    catalogRelation("secret", "pay", { columns }),
    catalogRelation("hr", "people", { columns }),
    ...Object.entries(system).map(([name, list]) => {
      const [schema = "", relation = ""] = name.split(".")
      return catalogRelation(schema, relation, { columns: list })
    }),
  ],
  {
    usersFunctions: Object.fromEntries(
      `pg_get_viewdef pg_get_expr obj_description format_type pg_typeof col_description to_regclass
       to_regproc has_table_privilege pg_sleep has_column_privilege pg_get_constraintdef
       pg_partition_ancestors regclassin pg_get_serial_sequence pg_get_ruledef pg_get_functiondef
       pg_total_relation_size pg_get_partkeydef pg_get_statisticsobjdef has_schema_privilege int4in textin`
        .split(/\s+/)
        .map((name) => [`pg_catalog.${name}`, "stable" as const]),
    ),
  },
)

const relations = {
  "sales.orders": relationInput({
    rowFilters: [rowFilter("org_id = 1")],
    deniedColumns: [{ columns: ["ssn"], exceptRoles: [] }],
  }),
  "sales.parts": relationInput({ rowFilters: [rowFilter("org_id = 1")] }),
  "sales.child": relationInput({ rowFilters: [rowFilter("org_id = 1")] }),
  "sales.copy_ruled": relationInput({ rowFilters: [rowFilter("org_id = 1")] }),
  "sales.closed": relationInput({ rowFilters: [rowFilter("true", { roles: [] })] }),
  "sales.it's": relationInput({ deniedColumns: [{ columns: ["ssn"], exceptRoles: [] }] }),
}

const readers: Readonly<Record<string, ReaderInput>> = {
  granted: { snapshot, allow: ["sales.*", "hr.people", '"odd.one".*', "pg_catalog.pg_stats"] },
  denied: { snapshot, deny: ["secret.*", "hr.people"] },
  ruled: { snapshot, relations },
  nothing: { snapshot, allow: [], deny: ["*"] },
}

/** What one reader's sight says, with what recurs in it by name. */
function sightLines(sight: CatalogueSight): Record<string, string> {
  const lines = {
    names: sight.names("s", "t"),
    namespace: sight.namespace("s"),
    column: sight.column("s", "t", "c"),
    whole: sight.whole("s", "t"),
    relationOids: sight.relationOids(),
    relationBy: sight.relationBy("g", ["x", undefined]),
    visible: sight.visible("o"),
    attribute: sight.attribute("r", "n"),
    wholeOid: sight.wholeOid("r"),
    noneDenied: sight.noneDenied("r", "n"),
    untoldDefinitions: sight.untoldDefinitions(),
    governedOids: sight.governedOids(),
    isGoverned: sight.isGoverned("s", "t"),
    hasDenied: String(sight.hasDenied),
    hidesRelations: String(sight.hidesRelations),
    hiddenCount: String(sight.hiddenCount),
  }
  return Object.fromEntries(
    Object.entries(lines).flatMap(([name, line]) => (line === undefined ? [] : [[name, line]])),
  )
}

const shown = (sight: CatalogueSight): readonly string[] =>
  [...snapshot.relations.values()].filter((each) => sight.showsRow(each)).map(({ name }) => name)

/** What is longer stands in the goldens by its beginning and a digest. */
const shownCharsMax = 400

/** Long texts that stand in many others. */
function shortened(text: string, sight: CatalogueSight): string {
  const long: readonly (readonly [string, string | undefined])[] = [
    ["untold definitions", sight.untoldDefinitions()],
    ["visible oids", sight.relationOids()],
    ["governed oids", sight.governedOids()],
    [
      "denied columns",
      sight.wholeOid("x")?.slice("x NOT IN (SELECT d.relid FROM (".length, -") AS d)".length),
    ],
  ]
  const short = long.reduce(
    (rest, [name, value]) => (value === undefined ? rest : rest.replaceAll(value, `<${name}>`)),
    text,
  )
  if (short.length <= shownCharsMax) return short
  return `${short.slice(0, shownCharsMax)} ... ${hash("sha256", short)}`
}

const conditioned = [
  ..."pg_class pg_attribute pg_attrdef pg_constraint pg_depend pg_description pg_foreign_table".split(
    " ",
  ),
  ..."pg_index pg_inherits pg_namespace pg_partitioned_table pg_policy pg_proc pg_publication_rel".split(
    " ",
  ),
  ..."pg_rewrite pg_shdepend pg_statistic_ext pg_trigger pg_type pg_indexes pg_matviews pg_am".split(
    " ",
  ),
].map((name) => named(`pg_catalog.${name}`))

const inSchema = (
  "check_constraints column_column_usage columns constraint_column_usage constraint_table_usage element_types " +
  "key_column_usage routines schemata table_constraints tables view_column_usage view_table_usage views"
)
  .split(" ")
  .map((name) => named(`information_schema.${name}`))

const statements: readonly string[] = [
  "SELECT 1 FROM pg_am",
  "SELECT relname, reltuples FROM pg_class",
  "SELECT attnum FROM pg_catalog.pg_attribute a",
  "SELECT prosrc FROM pg_proc",
  "SELECT ev_action FROM pg_rewrite",
  "SELECT definition FROM pg_views",
  "SELECT 1 FROM information_schema.columns",
  "SELECT 1 FROM pg_stats",
  "SELECT 1 FROM pg_unheard_of",
  "SELECT 1 FROM pg_class TABLESAMPLE SYSTEM (1)",
  "SELECT ctid FROM pg_class",
  "EXPLAIN SELECT 1 FROM pg_class",
  "SELECT 'open'::regclass",
  "SELECT oid::regclass, oid::regclass::text AS t FROM pg_class",
  "SELECT 1 FROM pg_am WHERE oid = 'open'::regclass",
  "SELECT 1 FROM pg_am WHERE oid IN ('open'::regclass, 'orders'::regclass::oid)",
  "SELECT 1 FROM pg_am WHERE oid::int4 BETWEEN 'open'::regclass AND 7",
  "SELECT 1 FROM pg_am WHERE oid = ANY (SELECT 'open'::regclass)",
  "SELECT (SELECT 'open'::regclass), ARRAY['a'::regtype]",
  "SELECT '{a}'::regclass[]",
  "SELECT 'open'::regclass UNION SELECT 'open'::regclass",
  "SELECT 'a'::regtype, 'a'::regnamespace, 'a'::regproc, 'a(int)'::regprocedure, 'a'::regrole",
  "SELECT to_regclass('open'), to_regproc('x')",
  "SELECT pg_get_viewdef(oid), pg_catalog.pg_get_viewdef(oid, true) AS d FROM pg_am",
  "SELECT pg_get_expr(a, oid), pg_get_expr(a, oid, true) FROM pg_am",
  "SELECT obj_description(oid, 'pg_class'), obj_description(oid, 'pg_am') FROM pg_am",
  "SELECT obj_description(oid), obj_description(oid, 'x') FROM pg_am",
  "SELECT obj_description(oid, oid::text) FROM pg_am",
  "SELECT col_description(oid, 1), col_description(oid, 2) FROM pg_am",
  "SELECT format_type(oid, NULL), pg_typeof(oid) FROM pg_am",
  "SELECT 1 FROM pg_am WHERE pg_typeof(oid) = 23",
  "SELECT has_table_privilege(oid, 'x'), has_table_privilege('u', oid, 'x') FROM pg_am",
  "SELECT has_column_privilege(oid, 'c', 'x'), has_schema_privilege(oid, 'x') FROM pg_am",
  "SELECT pg_get_constraintdef(oid), pg_get_ruledef(oid), pg_get_functiondef(oid) FROM pg_am",
  "SELECT pg_get_partkeydef(oid), pg_total_relation_size(oid) FROM pg_am",
  "SELECT pg_get_statisticsobjdef(oid), pg_get_serial_sequence('open', 'id') FROM pg_am",
  "SELECT * FROM pg_partition_ancestors('parts'::regclass)",
  "SELECT a.relid, b FROM pg_partition_ancestors(1) AS a, pg_partition_ancestors(2) b (c)",
  "SELECT pg_partition_ancestors(1)",
  "SELECT pg_get_viewdef(VARIADIC ARRAY[1])",
  "SELECT pg_get_viewdef()",
  "SELECT pg_get_userbyid(1), pg_sleep(0)",
  "SELECT regclassin('open')",
  "SELECT NULL::orders, NULL::sales.open, NULL::_orders, NULL::secret.pay[]",
  "SELECT NULL::int4",
  "SELECT x.pg_get_viewdef FROM pg_am x",
  "SELECT x.has_table_privilege FROM pg_am x",
  "SELECT id FROM open",
  "SELECT id FROM orders o, pg_class c WHERE c.oid = o.id",
]

/** By title, what is compared with the goldens. */
export function made(): Record<string, unknown> {
  const all: Record<string, unknown> = {}
  for (const [name, input] of Object.entries(readers)) {
    const sight = sightOf(effectiveOf(input), snapshot)
    all[`${name}: sight`] = sightLines(sight)
    all[`${name}: rows shown`] = shown(sight)
    for (const relation of [...conditioned, ...inSchema])
      all[`${name}: ${relation}`] = catalogueConditions(relation, sight).map((each) =>
        shortened(each, sight),
      )
    for (const sql of statements) all[`${name}: ${sql}`] = shortened(outcome(sql, input), sight)
  }
  return all
}

const restricted = (input: Partial<ReaderInput>): boolean =>
  isRestricted(effectiveOf({ snapshot, ...input }))

describe("what a reader sees of the catalogue", () => {
  before(loadParser)

  it("is what it was when a server was asked", () => {
    const now = made()
    deepEqual(Object.keys(now), Object.keys(goldens))
    for (const [title, value] of Object.entries(now)) deepEqual(value, goldens[title], title)
  })

  it("is all of it for who may read everything, or write", () => {
    equal(restricted({}), false)
    equal(restricted({ deny: ["secret.*"] }), true)
    equal(restricted({ allow: ["sales.*"] }), true)
    equal(restricted({ deny: ["secret.*"], mayWrite: true }), false)
    equal(restricted({ relations, mayWrite: true }), true)
  })

  it("is made once for a reader and a catalogue", () => {
    const policy = effectiveOf({ snapshot, deny: ["secret.*"] })
    equal(sightOf(policy, snapshot), sightOf(policy, snapshot))
    equal(sightOf(policy, { ...snapshot }) === sightOf(policy, snapshot), false)
  })
})
