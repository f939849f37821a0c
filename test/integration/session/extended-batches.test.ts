import { after, before, describe, it } from "node:test"
import {
  bind,
  describe as describeMessage,
  execute,
  flush,
  parse,
  sync,
} from "../../support/frontend-encoder.ts"
import { type Exchange, Pair } from "./support.ts"

/** The extended protocol: every conversation is held with PostgreSQL and with the gateway, and compared message by message. */

const items = "SELECT id, name, amount FROM lab.items WHERE id <= $1 ORDER BY id"
const ten = "SELECT id FROM lab.items WHERE id <= 10 ORDER BY id"
const D = describeMessage
const types = { int4: 23, int8: 20, text: 25, date: 1082, numeric: 1700, bool: 16, int2: 21 }
/** Parse, Bind, Describe, Execute, Sync of one text without parameters, as most drivers send it. */
const plain = (sql: string): Exchange => [parse(sql), bind(), D("portal"), execute(), sync]

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "a failed Parse takes the unnamed statement along",
    [
      [parse(ten), sync],
      [parse("SELEC"), sync],
      [bind(), sync],
    ],
  ],
  [
    "a simple query takes the unnamed statement along",
    [[parse(ten), sync], "SELECT 1", [bind(), sync]],
  ],
  [
    "an error in Parse skips to Sync",
    [[parse("SELEC"), bind(), execute(), parse(ten), sync], plain("SELECT 1")],
  ],
  ["several commands in Parse", [[parse("SELECT 1; SELECT 2"), bind(), sync]]],
  [
    "an error in Execute skips to Sync",
    [
      [
        parse("SELECT 1 / (n - 1) FROM lab.counter"),
        bind(),
        execute(),
        parse("SELECT 2"),
        bind(),
        execute(),
        sync,
      ],
      plain("SELECT 3"),
    ],
  ],
  [
    "an error while rows flow",
    [[parse("SELECT 100 / (id - 500) FROM lab.items ORDER BY id"), bind(), execute(), sync]],
  ],
  [
    "an error fails the transaction",
    [
      plain("BEGIN"),
      [parse("SELECT 1 / (n - 1) FROM lab.counter"), bind(), execute(), sync],
      plain("SELECT 1"),
      [parse("SELECT 1", { name: "s" }), sync],
      plain("COMMIT"),
    ],
  ],
  [
    "Bind and Execute in a failed transaction",
    [
      [parse("SELECT 1", { name: "s" }), parse("ROLLBACK", { name: "r" }), sync],
      "BEGIN",
      "SELECT 1/0",
      [bind({ statement: "s" }), sync],
      [D("statement", "s"), sync],
      [bind({ statement: "r" }), execute(), sync],
    ],
  ],
  [
    "transaction commands",
    [
      plain("BEGIN"),
      plain("SAVEPOINT a"),
      plain("SELECT 1"),
      plain("ROLLBACK TO a"),
      plain("RELEASE a"),
      plain("COMMIT"),
      plain("COMMIT"),
    ],
  ],
  [
    "BEGIN and the query in one batch, as pgjdbc sends it",
    [
      [parse("BEGIN"), bind(), execute(), parse(ten), bind(), D("portal"), execute(), sync],
      plain("COMMIT"),
    ],
  ],
  [
    "SET, SHOW and RESET",
    [
      plain("SET extra_float_digits = 3"),
      plain("SHOW extra_float_digits"),
      plain("SET DateStyle TO German"),
      plain("SHOW DateStyle"),
      plain("RESET ALL"),
    ],
  ],
  [
    "SET changes the bytes of a prepared statement",
    [
      [parse("SELECT day, at FROM lab.items WHERE id < 4 ORDER BY id", { name: "s" }), sync],
      [bind({ statement: "s" }), execute(), sync],
      plain("SET DateStyle = 'SQL, DMY'"),
      plain("SET TimeZone = 'America/New_York'"),
      [bind({ statement: "s" }), execute(), sync],
    ],
  ],
  [
    "Describe of SHOW and of facts",
    [
      [parse("SHOW TimeZone"), D("statement"), bind(), D("portal"), sync],
      [
        parse("SELECT current_schema(), current_user"),
        D("statement"),
        bind(),
        D("portal"),
        execute(),
        sync,
      ],
      [
        parse("SELECT current_setting('DateStyle')"),
        bind({ resultFormats: [1] }),
        D("portal"),
        execute(),
        sync,
      ],
    ],
  ],
  [
    "Describe of commands without rows",
    [
      [parse("BEGIN"), D("statement"), bind(), D("portal"), sync],
      [parse("SET DateStyle = ISO"), D("statement"), sync],
    ],
  ],
  [
    "a SET in a batch is undone by an error before Sync",
    [
      [
        parse("SET DateStyle = 'German'"),
        bind(),
        execute(),
        parse("SELECT 1 / (n - 1) FROM lab.counter"),
        bind(),
        execute(),
        sync,
      ],
      "SHOW DateStyle",
    ],
  ],
  [
    "DEALLOCATE of a parsed statement",
    [
      [parse(ten, { name: "s" }), sync],
      "DEALLOCATE s",
      [bind({ statement: "s" }), sync],
      "DEALLOCATE s",
      "DEALLOCATE ALL",
    ],
  ],
  [
    "DISCARD ALL",
    [
      [parse(ten, { name: "s" }), sync],
      "SET DateStyle = German",
      "DISCARD ALL",
      [bind({ statement: "s" }), sync],
      "SHOW DateStyle",
    ],
  ],
  [
    "cursors by the extended protocol",
    [
      plain("BEGIN"),
      plain("DECLARE c CURSOR FOR SELECT id FROM lab.items WHERE id < 6 ORDER BY id"),
      plain("FETCH 2 FROM c"),
      plain("MOVE 1 FROM c"),
      plain("FETCH ALL FROM c"),
      plain("CLOSE c"),
      plain("COMMIT"),
    ],
  ],
  [
    "Flush in the middle",
    [[parse(ten), bind(), D("portal"), flush, execute("", 2), flush, execute(), sync]],
  ],
  [
    "a hundred batches in one write",
    [
      Array.from({ length: 100 }, (_, index) => [
        parse(items),
        bind({ values: [String(index % 7)] }),
        D("portal"),
        execute(),
        sync,
      ]).flat(),
    ],
  ],
  [
    "a hundred executions in one batch",
    [
      [
        parse(items, { name: "s", types: [types.int4] }),
        ...Array.from({ length: 100 }, (_, index) => [
          bind({ statement: "s", values: [String(index % 7)] }),
          execute(),
        ]).flat(),
        sync,
      ],
    ],
  ],
  [
    "errors among pipelined batches",
    [
      Array.from({ length: 20 }, (_, index) => [
        parse("SELECT 10 / (n - 1 + $1::int) FROM lab.counter"),
        bind({ values: [String(index % 3)] }),
        execute(),
        sync,
      ]).flat(),
    ],
  ],
]

describe("batches, transactions and settings go by the extended protocol as in PostgreSQL", () => {
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
