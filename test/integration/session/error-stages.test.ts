import { after, before, describe, it } from "node:test"
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  flush,
  frame,
  parse,
  sync,
} from "../../support/frontend-encoder.ts"
import { type Exchange, Pair } from "./support.ts"

/** Errors come at the message where PostgreSQL raises them, and what failed is not there afterwards: compared message by message. */

const D = describeMessage
const wrong = "SELECT nocolumn FROM lab.items"
const right = "SELECT id FROM lab.items WHERE id <= 2 ORDER BY id"
const folded = "SELECT 1/0"
const number = "SELECT $1::int AS n"

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  [
    "a wrong Parse and Sync",
    [
      [parse(wrong), sync],
      [bind(), execute(), sync],
    ],
  ],
  [
    "a wrong named Parse and Sync",
    [
      [parse(wrong, { name: "s" }), sync],
      [bind({ statement: "s" }), sync],
      [parse(right, { name: "s" }), bind({ statement: "s" }), execute(), sync],
    ],
  ],
  ["a wrong Parse and Flush", [[parse(wrong), flush, parse(right), sync]]],
  ["a wrong Parse and Bind", [[parse(wrong), bind(), sync]]],
  [
    "a wrong Parse and a Bind with too many values",
    [[parse(wrong), bind({ values: ["1"] }), sync]],
  ],
  [
    "a right Parse and a Bind with too many values",
    [[parse(right), bind({ values: ["1"] }), sync]],
  ],
  ["a wrong Parse and Describe", [[parse(wrong), D("statement"), sync]]],
  ["a wrong Parse, Bind and Describe", [[parse(wrong), bind(), D("portal"), sync]]],
  ["a wrong Parse and everything", [[parse(wrong), bind(), D("portal"), execute(), sync]]],
  ["a right Parse and a wrong one", [[parse(right, { name: "a" }), parse(wrong), sync]]],
  ["a wrong Parse and a right one", [[parse(wrong), parse(right), sync]]],
  ["a wrong Parse and Close", [[parse(wrong, { name: "c" }), close("statement", "c"), sync]]],
  ["a wrong Parse and a Bind of another", [[parse(wrong), bind({ statement: "no" }), sync]]],
  ["a right Parse and a Bind of another", [[parse(right), bind({ statement: "no" }), sync]]],
  ["a right Parse and an Execute of no portal", [[parse(right), execute("no"), sync]]],
  ["a right Bind and an Execute of no portal", [[parse(right), bind(), execute("no"), sync]]],
  ["a right Bind and a Describe of no portal", [[parse(right), bind(), D("portal", "no"), sync]]],
  [
    "two Describes of a portal",
    [[parse(right), bind(), D("portal"), D("portal"), execute(), sync]],
  ],
  [
    "two portals of one statement",
    [
      [
        parse(right, { name: "two" }),
        bind({ statement: "two", portal: "p" }),
        bind({ statement: "two", portal: "q" }),
        D("portal", "q"),
        execute("q"),
        execute("p"),
        sync,
      ],
    ],
  ],
  ["a right Parse and a malformed Bind", [[parse(right), frame("B", Buffer.from("x")), sync]]],
  ["a wrong Parse and a malformed Bind", [[parse(wrong), frame("B", Buffer.from("x")), sync]]],
  [
    "planning fails at Bind, and the statement stays",
    [
      [parse(folded, { name: "f" }), bind({ statement: "f" }), execute(), sync],
      [bind({ statement: "f" }), execute(), sync],
      [D("statement", "f"), sync],
    ],
  ],
  [
    "a value fails at Bind, and the statement stays",
    [
      [parse(number, { name: "n" }), bind({ statement: "n", values: ["x"] }), execute(), sync],
      [bind({ statement: "n", values: ["7"] }), D("portal"), execute(), sync],
      [bind({ statement: "n", values: ["y"], portal: "p" }), execute("p"), sync],
    ],
  ],
  [
    "EXPLAIN of a wrong statement and of one that cannot be planned",
    [
      [parse(`EXPLAIN ${wrong}`), bind(), D("portal"), execute(), sync],
      [parse(`EXPLAIN ${wrong}`), sync],
      [parse(`EXPLAIN ${folded}`), bind(), D("portal"), execute(), sync],
    ],
  ],
  [
    "a transaction that failed at Parse keeps the statements of before",
    [
      "BEGIN",
      [parse(right, { name: "g" }), bind({ statement: "g" }), execute(), sync],
      "SELECT 1",
      [parse(wrong), sync],
      [bind({ statement: "g" }), execute(), sync],
      "ROLLBACK",
      [bind({ statement: "g" }), D("portal"), execute(), sync],
    ],
  ],
  [
    "a pinned transaction fails at Parse",
    [
      "BEGIN ISOLATION LEVEL REPEATABLE READ",
      [parse(right), bind(), execute("", 1), sync],
      [parse(wrong), sync],
      [parse(right), sync],
      "ROLLBACK",
    ],
  ],
]

describe("an error comes at the stage where PostgreSQL raises it", () => {
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
