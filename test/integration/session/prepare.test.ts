import { equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  parse,
  query,
  sync,
} from "../../support/frontend-encoder.ts"
import { errors, types } from "../../support/wire-client.ts"
import { ask, type Exchange, lastOutcome, Pair } from "./support.ts"

/** PREPARE, EXECUTE and DEALLOCATE: every conversation is held with PostgreSQL and with the gateway, and compared message by message. */

const D = describeMessage
const plain = (sql: string): Exchange => [parse(sql), bind(), D("portal"), execute(), sync]
const byId = "PREPARE p AS SELECT id, name, amount FROM lab.items WHERE id <= $1 ORDER BY id"

const cases: readonly (readonly [title: string, exchanges: readonly Exchange[]])[] = [
  ["without parameters", ["PREPARE p AS SELECT 1 AS one", "EXECUTE p", "EXECUTE p"]],
  ["an inferred type", [byId, "EXECUTE p(3)", "EXECUTE p('2')", "EXECUTE p(NULL)"]],
  [
    "declared types",
    [
      "PREPARE p(int, text, date, numeric, bool) AS SELECT $1, $2, $3, $4, $5",
      "EXECUTE p(1, 'x''y', '2024-02-29', 1.50, true)",
      "EXECUTE p(-1, E'a\\\\b\\n', DATE '2024-01-01', 7, 'f')",
      "EXECUTE p(NULL, NULL, NULL, NULL, NULL)",
    ],
  ],
  [
    "bit strings",
    [
      "PREPARE p (bit, varbit) AS SELECT $1, $2",
      "EXECUTE p(B'0', X'1F')",
      "EXECUTE p(X'A', B'')",
      "EXECUTE p('1', '0101')",
    ],
  ],
  ["fewer types than parameters", ["PREPARE p(int) AS SELECT $1, $2::text", "EXECUTE p(1, 2)"]],
  ["a user's name in quotes", ['PREPARE "P q" AS SELECT 2', 'EXECUTE "P q"', 'EXECUTE "p q"']],
  [
    "arguments that are computed",
    [
      "PREPARE p(int, date, text) AS SELECT $1, $2, $3",
      "EXECUTE p(1 + 2 * 3, date '2024-01-01' + 5, 'a' || 'b')",
      "EXECUTE p(abs(-4), current_date - current_date + date '2024-03-01', upper('x'))",
      "EXECUTE p(2.5, '2024-01-01'::text::date, lower('X'))",
    ],
  ],
  [
    "arguments of types that the grammar has words for",
    [
      "PREPARE p(json, jsonb, float4, interval, varchar, bit) AS SELECT $1, $2, $3, $4, $5, $6",
      "EXECUTE p('{}'::json, '{}'::jsonb, '-0'::float4, interval '1 day', 'x'::varchar(3), '1'::bit)",
      "EXECUTE p(json '[1]', to_jsonb(1), 1 + 1, '1 day'::interval * 2, 'a' || 'b', '0'::bit)",
    ],
  ],
  [
    "a division by zero in an argument",
    ["PREPARE p(int) AS SELECT $1", "EXECUTE p(1/0)", "EXECUTE p(1)"],
  ],
  ["a sub-select as argument", ["PREPARE p(int) AS SELECT $1", "EXECUTE p((SELECT 1))"]],
  [
    "arguments of a statement without parameters, which nobody looks at",
    [
      "PREPARE p AS SELECT 1 AS one",
      "EXECUTE p(1, 'x')",
      "EXECUTE p(nothing)",
      [parse("EXECUTE p(2)", { types: [23] }), bind({ values: ["7"] }), execute(), sync],
      "EXECUTE p((SELECT 1))",
    ],
  ],
  ["too few and too many", [byId, "EXECUTE p", "EXECUTE p(1, 2)", "EXECUTE p(1)"]],
  ["a name twice", [byId, byId, "EXECUTE p(1)"]],
  ["no such statement", ["EXECUTE nothing", "DEALLOCATE nothing", "EXPLAIN EXECUTE nothing"]],
  ["an unknown relation", ["PREPARE p AS SELECT * FROM lab.nowhere", "EXECUTE p"]],
  ["an unknown column", ["PREPARE p AS SELECT nothing FROM lab.items"]],
  ["a parameter without a type", ["PREPARE p AS SELECT $1 IS NULL", "EXECUTE p(1)"]],
  ["a facts query", ["PREPARE p AS SELECT current_schema()", "EXECUTE p"]],
  [
    "DEALLOCATE in its forms",
    [
      "PREPARE a AS SELECT 1",
      "PREPARE b AS SELECT 2",
      "DEALLOCATE PREPARE a",
      "EXECUTE a",
      "EXECUTE b",
      "DEALLOCATE ALL",
      "EXECUTE b",
      "PREPARE a AS SELECT 3",
      "DISCARD ALL",
      "EXECUTE a",
    ],
  ],
  ["survives ROLLBACK", ["BEGIN", byId, "ROLLBACK", "EXECUTE p(1)"]],
  [
    "in a failed transaction",
    [
      byId,
      "BEGIN",
      "SELECT 1/0",
      "EXECUTE p(1)",
      "PREPARE q AS SELECT 1",
      "ROLLBACK",
      "EXECUTE p(1)",
    ],
  ],
  ["several in one string", [`${byId}; EXECUTE p(1); EXECUTE p(2); DEALLOCATE p`, "EXECUTE p(1)"]],
  ["every type of a row", ["PREPARE p AS SELECT * FROM lab.items WHERE id = $1", "EXECUTE p(8)"]],
  [
    "a statement of PREPARE bound by protocol",
    [
      byId,
      [D("statement", "p"), sync],
      [bind({ statement: "p", values: ["2"] }), D("portal"), execute(), sync],
      [bind({ statement: "p", values: [] }), execute(), sync],
      [close("statement", "p"), sync],
      "EXECUTE p(1)",
    ],
  ],
  [
    "a statement of Parse run by EXECUTE",
    [
      [parse("SELECT $1::int + 1 AS n", { name: "s" }), sync],
      "EXECUTE s(1)",
      "EXECUTE s(2 + 2)",
      "DEALLOCATE s",
      [bind({ statement: "s", values: ["2"] }), execute(), sync],
    ],
  ],
  [
    "EXECUTE in the extended protocol",
    [
      byId,
      plain("EXECUTE p(3)"),
      [
        parse("EXECUTE p(2)", { name: "e" }),
        D("statement", "e"),
        bind({ statement: "e" }),
        execute("", 1),
        execute("", 0),
        sync,
      ],
    ],
  ],
  [
    "binary rows of EXECUTE",
    [byId, [parse("EXECUTE p(3)"), bind({ resultFormats: [1] }), D("portal"), execute(), sync]],
  ],
  [
    "PREPARE in the extended protocol",
    [plain("PREPARE p AS SELECT 1"), plain("EXECUTE p"), plain("DEALLOCATE p")],
  ],
  [
    "EXPLAIN EXECUTE",
    [
      "PREPARE p(int) AS SELECT id FROM lab.counter, lab.items WHERE n = $1",
      "EXPLAIN (COSTS OFF) EXECUTE p(7)",
      "EXPLAIN (COSTS off, FORMAT json) EXECUTE p(8)",
      "EXPLAIN (COSTS OFF) EXECUTE p",
    ],
  ],
]

describe("SQL's own prepared statements", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start()
  })
  after(() => pair.stop())

  for (const [title, exchanges] of cases)
    it(`are as PostgreSQL's: ${title}`, async () => {
      await pair.same(exchanges)
    })

  it("send rows of EXECUTE as they come, where PostgreSQL gathers them first", async () => {
    const client = await pair.through()
    await ask(
      client,
      "PREPARE p(int) AS SELECT 10 / (id - $1) FROM lab.items WHERE id < 9 ORDER BY id",
    )
    const messages = await client.query(query("EXECUTE p(5)"))
    equal(types(messages), "TDDDDEZ")
  })

  it("refuse a write when it is executed", async () => {
    const client = await pair.through()
    await ask(client, "PREPARE w AS DELETE FROM lab.counter")
    for (const sql of ["EXECUTE w", "EXPLAIN EXECUTE w", "CREATE TABLE t AS EXECUTE w"])
      equal(errors(await client.query(query(sql)))[0]?.["C"], "25006", sql)
  })

  it("answer from the entry of the plain SELECT", async () => {
    const client = await pair.through()
    const sql = "SELECT name FROM lab.items WHERE id = 77"
    await ask(client, sql)
    await ask(client, `PREPARE p AS ${sql}`)
    await ask(client, "EXECUTE p")
    equal(await lastOutcome(client), "hit_l1")
  })

  it("share an entry between a constant and an expression of the same value", async () => {
    const client = await pair.through()
    await ask(client, "PREPARE p(int) AS SELECT name FROM lab.items WHERE id = $1")
    await ask(client, "EXECUTE p(78)")
    await ask(client, "EXECUTE p(77 + 1)")
    equal(await lastOutcome(client), "hit_l1")
  })
})
