import { deepEqual } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { nodeFields } from "../../../src/sql/ast.ts"
import { loadParser, parseTrees } from "../../../src/sql/parser.ts"
import { isTime, scanConditions } from "../../../src/sql/scan-conditions.ts"

/** Conditions found behind `SELECT * FROM <from> WHERE <condition>`: `table column operator constants`. */
function found(from: string, condition: string): readonly string[] {
  const [ast] = parseTrees(`SELECT * FROM ${from} WHERE ${condition}`)
  const select = nodeFields(ast, "SelectStmt") ?? {}
  return [...scanConditions(select)].flatMap(([relation, conditions]) =>
    conditions.map(({ column, operator, constants }) => {
      const values = constants.map((constant) =>
        constant.kind === "boolean" ? String(constant.value) : `${constant.kind} ${constant.text}`,
      )
      return [String(relation["relname"]), column, operator, ...values].join(" ")
    }),
  )
}

type Case = readonly [from: string, condition: string, expected: readonly string[]]

const cases: readonly Case[] = [
  ["t", "a = 1", ["t a = number 1"]],
  ["t", "1 < a", ["t a > number 1"]],
  ["t", "a >= -5 AND (b = 'x' AND c IS NULL)", ["t a >= number -5", "t b = text x", "t c null"]],
  ["t", "a IN (1, 2)", ["t a in number 1 number 2"]],
  ["t", "a BETWEEN 1 AND 2", ["t a >= number 1", "t a <= number 2"]],
  ["t", "t.a = true", ["t a = true"]],
  ["t AS u", "u.a = 1 AND t.a = 2", ["t a = number 1"]],
  ["t", "d >= '2024-02-29'::date", ["t d >= date 2024-02-29"]],
  ["t", "d >= TO_DATE('2024-02-29', 'YYYY-MM-DD')", ["t d >= date 2024-02-29"]],
  [
    "t",
    "d < TO_TIMESTAMP('2024-02-29 10:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US')",
    ["t d < timestamptz 2024-02-29 10:00:00.000000"],
  ],
  ["t JOIN u ON true", "t.a = 1 AND u.b = 2", ["t a = number 1", "u b = number 2"]],
  ["t LEFT JOIN u ON true", "t.a = 1 AND u.b IS NULL", ["t a = number 1"]],
  ["t RIGHT JOIN u ON true", "t.a = 1 AND u.b = 2", ["u b = number 2"]],
  // What could fail, could mean another table, or does not hold for every row.
  ["t", "a = 1 OR a = 2", []],
  ["t", "NOT (a = 1)", []],
  ["t", "a NOT IN (1, 2)", []],
  ["t", "a NOT BETWEEN 1 AND 2", []],
  ["t", "a = b", []],
  ["t", "a::int = 1", []],
  ["t", "a + 1 = 2", []],
  ["t", "a = 1 + 1", []],
  ["t", "f(a) = 1", []],
  ["t", "a = (SELECT 1)", []],
  ["t", "a = $1", []],
  ["t", "a LIKE 'x%'", []],
  ["t", "a ~ 'x'", []],
  ["t", "a OPERATOR(s.=) 1", []],
  ["t", "(t).a = 1", []],
  ["t", "s.t.a = 1", []],
  ["t", "d = '2024-02-30'::date", []],
  ["t", "d = TO_DATE('2024-02-30', 'YYYY-MM-DD')", []],
  ["t", "d = TO_DATE('24-02-29', 'YY-MM-DD')", []],
  ["t", "d = TO_TIMESTAMP('2024-02-29', 'YYYY-MM-DD HH24:MI:SS.US')", []],
  ["t", "d = '2024-01-01'::timestamp(0)", []],
  ["t, u", "a = 1", []],
  ["t FULL JOIN u ON true", "t.a = 1 AND u.b = 2", []],
  ["(t JOIN u ON true) AS j", "t.a = 1 AND j.a = 2", []],
  ["t AS x (a)", "x.a = 1", []],
  ["(SELECT 1 AS a) AS t", "t.a = 1", []],
  ["t", `a IN (${Array.from({ length: 201 }, (_, index) => index).join(", ")})`, []],
]

describe("conditions that a SELECT sets on one relation's rows", () => {
  before(loadParser)

  for (const [from, condition, expected] of cases)
    it(`FROM ${from} WHERE ${condition.slice(0, 80)}`, () => {
      deepEqual(found(from, condition), expected)
    })

  it("knows which dates there are", () => {
    const dates = ["2024-02-29", "0001-01-01", "2024-01-01 23:59:59.999999", "2024-01-01T00:00"]
    const others = [
      "2023-02-29",
      "0000-01-01",
      "2024-01-01 24:00:00",
      "now",
      "2024-1-1",
      "2024-01-01 00:00:60",
    ]
    deepEqual([dates.every(isTime), others.some(isTime)], [true, false])
  })
})
