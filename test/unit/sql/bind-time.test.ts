import { equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import { bindTime } from "../../../src/sql/bind-time.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"

const instantMs = Date.UTC(2026, 10, 21, 10, 40)
const now = "CAST('2026-11-21 10:40:00+00' AS timestamp with time zone)"

function bound(sql: string, ms = instantMs): string | undefined {
  const [statement] = parseText(sql)
  return statement === undefined ? undefined : bindTime(statement, ms)?.text
}

const cases: readonly (readonly [sql: string, bound: string | undefined])[] = [
  ["SELECT 1 WHERE now() > x", `SELECT 1 WHERE ${now} > x`],
  ["SELECT now()", `SELECT ${now} AS "now"`],
  ["SELECT now() AS a, Now ( ) b", `SELECT ${now} AS a, ${now} b`],
  ['SELECT pg_catalog /* x */ . "now" ()', `SELECT ${now} AS "now"`],
  ["SELECT current_date", `SELECT CAST(${now} AS date) AS "current_date"`],
  ["SELECT now()::date", `SELECT (SELECT ${now} AS "now")::date`],
  ["SELECT coalesce(now(), x)", `SELECT coalesce(${now}, x)`],
  ["SELECT 'é😀', now()", `SELECT 'é😀', ${now} AS "now"`],
  [
    "SELECT current_time(2), localtime, localtimestamp(1)",
    `SELECT CAST(${now} AS time(2) with time zone) AS "current_time", CAST(${now} AS time) AS "localtime", CAST(${now} AS timestamp(1)) AS "localtimestamp"`,
  ],
  ["SELECT 1", undefined],
  ["SELECT 'now()'", undefined],
  ["SELECT clock_timestamp(), timeofday()", undefined],
  ["SELECT mine.now()", undefined],
  ['SELECT "NOW"()', undefined],
  ["SELECT now(1)", undefined],
  ["SELECT t.now FROM t", undefined],
  ["SELECT * FROM now()", undefined],
  ["SELECT * FROM current_timestamp AS t", undefined],
  ["SELECT DISTINCT now()::date FROM t", undefined],
  ["EXPLAIN SELECT now()", undefined],
  [`SELECT now() WHERE 1 IN (${"1234567, ".repeat(2_000)}8)`, undefined],
]

describe("binding the clock to an instant", () => {
  before(loadParser)

  for (const [sql, expected] of cases)
    it(`${expected === undefined ? "leaves" : "binds"} ${sql.slice(0, 80)}`, () => {
      equal(bound(sql), expected)
    })

  it("writes an instant that no setting reads otherwise", () => {
    equal(
      bound("SELECT now() a", 0),
      "SELECT CAST('1970-01-01 00:00:00+00' AS timestamp with time zone) a",
    )
    equal(
      bound("SELECT now() a", 1_500),
      "SELECT CAST('1970-01-01 00:00:01.500+00' AS timestamp with time zone) a",
    )
  })

  it("keeps the place in the client's text, its hints, and a way back for error positions", () => {
    const text = "SELECT 1; /* sluice: ttl=5 */ SELECT now() + nowhere"
    const [, statement] = parseText(text)
    const made = statement === undefined ? undefined : bindTime(statement, instantMs)
    equal(made?.offset, statement?.offset)
    equal(made?.hints, statement?.hints)
    const position = (made?.text.indexOf("nowhere") ?? -1) + 1
    const source = made?.sourcePosition?.(position) ?? 0
    equal(text.slice(source - 1 + (statement?.offset ?? 0)), "nowhere")
  })
})
