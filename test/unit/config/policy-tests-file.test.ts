import { deepEqual, equal, match, throws } from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { jsonSchemaText } from "../../../src/config/json-schema.ts"
import { parseConfiguration } from "../../../src/config/load.ts"
import { readPolicyTests } from "../../../src/config/policy-tests-file.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { verifier } from "./fixture.ts"

const configuration = parseConfiguration(
  `warehouses: { mart: { engine: duckdb, path: m.duckdb } }
roles: { analyst: {}, operations: {} }
users: { alice: { verifier: "${verifier}", roles: [analyst] } }
`,
  { environment: {}, fileName: "sluice.yaml" },
)

const file = (name: string): URL => new URL(`../../../config/${name}`, import.meta.url)

describe("a file of policy tests", () => {
  let folder = ""
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-policy-tests-"))
  })
  after(() => rmSync(folder, { recursive: true }))

  const read = (text: string) => {
    const path = join(folder, "p.tests.yaml")
    writeFileSync(path, text)
    return readPolicyTests(path, configuration)
  }

  it("has a published schema that is the code's", () => {
    equal(readFileSync(file("policy-tests.schema.json"), "utf8"), jsonSchemaText("policy-tests"))
  })

  it("of the example is read, with the lines of its cases", () => {
    const { cases } = readPolicyTests(file("policies.example.tests.yaml").pathname, configuration)
    const names = cases.map(({ case: { name } }) => name)
    equal(new Set(names).size, names.length)
    equal(cases.length >= 5 && (cases[0]?.line ?? 0) > 5, true)
  })

  it("takes one text for a list of one", () => {
    const { cases } = read(
      "cases: [{ name: a, user: alice, expect: { sees: no rows of s.t } }, { name: b, user: alice, sql: s, expect: { rewritten: { lacks: x } } }]",
    )
    deepEqual(cases[0]?.case.expect.sees, ["no rows of s.t"])
    deepEqual(cases[1]?.case.expect.rewritten, { lacks: ["x"] })
  })

  const wrong: readonly (readonly [item: string, problem: RegExp])[] = [
    ["user: alicia, sql: s, expect: { rows: 1 }", /user: names no user.*did you mean "alice"/],
    ["roles: [analysts], sql: s, expect: { rows: 1 }", /roles\[0\]: names no role.*"analyst"/],
    ["user: alice, database: marts, sql: s, expect: { rows: 1 }", /names no database.*"mart"/],
    ["sql: s, expect: { rows: 1 }", /needs a user, or roles/],
    ["user: alice, sql: s, expect: {}", /expects nothing/],
    ["user: alice, sql: s, expect: { allowed: false }", /allowed: must be true/],
    ["user: alice, sql: s, expect: { refused: true, rows: 1 }", /expects a refusal and rows/],
    ["user: alice, expect: { rows: 1 }", /needs the sql/],
    ["user: alice, sql: s, expect: { sees: 1 row of t }", /sees, which takes no sql/],
    [
      "user: alice, expect: { sees: many rows of t }",
      /must be such as "3 rows of sales\.orders"|form/,
    ],
    ["user: alice, sql: s, expect: { rows: -1 }", /must not be negative/],
    ["user: alice, sql: s, expect: { rows: many }", /must be a number of rows, or a list of rows/],
    ["user: alice, sql: s, expect: { rows: [], values: [] }", /both rows and values/],
    ["user: alice, sql: s, expect: { rewritten: {} }", /without contains or lacks/],
    ["user: alice, sql: s, expect: { row: 1 }", /row: unknown key; did you mean "rows"/],
  ]
  for (const [item, problem] of wrong)
    it(`{ ${item} } is refused with its line`, () => {
      throws(
        () => read(`cases:\n  - { name: a, ${item} }\n`),
        (error) => {
          const detail = error instanceof GatewayError ? (error.detail ?? "") : ""
          match(detail, problem)
          match(detail, /p\.tests\.yaml:2:\d+: cases\[0\]/)
          return true
        },
      )
    })
})

const detailOf = (text: string): string => {
  try {
    parseConfiguration(text, { environment: {}, fileName: "sluice.yaml", readFile: () => "" })
    return ""
  } catch (error) {
    return error instanceof GatewayError ? (error.detail ?? "") : String(error)
  }
}

describe("policies inside the configuration", () => {
  const base = `warehouses: { mart: { engine: duckdb, path: m.duckdb } }
roles: { analyst: {} }
users: { alice: { verifier: "${verifier}", roles: [analyst] } }
`
  it("are taken, with their defaults", () => {
    const text = `${base}policies: { relations: { s.t: { deniedColumns: [{ columns: [a] }] } } }\n`
    const { inlinePolicies } = parseConfiguration(text, { environment: {}, fileName: "c.yaml" })
    equal(inlinePolicies?.policies.relations["s.t"]?.fence, true)
    deepEqual(inlinePolicies?.section, ["policies"])
    equal(inlinePolicies?.positionOf(["policies", "relations", "s.t"])?.line, 4)
  })

  it("are refused beside policiesFile", () => {
    const both = `${base}policiesFile: p.yaml\npolicies: { relations: {} }\n`
    match(detailOf(both), /sluice\.yaml:5:1: policies: does not go together with policiesFile/)
  })

  it("are checked as a file of their own is", () => {
    match(
      detailOf(`${base}policies: { relations: { t: {} } }\n`),
      /sluice\.yaml:4:\d+: policies\.relations\.t: must be "schema\.name"/,
    )
  })
})
