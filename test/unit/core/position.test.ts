import { equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { comparePositions, latestPosition, postgresPosition } from "../../../src/core/position.ts"
import { beforeHeader } from "../../../src/warehouse/postgres/position.ts"

describe("positions", () => {
  const ordered = ["0/0", "0/1", "0/FFFFFFFF", "1/0", "A/0", "10/0", "1FFFFFFFF/0", "200000000/0"]
  for (const [at, left] of ordered.entries())
    for (const [other, right] of ordered.entries())
      it(`${left} against ${right} is ${Math.sign(at - other)}`, () => {
        equal(Math.sign(comparePositions(left, right) ?? Number.NaN), Math.sign(at - other))
      })

  for (const text of ["", "unprovable", "0", "0/", "/0", "0/100000000", "g/0", "0/0 ", "-1/0"])
    it(`"${text}" is none`, () => {
      equal(comparePositions(text, "0/0"), undefined)
      equal(latestPosition(["0/0", text]), undefined)
    })

  it("the latest of none is undefined, and of several the one behind all", () => {
    equal(latestPosition([]), undefined)
    equal(latestPosition(["0/9"]), "0/9")
    equal(latestPosition(["0/9", "1/0", "0/A"]), "1/0")
  })

  it("of a later timeline are later than all of an earlier one", () => {
    const late = postgresPosition(1, 0xffff_ffff_ffff_ffffn) ?? ""
    const early = postgresPosition(2, 0n) ?? ""
    equal((comparePositions(late, early) ?? 0) < 0, true)
    equal(postgresPosition(1, 0x3a_7f00_12c8n), "10000003A/7F0012C8")
    equal(postgresPosition(2 ** 20 - 1, 0xffff_ffff_ffff_ffffn), "FFFFFFFFFFFFF/FFFFFFFF")
  })

  for (const timeline of [0, -1, 1.5, Number.NaN, 2 ** 20])
    it(`of timeline ${timeline} are none`, () => equal(postgresPosition(timeline, 1n), undefined))
})

describe("an insert position behind a page header", () => {
  const segment = 1_048_576n
  const cases: readonly (readonly [bigint, bigint])[] = [
    [8_192n * 5n, 8_192n * 5n],
    [8_192n * 5n + 24n, 8_192n * 5n],
    [8_192n * 5n + 40n, 8_192n * 5n + 40n],
    [8_192n * 5n + 25n, 8_192n * 5n + 25n],
    [segment * 3n + 40n, segment * 3n],
    [segment * 3n + 24n, segment * 3n + 24n],
    [segment * 3n + 8_192n + 24n, segment * 3n + 8_192n],
    [0n, 0n],
  ]
  for (const [lsn, expected] of cases)
    it(`${lsn} means ${expected}`, () => equal(beforeHeader(lsn, 8_192n, segment), expected))

  it("of larger pages is only looked for at their beginnings", () => {
    equal(beforeHeader(8_192n + 24n, 16_384n, segment), 8_192n + 24n)
    equal(beforeHeader(16_384n + 24n, 16_384n, segment), 16_384n)
  })
})
