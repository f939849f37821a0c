import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, textRows, type WireClient } from "../../support/wire-client.ts"
import { ask, lastOutcome, line, Pair } from "./support.ts"

/** Each function with the value that it has for this client's session, as text. */
type Fact = readonly [call: string, value: (client: WireClient, pair: Pair) => string | null]

const facts: readonly Fact[] = [
  ["pg_backend_pid()", (client) => String(client.processId)],
  ["pg_catalog.pg_backend_pid()", (client) => String(client.processId)],
  ["current_user", (_, pair) => pair.gateway.user],
  ["current_role", (_, pair) => pair.gateway.user],
  ["session_user", (_, pair) => pair.gateway.user],
  ["user", (_, pair) => pair.gateway.user],
  ["getpgusername()", (_, pair) => pair.gateway.user],
  ["current_database()", () => "warehouse"],
  ["current_catalog", () => "warehouse"],
  ["inet_client_addr()", () => "127.0.0.1/32"],
  ["inet_client_port()", (client) => String(client.socket.localPort)],
  ["inet_server_addr()", () => "127.0.0.1/32"],
  ["inet_server_port()", (_, pair) => String(pair.gateway.port)],
  ["pg_my_temp_schema()", () => "0"],
  ["current_setting('session_authorization')", (_, pair) => pair.gateway.user],
  ["current_setting('is_superuser')", () => "off"],
]

const positions: readonly (readonly [title: string, sql: (call: string) => string])[] = [
  ["bare", (call) => `SELECT ${call}`],
  ["beside a row", (call) => `SELECT ${call}::text, n FROM lab.counter`],
  ["in an expression", (call) => `SELECT '' || (${call})::text`],
  ["in a CTE", (call) => `WITH x AS (SELECT ${call}::text AS v) SELECT v FROM x`],
  ["in a sub-select", (call) => `SELECT (SELECT ${call}::text)`],
  ["under GROUP BY", (call) => `SELECT ${call}::text FROM lab.counter GROUP BY ${call}`],
]

describe("facts of the session in any place", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ users: { other: "everything", "o.brien@x-y": "everything" } })
  })
  after(() => pair.stop())

  for (const [call, value] of facts)
    for (const [title, sql] of positions)
      it(`${call} ${title} is the session's own`, async () => {
        const client = await pair.through({ user: "reader" })
        const [[got] = []] = await ask(client, sql(call))
        const expected = value(client, pair)
        // A bare inet shows no mask.
        equal(
          title === "bare" && !call.includes("port") ? `${got}` : got,
          title === "bare" && call.endsWith("addr()") ? "127.0.0.1" : expected,
        )
        deepEqual(
          await ask(client, `SELECT count(*) FROM lab.counter WHERE ${call}::text = '${expected}'`),
          [["1"]],
        )
        client.destroy()
      })

  it("never shows the warehouse's role, process or address", async () => {
    const client = await pair.through({ user: "other" })
    for (const [call, expected] of [
      ["session_user || '/' || current_user", "other/other"],
      ["pg_backend_pid() % 1000000000 + 0", String(client.processId % 1_000_000_000)],
    ] as const)
      deepEqual(await ask(client, `SELECT ${call}`), [[expected]])
    equal(await lastOutcome(client), "bypass session_function")
    client.destroy()
  })

  it("a user's name is a literal whatever it holds", async () => {
    const client = await pair.through({ user: "o.brien@x-y" })
    deepEqual(await ask(client, "SELECT current_user || '', n FROM lab.counter"), [
      ["o.brien@x-y", "1"],
    ])
    client.destroy()
  })

  const labels = [
    "SELECT current_user::text, n FROM lab.counter",
    "SELECT user, session_user, n FROM lab.counter",
    "SELECT pg_backend_pid() > 0, n FROM lab.counter",
    "SELECT CASE WHEN n = 2 THEN 'x' ELSE current_user END, n FROM lab.counter",
    "SELECT * FROM (SELECT current_user, 1 AS one) s",
    "SELECT * FROM pg_my_temp_schema()",
    "SELECT a.* FROM pg_my_temp_schema() a",
    'SELECT current_user COLLATE "C", n FROM lab.counter',
    "SELECT coalesce(current_user, 'x'), n FROM lab.counter",
    "SELECT inet_client_addr(), inet_server_port(), n FROM lab.counter",
    "SELECT pg_is_in_recovery(), pg_my_temp_schema()",
    "SELECT has_table_privilege(current_user, 'lab.counter', 'select')",
    "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema = 'lab'",
    "SELECT * FROM pg_stat_activity WHERE pid = 0",
    "SELECT a.pid, a.query FROM pg_catalog.pg_stat_activity AS a WHERE false",
    "SELECT pg_catalog.pg_stat_activity.datname FROM pg_catalog.pg_stat_activity WHERE false",
    "SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    "SELECT count(*), state FROM pg_stat_activity WHERE pid = pg_backend_pid() GROUP BY 2",
    "SELECT p.x FROM pg_stat_activity AS p(x) WHERE false",
  ]
  for (const sql of labels)
    it(`describes ${sql} as PostgreSQL does`, async () => {
      const batch = [parse(sql), describeMessage("statement"), sync]
      const shown = async (client: WireClient): Promise<readonly string[]> => {
        client.send(...batch)
        const messages = await client.readUntilReady()
        client.destroy()
        return messages.map((message) =>
          line(message.type === "T" ? withoutTables(message) : message),
        )
      }
      deepEqual(await shown(await pair.through()), await shown(await pair.direct()))
    })

  it("answers a prepared statement with parameters beside facts", async () => {
    const client = await pair.through()
    client.send(
      parse("SELECT n + $1::int, pg_backend_pid() FROM lab.counter WHERE $2 = current_user"),
      describeMessage("statement"),
      bind({ values: ["4", pair.gateway.user] }),
      execute(),
      sync,
    )
    deepEqual(textRows(await client.readUntilReady()), [["5", String(client.processId)]])
    client.destroy()
  })

  it("pg_stat_activity shows the reader's own sessions and no others", async () => {
    const [one, two, other] = [
      await pair.through({ parameters: { application_name: "it's one\\" } }),
      await pair.through(),
      await pair.through({ user: "other" }),
    ]
    await ask(one, "BEGIN")
    await ask(one, "SELECT n FROM lab.counter")
    await ask(other, "SELECT 'private to other', n FROM lab.counter")
    deepEqual(
      await ask(
        two,
        "SELECT pid, usename, datname, application_name, state, query, xact_start <= now(), client_addr FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name <> ''",
      ),
      [
        [
          String(one.processId),
          pair.gateway.user,
          "warehouse",
          "it's one\\",
          "idle in transaction",
          "SELECT n FROM lab.counter",
          "t",
          "127.0.0.1",
        ],
      ],
    )
    for (const sql of [
      "SELECT query FROM pg_stat_activity WHERE query LIKE '%private to%' AND pid <> pg_backend_pid()",
      "SELECT query FROM pg_catalog.pg_stat_activity a JOIN lab.counter ON true WHERE usename = 'other'",
      "WITH x AS (SELECT * FROM pg_stat_activity) SELECT query FROM x WHERE usename IS DISTINCT FROM current_user",
    ])
      deepEqual(await ask(two, sql), [])
    for (const client of [one, two, other]) client.destroy()
  })

  const refused: readonly (readonly [sql: string, code: string, message: RegExp])[] = [
    ["SELECT system_user, n FROM lab.counter", "0A000", /^system_user/],
    ["SELECT current_setting('session_' || 'authorization')", "0A000", /^current_setting/],
    ["SELECT * FROM pg_stat_get_activity(NULL)", "42501", /function pg_stat_get_activity/],
    ["SELECT pg_stat_get_backend_pid(1)", "42501", /function pg_stat_get_backend_pid/],
    ["SELECT * FROM pg_lock_status()", "42501", /function pg_lock_status/],
    ["SELECT pg_blocking_pids(1)", "42501", /function pg_blocking_pids/],
    [
      "WITH pg_stat_activity AS (SELECT 1) SELECT current_user, * FROM pg_stat_activity",
      "0A000",
      /^a WITH query named/,
    ],
  ]
  for (const [sql, code, message] of refused)
    it(`refuses ${sql}`, async () => {
      const client = await pair.through()
      const [error] = errors(await client.query(query(sql)))
      equal(error?.["C"], code)
      ok(message.test(error["M"] ?? "") || error["M"]?.match(message))
      client.destroy()
    })
})

/** RowDescription without table OIDs and column numbers: a literal comes from no table. */
function withoutTables(message: { type: string; body: Buffer }): { type: string; body: Buffer } {
  const body = Buffer.from(message.body)
  let at = 2
  while (at < body.length) {
    at = body.indexOf(0, at) + 1
    body.fill(0, at, at + 6)
    at += 18
  }
  return { type: message.type, body }
}
