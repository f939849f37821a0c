import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict"
import { describe, it } from "node:test"
import { redactConfiguration } from "../../../src/config/redact.ts"
import { minimal, parse, problemsIn } from "./fixture.ts"

const hex = "5e".repeat(32)
const base64 = Buffer.from(hex, "hex").toString("base64")
const files = {
  "/etc/sluice/secrets/key": `${base64}\n`,
  "/etc/sluice/secrets/short": "c2hvcnQ=\n",
}

const sealing = (keys: string): string => `${minimal}cache: { shared: { sealing: [${keys}] } }\n`

describe("cache.shared", () => {
  it("has bounds and a place for every result, and seals nothing by itself", () => {
    const { shared } = parse(minimal).cache
    deepEqual(shared, {
      enabled: true,
      entryBytesMax: 8 * 1024 ** 2,
      warehouseMsMin: 2,
      commandTimeoutMs: 100,
      storeBytesInFlightMax: 64 * 1024 ** 2,
      waitersMax: 1_000,
      clockSkewMsMax: 2_000,
      sealing: [],
    })
  })

  for (const [how, key] of [
    ["hexadecimal", `{ id: a, secret: "${hex.toUpperCase()}" }`],
    ["base64", `{ id: a, secret: "${base64}" }`],
    ["base64 without its last sign", `{ id: a, secret: "${base64.slice(0, -1)}" }`],
    ["a file", "{ id: a, secretFile: secrets/key }"],
  ] as const)
    it(`takes a sealing key in ${how}, and never prints it`, () => {
      const configuration = parse(sealing(key), { files })
      deepEqual(configuration.cache.shared.sealing, [{ id: "a", secret: hex }])
      const printed = JSON.stringify(redactConfiguration(configuration))
      doesNotMatch(printed, /5e5e|Xl5e/)
      match(printed, /"sealing":\[\{"id":"a","secret":"\*\*\*"\}\]/)
    })

  for (const [fault, keys, problem] of [
    ["too short", '{ id: a, secret: "5e5e" }', /sealing\[0\]\.secret: must be 32 bytes/],
    ["too long", `{ id: a, secret: "${hex}00" }`, /sealing\[0\]\.secret: must be 32 bytes/],
    ["no bytes", `{ id: a, secret: "${"z".repeat(64)}" }`, /must be 32 bytes/],
    [
      "too short, in a file",
      "{ id: a, secretFile: secrets/short }",
      /secretFile: must be 32 bytes/,
    ],
    ["missing", "{ id: a }", /secret: is required \(or secretFile\)/],
    [
      "one of two with the same id",
      `{ id: a, secret: "${hex}" }, { id: a, secret: "${base64}" }`,
      /sealing\[1\]\.id: is given twice/,
    ],
    [
      "of an id that no header holds",
      `{ id: "${"a".repeat(65)}", secret: "${hex}" }`,
      /64 letters/,
    ],
  ] as const)
    it(`refuses a sealing key that is ${fault}, without printing it`, () => {
      const problems = problemsIn(sealing(keys), { files }).join("\n")
      match(problems, problem)
      equal(problems.includes(hex), false)
    })
})
