import { deepEqual, equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { FrameSplitter } from "../../../src/wire/frame-splitter.ts"
import { decodeFrontend, decodeSaslInitialResponse } from "../../../src/wire/frontend-decoder.ts"
import { mockVerifier, ScramServer } from "../../../src/wire/scram.ts"
import { splitStartup } from "../../../src/wire/startup.ts"
import { type Golden, golden, readGoldens } from "./goldens.ts"
import { type MalformedCase, malformedCases, secondMessages } from "./malformed-cases.ts"

const goldens = readGoldens<Golden>("malformed")
const verifier = mockVerifier("postgres", Buffer.from("secret"))

/** Wording of the errors that need a session's state: PostgreSQL raises them, the decoder cannot. */
const sessionErrors: ReadonlySet<string> = new Set(["34000"])

type Outcome = { readonly S: string; readonly C: string; readonly M: string; readonly D?: string }

function outcome(action: () => void): Outcome | undefined {
  try {
    action()
    return undefined
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    const { severity: S, sqlState: C, message: M, detail: D } = thrown
    return { S, C, M, ...(D === undefined ? {} : { D }) }
  }
}

function read(item: MalformedCase): void {
  const splitter = new FrameSplitter({ messageBytesMax: 1 << 20 })
  splitter.push(item.bytes)
  if (item.phase === "startup") {
    splitStartup(splitter)
  } else if (item.phase === "session") {
    while (splitter.next()) {
      decodeFrontend(splitter.type, splitter.bytes, splitter.start, splitter.end)
    }
  } else if (splitter.nextLogin()) {
    const { bytes, start, end } = splitter
    const { mechanism, data } = decodeSaslInitialResponse(bytes, { start, end }, () => undefined)
    new ScramServer({ user: "postgres", verifier }).begin(mechanism, data)
  }
  // What PostgreSQL waits for more of, or refuses, must not pass for a whole frame either.
  equal(splitter.pendingBytes, 0)
}

function expected(answer: Golden): Outcome | undefined {
  const { S, M, D, silent } = answer
  const isNoFault = silent?.startsWith("PID 1 in cancel request") ?? false
  if (silent !== undefined) return isNoFault ? undefined : { S: "FATAL", C: "08P01", M: silent }
  if (S === undefined || M === undefined) return undefined
  // Protocol 2 had no SQLSTATE; every other version gets this one.
  const C = answer.C ?? "0A000"
  if (sessionErrors.has(C)) return undefined
  return { S, C, M, ...(D === undefined ? {} : { D }) }
}

describe("the decoder answers as PostgreSQL does", () => {
  for (const item of malformedCases) {
    const name = `${item.phase}: ${item.name}`
    it(name, () => {
      deepEqual(
        outcome(() => read(item)),
        expected(golden(goldens, name)),
      )
    })
  }
})

describe("the second message of a login is answered as PostgreSQL does", () => {
  for (const [name, ending] of Object.entries(secondMessages)) {
    it(name, () => {
      const server = new ScramServer({ user: "postgres", verifier })
      const clientFirst = Buffer.from("n,,n=,r=abcdefghijklmnopqrstuvwx")
      const challenge = server.begin("SCRAM-SHA-256", clientFirst).data.toString()
      const nonce = /r=([^,]+)/.exec(challenge)?.[1] ?? ""
      const proof = Buffer.alloc(32).toString("base64")
      const answer = ending.replace("NONCE", nonce).replace("PROOF", proof)
      deepEqual(
        outcome(() => server.step(Buffer.from(answer))),
        expected(golden(goldens, `second: ${name}`)),
      )
    })
  }
})
