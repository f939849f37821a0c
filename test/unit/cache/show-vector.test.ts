import { equal } from "node:assert/strict"
import { it } from "node:test"
import { MemoryTokenStore } from "../../../src/cache/memory-token-store.ts"
import { showVector } from "../../../src/cache/show-vector.ts"
import { items, orders } from "./entries.ts"

it("a vector is shown with its epoch and a token for each relation that has one", async () => {
  const tokens = new MemoryTokenStore()
  await tokens.raise([orders])
  const { text, epoch } = tokens.vector([orders, items])
  const [, token] = /s\.orders\d+:([0-9a-f-]+)$/.exec(text) ?? []
  equal(showVector(text), `epoch ${epoch}; s.items -; s.orders ${token}`)
})

for (const text of ["x", "3:ab", "1:a1:b", ":", "-1:a"])
  it(`what is no vector is shown as it is: ${text}`, () => equal(showVector(text), text))
