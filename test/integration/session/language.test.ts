import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  frame,
  int16,
  int32,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, tags, textRows, transactionStatus } from "../../support/wire-client.ts"
import { ask, converse, type Exchange, Pair } from "./support.ts"

/** What else a session's language has: compared with PostgreSQL message by message. */

const D = describeMessage
const ten = "SELECT id, name FROM lab.items WHERE id <= 10 ORDER BY id"
const functionCall = frame("F", Buffer.concat([int32(1299), int16(0), int16(0), int16(0)]))

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "asyncpg's reset",
    ["SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;", "SELECT 1"],
  ],
  [
    "the void of pg_advisory_unlock_all",
    [
      "SELECT pg_advisory_unlock_all()",
      [
        parse("SELECT pg_advisory_unlock_all() AS x"),
        bind({ resultFormats: [1] }),
        D("portal"),
        execute(),
        sync,
      ],
    ],
  ],
  ["UNLISTEN", ["UNLISTEN *", "UNLISTEN channel", "BEGIN", "UNLISTEN *", "ROLLBACK"]],
  [
    "DISCARD",
    [
      "DISCARD PLANS",
      "DISCARD SEQUENCES",
      "DISCARD TEMP",
      "DISCARD TEMPORARY",
      "DISCARD ALL",
      "BEGIN",
      "DISCARD PLANS",
      "DISCARD ALL",
      "ROLLBACK",
    ],
  ],
  ["DISCARD ALL in a string", ["SELECT 1; DISCARD ALL", "SELECT 1"]],
  ["RESET ALL and CLOSE ALL", ["SET DateStyle = German", "RESET ALL; CLOSE ALL", "SHOW DateStyle"]],
  [
    "BEGIN in the middle, with an error behind it",
    ["SELECT 1; BEGIN; SELECT 1/0; SELECT 2", "SELECT 3", "COMMIT"],
  ],
  ["BEGIN twice in a string", ["BEGIN; BEGIN; SELECT 1; COMMIT; COMMIT"]],
  [
    "SAVEPOINT in a string without BEGIN",
    [
      "SAVEPOINT a; SELECT 1",
      "SELECT 1; SAVEPOINT a; SELECT 2",
      "RELEASE a; SELECT 1",
      "SELECT 1; ROLLBACK TO a",
    ],
  ],
  [
    "ROLLBACK in the middle of a string",
    ["BEGIN; SELECT 1; ROLLBACK; SELECT 2; SELECT 1/0", "SELECT 1"],
  ],
  ["COMMIT AND CHAIN in a string", ["BEGIN; COMMIT AND CHAIN; SELECT 1", "SELECT 2", "ROLLBACK"]],
  ["SET LOCAL in a string", ["SET LOCAL DateStyle = German; SHOW DateStyle", "SHOW DateStyle"]],
  [
    "a failed transaction in a string",
    ["BEGIN; SELECT 1/0", "SELECT 1; ROLLBACK; SELECT 2", "ROLLBACK; SELECT 3"],
  ],
  [
    "a portal of DECLARE described, executed and closed by protocol",
    [
      "BEGIN",
      `DECLARE c CURSOR FOR ${ten}`,
      [D("portal", "c"), execute("c", 2), sync],
      "FETCH 1 FROM c",
      [execute("c", 0), execute("c", 0), sync],
      [close("portal", "c"), sync],
      "FETCH 1 FROM c",
      "ROLLBACK",
    ],
  ],
  [
    "a portal of Bind fetched by SQL",
    [
      "BEGIN",
      [parse(ten), bind({ portal: "p" }), execute("p", 2), sync],
      "FETCH 2 FROM p",
      "MOVE 1 FROM p",
      [execute("p", 1), sync],
      "CLOSE p",
      [execute("p", 1), sync],
      "ROLLBACK",
    ],
  ],
  [
    "a portal of Bind first fetched by SQL",
    [
      "BEGIN",
      [parse(ten), bind({ portal: "p" }), sync],
      "FETCH 2 FROM p",
      "FETCH ALL FROM p",
      "COMMIT",
    ],
  ],
  [
    "one name for portals and cursors",
    [
      "BEGIN",
      `DECLARE c CURSOR FOR ${ten}`,
      [parse(ten), bind({ portal: "c" }), sync],
      "ROLLBACK",
      "BEGIN",
      [parse(ten), bind({ portal: "c" }), sync],
      `DECLARE c CURSOR FOR ${ten}`,
      "ROLLBACK",
    ],
  ],
  [
    "result formats that fit no column count",
    [[parse(ten), D("statement"), bind({ resultFormats: [1, 0, 1] }), sync], "SELECT 1"],
  ],
  [
    "DECLARE in an unsynced batch",
    [[parse(`DECLARE c CURSOR FOR ${ten}`), bind(), execute(), sync], "SELECT 1"],
  ],
  [
    "a cursor of the extended protocol",
    [
      "BEGIN",
      [parse(`DECLARE c CURSOR FOR ${ten}`), bind(), D("portal"), execute(), sync],
      [parse("FETCH 2 FROM c"), D("statement"), bind(), D("portal"), execute(), sync],
      [parse("FETCH 2 FROM c"), bind(), execute("", 1), execute("", 1), execute("", 1), sync],
      [parse("MOVE 1 FROM c"), bind(), D("portal"), execute(), sync],
      "COMMIT",
    ],
  ],
]

describe("a session's language", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      config: "listen: { host: 127.0.0.1, port: 0, portalSpoolBytesMax: 1048576 }",
    })
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`is PostgreSQL's: ${title}`, async () => {
      await pair.same(exchanges)
    })

  it("refuses the function call protocol and stays in step", async () => {
    const client = await pair.through()
    for (const earlier of [[], [parse("SELECT 1"), bind()]]) {
      client.send(...earlier, functionCall)
      const messages = await client.readUntilReady()
      equal(errors(messages)[0]?.["C"], "0A000")
      deepEqual(await ask(client, "SELECT 1"), [["1"]])
    }
  })

  it("refuses LISTEN, NOTIFY and locks to a reader, with the reason", async () => {
    const client = await pair.through()
    for (const [sql, code] of [
      ["LISTEN x", "0A000"],
      ["NOTIFY x", "0A000"],
      ["SELECT pg_advisory_lock(1)", "42501"],
    ] as const)
      equal(errors(await client.query(query(sql)))[0]?.["C"], code, sql)
  })

  it("shows the session's own prepared statements and cursors, as PostgreSQL does", async () => {
    const exchanges: readonly Exchange[] = [
      "SELECT * FROM pg_prepared_statements",
      "SELECT count(*) FROM pg_catalog.pg_cursors",
      "PREPARE a (int, text) AS SELECT $1, $2",
      [parse("SELECT id FROM lab.items WHERE id = $1", { name: "b", types: [23] }), sync],
      "SELECT name, statement, parameter_types, from_sql FROM pg_prepared_statements ORDER BY name",
      "SELECT p.name FROM pg_catalog.pg_prepared_statements p WHERE p.prepare_time <= now() AND p.name = 'b'",
      "DEALLOCATE a",
      "SELECT pg_prepared_statements.name FROM pg_prepared_statements",
      "BEGIN",
      "DECLARE c SCROLL CURSOR FOR SELECT 1",
      "DECLARE d NO SCROLL CURSOR WITH HOLD FOR SELECT id FROM lab.items",
      "SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors ORDER BY name",
      "COMMIT",
      "SELECT name, is_holdable FROM pg_cursors WHERE creation_time <= now()",
    ]
    // Columns of a view name it in their description; those of the gateway's rows have no table.
    const client = await pair.through()
    const direct = await pair.direct()
    const expected = await converse(direct, exchanges)
    const got = await converse(client, exchanges)
    deepEqual(got.map(textRows), expected.map(textRows))
    deepEqual(got.map(tags), expected.map(tags))
  })

  it("rolls back when a WITH HOLD cursor does not fit at COMMIT", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN")
    await ask(
      client,
      "DECLARE c CURSOR WITH HOLD FOR SELECT i, repeat('x', 1000) FROM generate_series(1, 5000) i",
    )
    const messages = await client.query(query("COMMIT"))
    equal(errors(messages)[0]?.["C"], "54000")
    equal(transactionStatus(messages), "I")
    equal(errors(await client.query(query("FETCH 1 FROM c")))[0]?.["C"], "34000")
  })
})

const duckdbCases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  ...["", "(FORMAT csv, HEADER)", "(FORMAT binary)"].map((options): [string, Exchange[]] => [
    `COPY ${options}`,
    [
      `COPY (SELECT 1 AS a, 'x,"y' AS b, NULL::text AS c, DATE '2024-02-29' AS d, 1.50::numeric(9,2) AS e, true AS f) TO STDOUT ${options}`,
    ],
  ]),
  [
    "PREPARE and EXECUTE",
    [
      "PREPARE p(int, text) AS SELECT $1 + 1 AS n, $2 AS t",
      "EXECUTE p(1, 'x')",
      "EXECUTE p(2 * 3, upper('y'))",
      "EXECUTE p(1)",
      "DEALLOCATE p",
    ],
  ],
  [
    "a cursor that goes back",
    [
      "BEGIN",
      "DECLARE c SCROLL CURSOR FOR SELECT * FROM (VALUES (1), (2), (3)) v(n) ORDER BY n",
      "FETCH LAST FROM c",
      "FETCH PRIOR FROM c",
      "FETCH ABSOLUTE 1 FROM c",
      "FETCH ALL FROM c",
      "COMMIT",
    ],
  ],
]

describe("a session's language over DuckDB", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ engine: "duckdb" })
  })
  after(() => pair.stop())

  for (const [title, exchanges] of duckdbCases)
    it(`is PostgreSQL's: ${title}`, async () => {
      await pair.same(exchanges)
    })
})
