import assert from "node:assert/strict"
import { describe, it } from "node:test"
import { FlowGenerator } from "../support/query-generator-flows.ts"
import { encodeExchange, type Flow } from "../support/query-generator-messages.ts"
import { Random } from "../support/query-generator-random.ts"

const flowCount = 500

function made(seed: number): readonly Flow[] {
  const generator = new FlowGenerator(new Random(seed))
  return Array.from({ length: flowCount }, () => generator.next())
}

function bytes(flows: readonly Flow[]): string {
  return Buffer.concat(flows.flatMap((flow) => flow.exchanges.map(encodeExchange))).toString("hex")
}

describe("the query generator", () => {
  it("makes the same bytes from the same seed, and others from another", () => {
    assert.equal(bytes(made(7)), bytes(made(7)))
    assert.notEqual(bytes(made(7)), bytes(made(8)))
  })

  it("ends every exchange in exactly one message that is answered with ReadyForQuery", () => {
    for (const flow of made(1))
      for (const exchange of flow.exchanges) {
        const ends = exchange.filter((step) => step.kind === "query" || step.kind === "sync")
        assert.equal(ends.length, 1, flow.name)
        assert.equal(exchange.at(-1), ends[0], flow.name)
      }
  })

  it("makes every kind of flow", () => {
    const kinds = new Set(made(2).map((flow) => flow.name.split(" ")[0]))
    const expected = ["simple", "settings", "extended", "prepared", "portal", "pipeline"]
    for (const kind of [...expected, "transaction", "cursor", "errors", "multi", "session"])
      assert.ok(kinds.has(kind), kind)
  })

  it("asks some texts again, so that a cache has something to find", () => {
    const texts = made(3).flatMap((flow) =>
      flow.exchanges.flatMap((exchange) =>
        exchange.flatMap((step) => (step.kind === "query" ? [step.sql] : [])),
      ),
    )
    const reads = texts.filter((text) => /^\s*(?:SELECT|WITH)/.test(text))
    assert.ok(new Set(reads).size < 0.85 * reads.length)
  })
})
