import { equal } from "node:assert/strict"
import { it } from "node:test"
import { isSameResult } from "../../../src/cache/same-result.ts"
import { packResult } from "../../../src/cache/stored-entry.ts"
import type { StoredResult } from "../../../src/core/result.ts"
import { commandComplete } from "../../../src/wire/backend-messages.ts"
import { batch, description, result } from "./entries.ts"

const packed = (one: StoredResult): StoredResult => packResult(one, commandComplete(one.tag))
const rows = result([batch(2), batch(3)])
const last = batch(5).bytes
const other = { bytes: Buffer.from(last).fill("y", last.length - 1), rowCount: 5 }

const cases: readonly (readonly [string, StoredResult, StoredResult, boolean])[] = [
  ["itself", rows, rows, true],
  ["other cuts into batches", rows, result([batch(1), batch(4)]), true],
  ["one piece", packed(rows), rows, true],
  [
    "large pieces",
    packed(result([batch(9, 20_000)])),
    result([batch(4, 20_000), batch(5, 20_000)]),
    true,
  ],
  ["no rows", result([]), packed(result([])), true],
  ["one byte more", rows, result([batch(4), batch(1, 2)]), false],
  ["one byte else at the end", rows, result([other]), false],
  ["fewer rows", rows, result([batch(4)]), false],
  ["another tag", rows, { ...rows, tag: "FETCH 5" }, false],
  ["no description", rows, { ...rows, description: undefined }, false],
  [
    "another description",
    rows,
    { ...rows, description: Buffer.from(description).fill("m", 7, 8) },
    false,
  ],
  ["a notice at the end", rows, { ...rows, endNotices: [Buffer.from("N")] }, false],
]
for (const [title, left, right, isSame] of cases)
  it(`a result ${isSame ? "is the same as" : "differs from"} one with ${title}`, () => {
    equal(isSameResult(left, right), isSame)
    equal(isSameResult(right, left), isSame)
  })
