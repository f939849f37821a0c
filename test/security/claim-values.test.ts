import { equal, match } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../support/frontend-encoder.ts"
import { errors, LoginRefused, textRows, type WireClient } from "../support/wire-client.ts"
import { startTenants, type Tenants } from "./tenants.ts"

/** Columns of the probe: a claim of each type is shown in its place by a mask, and compared by a filter. */
const types: Readonly<Record<string, string>> = {
  text: "text",
  int8: "bigint",
  numeric: "numeric(38,6)",
  bool: "boolean",
  uuid: "uuid",
  date: "date",
  timestamptz: "timestamptz",
  texts: "text[]",
  int8s: "bigint[]",
}

const seed = Object.entries(types)
  .map(
    ([name, type]) =>
      `CREATE TABLE sales.p_${name} (id integer, v ${type}); INSERT INTO sales.p_${name} (id) VALUES (1);`,
  )
  .join("\n")

const claimType = (name: string): string =>
  name.endsWith("s") && name !== "s" ? `${name.slice(0, -1)}[]` : name

const policies = `
claims:
${Object.keys(types)
  .map((name) => `  c_${name}: { type: "${claimType(name)}" }`)
  .join("\n")}
relations:
${Object.keys(types)
  .map(
    (name) => `  sales.p_${name}:
    rowFilters: [{ name: same, filter: "id = 1 AND :c_${name} = :c_${name}" }]
    masks: [{ column: v, mask: ":c_${name}" }]`,
  )
  .join("\n")}
`

type Case = readonly [type: string, value: unknown, shown?: string]

/** What is bound comes out of the warehouse as it went in; a case without a third part is refused. */
const cases: readonly Case[] = [
  ["text", "x' OR '1'='1", "x' OR '1'='1"],
  ["text", "'; DROP TABLE sales.orders; --", "'; DROP TABLE sales.orders; --"],
  ["text", "back\\slash", "back\\slash"],
  ["text", "\\' OR 1=1 --", "\\' OR 1=1 --"],
  ["text", "\\", "\\"],
  ["text", "''", "''"],
  ["text", "$$ $1 :org_id %s {0}", "$$ $1 :org_id %s {0}"],
  ["text", "/* */ -- \n next line\r\n\t", "/* */ -- \n next line\r\n\t"],
  ["text", "", ""],
  ["text", "NULL", "NULL"],
  ["text", "😀 ẞ \u0301 \u200b\u202e \ufeff", "😀 ẞ \u0301 \u200b\u202e \ufeff"],
  ["text", "ʼ＇' OR 1=1", "ʼ＇' OR 1=1"],
  ["text", "{a,b}", "{a,b}"],
  ["text", "x".repeat(4_096), "x".repeat(4_096)],
  ["text", "x".repeat(4_097)],
  ["text", "x".repeat(1_000_000)],
  ["text", "nul\u0000l"],
  ["text", "\ud800"],
  ["text", "a\udc00b"],
  ["text", 1],
  ["text", true],
  ["text", null],
  ["text", ["x"]],
  ["text", { a: "x" }],
  ["int8", 7, "7"],
  ["int8", "7", "7"],
  ["int8", "-0", "0"],
  ["int8", "0007", "7"],
  ["int8", "9223372036854775807", "9223372036854775807"],
  ["int8", "-9223372036854775808", "-9223372036854775808"],
  ["int8", "9223372036854775808"],
  ["int8", "-9223372036854775809"],
  ["int8", 9_007_199_254_740_992],
  ["int8", 1e300],
  ["int8", 1.5],
  ["int8", "1.0"],
  ["int8", "1e3"],
  ["int8", "0x10"],
  ["int8", "1_000"],
  ["int8", " 1"],
  ["int8", "１"],
  ["int8", "1 OR true"],
  ["int8", ""],
  ["int8", true],
  ["int8", [1]],
  ["int8", {}],
  ["numeric", 1.5, "1.5"],
  ["numeric", "1.500", "1.500"],
  ["numeric", "-12345678901234567890.123456", "-12345678901234567890.123456"],
  ["numeric", "NaN"],
  ["numeric", "Infinity"],
  ["numeric", "-inf"],
  ["numeric", "1e5"],
  ["numeric", "1."],
  ["numeric", "+1"],
  ["numeric", "9".repeat(131)],
  ["numeric", [1]],
  ["bool", true, "t"],
  ["bool", false, "f"],
  ["bool", "true"],
  ["bool", 1],
  ["bool", "t OR true"],
  ["uuid", "00000000-0000-0000-0000-00000000000A", "00000000-0000-0000-0000-00000000000a"],
  ["uuid", "{00000000-0000-0000-0000-00000000000a}"],
  ["uuid", "x' OR '1'='1"],
  ["uuid", 5],
  ["date", "2026-02-28", "2026-02-28"],
  ["date", "0001-01-01", "0001-01-01"],
  ["date", "9999-12-31", "9999-12-31"],
  ["date", "2026-02-30"],
  ["date", "2026-13-01"],
  ["date", "0000-01-01"],
  ["date", "infinity"],
  ["date", "-infinity"],
  ["date", "today"],
  ["date", "epoch"],
  ["date", "2026-1-1"],
  ["date", "2026-01-01 BC"],
  ["date", 20_260_101],
  ["timestamptz", "2026-01-31T10:00:00Z", "2026-01-31 10:00:00+00"],
  ["timestamptz", "2026-01-31T10:00:00.123456+02:00", "2026-01-31 08:00:00.123456+00"],
  ["timestamptz", "2026-01-31T24:00:00Z"],
  ["timestamptz", "2026-01-31T10:60:00Z"],
  ["timestamptz", "2026-02-30T10:00:00Z"],
  ["timestamptz", "2026-01-31T10:00:00"],
  ["timestamptz", "2026-01-31 10:00:00+00"],
  ["timestamptz", "2026-01-31T10:00:00+99:00"],
  ["timestamptz", "infinity"],
  ["timestamptz", "now"],
  ["texts", ["a", "b'", '"', "{}", "\\", "", "NULL"], `{a,b',"\\"","{}","\\\\","","NULL"}`],
  ["texts", [], "{}"],
  ["texts", "a"],
  ["texts", ["a", null]],
  ["texts", [["a"]]],
  ["texts", ["a", "\ud800"]],
  ["texts", { 0: "a", length: 1 }],
  ["texts", Array.from({ length: 1_001 }, () => "a")],
  ["int8s", [1, "2", -3], "{1,2,-3}"],
  ["int8s", [1, "2; DROP TABLE x"]],
  ["int8s", [1, 1.5]],
  ["int8s", "1,2"],
]

async function outcomeOf(client: WireClient, sql: string): Promise<string> {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  return error === undefined
    ? JSON.stringify(textRows(messages))
    : `${error["C"]} ${error["M"]} ${error["H"] ?? ""}`
}

for (const engine of ["postgres", "duckdb"] as const)
  describe(`claims of every kind on ${engine}`, () => {
    let tenants: Tenants
    before(async () => {
      tenants = await startTenants(engine, {
        policies,
        moreSeed: seed,
        moreUsers: Object.fromEntries(
          cases.map(([type, value], index) => [
            `u${index}`,
            { roles: ["tenant"], claims: { [`c_${type}`]: value } },
          ]),
        ),
      })
    })
    after(() => tenants.stop())

    for (const [index, [type, value, shown]] of cases.entries()) {
      const short = JSON.stringify(value).slice(0, 50)
      it(`${type} ${short} is ${shown === undefined ? "refused" : "bound"}`, async () => {
        const client = await tenants.as(`u${index}`)
        await outcomeOf(client, "SET TimeZone = 'UTC'")
        const outcome = await outcomeOf(client, `SELECT v FROM sales.p_${type}`)
        client.destroy()
        if (shown === undefined)
          match(outcome, new RegExp(`^42501 permission denied for table p_${type} .*"c_${type}"`))
        else equal(outcome, JSON.stringify([[shown]]))
      })
    }

    it("no setting makes a backslash in a claim anything but a character", async () => {
      const index = cases.findIndex(([, value]) => value === "\\' OR 1=1 --")
      const user = `u${index}`
      const client = await tenants.as(user)
      for (const sql of [
        "SET standard_conforming_strings = off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "BEGIN; SET LOCAL standard_conforming_strings = off",
        "SET backslash_quote = on",
        "SET escape_string_warning = off; SET standard_conforming_strings TO 'off'",
      ]) {
        await outcomeOf(client, sql)
        await outcomeOf(client, "ROLLBACK")
        equal(await outcomeOf(client, "SHOW standard_conforming_strings"), '[["on"]]', sql)
        equal(
          await outcomeOf(client, "SELECT v FROM sales.p_text"),
          JSON.stringify([["\\' OR 1=1 --"]]),
          sql,
        )
      }
      const outcome = await tenants
        .as(user, { options: "-c standard_conforming_strings=off" })
        .then(
          async (other) => outcomeOf(other, "SELECT v FROM sales.p_text"),
          (thrown: unknown) => {
            if (thrown instanceof LoginRefused) return "refused"
            throw thrown
          },
        )
      match(outcome, /^(refused|\[\["\\\\' OR 1=1 --"\]\])$/)
    })
  })
