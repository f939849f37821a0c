import { deepEqual, match } from "node:assert/strict"
import { describe, it } from "node:test"
import { minimal, parse, problemsIn } from "./fixture.ts"

const rest = minimal.slice(minimal.indexOf("users:"))
const withReplicas = (replicas: string, more = "") => `warehouses:
  mart: { engine: postgres, uri: "postgres://a@h/d", ${more} replicas: ${replicas} }
${rest}`

describe("replicas", () => {
  it("are none by default, and get the warehouse's password", () => {
    const plain = parse(minimal).warehouses["mart"]
    deepEqual(plain?.engine === "postgres" && plain.replicas, [])
    const text = withReplicas('[{ name: r, uri: "postgres://a@r/d" }]', 'password: "p/w",')
    const mart = parse(text).warehouses["mart"]
    deepEqual(mart?.engine === "postgres" && mart.replicas, [
      { name: "r", uri: "postgres://a:p%2Fw@r/d" },
    ])
  })

  const faulty: readonly (readonly [string, RegExp])[] = [
    ["[{ name: r }]", /replicas\[0\]\.uri: is required/],
    ["[{ name: r, uri: none }]", /replicas\[0\]\.uri: must be a URI/],
    ["[{ name: r, uri: 'postgres://r/d' }]", /names no user/],
    ["[{ name: primary, uri: 'postgres://a@r/d' }]", /is used twice, or is primary/],
    [
      "[{ name: r, uri: 'postgres://a@r/d' }, { name: r, uri: 'postgres://a@s/d' }]",
      /replicas\[1\]\.name: is used twice/,
    ],
    ["[{ name: r, uri: 'postgres://a@r/d', role: primary }]", /role/],
  ]
  for (const [replicas, expected] of faulty)
    it(`${replicas} is refused with its place`, () => {
      match(problemsIn(withReplicas(replicas)).join("\n"), expected)
    })
})
