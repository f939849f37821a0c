import { deepEqual, equal, match } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { fileURLToPath } from "node:url"
import {
  bind,
  cancel,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, tags, WireClient } from "../../support/wire-client.ts"
import { ask, type Exchange, lastOutcome, Pair } from "./support.ts"

/** COPY TO STDOUT: every conversation is held with PostgreSQL and with the gateway, and compared message by message. */

const odd = `(VALUES ('plain'), (''), (NULL), ('a,b'), ('a"b'), ('a''b'), (E'a\\tb\\nc\\rd\\be\\ff\\vg'), ('back\\slash'), ('\\.'),
  ('\\N'), (' blank '), ('é€😀'), (E'\\x01\\x1f\\x7f'), ('|;|')) t(x)`
const all = "SELECT * FROM lab.items ORDER BY id LIMIT 40"

const formats: readonly string[] = [
  "",
  "(FORMAT text)",
  "(FORMAT csv)",
  "(FORMAT binary)",
  "(FORMAT csv, HEADER)",
  "(HEADER)",
  "(HEADER on, FORMAT text, NULL 'nil')",
  "(FORMAT csv, HEADER false)",
  "(FORMAT csv, DELIMITER ';', NULL 'nix', QUOTE '''', ESCAPE '\\')",
  "(FORMAT csv, DELIMITER E'\\t', QUOTE '|')",
  "(FORMAT csv, FORCE_QUOTE *)",
  "(FORMAT csv, FORCE_QUOTE (x), HEADER true)",
  "(DELIMITER '|', NULL '')",
  "(ENCODING 'utf8')",
  "CSV HEADER",
  "WITH DELIMITER ',' NULL 'n'",
  "CSV QUOTE 'x' FORCE QUOTE x",
]

const faults: readonly string[] = [
  "(FORMAT xml)",
  "(FORMAT csv, FORMAT csv)",
  "(SPEED 'high')",
  "(FORMAT binary, DELIMITER ',')",
  "(FORMAT binary, NULL '')",
  "(FORMAT binary, HEADER)",
  "(DELIMITER '')",
  "(DELIMITER 'ab')",
  "(DELIMITER 'é')",
  "(DELIMITER 'a')",
  "(DELIMITER E'\\n')",
  "(NULL E'a\\n')",
  "(NULL 'a,b', DELIMITER ',')",
  "(QUOTE 'x')",
  "(ESCAPE 'x')",
  "(FORCE_QUOTE (x))",
  "(FORMAT csv, QUOTE 'xy')",
  "(FORMAT csv, ESCAPE 'xy')",
  "(FORMAT csv, QUOTE ',')",
  "(FORMAT csv, NULL 'a\"b')",
  "(FORMAT csv, FORCE_QUOTE (nothing))",
  "(FORMAT csv, FORCE_NOT_NULL (x))",
  "(FORMAT csv, FORCE_NULL (x))",
  "(FREEZE)",
  "(DEFAULT 'x')",
  "(HEADER match)",
  "(HEADER maybe)",
  "(ON_ERROR stop)",
  "(FORCE_NULL (x))",
  "(FORMAT csv, FORCE_QUOTE 'x')",
]

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  ...formats.map((options): [string, Exchange[]] => [
    `a query ${options}`,
    [
      `COPY (SELECT x FROM ${odd}) TO STDOUT ${options}`,
      `COPY (SELECT x, x AS "Y z" FROM ${odd}) TO STDOUT ${options}`,
    ],
  ]),
  ...faults.map((options): [string, Exchange[]] => [
    `refused ${options}`,
    [`COPY (SELECT x FROM ${odd}) TO STDOUT ${options}`],
  ]),
  [
    "every type",
    [
      `COPY (${all}) TO STDOUT`,
      `COPY (${all}) TO STDOUT (FORMAT csv)`,
      `COPY (${all}) TO STDOUT (FORMAT binary)`,
    ],
  ],
  [
    "settings of the session",
    [
      "SET DateStyle = German",
      "SET TimeZone = 'Asia/Tokyo'",
      "SET bytea_output = 'escape'",
      `COPY (${all}) TO STDOUT`,
    ],
  ],
  [
    "no rows",
    ["", "(FORMAT csv, HEADER)", "(FORMAT binary)"].map(
      (options) => `COPY lab.empty TO STDOUT ${options}`,
    ),
  ],
  [
    "a first row that fails, with and without a header in front",
    ["", "(FORMAT csv, HEADER)", "(FORMAT text, HEADER)", "(FORMAT binary)"].map(
      (options) =>
        `COPY (SELECT 1 / (id - 1) AS x FROM lab.items ORDER BY id) TO STDOUT ${options}`,
    ),
  ],
  [
    "no columns",
    [
      "COPY (SELECT FROM lab.items LIMIT 2) TO STDOUT",
      "COPY (SELECT FROM lab.items LIMIT 2) TO STDOUT (FORMAT binary)",
    ],
  ],
  [
    "a table",
    [
      "COPY lab.items TO STDOUT",
      "COPY lab.items TO STDOUT (FORMAT binary)",
      "COPY lab.items (name, id) TO STDOUT (FORMAT csv, HEADER)",
    ],
  ],
  [
    "a table of the search path",
    ["SET search_path = lab", "COPY counter TO STDOUT", "COPY nowhere TO STDOUT"],
  ],
  [
    "dropped and generated columns",
    [
      'COPY lab."Odd" TO STDOUT (FORMAT csv, HEADER)',
      'COPY lab."Odd" (c, a) TO STDOUT',
      'COPY lab."Odd" (g) TO STDOUT',
      'COPY lab."Odd" (b) TO STDOUT',
      'COPY lab."Odd" (a, a) TO STDOUT',
    ],
  ],
  [
    "a parent leaves its children out",
    ["COPY lab.parent TO STDOUT", "COPY (SELECT * FROM lab.parent) TO STDOUT"],
  ],
  [
    "what is no table",
    [
      "COPY lab.over_secret TO STDOUT",
      "COPY lab.parts TO STDOUT",
      "COPY lab.numbers TO STDOUT",
      "COPY lab.nowhere TO STDOUT",
      "COPY lab.stored TO STDOUT",
    ],
  ],
  ["an unknown column in the query", ["COPY (SELECT nothing FROM lab.items) TO STDOUT"]],
  ["an error before the first row", ["COPY (SELECT 1/0) TO STDOUT"]],
  [
    "an error behind some rows",
    ["COPY (SELECT 10 / (5 - n) FROM generate_series(1, 9) n) TO STDOUT", "SELECT 1"],
  ],
  [
    "an error inside a transaction",
    ["BEGIN", "COPY (SELECT 1/(n-1) FROM lab.counter) TO STDOUT", "SELECT 1", "ROLLBACK"],
  ],
  ["a parameter", ["COPY (SELECT $1::int) TO STDOUT"]],
  ["in the middle of a string", ["SELECT 1; COPY (SELECT 2) TO STDOUT; SELECT 3"]],
  ["parentheses and comments in the query", ["COPY ( /* ( */ SELECT (1), ')' -- )\n ) TO STDOUT"]],
  [
    "VALUES, WITH, TABLE",
    [
      "COPY (VALUES (1), (2)) TO STDOUT",
      "COPY (WITH w AS (SELECT 3) TABLE w) TO STDOUT",
      "COPY (TABLE lab.counter) TO STDOUT",
    ],
  ],
  ["facts of the session", ["COPY (SELECT 1 AS a, current_schema()) TO STDOUT"]],
  [
    "the extended protocol",
    [
      [
        parse("COPY (SELECT n FROM lab.counter) TO STDOUT"),
        bind(),
        describeMessage("portal"),
        execute(),
        sync,
      ],
      [
        parse("COPY (SELECT n FROM lab.counter) TO STDOUT (FORMAT binary)", { name: "s" }),
        describeMessage("statement", "s"),
        bind({ statement: "s" }),
        execute("", 1),
        sync,
      ],
    ],
  ],
]

describe("COPY TO STDOUT", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      users: { limited: "limited" },
      config: `roles:
  everything: { relations: { allow: ["*"] } }
  limited: { relations: { allow: ["lab.items"] }, rowLimit: 5 }`,
      seedFiles: [fileURLToPath(new URL("copy-seed.sql", import.meta.url))],
    })
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`is as PostgreSQL's: ${title}`, async () => {
      await pair.same(exchanges)
    })

  it("is served from the entry that the SELECT made", async () => {
    const client = await pair.through()
    const sql = "SELECT id, name FROM lab.items WHERE id < 600 ORDER BY id"
    await ask(client, sql)
    await client.query(query(`COPY (${sql}) TO STDOUT`))
    equal(await lastOutcome(client), "hit_l1")
  })

  it("does not write files, nor start programs", async () => {
    const client = await pair.through()
    for (const [sql, message] of [
      ["COPY lab.items TO '/tmp/x'", /permission denied to COPY to a file/],
      [
        "COPY (SELECT 1) TO PROGRAM 'cat'",
        /permission denied to COPY to or from an external program/,
      ],
    ] as const) {
      const [error] = errors(await client.query(query(sql)))
      equal(error?.["C"], "42501")
      match(error?.["M"] ?? "", message)
    }
  })

  it("holds a limited role to its rows and relations", async () => {
    const client = await pair.through({ user: "limited", password: "correct horse" })
    deepEqual(tags(await client.query(query("COPY lab.items TO STDOUT"))), ["COPY 5"])
    deepEqual(tags(await client.query(query("COPY (SELECT * FROM lab.items) TO STDOUT"))), [
      "COPY 5",
    ])
    for (const sql of [
      "COPY lab.secret TO STDOUT",
      "COPY (SELECT * FROM lab.secret) TO STDOUT",
      "COPY lab.over_secret TO STDOUT",
    ])
      equal(errors(await client.query(query(sql)))[0]?.["C"], "42501", sql)
  })

  it("stops at a cancel in the middle", async () => {
    const client = await pair.through()
    client.send(
      query("COPY (SELECT n, repeat('x', 500) FROM generate_series(1, 3000000) n) TO STDOUT"),
    )
    await client.read()
    await client.read()
    const other = await WireClient.open({ port: pair.gateway.port })
    other.send(cancel(client.processId, client.secretKey))
    const messages = await client.readUntilReady()
    equal(errors(messages)[0]?.["C"], "57014")
    deepEqual(await ask(client, "SELECT 1"), [["1"]])
    other.destroy()
  })
})
