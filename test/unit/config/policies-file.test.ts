import { deepEqual, equal, match, throws } from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { jsonSchemaText } from "../../../src/config/json-schema.ts"
import { readPoliciesFile } from "../../../src/config/policies-file.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { compilePolicies } from "../../../src/policy/compile.ts"
import { Policy } from "../../../src/policy/policy.ts"
import { loadParser } from "../../../src/sql/parser.ts"

const example = new URL("../../../config/policies.example.yaml", import.meta.url)
const published = new URL("../../../config/policies.schema.json", import.meta.url)

function filter(parts: string): string {
  return `relations:\n  s.t:\n    rowFilters: [${parts}]`
}

function role(name: string): ConstructorParameters<typeof Policy>[0][number] {
  return {
    name,
    relations: { allow: ["*"], deny: [] },
    rowLimit: undefined,
    onExceed: "cut",
    statementTimeoutMs: 0,
    mayCache: true,
    mayWrite: true,
  }
}

describe("a policies file", () => {
  let folder = ""
  before(async () => {
    await loadParser()
    folder = mkdtempSync(join(tmpdir(), "sluice-policies-"))
  })
  after(() => rmSync(folder, { recursive: true }))

  const read = (text: string): ReturnType<typeof readPoliciesFile> => {
    const path = join(folder, "p.yaml")
    writeFileSync(path, text)
    return readPoliciesFile(path)
  }

  it("has a published schema that is the code's", () => {
    equal(readFileSync(published, "utf8"), jsonSchemaText("policies"))
  })

  it("of the example compiles", () => {
    const { policies } = readPoliciesFile(example.pathname)
    const compiled = compilePolicies(policies, ["analyst", "operations"])
    deepEqual(compiled.problems, [])
    deepEqual(compiled.policies.interest, [
      { schema: "sales", relation: "orders" },
      { schema: "sales", relation: "invoices" },
      { schema: "sales", relation: "org_map" },
      { schema: "sales", relation: "events" },
    ])
  })

  const malformed: readonly (readonly [text: string, problem: RegExp])[] = [
    ["relation: {}", /p\.yaml:1:1: relation: unknown key; did you mean "relations"/],
    ["relations:\n  orders: {}", /p\.yaml:2:3: relations\.orders: must be "schema\.name"/],
    [
      "relations:\n  s.t:\n    rowFilter: []",
      /p\.yaml:3:5: .*rowFilter: unknown key; did you mean "rowFilters"/,
    ],
    ["relations:\n  s.t:\n    masks: [{ column: a }]", /p\.yaml:3:.*mask: is required/],
    ["claims: { a: { type: regclass } }", /p\.yaml:1:.*must be text, int8/],
    ["functions: [f]", /p\.yaml:1:.*must be "schema\.name"/],
    ["relations: { s.t: { fence: maybe } }", /fence/],
    ["guestFilters: { datasets: { a: orders } }", /guestFilters\.datasets/],
    ["guestFilters: { claims: x }", /unknown key; did you mean "claim"/],
    ["claimsFrom: { ttlMs: 1s }", /claimsFrom\.query: is required/],
    ["claimsFrom: { query: 'SELECT 1', ttl: 1s }", /unknown key; did you mean "ttlMs"/],
    ["a: [", /not valid YAML/],
  ]
  for (const [text, problem] of malformed)
    it(`${JSON.stringify(text)} is refused with its line`, () => {
      throws(
        () => read(text),
        (error) => {
          match(error instanceof GatewayError ? (error.detail ?? "") : "", problem)
          return true
        },
      )
    })

  const unfit: readonly (readonly [text: string, path: string, message: RegExp])[] = [
    [filter('{ name: a, filter: "x = :y" }'), "relations.s.t.rowFilters.0.filter", /uses :y/],
    [filter('{ name: a, filter: "x =" }'), "relations.s.t.rowFilters.0.filter", /syntax error/],
    [filter('{ name: a, filter: "x) OR (true" }'), "relations.s.t.rowFilters.0.filter", /.+/],
    [
      filter('{ name: a, filter: "x", roles: [no] }'),
      "relations.s.t.rowFilters.0.roles.0",
      /no role/,
    ],
    [
      filter('{ name: a, filter: "x", kind: restrictive }'),
      "relations.s.t.rowFilters",
      /no permissive/,
    ],
    [
      "relations: { s.t: { masks: [{ column: a, mask: 'null' }, { column: a, mask: '1' }] } }",
      "relations.s.t.masks.1.column",
      /has a mask already/,
    ],
    ["relations: { s.t: { unfilteredRoles: [no] } }", "relations.s.t.unfilteredRoles.0", /no role/],
    ["claims: { rls_rules: { type: text } }", "guestFilters.claim", /stands under claims as well/],
    [
      "claimsFrom: { query: 'SELECT a FROM s.t WHERE u = :user' }",
      "claimsFrom.query",
      /gives "a", which stands not under claims/,
    ],
    [
      "{ claims: { a: { type: text } }, claimsFrom: { query: 'SELECT a FROM s.t WHERE u = :user', rows: many } }",
      "claimsFrom.query",
      /its type is no list/,
    ],
    ["claimsFrom: { query: 'SELECT a FROM t WHERE u = :user' }", "claimsFrom.query", /schema/],
  ]
  for (const [text, path, message] of unfit)
    it(`${path} has a problem: ${message}`, () => {
      const { problems } = compilePolicies(read(text).policies, ["analyst"])
      deepEqual(
        problems.map((problem) => problem.path.join(".")),
        [path],
      )
      match(problems[0]?.message ?? "", message)
    })

  it("holds for roles as it says", () => {
    const text = `relations:
  s.t:
    rowFilters: [{ name: a, filter: "x = 1", roles: [analyst] }, { name: b, filter: "y = 1", kind: restrictive }]
    unfilteredRoles: [boss]`
    const { policies } = compilePolicies(read(text).policies, ["analyst", "boss"])
    const kind = (...roles: string[]): string | undefined =>
      policies.rulesFor(roles)?.rules[0]?.rows.kind
    equal(kind("analyst"), "filtered")
    equal(kind("analyst", "boss"), undefined)
    equal(kind("other"), "closed")
    equal(kind(), "closed")
  })

  it("takes the right to write from roles that it holds for, and from no others", () => {
    const { policies } = compilePolicies(
      read("relations: { s.t: { deniedColumns: [{ columns: [a], exceptRoles: [boss] }] } }")
        .policies,
      ["boss"],
    )
    const policy = new Policy([role("boss"), role("analyst")], policies)
    equal(policy.effective(["boss"]).mayWrite, true)
    equal(policy.effective(["analyst"]).mayWrite, false)
  })
})
