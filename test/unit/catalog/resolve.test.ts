import { deepEqual, equal, ok } from "node:assert/strict"
import { it } from "node:test"
import { dependentsOf, downward, expand } from "../../../src/catalog/expand.ts"
import { partsOf } from "../../../src/catalog/relation-key.ts"
import { effectivePath, resolveRelations } from "../../../src/catalog/resolve.ts"
import { relationName } from "../../../src/core/relation.ts"
import { names, ref, snapshot } from "./snapshots.ts"

const postgres = snapshot({
  relations: [
    ["public", "orders"],
    ["sales", "orders"],
    ["sales", "Orders"],
    ["sales", "items"],
    ["pg_catalog", "pg_class"],
    ["public", "pg_class"],
    ["information_schema", "tables"],
    ["a.b", "c"],
    ["pg_temp", "hidden"],
  ],
})
const duckdb = snapshot({
  relations: [
    ["main", "Orders"],
    ["Marts", "daily"],
  ],
  foldsCase: true,
  implicitSchemas: [],
})

const cases: readonly (readonly [string, string[], typeof postgres, string[]])[] = [
  ["orders", ["public", "sales"], postgres, ["public.orders"]],
  ["orders", ["sales", "public"], postgres, ["sales.orders"]],
  ["orders", [], postgres, []],
  ["Orders", ["public", "sales"], postgres, ['sales."Orders"']],
  ["ORDERS", ["public", "sales"], postgres, []],
  ["items", ["public", "sales"], postgres, ["sales.items"]],
  ["sales.orders", ["public"], postgres, ["sales.orders"]],
  ["public.items", ["sales"], postgres, []],
  ["pg_class", ["public"], postgres, ["pg_catalog.pg_class"]],
  ["pg_class", ["public", "pg_catalog"], postgres, ["public.pg_class"]],
  ["tables", ["public"], postgres, []],
  ["information_schema.tables", ["public"], postgres, ["information_schema.tables"]],
  ["wh.sales.orders", ["public"], postgres, ["sales.orders"]],
  ["other.sales.orders", ["public"], postgres, []],
  ["WH.sales.orders", ["public"], postgres, []],
  ["hidden", ["pg_temp", "public"], postgres, []],
  ["c", ["a.b"], postgres, ['"a.b".c']],
  ["orders", ["main"], duckdb, ['main."Orders"']],
  ["ORDERS", ["MAIN"], duckdb, ['main."Orders"']],
  ["marts.DAILY", ["main"], duckdb, ['"Marts".daily']],
  ["WH.marts.daily", ["main"], duckdb, ['"Marts".daily']],
  ["pg_class", ["main"], duckdb, []],
]
for (const [name, searchPath, catalogue, expected] of cases)
  it(`${name} in ${searchPath.join(", ") || "an empty path"}${catalogue.foldsCase ? " (DuckDB)" : ""} is ${expected[0] ?? "unknown"}`, () => {
    const found = resolveRelations([ref(name)], { snapshot: catalogue, searchPath, database: "wh" })
    deepEqual(found.resolved, expected)
    equal(found.unknown.length, 1 - expected.length)
  })

it("repeated references give one relation, unknown ones are all reported", () => {
  const scope = { snapshot: postgres, searchPath: ["public"], database: undefined }
  const refs = ["orders", "public.orders", "nope", "wh.public.orders"].map(ref)
  deepEqual(resolveRelations(refs, scope), {
    resolved: ["public.orders"],
    unknown: [ref("nope"), ref("wh.public.orders")],
  })
})

it("implicit schemas come first unless the path names them itself", () => {
  deepEqual(effectivePath({ snapshot: postgres, searchPath: ["a", "pg_temp_3"] }), [
    "pg_catalog",
    "a",
  ])
  deepEqual(effectivePath({ snapshot: postgres, searchPath: ["a", "pg_catalog"] }), [
    "a",
    "pg_catalog",
  ])
})

for (const [schema, name] of [
  ["public", "orders"],
  ["a.b", "c"],
  ["a", "b.c"],
  ['q"u', 'o".te'],
  ["", ""],
  ["Upper", "x y"],
] as const)
  it(`the parts of ${relationName(schema, name)} are read back`, () => {
    deepEqual(partsOf(relationName(schema, name)), { schema, name })
  })

const views = snapshot({
  relations: [
    ["s", "base"],
    ["s", "other"],
    ["s", "v1", { kind: "view", dependsOn: names("s.base") }],
    ["s", "v2", { kind: "view", dependsOn: names("s.v1", "s.other") }],
    ["s", "rolls", { kind: "view", dependsOn: names("s.base"), volatileDefinition: true }],
    ["s", "over_rolls", { kind: "view", dependsOn: names("s.rolls") }],
    ["s", "matview", { kind: "materialized_view" }],
    ["s", "parent", { kind: "partitioned_table", dependsOn: names("s.p1", "s.p2") }],
    ["s", "p1"],
    ["s", "p2", { kind: "foreign_table" }],
    ["s", "loop1", { kind: "view", dependsOn: names("s.loop2") }],
    ["s", "loop2", { kind: "view", dependsOn: names("s.loop1", "s.base") }],
    ["s", "dangling", { kind: "view", dependsOn: names("s.gone") }],
    ["pg_catalog", "pg_class"],
  ],
})

const expansions: readonly (readonly [string, string[], string])[] = [
  ["s.base", ["s.base"], ""],
  ["s.v2", ["s.base", "s.other", "s.v1", "s.v2"], ""],
  ["s.matview", ["s.matview"], ""],
  ["s.over_rolls", ["s.base", "s.over_rolls", "s.rolls"], "volatileDefinition"],
  ["s.parent", ["s.p1", "s.p2", "s.parent"], "foreignTable"],
  ["s.loop1", ["s.base", "s.loop1", "s.loop2"], ""],
  ["s.dangling", ["s.dangling", "s.gone"], "incomplete"],
  ["pg_catalog.pg_class", ["pg_catalog.pg_class"], "system"],
]
for (const [name, relations, flag] of expansions)
  it(`reading ${name} depends on ${relations.join(", ")}${flag && ` and is ${flag}`}`, () => {
    const expansion = expand(names(name), views)
    deepEqual(expansion, {
      relations,
      volatileDefinition: flag === "volatileDefinition",
      foreignTable: flag === "foreignTable",
      system: flag === "system",
      incomplete: flag === "incomplete",
    })
    equal(expand(names(name), views), expansion, "memoised")
  })

it("an expansion is memoised by snapshot: a view that was redefined is expanded anew", () => {
  const before = snapshot({ relations: [["s", "v", { kind: "view", dependsOn: names("s.a") }]] })
  const after = snapshot({ relations: [["s", "v", { kind: "view", dependsOn: names("s.b") }]] })
  deepEqual(expand(names("s.v"), before).relations, ["s.a", "s.v"])
  deepEqual(expand(names("s.v"), after).relations, ["s.b", "s.v"])
})

it("expanding nothing gives nothing", () => {
  deepEqual(expand([], views).relations, [])
})

it("dependents are all views above, without the names themselves", () => {
  deepEqual(dependentsOf(names("s.base"), views), [
    "s.loop1",
    "s.loop2",
    "s.over_rolls",
    "s.rolls",
    "s.v1",
    "s.v2",
  ])
  deepEqual(dependentsOf(names("s.p1"), views), ["s.parent"])
  deepEqual(dependentsOf(names("s.v2"), views), [])
  ok(!dependentsOf(names("s.base", "s.v1"), views).some((name) => name === "s.v1"))
})

it("an event for a view reaches its bases, one for a parent its children", () => {
  deepEqual([...downward(names("s.v2"), views)].toSorted(), ["s.base", "s.other", "s.v1", "s.v2"])
  deepEqual([...downward(names("s.parent"), views)].toSorted(), ["s.p1", "s.p2", "s.parent"])
})
