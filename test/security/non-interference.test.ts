import { deepEqual, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { assert as assertAll, asyncProperty, constantFrom, oneof, tuple } from "fast-check"
import { interference } from "../noninterference/interference.ts"
import { query } from "../support/frontend-encoder.ts"
import { errors, type WireClient } from "../support/wire-client.ts"
import { startTenants, type Tenants } from "./tenants.ts"

/**
 * Two worlds differ in every value of the rows that ann may not see. Whatever she asks, both have to answer with the same
 * bytes: rows, column names and errors. NONINTERFERENCE_RUNS asks more than the hundreds of an ordinary run.
 */
const runs = Number(process.env["NONINTERFERENCE_RUNS"] ?? 300)

const column = constantFrom("id", "org_id", "customer", "email", "amount", "note", "o.id", "o.note")
const number = constantFrom(
  "id",
  "org_id",
  "amount",
  "note::int",
  "length(customer)",
  "1 / (id - 12)",
  "1 / (id - 1)",
)
const text = constantFrom(
  "customer",
  "email",
  "note",
  "o::text",
  "upper(customer)",
  "note || email",
)
const operator = constantFrom("=", "<", ">", "<>", "<=")
const constant = constantFrom("0", "1", "2", "11", "7777", "-1", "2147483648")
const condition = oneof(
  tuple(number, operator, constant).map((parts) => parts.join(" ")),
  tuple(text, constantFrom("'%a%'", "'z%'", "'n%'")).map(([left, like]) => `${left} LIKE ${like}`),
  constantFrom(
    "EXISTS (SELECT 1 FROM sales.orders i WHERE i.id = o.id + 10)",
    "id IN (SELECT id FROM sales.invoices)",
    "id > ALL (SELECT id FROM sales.invoices)",
    "ssn IS NOT NULL",
    "(SELECT count(*) FROM sales.v_count) > 3",
    "customer::date > current_date",
  ),
)
const predicate = oneof(
  condition,
  tuple(condition, constantFrom(" AND ", " OR "), condition).map((parts) => parts.join("")),
  condition.map((inner) => `NOT (${inner})`),
)
const source = constantFrom(
  "sales.orders o",
  "(SELECT * FROM sales.orders) o",
  "sales.orders o JOIN sales.invoices USING (id)",
  "sales.open RIGHT JOIN sales.orders o USING (id)",
  "sales.orders o, LATERAL (SELECT o.id * 2 AS twice) l",
)
const statement = oneof(
  tuple(column, source, predicate).map(
    ([c, s, p]) => `SELECT ${c} FROM ${s} WHERE ${p} ORDER BY 1`,
  ),
  tuple(number, source, predicate).map(
    ([c, s, p]) => `SELECT count(*), sum(${c}), max(${c}) FROM ${s} WHERE ${p}`,
  ),
  tuple(text, source, predicate).map(
    ([c, s, p]) => `SELECT ${c}, count(*) FROM ${s} WHERE ${p} GROUP BY 1 ORDER BY 1`,
  ),
  tuple(number, predicate).map(
    ([c, p]) => `SELECT id, rank() OVER (ORDER BY ${c}) FROM sales.orders o WHERE ${p} ORDER BY 1`,
  ),
  tuple(number, predicate).map(([c, p]) => `EXPLAIN SELECT ${c} FROM sales.orders o WHERE ${p}`),
)

for (const engine of ["postgres", "duckdb"] as const)
  describe(`two worlds of hidden rows on ${engine}`, () => {
    const worlds: Tenants[] = []
    const clients: WireClient[] = []
    before(async () => {
      for (const hidden of ["zqx", "007"]) {
        const tenants = await startTenants(engine, { hidden })
        worlds.push(tenants)
        clients.push(await tenants.as("ann"))
      }
    })
    after(async () => {
      for (const tenants of worlds) await tenants.stop()
    })

    it("answer every statement with the same bytes", async () => {
      let answered = 0
      await assertAll(
        asyncProperty(statement, async (sql) => {
          const answers = []
          for (const client of clients) {
            const messages = await client.query(query(sql))
            if (errors(messages).length === 0) answered += 1
            answers.push(messages.map(({ type, body }) => `${type} ${body.toString("latin1")}`))
          }
          deepEqual(answers[0], answers[1])
        }),
        // The same statements at every run; test:noninterference takes other seeds.
        { numRuns: runs, seed: 1 },
      )
      // A generator whose statements all fail would prove nothing.
      ok(answered > runs / 3, `only ${answered} of ${2 * runs} were answered`)
    })
  })

/** Generated schemas, policies and statements in short; `npm run test:noninterference` asks 20,000. */
describe("pairs of generated databases", () => {
  for (const engine of ["postgres", "duckdb"] as const)
    it(`answer alike where they differ in hidden rows only, on ${engine}`, async () => {
      const options = { engine, seed: 4, statements: 300, statementsPerSchema: 150 }
      const { differences, answered, asked } = await interference(options)
      deepEqual(differences, [])
      // Statements that all fail would prove nothing.
      ok(answered > asked / 2, `only ${answered} of ${asked} were answered`)
    })
})
