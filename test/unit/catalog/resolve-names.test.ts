import { deepEqual } from "node:assert/strict"
import { it } from "node:test"
import { string as anyString, assert as check, property } from "fast-check"
import { resolveNames } from "../../../src/catalog/resolve-names.ts"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { snapshot } from "./snapshots.ts"

const postgres = snapshot({
  relations: [
    ["analytics", "daily_revenue"],
    ["analytics", "orders"],
    ["sales", "orders"],
    ["sales", "Orders"],
    ["Sales", "x.y"],
    ["odd", 'q"t'],
    ["odd", "a/b"],
    ["odd", "mit leer"],
  ],
})
const duckdb = snapshot({ relations: [["Marts", "Daily"]], foldsCase: true, implicitSchemas: [] })

const cases: readonly (readonly [string, string[], CatalogSnapshot?])[] = [
  // As people write them.
  ["analytics.daily_revenue", ["analytics.daily_revenue"]],
  ["daily_revenue", ["analytics.daily_revenue"]],
  ["  analytics.daily_revenue ", ["analytics.daily_revenue"]],
  ["ANALYTICS.Daily_Revenue", ["analytics.daily_revenue"]],
  ["orders", ["analytics.orders", "sales.orders", 'sales."Orders"']],
  ["sales.orders", ["sales.orders", 'sales."Orders"']],
  ['sales."Orders"', ['sales."Orders"']],
  ['sales."orders"', ["sales.orders"]],
  ['sales."ORDERS"', ["sales.orders", 'sales."Orders"']],
  ['"Sales"."x.y"', ['"Sales"."x.y"']],
  ['odd."q""t"', ['odd."q""t"']],
  ['odd."a/b"', ['odd."a/b"']],
  ['odd."mit leer"', ['odd."mit leer"']],
  ["odd.mit leer", ['odd."mit leer"']],
  // Orchestrators: dbt, OpenLineage, Airflow assets, Dagster keys, Prefect resources.
  ['"wh"."analytics"."daily_revenue"', ["analytics.daily_revenue"]],
  ["`wh`.`analytics`.`daily_revenue`", ["analytics.daily_revenue"]],
  ["wh.analytics.daily_revenue", ["analytics.daily_revenue"]],
  ["prod_alias.analytics.daily_revenue", ["analytics.daily_revenue"]],
  ["analytics/daily_revenue", ["analytics.daily_revenue"]],
  ["prefix/analytics/daily_revenue", ["analytics.daily_revenue"]],
  ["postgres://db.example:5432/wh/analytics/daily_revenue", ["analytics.daily_revenue"]],
  ["postgresql://wh/analytics/daily_revenue", ["analytics.daily_revenue"]],
  ["postgres://u@h/wh/analytics/daily_revenue?sslmode=x#frag", ["analytics.daily_revenue"]],
  ["postgres://h/wh/odd/mit%20leer", ['odd."mit leer"']],
  ["postgres://h/wh/analytics/100%/daily_revenue", []],
  ["postgres://h:1/wh/analytics.daily_revenue", ["analytics.daily_revenue"]],
  // The database and a table, without the schema.
  ["wh.daily_revenue", ["analytics.daily_revenue"]],
  // Nothing known.
  ["nowhere.daily_revenue", []],
  ["analytics.nope", []],
  ["wh.nowhere.daily_revenue", []],
  ["nope", []],
  ["", []],
  [".", []],
  ["//", []],
  ["postgres://", []],
  ["postgres://h", []],
  ['analytics."daily_revenue', []],
  ["a".repeat(2_001), []],
  // DuckDB keeps the spelling and compares without case.
  ["marts.daily", ['"Marts"."Daily"'], duckdb],
  ['"MARTS"."DAILY"', ['"Marts"."Daily"'], duckdb],
]
for (const [item, expected, catalogue = postgres] of cases)
  it(`${JSON.stringify(item.slice(0, 60))} names ${expected.join(" and ") || "nothing"}`, () => {
    deepEqual(resolveNames(item, catalogue, "wh"), expected)
  })

it("without a known database a leading part is never taken for one", () => {
  deepEqual(resolveNames("wh.daily_revenue", postgres), [])
})

it("any text is taken without an error", () => {
  check(
    property(anyString({ unit: "binary", maxLength: 40 }), (text) => {
      resolveNames(text, postgres, "wh")
    }),
  )
})

it("every relation is found by its own full name", () => {
  for (const name of postgres.relations.keys())
    deepEqual(
      resolveNames(name, postgres).filter((found) => found === name),
      [name],
    )
})
