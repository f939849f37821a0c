import { equal, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import {
  booleanValue,
  dateStyleValue,
  durationMs,
  durationText,
  integerValue,
  splitIdentifiers,
  timeZoneName,
} from "../../../src/session/setting-values.ts"

// Expected values were read off PostgreSQL 15 and 18 with SET and SHOW.

const refusal = (message: string) => (thrown: unknown) =>
  thrown instanceof GatewayError && thrown.sqlState === "22023" && thrown.message === message

describe("durations", () => {
  for (const [text, ms, shown] of [
    ["0", 0, "0"],
    ["60s", 60_000, "1min"],
    ["500", 500, "500ms"],
    ["1.5h", 5_400_000, "90min"],
    ["2min", 120_000, "2min"],
    ["1d", 86_400_000, "1d"],
    [" 10 s ", 10_000, "10s"],
  ] as const)
    it(`reads ${JSON.stringify(text)} as ${ms} ms and shows ${shown}`, () => {
      equal(durationMs("statement_timeout", text), ms)
      equal(durationText(ms), shown)
    })

  it("refuses an unknown unit by naming those that exist", () => {
    throws(
      () => durationMs("statement_timeout", "5 parsecs"),
      (thrown: unknown) => {
        return thrown instanceof GatewayError && thrown.hint?.includes('"ms"') === true
      },
    )
  })

  it("refuses a negative value with the valid range", () => {
    throws(
      () => durationMs("statement_timeout", "-1"),
      refusal(
        '-1 ms is outside the valid range for parameter "statement_timeout" (0 ms .. 2147483647 ms)',
      ),
    )
  })
})

describe("booleans", () => {
  for (const text of ["on", "TRUE", "t", "yes", "y", "1"])
    it(`reads ${text} as on`, () => equal(booleanValue("jit", text), "on"))
  for (const text of ["off", "of", "false", "f", "no", "0"])
    it(`reads ${text} as off`, () => equal(booleanValue("jit", text), "off"))
  for (const text of ["o", "maybe", "", "2"])
    it(`refuses ${JSON.stringify(text)}`, () => {
      throws(() => booleanValue("jit", text), refusal('parameter "jit" requires a Boolean value'))
    })
})

describe("DateStyle", () => {
  for (const [value, current, expected] of [
    ["ISO", "ISO, MDY", "ISO, MDY"],
    ["dmy", "ISO, MDY", "ISO, DMY"],
    ["German", "ISO, MDY", "German, DMY"],
    ["SQL, DMY", "ISO, MDY", "SQL, DMY"],
    ["postgres", "SQL, DMY", "Postgres, DMY"],
    ["european", "ISO, MDY", "ISO, DMY"],
  ] as const)
    it(`${value} over ${current} is ${expected}`, () => {
      equal(dateStyleValue(value, current), expected)
    })

  it("refuses a word that is neither style nor order", () => {
    throws(
      () => dateStyleValue("ISO, martian", "ISO, MDY"),
      refusal('invalid value for parameter "DateStyle": "ISO, martian"'),
    )
  })
})

describe("lists of identifiers", () => {
  for (const [text, expected] of [
    ["a, b", "a|b"],
    ['"$user", public', "$user|public"],
    ['"Mixed Case", "a""b"', 'Mixed Case|a"b'],
    ["UPPER", "upper"],
    ["", ""],
  ] as const)
    it(`splits ${JSON.stringify(text)}`, () => {
      equal(splitIdentifiers("search_path", text).join("|"), expected)
    })

  for (const text of ["a,", ",a", 'a "b"', '"open'])
    it(`refuses ${JSON.stringify(text)}`, () => {
      throws(() => splitIdentifiers("search_path", text), GatewayError)
    })
})

describe("other values", () => {
  it("keeps an integer inside its range", () => {
    equal(integerValue("extra_float_digits", "3", { min: -15, max: 3 }), "3")
  })

  it("refuses an integer outside of its range", () => {
    throws(
      () => integerValue("extra_float_digits", "4", { min: -15, max: 3 }),
      refusal('4 is outside the valid range for parameter "extra_float_digits" (-15 .. 3)'),
    )
  })

  it("knows time zones by their IANA name in any case", () => {
    equal(timeZoneName("europe/berlin"), "Europe/Berlin")
    equal(timeZoneName("utc"), "UTC")
  })

  it("refuses a time zone that does not exist, in PostgreSQL's words", () => {
    throws(
      () => timeZoneName("Mars/Olympus"),
      refusal('invalid value for parameter "TimeZone": "Mars/Olympus"'),
    )
  })
})
