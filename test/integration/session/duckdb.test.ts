import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  int32,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, rows, tags, textRows, types, type WireClient } from "../../support/wire-client.ts"
import { ask, type Exchange, lastOutcome, line, Pair } from "./support.ts"

const D = describeMessage
const ten = "SELECT a FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)) v(a) ORDER BY a"
const plain = (sql: string): Exchange => [parse(sql), bind(), D("portal"), execute(), sync]

/** What the engine has no part in, or both spell alike: byte for byte as PostgreSQL answers. */
const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "literals",
    [
      "SELECT 1 AS a, 'x'::text AS b, true AS c, NULL::int AS d",
      "SELECT 1.50::numeric(10,2) AS n, 2.5::float8 AS f",
    ],
  ],
  ["several statements", ["SELECT 1 AS a; SELECT 2 AS b", "", ";", "-- nothing"]],
  [
    "syntax errors",
    [
      "SELECT 'é😀' FORM x",
      "SELECT 1 AS a; SELEC 2",
      "BEGIN",
      "SELEC",
      "SELECT 1 AS a",
      "ROLLBACK",
    ],
  ],
  [
    "transactions",
    [
      "BEGIN",
      "BEGIN",
      "SAVEPOINT a",
      "SELECT 1 AS a",
      "ROLLBACK TO a",
      "RELEASE a",
      "COMMIT",
      "COMMIT",
    ],
  ],
  [
    "a snapshot transaction with savepoints",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      ten,
      "SAVEPOINT a",
      ten,
      "ROLLBACK TO a",
      ten,
      "COMMIT",
    ],
  ],
  [
    "settings",
    [
      "SET DateStyle = German",
      "SHOW DateStyle",
      "SET TimeZone = 'Europe/Berlin'",
      "SHOW TimeZone",
      "BEGIN",
      "SET LOCAL extra_float_digits = 0",
      "SHOW extra_float_digits",
      "ROLLBACK",
      "SHOW extra_float_digits",
      "SET extra_float_digits = 99",
    ],
  ],
  [
    "settings that change bytes",
    [
      "SELECT date '2024-02-29' AS d, timestamptz '2024-07-01 12:00:00+00' AS t",
      "SET TimeZone = 'Asia/Tokyo'",
      "SELECT timestamptz '2024-07-01 12:00:00+00' AS t",
    ],
  ],
  [
    "portals in pieces",
    [
      [
        parse(ten),
        bind(),
        D("portal"),
        execute("", 4),
        execute("", 4),
        execute("", 4),
        execute("", 4),
        sync,
      ],
    ],
  ],
  [
    "portals in turns",
    [
      "BEGIN",
      [
        parse(ten, { name: "s" }),
        bind({ portal: "a", statement: "s" }),
        bind({ portal: "b", statement: "s" }),
        sync,
      ],
      [execute("a", 3), execute("b", 2), execute("a", 3), execute("b"), execute("a"), sync],
      "COMMIT",
      [execute("a"), sync],
    ],
  ],
  [
    "parameters",
    [
      [
        parse("SELECT $1::int + 1 AS a, $2::text AS b"),
        D("statement"),
        bind({ values: ["41", "x"] }),
        D("portal"),
        execute(),
        sync,
      ],
      [
        parse("SELECT $1::int + 1 AS a", { types: [23] }),
        bind({ values: [int32(41)], formats: [1], resultFormats: [1] }),
        D("portal"),
        execute(),
        sync,
      ],
      [parse("SELECT $1::int AS a"), bind({ values: [] }), execute(), sync],
    ],
  ],
  [
    "unknown and duplicate names",
    [
      [bind({ statement: "x" }), sync],
      [execute("x"), sync],
      [parse("SELECT 1", { name: "s" }), sync],
      [parse("SELECT 1", { name: "s" }), sync],
      [close("statement", "s"), D("statement", "s"), sync],
    ],
  ],
  [
    "transaction commands by the extended protocol",
    [plain("BEGIN"), plain(ten), plain("SHOW DateStyle"), plain("COMMIT")],
  ],
  [
    "cursors",
    [
      "BEGIN",
      `DECLARE c CURSOR FOR ${ten}`,
      "FETCH 3 FROM c",
      "MOVE 2 FROM c",
      "SELECT 1 AS a",
      "FETCH ALL FROM c",
      "CLOSE c",
      "FETCH c",
      "ROLLBACK",
    ],
  ],
  [
    "cursors of a snapshot",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      `DECLARE a CURSOR FOR ${ten}`,
      `DECLARE b CURSOR WITH HOLD FOR ${ten}`,
      "FETCH 2 FROM a",
      "FETCH 1 FROM b",
      "COMMIT",
      "FETCH 2 FROM b",
      "CLOSE b",
    ],
  ],
  [
    "pipelined batches",
    [
      Array.from({ length: 50 }, (_, index) => [
        parse(`SELECT ${index % 5}::int AS a`),
        bind(),
        execute(),
        sync,
      ]).flat(),
    ],
  ],
]

const slow =
  "SELECT count(*) FROM generate_series(1, 6000000) a(i), generate_series(1, 20000) b(j) WHERE (a.i * b.j) % 7 = 3"

/** Describes a statement without a name, then parses and runs `second`, with a value and rows in binary. */
async function described(client: WireClient, second: string): Promise<ReturnType<typeof errors>> {
  const sql = "SELECT a FROM (VALUES (1), (2)) v(a) WHERE a = $1"
  await client.query(parse(sql), D("statement"), sync)
  const values = { values: [int32(2)], formats: [1], resultFormats: [1] }
  const answer = await client.query(parse(second), bind(values), execute(), sync)
  if (errors(answer).length === 0) deepEqual(rows(answer), [[int32(2)]])
  return errors(answer)
}

describe("a session over DuckDB", () => {
  let pair: Pair
  let client: WireClient
  before(async () => {
    pair = await Pair.start({
      engine: "duckdb",
      config: `roles:
  everything: { relations: { allow: ["*"] } }
  cut: { relations: { allow: ["*"] }, rowLimit: 5 }
  timed: { relations: { allow: ["*"] }, statementTimeoutMs: 300 }`,
      users: { cut: "cut", timed: "timed" },
    })
    client = await pair.through()
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`answers as PostgreSQL does: ${title}`, async () => {
      await pair.same(exchanges)
    })

  it("is cancelled, and goes on", async () => {
    for (let round = 0; round < 3; round += 1) {
      client.send(query(slow))
      await new Promise((resolve) => setTimeout(resolve, 150))
      await client.cancel()
      const messages = await client.readUntilReady()
      deepEqual(messages.map(line), [
        "E S=ERROR | V=ERROR | C=57014 | M=canceling statement due to user request",
        'Z "I"',
      ])
      deepEqual(await ask(client, `SELECT ${round}`), [[String(round)]])
    }
  })

  it("gives its statement up when the client goes", async () => {
    for (let round = 0; round < 4; round += 1) {
      const gone = await pair.through()
      gone.send(query(slow.replace("= 3", `= ${round}`)))
      await new Promise((resolve) => setTimeout(resolve, 100))
      gone.destroy()
    }
    // The pool has three connections: this would wait for one of the four.
    deepEqual(await ask(client, "SELECT 4711"), [["4711"]])
  })

  it("ends statements at statement_timeout, the session's and the role's", async () => {
    await ask(client, "SET statement_timeout = 200")
    const timed = await pair.through({ user: "timed" })
    for (const each of [client, timed]) {
      const [error] = errors(await each.query(query(slow)))
      deepEqual(
        [error?.["C"], error?.["M"]],
        ["57014", "canceling statement due to statement timeout"],
      )
      deepEqual(await ask(each, "SELECT 7"), [["7"]])
    }
    await ask(client, "RESET statement_timeout")
  })

  it("is cut at the role's row limit", async () => {
    const cut = await pair.through({ user: "cut" })
    const messages = await cut.query(query(ten))
    deepEqual(
      [rows(messages).length, tags(messages), types(messages)],
      [5, ["SELECT 5"], "TDDDDDNCZ"],
    )
  })

  it("hits the cache for equal questions and not across time zones", async () => {
    const sql = "SELECT timestamptz '2024-01-01 00:00:00+00' AS t"
    for (const [zone, text] of [
      ["UTC", "2024-01-01 00:00:00+00"],
      ["Asia/Tokyo", "2024-01-01 09:00:00+09"],
    ] as const)
      for (const outcome of ["miss", "hit_l1"]) {
        const other = await pair.through()
        await ask(other, `SET TimeZone = '${zone}'`)
        deepEqual(await ask(other, sql), [[text]])
        equal(await lastOutcome(other), outcome)
        other.destroy()
      }
  })

  it("reports DuckDB's own errors with PostgreSQL's codes", async () => {
    for (const [sql, code] of [
      ["SELECT * FROM nowhere", "42P01"],
      ["SELECT nothing FROM (VALUES (1)) v(a)", "42703"],
      ["SELECT 'x'::int", "22P02"],
      ["SELECT no_such_function(1)", "42883"],
      ["INSERT INTO nowhere VALUES (1)", "25006"],
    ] as const) {
      const messages = await client.query(query(sql))
      deepEqual(
        errors(messages).map(({ C }) => C),
        [code],
        sql,
      )
    }
  })

  it("refuses by name what DuckDB cannot write, and ISO is always there", async () => {
    await ask(client, "SET DateStyle = 'SQL, DMY'")
    const [error] = errors(await client.query(query("SELECT date '2024-02-29'")))
    deepEqual(
      [error?.["C"], error?.["M"]],
      ["0A000", 'DateStyle "SQL, DMY" is not supported by this warehouse'],
    )
    await ask(client, "RESET DateStyle")
    deepEqual(await ask(client, "SELECT date '2024-02-29'"), [["2024-02-29"]])
  })

  it("knows the types of a statement without a name that was described and is parsed again", async () => {
    deepEqual(await described(client, "SELECT a FROM (VALUES (1), (2)) v(a) WHERE a = $1"), [])
    // Nobody was told of the types of this one.
    equal((await described(client, "SELECT a FROM (VALUES (1), (3)) v(a) WHERE a = $1")).length, 1)
  })

  it("explains as PostgreSQL shows a plan: one column, a row a line", async () => {
    const sql = "EXPLAIN SELECT a FROM (VALUES (1), (2)) v(a) WHERE a > 1"
    const expected = await (await pair.direct()).query(query(sql))
    const answers = [
      await client.query(query(sql)),
      await client.query(parse(sql), bind(), D("portal"), execute(), sync),
      await client.query(parse(sql), D("statement"), bind(), execute(), sync),
    ]
    for (const answer of answers) {
      const description = (messages: typeof answer) =>
        messages.find(({ type }) => type === "T")?.body
      deepEqual(description(answer), description(expected))
      const lines = textRows(answer)
      ok(lines.length > 2 && lines.every(([text]) => text?.includes("\n") === false))
      deepEqual(tags(answer), ["EXPLAIN"])
    }
    deepEqual(await ask(client, "SELECT 1"), [["1"]])
  })

  it("streams a large result and serves others meanwhile", async () => {
    const reader = await pair.through()
    reader.socket.pause()
    reader.send(query("SELECT i, repeat('x', 500) FROM generate_series(1, 100000) t(i)"))
    deepEqual(textRows(await client.query(query("SELECT 5"))), [["5"]])
    reader.socket.resume()
    let last = await reader.read()
    let count = 0
    while (last.type !== "Z") {
      if (last.type === "D") count += 1
      last = await reader.read()
    }
    equal(count, 100_000)
    ok(reader.notices.length === 0)
  })
})
