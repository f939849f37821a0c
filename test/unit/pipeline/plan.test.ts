import { equal, notEqual } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { TtlClasses } from "../../../src/cache/ttl-classes.ts"
import type { CatalogRelation, CatalogSnapshot } from "../../../src/core/catalog.ts"
import { relationName } from "../../../src/core/relation.ts"
import type { Statement } from "../../../src/core/statement.ts"
import { keyBaseOf, planFor } from "../../../src/pipeline/plan.ts"
import { PlanMemo } from "../../../src/pipeline/plan-memo.ts"
import type { Rooms } from "../../../src/pipeline/rooms.ts"
import { Policy } from "../../../src/policy/policy.ts"
import { SessionSettings, settingDefaults } from "../../../src/session/settings.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"

const policy = new Policy([
  {
    name: "r",
    relations: { allow: ["*"], deny: [] },
    rowLimit: undefined,
    onExceed: "cut",
    statementTimeoutMs: 0,
    mayCache: true,
    mayWrite: false,
  },
])

// What a plan is made from; the rooms behind the cache are not asked.
const rooms = {
  warehouse: "mart",
  origin: "db-1",
  isCacheEnabled: true,
  policy: () => policy,
  ttl: new TtlClasses([], 60_000),
  plans: new PlanMemo(),
} as unknown as Rooms

const context = {
  identity: { user: "alice", roles: ["r"], claims: {} },
  settings: new SessionSettings(settingDefaults(new Map()), "alice").view,
}

type Given = { readonly name: string; readonly oid: string; readonly over?: readonly string[] }

function snapshot(version: string, given: readonly Given[]): CatalogSnapshot {
  const relations = given.map(({ name, oid, over = [] }): CatalogRelation => {
    const dependsOn = over.map((source) => relationName("public", source))
    return {
      name: relationName("public", name),
      schema: "public",
      relation: name,
      kind: over.length === 0 ? "table" : "view",
      identity: oid,
      dependsOn,
      volatileDefinition: false,
    }
  })
  return {
    relations: new Map(relations.map((relation) => [relation.name, relation])),
    functions: new Map([
      ["pg_catalog.count", "immutable"],
      ["pg_catalog.random", "volatile"],
    ]),
    implicitSchemas: ["pg_catalog"],
    foldsCase: false,
    userOperators: new Set(),
    version,
  }
}

function statement(text: string): Statement {
  const [first] = parseText(text)
  if (first === undefined) throw new Error("no statement")
  return first
}

function keyMaterial(text: string, catalog: CatalogSnapshot): string {
  const parsed = statement(text)
  const plan = planFor(parsed, context, catalog, rooms)
  return keyBaseOf(plan, undefined, { context, rooms }).material
}

const orders = { name: "orders", oid: "1" }
const customers = { name: "customers", oid: "2" }
const view = { name: "v", oid: "3", over: ["orders"] }
const base = snapshot("a", [orders, customers, view])

describe("plans", () => {
  before(loadParser)

  it("depend on the tables behind a view", () => {
    const plan = planFor(statement("select count(*) from v"), context, base, rooms)
    equal(plan.relations.join(), "public.orders,public.v")
  })

  it("say why an answer may not be shared", () => {
    const plan = planFor(statement("select random() from orders"), context, base, rooms)
    equal(plan.cacheability.kind === "bypass" && plan.cacheability.reason, "volatile_function")
  })

  it("are made once for a statement in one state of the world", () => {
    const parsed = statement("select 1 from orders")
    equal(planFor(parsed, context, base, rooms), planFor(parsed, context, base, rooms))
  })
})

describe("keys and the catalogue", () => {
  before(loadParser)

  it("stay the same when an unrelated table appears", () => {
    const later = snapshot("b", [orders, customers, view, { name: "tmp_dbt", oid: "9" }])
    equal(keyMaterial("select * from v", base), keyMaterial("select * from v", later))
  })

  it("change when a table was dropped and made anew", () => {
    const later = snapshot("c", [{ name: "orders", oid: "77" }, customers, view])
    notEqual(keyMaterial("select * from v", base), keyMaterial("select * from v", later))
  })

  it("change when a view shows another table", () => {
    const later = snapshot("d", [orders, customers, { ...view, over: ["customers"] }])
    notEqual(keyMaterial("select * from v", base), keyMaterial("select * from v", later))
  })
})
