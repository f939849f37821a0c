import { equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { type Phase, phaseAfter, phaseAfterError, step } from "../../../src/session/phases.ts"
import type { FrontendMessage } from "../../../src/wire/frontend-messages.ts"

const sync: FrontendMessage = { kind: "Sync" }
const query: FrontendMessage = { kind: "Query", sql: "select 1" }
const execute: FrontendMessage = { kind: "Execute", portal: "", rowsMax: 0 }
const terminate: FrontendMessage = { kind: "Terminate" }
const copyData: FrontendMessage = { kind: "CopyData", data: Buffer.alloc(0) }

const transitions: readonly (readonly [Phase, FrontendMessage, Phase])[] = [
  ["ready", query, "ready"],
  ["ready", execute, "extended"],
  ["extended", execute, "extended"],
  ["extended", query, "ready"],
  ["extended", sync, "ready"],
  ["skipping", sync, "ready"],
  ["ready", copyData, "ready"],
  ["extended", terminate, "closed"],
  ["closed", sync, "closed"],
]

describe("phases", () => {
  for (const [from, message, to] of transitions)
    it(`${from} goes to ${to} by ${message.kind}`, () => equal(phaseAfter(from, message), to))

  for (const message of [query, execute])
    it(`${message.kind} is dropped while skipping`, () =>
      equal(step("skipping", message), "discard"))
  for (const message of [sync, terminate])
    it(`${message.kind} is handled while skipping`, () =>
      equal(step("skipping", message), "handle"))

  it("skips to Sync after an error in a batch, but not after one in a simple query", () => {
    equal(phaseAfterError(execute), "skipping")
    equal(phaseAfterError(query), "ready")
  })
})
