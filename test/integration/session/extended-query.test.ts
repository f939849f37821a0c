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
import { type Exchange, Pair } from "./support.ts"

/** The extended protocol: every conversation is held with PostgreSQL and with the gateway, and compared message by message. */

const items = "SELECT id, name, amount FROM lab.items WHERE id <= $1 ORDER BY id"
const ten = "SELECT id FROM lab.items WHERE id <= 10 ORDER BY id"
const D = describeMessage
const types = { int4: 23, int8: 20, text: 25, date: 1082, numeric: 1700, bool: 16, int2: 21 }
const int2Value = (value: number): Buffer => {
  const out = Buffer.alloc(2)
  out.writeInt16BE(value)
  return out
}

/** Parse, Bind, Describe, Execute, Sync of one text without parameters, as most drivers send it. */
const plain = (sql: string): Exchange => [parse(sql), bind(), D("portal"), execute(), sync]

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  ["libpq's order", [[parse(items), bind({ values: ["3"] }), D("portal"), execute(), sync]]],
  ["without Describe", [[parse(items), bind({ values: ["3"] }), execute(), sync]]],
  ["Describe of the statement only", [[parse(items), D("statement"), sync]]],
  [
    "prepare, then run",
    [
      [parse(items, { name: "s", types: [types.int4] }), D("statement", "s"), sync],
      [bind({ statement: "s", values: ["2"] }), execute(), sync],
      [bind({ statement: "s", values: ["4"] }), D("portal"), execute(), sync],
      [close("statement", "s"), sync],
    ],
  ],
  [
    "Parse and Sync alone, then Bind of the unnamed statement",
    [
      [parse(items), sync],
      [bind({ values: ["1"] }), execute(), sync],
      [bind({ values: ["2"] }), execute(), sync],
    ],
  ],
  ["Describe of a portal without Execute", [[parse(ten), bind(), D("portal"), sync], "SELECT 1"]],
  ["Describe twice", [[parse(ten), bind(), D("portal"), D("portal"), execute(), sync]]],
  ["Describe after Execute", [[parse(ten), bind(), execute("", 3), D("portal"), execute(), sync]]],
  [
    "Describe of statement and portal",
    [[parse(ten), D("statement"), bind(), D("portal"), execute(), sync]],
  ],
  [
    "set_config with its value as parameter, as asyncpg sends it",
    [
      [parse("SELECT set_config('jit', $1, false)", { name: "s" }), D("statement", "s"), sync],
      [bind({ statement: "s", values: ["off"] }), execute(), sync],
      [parse("SHOW jit"), bind(), execute(), sync],
      [bind({ statement: "s", values: [null] }), execute(), sync],
      [parse("SHOW jit"), bind(), execute(), sync],
      [bind({ statement: "s", values: ["maybe"] }), execute(), sync],
      [bind({ statement: "s" }), execute(), sync],
    ],
  ],
  ["an empty Sync", [[sync], [sync]]],
  ["an empty statement", [plain(""), [parse(" -- nothing"), D("statement"), sync]]],
  [
    "max_rows below the count",
    [[parse(ten), bind(), execute("", 4), execute("", 4), execute("", 4), sync]],
  ],
  [
    "max_rows an exact divisor",
    [[parse(ten), bind(), execute("", 5), execute("", 5), execute("", 5), sync]],
  ],
  ["max_rows the exact count", [[parse(ten), bind(), execute("", 10), execute("", 10), sync]]],
  ["max_rows above the count", [[parse(ten), bind(), execute("", 11), execute("", 11), sync]]],
  ["max_rows, then the rest", [[parse(ten), bind(), execute("", 3), execute("", 0), sync]]],
  [
    "a finished portal executed again",
    [[parse(ten), bind(), execute(), execute(), execute("", 2), sync]],
  ],
  [
    "max_rows on a portal in a transaction over several batches",
    [
      "BEGIN",
      [parse(ten), bind({ portal: "p" }), execute("p", 4), sync],
      [execute("p", 4), sync],
      [execute("p", 4), sync],
      [execute("p", 4), sync],
      "COMMIT",
    ],
  ],
  [
    "a portal is gone after Sync",
    [
      [parse(ten), bind({ portal: "p" }), execute("p", 4), sync],
      [execute("p", 4), sync],
    ],
  ],
  [
    "a portal is gone after COMMIT",
    [
      "BEGIN",
      [parse(ten), bind({ portal: "p" }), execute("p", 4), sync],
      "COMMIT",
      [execute("p", 4), sync],
    ],
  ],
  [
    "a portal is closed by a simple query of its own name",
    [
      "BEGIN",
      [parse(ten), bind(), execute("", 4), sync],
      "SELECT 1",
      [execute("", 4), sync],
      "ROLLBACK",
    ],
  ],
  [
    "several portals in turns",
    [
      "BEGIN",
      [
        parse(ten, { name: "s" }),
        bind({ portal: "a", statement: "s" }),
        bind({ portal: "b", statement: "s" }),
        sync,
      ],
      [execute("a", 3), execute("b", 2), execute("a", 3), execute("b", 0), execute("a", 0), sync],
      [execute("b", 1), close("portal", "b"), execute("a", 1), sync],
      "COMMIT",
    ],
  ],
  [
    "two large portals in turns",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      [
        parse("SELECT * FROM lab.items ORDER BY id", { name: "s" }),
        bind({ portal: "a", statement: "s" }),
        sync,
      ],
      [
        execute("a", 7),
        bind({ portal: "b", statement: "s" }),
        execute("b", 5),
        execute("a", 7),
        sync,
      ],
      [execute("b", 900), execute("a", 0), execute("b", 0), sync],
      "COMMIT",
    ],
  ],
  [
    "Close of a portal and of a statement, known and unknown",
    [
      [
        parse(ten, { name: "s" }),
        bind({ portal: "p", statement: "s" }),
        close("portal", "p"),
        close("statement", "s"),
        sync,
      ],
      [close("portal", "x"), close("statement", "x"), sync],
    ],
  ],
  [
    "a closed statement cannot be bound",
    [[parse(ten, { name: "s" }), close("statement", "s"), bind({ statement: "s" }), sync]],
  ],
  [
    "unknown statement",
    [
      [bind({ statement: "x" }), execute(), sync],
      [D("statement", "x"), sync],
    ],
  ],
  ["unknown unnamed statement", [[bind(), sync]]],
  [
    "unknown portal",
    [
      [execute("x"), sync],
      [D("portal", "x"), sync],
    ],
  ],
  [
    "duplicate statement",
    [
      [parse(ten, { name: "s" }), sync],
      [parse("SELECT 1", { name: "s" }), sync],
      [bind({ statement: "s" }), execute("", 1), sync],
    ],
  ],
  [
    "duplicate portal",
    [
      ["BEGIN"].map(query),
      [parse(ten), bind({ portal: "p" }), bind({ portal: "p" }), sync],
      "ROLLBACK",
    ],
  ],
  [
    "too few parameters",
    [[parse(items, { types: [types.int4] }), bind({ values: [] }), execute(), sync]],
  ],
  [
    "too many parameters",
    [[parse(items, { types: [types.int4] }), bind({ values: ["1", "2"] }), execute(), sync]],
  ],
  [
    "too many parameters of a named statement",
    [
      [
        parse(items, { name: "n", types: [types.int4] }),
        bind({ statement: "n", values: ["1", "2"] }),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "parameter formats that disagree",
    [[parse(items, { types: [types.int4] }), bind({ values: ["1"], formats: [0, 0] }), sync]],
  ],
  [
    "a binary parameter",
    [
      [
        parse(items, { types: [types.int4] }),
        bind({ values: [int32(3)], formats: [1] }),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "an int2 in binary, as psycopg3 sends it",
    [
      [
        parse(items, { types: [types.int2] }),
        bind({ values: [int2Value(3)], formats: [1] }),
        D("portal"),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "a NULL parameter",
    [
      [
        parse("SELECT $1::int, $2::text"),
        bind({ values: [null, "x"] }),
        D("portal"),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "binary results",
    [
      [
        parse("SELECT * FROM lab.items WHERE id < 20 ORDER BY id"),
        bind({ resultFormats: [1] }),
        D("portal"),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "mixed result formats",
    [
      [
        parse("SELECT id, name, amount FROM lab.items WHERE id < 9 ORDER BY id"),
        bind({ resultFormats: [1, 0, 1] }),
        D("portal"),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "parameter types that the server infers",
    [
      [
        parse("SELECT $1 + id, $2 || name FROM lab.items WHERE day = $3 ORDER BY id"),
        D("statement"),
        sync,
      ],
    ],
  ],
  [
    "a statement without rows",
    [
      [
        parse("SELECT id FROM lab.empty"),
        bind(),
        D("portal"),
        execute("", 5),
        execute("", 5),
        sync,
      ],
    ],
  ],
]

describe("statements and portals are handled as PostgreSQL does", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start()
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(title, async () => {
      await pair.same(exchanges)
    })
})
