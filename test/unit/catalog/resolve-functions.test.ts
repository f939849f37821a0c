import { deepEqual, equal, ok } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { it } from "node:test"
import { type FunctionVerdict, resolveFunctions } from "../../../src/catalog/resolve-functions.ts"
import {
  sessionFunctions,
  stableSafeFunctions,
  timeFunctions,
} from "../../../src/catalog/stable-functions.ts"
import type { CatalogSnapshot } from "../../../src/core/catalog.ts"
import { relationName } from "../../../src/core/relation.ts"
import type { FunctionRef } from "../../../src/core/statement.ts"
import { snapshot } from "./snapshots.ts"

const postgres = snapshot({
  functions: {
    "pg_catalog.lower": "immutable",
    "pg_catalog.date_trunc": "stable",
    "pg_catalog.age": "stable",
    "pg_catalog.now": "stable",
    "pg_catalog.random": "volatile",
    "pg_catalog.nextval": "volatile",
    "pg_catalog.table_to_xml": "stable",
    "pg_catalog.to_tsvector": "stable",
    "pg_catalog.current_setting": "stable",
    "pg_catalog.has_table_privilege": "stable",
    "pg_catalog.pg_table_size": "volatile",
    "public.tax": "immutable",
    "public.rate": "stable",
    "public.roll": "volatile",
    "shop.lower": "volatile",
    "shop.date_trunc": "immutable",
    "shop.to_char": "stable",
    'shop."Tax"': "immutable",
  },
})
const duckdb = snapshot({
  foldsCase: true,
  implicitSchemas: ["main", "pg_catalog"],
  functions: {
    "main.strftime": "immutable",
    "main.age": "immutable",
    "main.current_setting": "immutable",
    "main.current_localtimestamp": "immutable",
    "main.today": "stable",
    "main.txid_current": "stable",
    "main.random": "volatile",
    "main.Total": "immutable",
    'main."Total"': "stable",
  },
})

/** `schema.name/argumentCount`. */
function call(text: string): FunctionRef {
  const [path = "", count = "1"] = text.split("/")
  const parts = path.split(".")
  return { schema: parts.at(-2), name: parts.at(-1) ?? "", argumentCount: Number(count) }
}

function shown(verdict: FunctionVerdict): string {
  return verdict.kind === "cacheable" ? verdict.worst : `${verdict.reason} ${verdict.name}`
}

const cases: readonly (readonly [string, CatalogSnapshot, string])[] = [
  ["", postgres, "immutable"],
  ["lower", postgres, "immutable"],
  ["lower tax", postgres, "immutable"],
  ["date_trunc/2", postgres, "stable_safe"],
  ["pg_catalog.date_trunc/2", postgres, "stable_safe"],
  ["lower date_trunc/2", postgres, "stable_safe"],
  ["age/2", postgres, "stable_safe"],
  ["age/1", postgres, "time_function age"],
  ["now/0", postgres, "time_function now"],
  ["pg_catalog.now/0", postgres, "time_function now"],
  ["random/0", postgres, "volatile_function random"],
  ["nextval", postgres, "volatile_function nextval"],
  ["table_to_xml/4", postgres, "unstable_function table_to_xml"],
  ["to_tsvector", postgres, "unstable_function to_tsvector"],
  ["current_setting", postgres, "session_function current_setting"],
  ["has_table_privilege/2", postgres, "session_function has_table_privilege"],
  ["has_made_up_privilege/2", postgres, "session_function has_made_up_privilege"],
  ["rate", postgres, "unstable_function rate"],
  ["public.roll", postgres, "volatile_function roll"],
  ["nope", postgres, "unknown_function nope"],
  ["public.lower", postgres, "unknown_function lower"],
  ["LOWER", postgres, "unknown_function LOWER"],
  ["Tax", postgres, "unknown_function Tax"],
  ["shop.Tax", postgres, "immutable"],
  ["shop.to_char/2", postgres, "unstable_function to_char"],
  ["coalesce/2 greatest/2 nullif/2", postgres, "immutable"],
  ["pg_catalog.coalesce/2", postgres, "immutable"],
  ["public.coalesce/2", postgres, "unknown_function coalesce"],
  ["rate now/0 nope random/0 lower", postgres, "volatile_function random"],
  ["rate now/0 nope", postgres, "unknown_function nope"],
  ["rate current_setting now/0", postgres, "time_function now"],
  ["rate current_setting", postgres, "session_function current_setting"],
  ["strftime/2", duckdb, "immutable"],
  ["STRFTIME/2", duckdb, "immutable"],
  ["age/2", duckdb, "immutable"],
  ["age/1", duckdb, "time_function age"],
  ["current_localtimestamp/0", duckdb, "time_function current_localtimestamp"],
  ["Today/0", duckdb, "time_function Today"],
  ["current_setting", duckdb, "session_function current_setting"],
  ["txid_current/0", duckdb, "session_function txid_current"],
  ["random/0", duckdb, "volatile_function random"],
  ["getenv", duckdb, "session_function getenv"],
  ["read_csv", duckdb, "unknown_function read_csv"],
  ["TOTAL", duckdb, "unstable_function TOTAL"],
]
for (const [calls, catalogue, expected] of cases)
  it(`a statement that calls ${calls || "nothing"}${catalogue.foldsCase ? " (DuckDB)" : ""} is ${expected}`, () => {
    const functions = calls === "" ? [] : calls.split(" ").map(call)
    const verdict = resolveFunctions(functions, { snapshot: catalogue, searchPath: ["public"] })
    equal(shown(verdict), expected)
  })

it("a function of the same name in any schema of the path counts, because its overload may be meant", () => {
  const searchPath = ["public", "shop"]
  const of = (text: string): string =>
    shown(resolveFunctions([call(text)], { snapshot: postgres, searchPath }))
  equal(of("lower"), "volatile_function lower")
  equal(of("date_trunc/2"), "stable_safe")
  equal(of("pg_catalog.lower"), "immutable")
})

/** Sections `[class]` with names, from the file of captured names. */
function readCaptured(): Map<string, string[]> {
  const path = new URL("postgres-18-stable-functions.txt", import.meta.url)
  const sections = new Map<string, string[]>()
  let current: string[] = []
  for (const line of readFileSync(path, "utf8").split("\n")) {
    const [, section] = /^\[(\w+)\]$/.exec(line) ?? []
    if (section !== undefined) {
      current = []
      sections.set(section, current)
    } else if (!line.startsWith("#") && line !== "") current.push(...line.split(" "))
  }
  return sections
}

const captured = readCaptured()

it("every stable function of PostgreSQL 18 has the class that was decided for it", () => {
  const all = [...captured.values()].flat()
  equal(all.length, 540)
  const functions = Object.fromEntries(
    all.map((name) => [relationName("pg_catalog", name), "stable" as const]),
  )
  const scope = { snapshot: snapshot({ functions }), searchPath: [] }
  for (const [expected, names] of captured)
    for (const name of names) {
      const verdict = resolveFunctions([{ schema: undefined, name, argumentCount: 2 }], scope)
      equal(verdict.kind === "cacheable" ? verdict.worst : verdict.reason, expected, name)
    }
})

it("no table holds a name that PostgreSQL 18 does not have, but for those it has as immutable", () => {
  const safe = new Set(captured.get("stable_safe"))
  const immutable = [
    "date_bin",
    "jsonb_object_agg",
    "jsonb_object_agg_strict",
    "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict",
    "string_agg",
  ]
  deepEqual(
    [...stableSafeFunctions].filter((name) => !safe.has(name)),
    immutable,
  )
})

it("a name stands in one table only", () => {
  for (const name of timeFunctions)
    ok(!sessionFunctions.has(name) && !stableSafeFunctions.has(name), name)
  for (const name of sessionFunctions) ok(!stableSafeFunctions.has(name), name)
})

const dangerous =
  "now to_tsvector to_tsquery ts_headline current_setting database_to_xml table_to_xml schema_to_xml pg_typeof pg_column_size obj_description format_type enum_range to_regclass timetz money json_populate_record pg_get_viewdef date_in timestamptz_in"
for (const name of dangerous.split(" "))
  it(`${name} is never taken for safe`, () => {
    ok(!stableSafeFunctions.has(name))
  })
