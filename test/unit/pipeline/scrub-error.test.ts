import { deepEqual, equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { scrubbed } from "../../../src/pipeline/scrub-error.ts"

const raise = (sqlState: string, message: string): GatewayError =>
  new GatewayError({
    sqlState,
    reason: "warehouse_error",
    message,
    detail: "Failing row contains (secret).",
    hint: "secret",
    position: 5,
    fields: new Map([["W", "secret"]]),
  })

describe("errors of governed statements", () => {
  const cases: readonly (readonly [sqlState: string, message: string, shown: string])[] = [
    ["22P02", 'invalid input syntax for type integer: "secret"', "invalid text representation"],
    ["22008", "date/time field value out of range: secret", "datetime field value out of range"],
    ["22999", "secret", "data exception"],
    ["42601", 'syntax error in tsquery: "secret"', "syntax error"],
    ["42704", 'type "secret" does not exist', "the warehouse refused the statement"],
    ["P0001", "secret", "the warehouse reported an error"],
    ["42703", 'column "x" does not exist', 'column "x" does not exist'],
  ]
  for (const [sqlState, message, shown] of cases)
    it(`${sqlState} says: ${shown}`, () => {
      const error = scrubbed(raise(sqlState, message))
      equal(error.message, shown)
      deepEqual(
        [error.sqlState, error.detail, error.hint, error.fields],
        [sqlState, undefined, undefined, undefined],
      )
      equal(error.position, sqlState === "42703" ? 5 : undefined)
    })

  it("the gateway's own errors stay as they are", () => {
    const own = new GatewayError({
      sqlState: "57014",
      reason: "cancelled",
      message: "m",
      hint: "h",
    })
    equal(scrubbed(own), own)
  })
})
