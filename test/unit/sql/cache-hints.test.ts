import { deepEqual, equal, notEqual } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { CacheHints } from "../../../src/core/cache-hints.ts"
import { packStatement, unpackStatement } from "../../../src/sql/packed-statement.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"

const none = { use: undefined, ttlMs: undefined, timeBucketMs: undefined, unknown: [] }

const cases: readonly (readonly [sql: string, hints: Partial<CacheHints> | undefined])[] = [
  ["SELECT 1", undefined],
  ["/* sluice: cache=off */ SELECT 1", { use: "off" }],
  ["SELECT 1 /* sluice: cache=off */", { use: "off" }],
  ["SELECT 1; -- sluice: cache=refresh", { use: "refresh" }],
  ["SELECT 1; ; /* sluice: cache=only */ ;", { use: "only" }],
  ["/* sluice: ttl=60 */ SELECT 1", { ttlMs: 60_000 }],
  ["/* sluice: ttl=250ms,bucket=5m */ SELECT 1", { ttlMs: 250, timeBucketMs: 300_000 }],
  ["/* sluice: ttl=2h ttl=1min */ SELECT 1", { ttlMs: 60_000 }],
  ["/* sluice: cache=on cache=off cache=only */ SELECT 1", { use: "off" }],
  ["-- sluice: cache=only\n/* sluice: ttl=0 */ SELECT 1", { use: "only", ttlMs: 0 }],
  ["/* sluice:\n  cache=off\n*/ SELECT 1", { use: "off" }],
  ["/* sluice: cache=maybe */ SELECT 1", { unknown: ["cache=maybe"] }],
  [
    "/* sluice: ttl=-1 ttl=1.5 ttl=1y off */ SELECT 1",
    { unknown: ["ttl=-1", "ttl=1.5", "ttl=1y", "off"] },
  ],
  ["/* sluice: ttl=9999999999 */ SELECT 1", { unknown: ["ttl=9999999999"] }],
  [`/* sluice: ${"x".repeat(100)} */ SELECT 1`, { unknown: ["x".repeat(64)] }],
  ["/* sluice: */ SELECT 1", undefined],
  ["/* for sluice: cache=off */ SELECT 1", undefined],
  ["SELECT /* sluice: cache=off */ 1", undefined],
  ["SELECT '/* sluice: cache=off */'", undefined],
  ['SELECT 1 AS "-- sluice: cache=off"', undefined],
  ["SELECT $$/* sluice: cache=off */$$", undefined],
  ["SELECT 1 AS n -- plain\n, 2 -- sluice: cache=off", { use: "off" }],
]

describe("cache hints in comments", () => {
  before(loadParser)

  for (const [sql, hints] of cases)
    it(`reads ${JSON.stringify(sql.slice(0, 80))}`, () => {
      const [statement] = parseText(sql)
      deepEqual(statement?.hints, hints === undefined ? undefined : { ...none, ...hints })
    })

  it("leaves the canonical form as it is without them", () => {
    const [plain] = parseText("SELECT 1")
    const [hinted] = parseText("/* sluice: cache=off */ SELECT 1 -- sluice: ttl=1")
    const [other] = parseText("/* sluice: cache=off */ SELECT 2")
    equal(hinted?.canonical, plain?.canonical)
    notEqual(other?.canonical, plain?.canonical)
  })

  it("gives each statement of a text its own", () => {
    const text = `/* sluice: ttl=1 */ SELECT 'é€😀' /* sluice: cache=off */; SELECT 2; /* sluice: ttl=3 */
      SELECT 3; -- sluice: cache=only`
    deepEqual(
      parseText(text).map(({ hints }) => [hints?.use, hints?.ttlMs]),
      [
        ["off", 1_000],
        [undefined, undefined],
        ["only", 3_000],
      ],
    )
  })

  it("hands them to the query inside DECLARE, PREPARE and COPY", () => {
    for (const sql of [
      "DECLARE c CURSOR FOR SELECT 1",
      "PREPARE p AS SELECT 1",
      "COPY (SELECT 1) TO STDOUT",
    ]) {
      const [statement] = parseText(`/* sluice: cache=off */ ${sql}`)
      const own = statement?.class
      const query =
        own?.kind === "cursor" || own?.kind === "prepare"
          ? own.query
          : own?.kind === "copy" && own.source.kind === "query"
            ? own.source.query
            : undefined
      deepEqual([statement?.hints?.use, query?.hints?.use], ["off", "off"], sql)
    }
  })

  it("keeps them on the way from the parse thread", () => {
    for (const sql of ["/* sluice: cache=off ttl=5 */ SELECT 1", "SELECT 1"]) {
      const [statement] = parseText(sql)
      if (statement === undefined) throw new Error("nothing parsed")
      deepEqual(unpackStatement(packStatement(statement)).hints, statement.hints)
    }
  })
})
