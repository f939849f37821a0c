import { equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { dateBucket } from "../../../src/pipeline/date-bucket.ts"

const at = (text: string): number => Date.parse(text)

describe("the date bucket", () => {
  for (const [zone, instant, expected] of [
    ["UTC", "2026-11-21T12:00:00Z", "2026-11-21"],
    ["Asia/Tokyo", "2026-11-21T16:00:00Z", "2026-11-22"],
    ["America/New_York", "2026-11-21T04:00:00Z", "2026-11-20"],
    ["Asia/Kathmandu", "2026-11-21T18:20:00Z", "2026-11-22"],
  ] as const)
    it(`is ${expected} in ${zone} at ${instant}`, () => {
      equal(dateBucket(zone, at(instant)), expected)
    })

  it("changes at midnight of the zone, with a gap around it in which there is none", () => {
    equal(dateBucket("Europe/Berlin", at("2026-11-21T22:59:00Z")), "2026-11-21")
    equal(dateBucket("Europe/Berlin", at("2026-11-21T22:59:55Z")), undefined)
    equal(dateBucket("Europe/Berlin", at("2026-11-21T23:00:05Z")), undefined)
    equal(dateBucket("Europe/Berlin", at("2026-11-21T23:00:30Z")), "2026-11-22")
  })

  it("is none for a zone that is not known here", () => {
    equal(dateBucket("<+03>-3", at("2026-11-21T12:00:00Z")), undefined)
  })
})
