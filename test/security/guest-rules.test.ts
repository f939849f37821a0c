import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../support/frontend-encoder.ts"
import { makeToken, secretKey } from "../support/tokens.ts"
import { errors, textRows, type WireClient } from "../support/wire-client.ts"
import { marker, startTenants, type Tenants } from "./tenants.ts"

const secretText = "a shared secret of at least 32 bytes"
const signer = secretKey(secretText, "hs")

const sections = `identity:
  audience: sluice
  requireTls: false
  keys: [{ kid: hs, algorithm: HS256, secret: "${secretText}" }]
`

const policies = `
claims:
  org_id: { type: int8 }
guestFilters:
  datasets:
    "12": sales.orders
    both: [sales.orders, sales.invoices]
    gone: sales.nothing
functions: [sales.fine]
relations:
  sales.orders:
    masks: [{ column: email, mask: "left(email, 1) || '***'" }]
    deniedColumns: [{ columns: [ssn] }]
`

type Rule = { readonly dataset?: unknown; readonly clause?: unknown }

function tokenOf(rules: unknown, more: object = {}): string {
  const exp = Math.floor(Date.now() / 1000) + 300
  const own = rules === undefined ? {} : { rls_rules: rules }
  return makeToken({ sub: "guest", roles: ["tenant"], aud: "sluice", exp, ...own, ...more }, signer)
}

async function outcomeOf(client: WireClient, sql: string): Promise<string> {
  const messages = await client.query(query(sql))
  const [error] = errors(messages)
  return error === undefined
    ? JSON.stringify(textRows(messages))
    : `${error["C"]} ${error["M"]} ${error["H"] ?? ""}`
}

const clauses: readonly (readonly [clause: string, customers: string])[] = [
  ["org_id = 1", "Ada Alan Ann"],
  ["org_id = 1 -- and no more", "Ada Alan Ann"],
  ["org_id IN (1) AND amount BETWEEN 15 AND 25", "Alan"],
  ["orders.org_id = 1 AND lower(customer) LIKE 'a%n'", "Alan Ann"],
  ["org_id = ANY (ARRAY[1, 7]) AND NOT (id = 2 OR id IS NULL)", "Ada Ann"],
  ["org_id = 1 AND (CASE WHEN id = 1 THEN 'x' ELSE customer END) = 'x'", "Ada"],
  ["org_id::text = '1' AND coalesce(note, '') <> '13'", "Ada Alan"],
  ["customer = 'O''Hara'' OR 1=1'", ""],
  ["org_id = 1 AND customer ~ '^Al'", "Alan"],
]

/** None of these is proven to look at the relation's own columns only. */
const refused: readonly unknown[] = [
  "org_id = (SELECT 1)",
  "EXISTS (SELECT 1 FROM sales.org_map)",
  "org_id IN (SELECT org_id FROM sales.org_map)",
  "nowhere = 1",
  "invoices.org_id = 1",
  "sales.orders.org_id = 1",
  "orders IS NOT NULL",
  "orders.* IS NOT NULL",
  "org_id = 1) OR (1 = 1",
  "org_id = 1; SELECT 1",
  "org_id = 1 UNION SELECT 1",
  "org_id = $1",
  "org_id = :org_id",
  "org_id = current_setting('x')::int",
  "current_user = 'x'",
  "pg_sleep(1) IS NULL",
  "sales.fine(org_id) = 2",
  "query_to_xml('select 1', true, true, '') IS NULL",
  "count(*) > 0",
  "row_number() OVER () = 1",
  "org_id OPERATOR(sales.@@@) 1",
  "org_id = 1 OR ctid IS NULL",
  "org_id::sales.sly = 1",
  "org_id::regclass IS NOT NULL",
  "generate_series(1, 3) = 1",
  "org_id = 1,",
  "org_id = 'unfinished",
  "",
  "   ",
  `org_id = 1 AND customer <> '${"x".repeat(2_500)}'`,
  "org_id = 1\u0000 OR true",
  "org_id = 1 AND customer = '\ud800'",
  `${"(".repeat(900)}org_id = 1${")".repeat(900)} OR true OR ${"(".repeat(50)}`,
  7,
  null,
  ["org_id = 1"],
]

const malformed: readonly unknown[] = [
  "org_id = 1",
  { dataset: 12, clause: "org_id = 1" },
  [null],
  ["org_id = 1"],
  [{ dataset: 12 }],
  [{ dataset: 12, clause: "org_id = 1", schema: "sales" }],
  [{ dataset: 99, clause: "org_id = 1" }],
  [{ dataset: "orders", clause: "org_id = 1" }],
  [{ dataset: "gone", clause: "org_id = 1" }],
  [{ dataset: "sales.missing", clause: "org_id = 1" }],
  [{ dataset: { id: 12 }, clause: "org_id = 1" }],
  [{ dataset: true, clause: "org_id = 1" }],
  Array.from({ length: 101 }, () => ({ dataset: 12, clause: "id=1" })),
]

for (const engine of ["postgres", "duckdb"] as const)
  describe(`row rules of tokens on ${engine}`, () => {
    let tenants: Tenants
    before(async () => {
      tenants = await startTenants(engine, {
        policies,
        sections,
        moreUsers: { superset: { roles: ["tenant"], claims: {}, identity: "optional" } },
      })
    })
    after(() => tenants.stop())

    const guest = (rules: unknown, more: object = {}): Promise<WireClient> =>
      tenants.as("superset", { options: `-c sluice.identity=${tokenOf(rules, more)}` })

    const customersFor = async (rules: unknown): Promise<string> => {
      const client = await guest(rules)
      const outcome = await outcomeOf(client, "SELECT customer FROM sales.orders ORDER BY id")
      client.destroy()
      return outcome
    }

    for (const [clause, customers] of clauses)
      it(`applies the clause ${clause}`, async () => {
        const rows = customers.split(" ").filter((name) => name !== "")
        equal(
          await customersFor([{ dataset: 12, clause }]),
          JSON.stringify(rows.map((name) => [name])),
        )
      })

    for (const clause of refused)
      it(`refuses the clause ${JSON.stringify(clause)?.slice(0, 60)}`, async () => {
        const outcome = await customersFor([{ dataset: 12, clause } satisfies Rule])
        match(outcome, /^42501 permission denied for table orders .*token/)
        ok(!outcome.includes(marker) && !outcome.includes("org_id"))
      })

    for (const rules of malformed)
      it(`refuses the claim ${JSON.stringify(rules).slice(0, 60)}`, async () => {
        match(await customersFor(rules), /^42501 permission denied for table orders .*token/)
      })

    it("a claim that cannot be read refuses every relation, and leaves the catalogue alone", async () => {
      const client = await guest("nonsense")
      match(await outcomeOf(client, "SELECT * FROM sales.open"), /^42501 .*token/)
      equal(await outcomeOf(client, "SELECT 1"), '[["1"]]')
      match(
        await outcomeOf(client, "SELECT count(*) > 0 FROM information_schema.tables"),
        /^\[\["t"\]\]/,
      )
    })

    it("a rule without dataset holds for every relation that is read, and refuses those without its column", async () => {
      const client = await guest([{ clause: "org_id = 1" }])
      equal(await outcomeOf(client, "SELECT count(*) FROM sales.orders"), '[["3"]]')
      equal(await outcomeOf(client, "SELECT text_of FROM sales.invoices"), '[["one"]]')
      equal(await outcomeOf(client, 'SELECT word FROM sales."Quoted"'), '[["mine"]]')
      equal(
        await outcomeOf(
          client,
          "SELECT count(*) FROM sales.orders o JOIN sales.invoices i ON i.org_id = o.org_id",
        ),
        '[["3"]]',
      )
      match(await outcomeOf(client, "SELECT word FROM sales.open"), /^42501 .*table open .*token/)
      match(
        await outcomeOf(client, "SELECT 1 FROM sales.orders, sales.open"),
        /^42501 .*table open .*token/,
      )
      // A column of the same name further out is none of the relation's.
      match(
        await outcomeOf(
          client,
          "SELECT (SELECT max(word) FROM sales.open) FROM (VALUES (1)) v(org_id)",
        ),
        /^42501 .*table open .*token/,
      )
    })

    it("a rule for several relations holds for each, and leaves others alone", async () => {
      const client = await guest([{ dataset: "both", clause: "org_id = 2" }])
      equal(await outcomeOf(client, "SELECT count(*) FROM sales.orders"), '[["5"]]')
      equal(await outcomeOf(client, "SELECT count(*) FROM sales.invoices"), '[["1"]]')
      equal(await outcomeOf(client, "SELECT count(*) FROM sales.open"), '[["3"]]')
    })

    it("a dataset may be the relation's own full name", async () => {
      const client = await guest([{ dataset: "sales.invoices", clause: "id = 1" }])
      equal(await outcomeOf(client, "SELECT text_of FROM sales.invoices"), '[["one"]]')
      equal(await outcomeOf(client, "SELECT count(*) FROM sales.orders"), '[["8"]]')
    })

    if (engine === "postgres") {
      const sizes =
        "SELECT c.relname, c.reltuples, c.relpages, pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'sales' AND c.relname IN ('orders', 'm_orders') ORDER BY 1"

      it("the catalogue tells no size of what a rule is for, and shows no copy of it", async () => {
        const one = await guest([{ dataset: 12, clause: "org_id = 1" }])
        equal(await outcomeOf(one, sizes), '[["orders","-1","0",null]]')
        equal(await outcomeOf(one, "SELECT pg_total_relation_size('sales.orders')"), "[[null]]")
        for (const rules of [[{ clause: "org_id = 1" }], "nonsense"]) {
          const client = await guest(rules)
          for (const [, tuples, pages, size] of JSON.parse(await outcomeOf(client, sizes)))
            deepEqual([tuples, pages, size], ["-1", "0", null])
        }
      })

      it("copies are refused with ONLY and to COPY as well, whoever else may read them", async () => {
        const all = await guest([{ clause: "org_id = 1" }])
        equal(await outcomeOf(all, "SELECT count(*) FROM sales.m_orders"), '[["3"]]')
        const one = await guest([{ dataset: 12, clause: "org_id = 1" }])
        for (const sql of [
          "SELECT count(*) FROM sales.m_orders",
          "SELECT count(*) FROM ONLY sales.m_orders",
          "COPY sales.m_orders TO STDOUT",
          "SELECT count(*) FROM ONLY sales.v_m",
        ])
          match(await outcomeOf(one, sql), /^42501 permission denied for relation m_orders/)
      })
    }

    it("several rules are ANDed, to each other and to masks and denied columns", async () => {
      const client = await guest([
        { dataset: 12, clause: "org_id = 1 OR org_id = 2" },
        { dataset: 12, clause: "id < 3 OR id > 14" },
        { clause: "id <> 2" },
      ])
      equal(
        await outcomeOf(client, "SELECT id, email FROM sales.orders WHERE org_id = 1"),
        '[["1","a***"]]',
      )
      match(await outcomeOf(client, "SELECT ssn FROM sales.orders"), /^42703 /)
    })

    it("holds in every place where a relation is read", async () => {
      const client = await guest([{ dataset: 12, clause: "org_id = 1" }])
      for (const sql of [
        "SELECT count(*) FROM sales.orders AS x",
        "WITH c AS (SELECT * FROM sales.orders) SELECT count(*) FROM c",
        "SELECT (SELECT count(*) FROM sales.orders)",
        "SELECT count(*) FROM (TABLE sales.orders) t",
        "SELECT count(*) FROM sales.open o, LATERAL (SELECT * FROM sales.orders x WHERE x.id <> o.id + 100) y WHERE o.id = 1",
        "SELECT count(*) FROM (SELECT id FROM sales.orders UNION SELECT id FROM sales.orders) u",
      ])
        equal(await outcomeOf(client, sql), '[["3"]]', sql)
      match(await outcomeOf(client, "EXPLAIN SELECT * FROM sales.orders"), /^42501 /)
      match(await outcomeOf(client, "INSERT INTO sales.open VALUES (9, 'x')"), /^25006 /)
    })

    it("readers with the same rules share an answer, with others never", async () => {
      const sql = "SELECT sum(amount) FROM sales.orders WHERE id < 14"
      const last = async (client: WireClient): Promise<string> =>
        /hit_l1|miss|bypass/.exec(await outcomeOf(client, "SHOW sluice.last"))?.[0] ?? ""
      const one = await guest([{ dataset: 12, clause: "org_id = 1" }], { sub: "g1", jti: "1" })
      const same = await guest([{ dataset: 12, clause: "org_id = 1" }], { sub: "g2", jti: "2" })
      const two = await guest([{ dataset: 12, clause: "org_id = 2" }], { sub: "g3" })
      const none = await guest(undefined, { sub: "g4" })
      for (const client of [one, same, two, none])
        await outcomeOf(client, "SET search_path = sales")
      equal(await outcomeOf(one, sql), '[["60.00"]]')
      equal(await last(one), "miss")
      equal(await outcomeOf(same, sql), '[["60.00"]]')
      equal(await last(same), "hit_l1")
      equal(await outcomeOf(two, sql), '[["23333.16"]]')
      equal(await last(two), "miss")
      equal(await outcomeOf(none, sql), '[["23393.16"]]')
      equal(await last(none), "miss")
      deepEqual(await Promise.all([one, two, none].map((client) => outcomeOf(client, sql))), [
        '[["60.00"]]',
        '[["23333.16"]]',
        '[["23393.16"]]',
      ])
    })

    it("whose role may write does not while its token brings rules, be they none at all", async () => {
      for (const rules of [[], [{ dataset: 12, clause: "org_id = 1" }]]) {
        const client = await guest(rules, { roles: ["writer"] })
        match(await outcomeOf(client, "INSERT INTO sales.open VALUES (9, 'x')"), /^25006 /)
        match(await outcomeOf(client, "CREATE TABLE sales.stolen AS TABLE sales.orders"), /^25006 /)
      }
    })

    it("cannot be set, shown or brought by anything but the token", async () => {
      const client = await guest([{ dataset: 12, clause: "org_id = 1" }])
      for (const sql of [
        "SET sluice.rls_rules = '[]'",
        "SET sluice.identity = 'x'",
        "SELECT set_config('sluice.identity', 'x', false)",
        "SHOW sluice.identity",
      ])
        match(await outcomeOf(client, sql), /^(42704|42501|55P02|0A000|22023) /, sql)
      equal(await outcomeOf(client, "SELECT count(*) FROM sales.orders"), '[["3"]]')
    })
  })
