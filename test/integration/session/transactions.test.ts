import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { textRows, transactionStatus } from "../../support/wire-client.ts"
import { activity, ask, type Exchange, lastOutcome, Pair, until } from "./support.ts"

const days = "SELECT day, at, span, ratio, raw FROM lab.items WHERE id < 4 ORDER BY id"

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "SET and SHOW",
    ["SET TimeZone = 'Europe/Berlin'", "SHOW TimeZone", days, "SET TIME ZONE DEFAULT", days],
  ],
  [
    "spellings of time zones",
    [
      "SET TIME ZONE 'europe/paris'",
      "SHOW timezone",
      "SET TIME ZONE 5",
      "SHOW timezone",
      days,
      "SET TIME ZONE LOCAL",
    ],
  ],
  ["a zone that does not exist", ["SET TimeZone = 'Mars/Olympus'", "SHOW TimeZone"]],
  [
    "settings that change bytes",
    [
      "SET DateStyle = 'Postgres, DMY'",
      days,
      "SET IntervalStyle = iso_8601",
      days,
      "SET extra_float_digits = 0",
      days,
      "SET bytea_output = escape",
      days,
      "RESET ALL",
      days,
    ],
  ],
  [
    "bad values",
    [
      "SET DateStyle = 'nonsense'",
      "SET extra_float_digits = 99",
      "SET extra_float_digits = 'x'",
      "SET bytea_output = 'x'",
      "SET IntervalStyle = 'x'",
      "SET statement_timeout = '5 parsecs'",
      "SET client_min_messages = 'x'",
      "SET enable_sort = maybe",
    ],
  ],
  [
    "units of time-outs",
    [
      "SET statement_timeout = '2min'",
      "SHOW statement_timeout",
      "SET statement_timeout = 90000",
      "SHOW statement_timeout",
      "SET statement_timeout = '1500ms'",
      "SHOW statement_timeout",
    ],
  ],
  [
    "ROLLBACK undoes SET",
    [
      "SET DateStyle = 'SQL'",
      "BEGIN",
      "SET DateStyle = 'German'",
      days,
      "ROLLBACK",
      "SHOW DateStyle",
      days,
    ],
  ],
  ["COMMIT keeps SET", ["BEGIN", "SET DateStyle = 'German'", "COMMIT", "SHOW DateStyle"]],
  [
    "SET LOCAL ends with its transaction",
    ["BEGIN", "SET LOCAL DateStyle = 'German'", "SHOW DateStyle", "COMMIT", "SHOW DateStyle"],
  ],
  [
    "ROLLBACK TO undoes SET",
    [
      "BEGIN",
      "SAVEPOINT a",
      "SET DateStyle = 'German'",
      "ROLLBACK TO a",
      "SHOW DateStyle",
      "COMMIT",
    ],
  ],
  [
    "savepoints",
    [
      "BEGIN",
      "SAVEPOINT a",
      "SAVEPOINT b",
      "SELECT 1/0",
      "SELECT 1",
      "ROLLBACK TO b",
      "SELECT 2",
      "RELEASE a",
      "ROLLBACK TO b",
      "ROLLBACK",
    ],
  ],
  [
    "savepoints of one name",
    [
      "BEGIN",
      "SAVEPOINT a",
      "SET DateStyle = German",
      "SAVEPOINT a",
      "SET DateStyle = SQL",
      "ROLLBACK TO a",
      "SHOW DateStyle",
      "RELEASE a",
      "ROLLBACK TO a",
      "SHOW DateStyle",
      "COMMIT",
    ],
  ],
  [
    "savepoints around statements that hold a connection",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      "SELECT count(*) FROM lab.items",
      "SAVEPOINT a",
      "SELECT 1/0",
      "ROLLBACK TO a",
      "SELECT count(*) FROM lab.counter",
      "RELEASE SAVEPOINT a",
      "COMMIT",
    ],
  ],
  [
    "an error before the first savepoint",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      "SAVEPOINT a",
      "SELECT nothing",
      "ROLLBACK TO a",
      "SELECT 1",
      "COMMIT",
    ],
  ],
  [
    "commands in a failed transaction",
    [
      "BEGIN",
      "SELECT 1/0",
      "SET DateStyle = ISO",
      "SHOW DateStyle",
      "SAVEPOINT a",
      "BEGIN",
      "SELECT current_user",
      "ROLLBACK TO b",
      "COMMIT",
    ],
  ],
  [
    "an unknown savepoint fails the transaction",
    ["BEGIN", "RELEASE nowhere", "SELECT 1", "ROLLBACK"],
  ],
  [
    "set_config and current_setting",
    [
      "SELECT set_config('TimeZone', 'Asia/Tokyo', false)",
      "SELECT current_setting('TimeZone')",
      days,
      "SELECT current_setting('nothing.here', true)",
      "SELECT current_setting('nothing.here')",
      "BEGIN",
      "SELECT set_config('DateStyle', 'German', true)",
      "SHOW DateStyle",
      "COMMIT",
      "SHOW DateStyle",
    ],
  ],
  [
    "search_path",
    [
      "SET search_path = lab",
      "SELECT count(*) FROM items",
      "SELECT current_schema()",
      "SET search_path = nowhere",
      "SELECT count(*) FROM items",
      "SHOW search_path",
      "RESET search_path",
      "SHOW search_path",
      "SELECT current_schema()",
      'SET search_path = "$user", "Lab", lab',
      "SHOW search_path",
    ],
  ],
  [
    "session facts",
    [
      "SELECT current_user, session_user, current_database(), current_catalog",
      "SELECT version()",
      "SHOW server_version",
      "SHOW transaction_isolation",
      "SHOW TRANSACTION ISOLATION LEVEL",
      "SHOW standard_conforming_strings",
      "SHOW nothing",
      "SHOW nothing.at_all",
    ],
  ],
  [
    "isolation levels",
    [
      "BEGIN ISOLATION LEVEL SERIALIZABLE",
      "SHOW transaction_isolation",
      "SELECT 1",
      "COMMIT",
      "SHOW transaction_isolation",
      "BEGIN",
      "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
      "SHOW transaction_isolation",
      "ROLLBACK",
    ],
  ],
  [
    "the session's own isolation level",
    [
      "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ",
      "BEGIN",
      "SHOW transaction_isolation",
      "COMMIT",
      "SHOW default_transaction_isolation",
    ],
  ],
  [
    "an isolation level after a query",
    [
      "BEGIN",
      "SELECT count(*) FROM lab.items",
      "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
      "ROLLBACK",
    ],
  ],
  [
    "application_name is reported",
    ["SET application_name = 'café'", "SHOW application_name", "RESET application_name"],
  ],
  [
    "DISCARD in its forms",
    [
      "SET DateStyle = German",
      "DISCARD PLANS",
      "SHOW DateStyle",
      "DISCARD ALL",
      "SHOW DateStyle",
      "BEGIN",
      "DISCARD ALL",
      "ROLLBACK",
    ],
  ],
  [
    "SQL-level settings keep the time zone's reports in order",
    ["SET TimeZone = UTC; SET TimeZone = 'Asia/Tokyo'; SELECT 1"],
  ],
]

describe("transactions and settings", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start()
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`are as PostgreSQL's: ${title}`, async () => {
      await pair.same(exchanges)
    })

  it("are as PostgreSQL's after startup options", async () => {
    await pair.same(
      [
        days,
        "SHOW search_path",
        "SELECT count(*) FROM items",
        "SHOW statement_timeout",
        "RESET ALL",
        "SHOW search_path",
      ],
      {
        parameters: {
          options:
            "-c search_path=lab -c statement_timeout=5s -c DateStyle=German --TimeZone=Asia/Tokyo",
          application_name: "suite",
        },
      },
    )
  })

  it("hold no warehouse connection for BEGIN and a hit", async () => {
    const client = await pair.through()
    const sql = "SELECT count(*) FROM lab.items WHERE id > 17"
    await ask(client, sql)
    await ask(client, "BEGIN")
    deepEqual(await ask(client, sql), [["983"]])
    equal(await lastOutcome(client), "hit_l1")
    equal(await activity(pair.postgres, "transaction"), 0)
    await ask(client, "SELECT max(id) FROM lab.items WHERE id > 17")
    equal(await activity(pair.postgres, "transaction"), 0)
    equal(transactionStatus(await client.query(query("COMMIT"))), "I")
  })

  it("keep one snapshot under REPEATABLE READ while a writer commits", async () => {
    const client = await pair.through()
    await pair.postgres.run("UPDATE lab.counter SET n = 1")
    await pair.invalidate("lab.counter")
    await ask(client, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    const first = await ask(client, "SELECT n FROM lab.counter")
    equal(await activity(pair.postgres, "idle in transaction"), 1)
    await pair.postgres.run("UPDATE lab.counter SET n = n + 1")
    await pair.invalidate("lab.counter")
    deepEqual(await ask(client, "SELECT n FROM lab.counter"), first)
    const other = await pair.through()
    deepEqual(await ask(other, "SELECT n FROM lab.counter"), [["2"]])
    deepEqual(await ask(client, "SELECT n FROM lab.counter"), first)
    await ask(client, "COMMIT")
    deepEqual(await ask(client, "SELECT n FROM lab.counter"), [["2"]])
    equal(await activity(pair.postgres, "transaction"), 0)
    await pair.postgres.run("UPDATE lab.counter SET n = 1")
    await pair.invalidate("lab.counter")
  })

  it("see one now() from BEGIN to COMMIT", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN")
    const [first] = await ask(client, "SELECT now()")
    const [second] = await ask(client, "SELECT now() FROM lab.counter")
    deepEqual(second, first)
    await ask(client, "COMMIT")
    const [third] = await ask(client, "SELECT now()")
    equal(third?.[0] === first?.[0], false)
  })

  it("give the connection back when the client disappears inside one", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN ISOLATION LEVEL SERIALIZABLE")
    await ask(client, "SELECT n FROM lab.counter")
    equal(await activity(pair.postgres, "idle in transaction"), 1)
    client.destroy()
    await until(
      "no transaction is open",
      async () => (await activity(pair.postgres, "transaction")) === 0,
    )
  })

  it("leave no setting behind on the connection that the next session gets", async () => {
    const one = await pair.through()
    await ask(one, "SET TimeZone = 'Asia/Tokyo'")
    await ask(one, "SET DateStyle = 'German'")
    await ask(one, "SELECT at FROM lab.items WHERE id = 990")
    const two = await pair.through()
    const direct = await pair.direct()
    const sql = "SELECT at, day FROM lab.items WHERE id = 991"
    deepEqual(await ask(two, sql), await ask(direct, sql))
    deepEqual(textRows(await two.query(query("SHOW TimeZone"))), [["UTC"]])
  })

  it("never serve one time zone's rows to another", async () => {
    const zones = ["UTC", "Asia/Tokyo", "America/New_York", "Asia/Kathmandu"]
    const sql = "SELECT at FROM lab.items WHERE id IN (1, 500) ORDER BY id"
    for (const round of ["miss", "hit_l1"])
      for (const zone of zones) {
        const [client, direct] = [await pair.through(), await pair.direct()]
        for (const each of [client, direct]) await ask(each, `SET TimeZone = '${zone}'`)
        deepEqual(await ask(client, sql), await ask(direct, sql))
        equal(await lastOutcome(client), round)
      }
  })
})
