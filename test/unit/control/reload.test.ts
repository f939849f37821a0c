import { deepEqual, equal } from "node:assert/strict"
import { it } from "node:test"
import type { Reload } from "../../../src/control/options.ts"
import { Harness, tokens } from "./harness.ts"

const cases: readonly [reload: Reload, status: number, body: object][] = [
  [{ kind: "none" }, 200, { policies: { status: "none" } }],
  [
    { kind: "unchanged", version: "0a1b", relations: 3 },
    200,
    { policies: { status: "unchanged", version: "0a1b", relations: 3 } },
  ],
  [
    { kind: "changed", version: "0a1b", relations: 3 },
    200,
    { policies: { status: "changed", version: "0a1b", relations: 3 } },
  ],
  [
    {
      kind: "failed",
      message: "invalid configuration in p.yaml: 1 problem",
      problems: ["p.yaml:3:1: relations: x"],
    },
    422,
    {
      type: "invalid_configuration",
      title: "The policies cannot be used",
      status: 422,
      detail: "invalid configuration in p.yaml: 1 problem; the policies before stay in force",
      errors: [{ path: "p.yaml:3:1", detail: "relations: x" }],
    },
  ],
]
for (const [reload, status, body] of cases)
  it(`POST /-/reload answers ${status} when the policies are ${reload.kind}`, async () => {
    const harness = new Harness()
    harness.reload = reload
    const answer = await harness.call("POST", "/-/reload", { token: tokens.admin })
    equal(answer.status, status)
    deepEqual(answer.json, body)
  })
