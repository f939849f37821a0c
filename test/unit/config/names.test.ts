import { equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { readBytes, readDurationMs } from "../../../src/config/fields.ts"
import { editDistance, nearestName } from "../../../src/config/nearest-name.ts"

describe("the nearest name", () => {
  const known = ["statementTimeoutMs", "rowLimit", "relations", "cache", "onExceed"]
  for (const [written, nearest] of [
    ["statementTimeout", "statementTimeoutMs"],
    ["statement_timeout_ms", "statementTimeoutMs"],
    ["timeoutStatementMs", "statementTimeoutMs"],
    ["rowlimit", "rowLimit"],
    ["limitRow", "rowLimit"],
    ["relation", "relations"],
    ["cahce", "cache"],
    ["zzz", undefined],
    ["x", undefined],
    ["x".repeat(10_000), undefined],
  ] as const)
    it(`of ${written.slice(0, 24)} is ${nearest ?? "none"}`, () =>
      equal(nearestName(written, known), nearest))

  for (const [a, b, distance] of [
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "acb", 1],
    ["kitten", "sitting", 3],
    ["same", "same", 0],
  ] as const)
    it(`is ${distance} edits from "${a}" to "${b}"`, () => {
      equal(editDistance(a, b), distance)
      equal(editDistance(b, a), distance)
    })
})

describe("units", () => {
  for (const [text, ms] of [
    ["250ms", 250],
    ["30 s", 30_000],
    ["5m", 300_000],
    ["1.5h", 5_400_000],
    ["7", 7],
    ["5M", undefined],
    ["-1s", undefined],
    ["1s 5ms", undefined],
    ["", undefined],
    ["1e3", undefined],
  ] as const)
    it(`read the duration "${text}" as ${ms ?? "nothing"}`, () => equal(readDurationMs(text), ms))

  for (const [text, count] of [
    ["1B", 1],
    ["16KiB", 16_384],
    ["1.5MiB", 1_572_864],
    ["2 GiB", 2_147_483_648],
    ["16kb", undefined],
    ["16MB", undefined],
    ["0x10", undefined],
  ] as const)
    it(`read the size "${text}" as ${count ?? "nothing"}`, () => equal(readBytes(text), count))
})
