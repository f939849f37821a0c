import { deepEqual, equal, match, notEqual, rejects } from "node:assert/strict"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, it } from "node:test"
import { type ExplainOptions, explainCommand } from "../../../src/cli/explain.ts"
import { policyLintCommand } from "../../../src/cli/policy-lint.ts"
import { policyTestCommand } from "../../../src/cli/policy-test.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import type { Level } from "../../../src/policy/lint/finding.ts"
import { configuration, type Mart, policies, startMart, warehouseOf } from "./mart.ts"

const good = `cases:
  - { name: ann sees her orders, user: ann, expect: { sees: [3 rows of sales.orders, no rows of sales.orders WHERE org_id = 2, 1 row of sales.invoices] } }
  - { name: bob sees his, user: bob, expect: { sees: 5 rows of sales.orders } }
  - { name: the boss sees all, user: boss, sql: SELECT * FROM sales.orders, expect: { allowed: true, rows: 8 } }
  - { name: e-mail addresses are masked, user: ann, sql: SELECT email FROM sales.orders, expect: { masked: { email: "?***" } } }
  - name: exact rows in any order
    user: ann
    sql: SELECT id, customer, amount FROM sales.orders
    expect: { columns: [id, customer, amount], rows: [[3, Ann, 30], [1, Ada, 10.00], [2, Alan, "20.00"]] }
  - name: exact rows in their order
    user: ann
    sql: SELECT id, NULL AS n, id > 2 AS late FROM sales.orders ORDER BY id DESC
    expect: { values: [[3, null, true], [2, null, false], [1, null, false]] }
  - { name: ssn is not there, user: ann, sql: SELECT ssn FROM sales.orders, expect: { refused: "42703" } }
  - { name: without a claim nothing is shown, roles: [tenant], sql: SELECT 1 FROM sales.orders, expect: { refused: claim_missing } }
  - { name: other claims show other rows, roles: [tenant], claims: { org_id: 2 }, expect: { sees: 5 rows of sales.orders } }
  - { name: nobody writes, user: ann, sql: DELETE FROM sales.orders, expect: { refused: true } }
  - name: the filter reaches the warehouse
    user: ann
    searchPath: sales
    sql: SELECT id FROM orders
    expect: { rewritten: { contains: ["'1'::bigint", "OFFSET 0"], lacks: ssn } }
`

const bad = `cases:
  - { name: too many rows, user: boss, expect: { sees: 3 rows of sales.orders } }
  - { name: not refused, user: boss, sql: SELECT ssn FROM sales.orders, expect: { refused: true } }
  - { name: refused for another reason, roles: [tenant], sql: SELECT 1 FROM sales.orders, expect: { refused: relation_not_granted } }
  - { name: a misspelt statement proves nothing, user: ann, sql: SELEC 1, expect: { refused: true } }
  - { name: not masked, user: boss, sql: SELECT email FROM sales.orders WHERE id = 1, expect: { masked: { email: "?***" } } }
  - { name: no row proves no mask, user: ann, sql: SELECT email FROM sales.orders WHERE id > 99, expect: { masked: { email: "?***" } } }
  - { name: one row less, user: ann, sql: SELECT id FROM sales.orders WHERE id < 3, expect: { rows: [[1], [2], [3]] } }
  - { name: the same row twice, user: ann, sql: SELECT 1 FROM sales.orders WHERE id < 3, expect: { rows: [[1], [2]] } }
  - { name: another order, user: ann, sql: SELECT id FROM sales.orders ORDER BY 1, expect: { values: [[2], [1], [3]] } }
  - { name: other columns, user: ann, sql: SELECT id FROM sales.orders, expect: { columns: [ID] } }
  - { name: another text, user: ann, sql: SELECT id FROM sales.orders, expect: { rewritten: { contains: "'2'::bigint" } } }
  - { name: refused where allowed, roles: [tenant], sql: SELECT 1 FROM sales.orders, expect: { allowed: true, rows: 3 } }
`

const doubtful = `claims:
  org_id: { type: int8 }
  unused: { type: text }
  nobody: { type: "text[]" }
relations:
  sales.oders:
    rowFilters: [{ name: own, filter: "org_id = :org_id" }]
    unfilteredRoles: [boss, ghost, other]
  sale.invoices: {}
  sales.orders:
    rowFilters:
      - { name: all, filter: "true", roles: [ghost] }
      - { name: chance, filter: "org_id = :org_id AND random() < 2", roles: [tenant] }
      - { name: misspelt, filter: "orgid = 1", kind: restrictive }
      - { name: none, filter: "1 = 2", kind: restrictive }
      - { name: same, filter: "length('a') = 1", kind: restrictive }
    unfilteredRoles: [boss]
    masks:
      - { column: email, mask: "NULL::text" }
      - { column: Email, mask: "NULL::text" }
      - { column: emial, mask: "NULL::text" }
      - { column: amount, mask: "'secret'" }
      - { column: note, mask: "left(note, ARRAY[1])" }
      - { column: ssn, mask: "'x'" }
    deniedColumns:
      - { columns: [ssn] }
      - { columns: [nothing], exceptRoles: [tenant, boss, ghost, other] }
  sales.invoices:
    rowFilters: [{ name: theirs, filter: "org_id = 1", roles: [other] }]
    unfilteredRoles: [tenant, boss, ghost, other]
  sales.big:
    rowFilters:
      - { name: own, filter: "org_id = :org_id" }
      - { name: indexed, filter: "id = 1", kind: restrictive }
      - { name: mapped, filter: "org_id IN (SELECT org_id FROM sales.org_map WHERE login = any(:nobody))", kind: restrictive }
    unfilteredRoles: [boss, ghost, other]
`

const folder = new URL("goldens/", import.meta.url)

/** What a command wrote against the file of that name; `UPDATE_GOLDENS=1` writes the file, to be read before it is kept. */
function sameAsGolden(name: string, output: string): void {
  const file = new URL(name, folder)
  if (process.env["UPDATE_GOLDENS"] === "1") writeFileSync(file, output)
  equal(output, readFileSync(file, "utf8"))
}

const example = (name: string): string =>
  readFileSync(new URL(`../../../config/${name}`, import.meta.url), "utf8")

for (const engine of ["postgres", "duckdb"] as const)
  describe(`policy tools over ${engine}`, () => {
    let mart: Mart
    before(async () => {
      mart = await startMart(engine)
    })
    after(() => mart.stop())

    const test = async (name: string, text: string, json = false) => {
      await mart.write(name, text)
      const options = { config: mart.config, files: [name], json }
      return mart.command((terminal) => policyTestCommand(options, terminal))
    }
    const lint = async (options: { readonly offline?: boolean; readonly failOn?: Level } = {}) => {
      const text = configuration(warehouseOf(mart.postgres), "policiesFile: doubtful.yaml").replace(
        "roles:\n",
        "roles:\n  ghost: { relations: { allow: ['*'] } }\n  other: { relations: { allow: [elsewhere.*] } }\n",
      )
      const config = await mart.write("doubtful-config.yaml", text)
      await mart.write("doubtful.yaml", doubtful)
      const { offline = false, failOn = "error" } = options
      return mart.command((terminal) =>
        policyLintCommand({ config, offline, failOn, json: false }, terminal),
      )
    }
    const explained = (sql: string, options: Partial<ExplainOptions>) =>
      mart.command((terminal) =>
        explainCommand(sql, { config: mart.config, json: false, ...options }, terminal),
      )

    const key = async (options: Partial<ExplainOptions>): Promise<string> => {
      const { output } = await explained("SELECT id FROM sales.orders", {
        ...options,
        json: true,
      })
      const { key: found, keyScope } = JSON.parse(output)
      match(keyScope, /^[0-9a-f]{16}$/)
      return found
    }

    it("policy test prints a table and gives 0 when all is as expected", async () => {
      const { code, output } = await test("good.tests.yaml", good)
      sameAsGolden("test-good.txt", output)
      equal(code, 0)
    })

    it("policy test tells every expectation that is not met, and gives 1", async () => {
      const { code, output } = await test("bad.tests.yaml", bad)
      sameAsGolden(`test-bad-${engine}.txt`, output)
      equal(code, 1)
    })

    it("policy test gives the same as JSON", async () => {
      const { code, output } = await test("bad.tests.yaml", bad, true)
      const { passed, failed, cases } = JSON.parse(output)
      deepEqual([code, passed, failed, cases.length], [1, 0, 12, 12])
      deepEqual(cases[0], {
        file: "bad.tests.yaml",
        line: 2,
        name: "too many rows",
        expected: "3 rows of sales.orders",
        got: "8 rows of sales.orders",
        ok: false,
      })
    })

    it("policy test finds the files beside the policies, and complains when there is none", async () => {
      for (const name of ["good.tests.yaml", "bad.tests.yaml"])
        rmSync(join(mart.folder, name), { force: true })
      const all = { config: mart.config, files: [], json: false }
      const run = () => mart.command((terminal) => policyTestCommand(all, terminal))
      await rejects(run, /there is no file of tests/)
      await mart.write("found.tests.yaml", "cases: []")
      await rejects(run, /the files hold no case/)
      await mart.write("found.tests.yaml", good)
      const { code, output } = await run()
      equal(code, 0)
      match(output, /^ok {2}found\.tests\.yaml /m)
    })

    it("policy lint finds what can hardly be meant", async () => {
      const { code, output } = await lint()
      sameAsGolden(`lint-${engine}.txt`, output)
      equal(code, 1)
    })

    it("policy lint without a warehouse finds what roles, claims and constants show", async () => {
      const { code, output } = await lint({ offline: true })
      sameAsGolden("lint-offline.txt", output)
      equal(code, 0)
      equal((await lint({ offline: true, failOn: "warning" })).code, 1)
    })

    it("policy lint has no error for policies that fit", async () => {
      const options = { config: mart.config, offline: false, failOn: "error", json: true } as const
      const { code, output } = await mart.command((terminal) =>
        policyLintCommand(options, terminal),
      )
      equal(code, 0)
      equal(JSON.parse(output).errors, 0)
    })

    it("explain tells a user's own claims, what they make of the statement, and where it goes", async () => {
      const { code, output } = await explained("SELECT email FROM sales.orders", { user: "ann" })
      sameAsGolden(`explain-ann-${engine}.txt`, output.replaceAll(/^(key(?: scope)?) +.*$/gm, "$1"))
      equal(code, 0)
    })

    it("explain takes claims and roles in place of a user's", async () => {
      const given = { user: "ann", claims: '{"org_id": 2}' }
      match((await explained("SELECT id FROM sales.orders", given)).output, /org_id = '2'::bigint/)
      const roles = { roles: "boss" }
      const { output } = await explained("SELECT id FROM sales.orders", roles)
      match(output, /^policies +none$/m)
      match(output, /^user +somebody$/m)
    })

    it("explain gives one key to equal effective filters, and other keys to others", async () => {
      const ann = await key({ user: "ann", searchPath: "sales" })
      const alike = { roles: "tenant", claims: '{"org_id": "1"}', searchPath: "sales" }
      equal(await key(alike), ann)
      notEqual(await key({ user: "bob", searchPath: "sales" }), ann)
    })

    const refusals: readonly [sql: string, options: Partial<ExplainOptions>, text: RegExp][] = [
      [
        "SELECT id FROM sales.orders",
        { roles: "tenant" },
        /refusal +42501 claim_missing: permission denied for table orders\nhint +The policy .*"org_id"/,
      ],
      ["SELECT id FROM sales.orders", { user: "ann", claims: '{"org_id":[1]}' }, /claim_missing/],
      ["DELETE FROM sales.orders", { user: "ann" }, /25006 write_on_read_route/],
    ]
    for (const [sql, options, text] of refusals)
      it(`explain tells why ${sql} of ${JSON.stringify(options)} is refused, and gives 1`, async () => {
        const { code, output } = await explained(sql, options)
        match(output, text)
        equal(code, 1)
      })

    const mistakes: readonly [options: Partial<ExplainOptions>, message: RegExp, hint?: RegExp][] =
      [
        [{ claims: "[1]" }, /--claims takes a JSON object/],
        [{ claims: "{" }, /--claims takes a JSON object/],
        [{ user: "anne" }, /user "anne" is not in the configuration/, /"ann"/],
        [{ roles: "tenants" }, /role "tenants" is not in the configuration/, /"tenant"/],
        [{ database: "marts" }, /database "marts" is not in the configuration/, /"mart"/],
      ]
    for (const [options, message, hint = /^$/] of mistakes)
      it(`explain refuses ${JSON.stringify(options)}`, async () => {
        await rejects(explained("SELECT 1", options), (error) => {
          match(error instanceof GatewayError ? error.message : "", message)
          match(error instanceof GatewayError ? (error.hint ?? "") : "", hint)
          return true
        })
      })

    it("the example's own cases hold for the example's policies", async () => {
      await mart.write("policies.example.yaml", example("policies.example.yaml"))
      await mart.write("example.tests.yaml", example("policies.example.tests.yaml"))
      const text = configuration(
        warehouseOf(mart.postgres),
        "policiesFile: policies.example.yaml",
      ).replaceAll(/tenant|boss/g, (role) => (role === "boss" ? "operations" : "analyst"))
      const config = await mart.write("example.yaml", text)
      const options = { config, files: ["example.tests.yaml"], json: false }
      const { code, output } = await mart.command((terminal) =>
        policyTestCommand(options, terminal),
      )
      match(output, /^6 of 6 cases as expected$/m)
      equal(code, 0)
    })

    it("policies may stand in the configuration itself", async () => {
      const section = `policies:\n${policies.replaceAll(/^(?=.)/gm, "  ")}`
      const config = await mart.write(
        "inline.yaml",
        configuration(warehouseOf(mart.postgres), section),
      )
      await mart.write("inline.tests.yaml", good)
      const options = { config, files: ["inline.tests.yaml"], json: false }
      const { code } = await mart.command((terminal) => policyTestCommand(options, terminal))
      equal(code, 0)
      const findings = await mart.command((terminal) =>
        policyLintCommand({ config, offline: false, failOn: "error", json: false }, terminal),
      )
      match(findings.output, /^inline\.yaml:\d+:\d+: info shows_governed: policies\.relations/m)
    })
  })
