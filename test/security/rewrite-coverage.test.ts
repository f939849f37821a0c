import { deepEqual, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import { coverage } from "../rewrite-coverage/suites.ts"

/** Short form of `npm run test:rewrite-coverage`: every feature of SELECT once, on one generated schema. */
describe("statements under policies", () => {
  it("get the rows of tables that hold only what the reader may see, or are refused for a known reason", async () => {
    const shares = await coverage({
      seed: 1,
      statementsPerFeature: 1,
      schemas: 1,
      withCorpora: false,
    })
    ok(shares.length > 140, `${shares.length} features`)
    deepEqual(
      shares.flatMap(({ wrong }) => wrong),
      [],
    )
    const known = new Set(["TABLESAMPLE", "system column", "unknown function"])
    const asByHand = new Set(["FOR UPDATE", "INTO", "data-modifying WITH", "denied column"])
    for (const { name, refused, sameError } of shares) {
      ok(refused.size === 0 || known.has(name), `${name} is refused`)
      ok(sameError === 0 || asByHand.has(name), `${name} fails`)
    }
    const withRows = shares.filter((share) => share.withRows > 0).length
    ok(withRows > 100, `only ${withRows} features showed a row`)
  })
})
