import { doesNotMatch, equal, match, ok } from "node:assert/strict"
import { hash } from "node:crypto"
import { PassThrough, Readable } from "node:stream"
import { describe, it } from "node:test"
import { checkConfigCommand } from "../../../src/cli/check-config.ts"
import type { Terminal } from "../../../src/cli/terminal.ts"
import { tokenCommand } from "../../../src/cli/token.ts"
import { verifierCommand } from "../../../src/cli/verifier.ts"
import { verifier } from "./fixture.ts"

function terminalWith(input: Terminal["input"]) {
  const output = new PassThrough()
  const messages = new PassThrough()
  return {
    terminal: { input, output, messages },
    output: () => String(output.read() ?? ""),
    messages: () => String(messages.read() ?? ""),
  }
}

/** Keys as a terminal in raw mode gives them. */
function keyboard() {
  const input = Object.assign(new PassThrough(), {
    isTTY: true,
    rawModes: [] as boolean[],
    setRawMode: (isRaw: boolean) => input.rawModes.push(isRaw),
  })
  return input
}

async function type(input: PassThrough, ...lines: string[]) {
  for (const line of lines) {
    input.write(line)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const form = /^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=\n$/

describe("sluice verifier", () => {
  for (const text of ["secret", "secret\n", "secret\r\n", "secret\nmore\n", "pässwörd 密码\n"])
    it(`reads ${JSON.stringify(text)} from a pipe`, async () => {
      const { terminal, output } = terminalWith(Readable.from([Buffer.from(text)]))
      equal(await verifierCommand(terminal), 0)
      match(output(), form)
    })

  it("asks twice at a terminal, echoes nothing and leaves raw mode", async () => {
    const input = keyboard()
    const { terminal, output, messages } = terminalWith(input)
    const done = verifierCommand(terminal)
    await type(input, "secrex\u007ft\r", "secret\r")
    equal(await done, 0)
    match(output(), form)
    equal(messages(), "Password: \nAgain: \n")
    equal(input.rawModes.join(), "true,false,true,false")
  })

  const refusals: readonly [title: string, lines: readonly string[], message: RegExp][] = [
    ["passwords that differ", ["one\r", "two\r"], /differ/],
    ["an empty password", ["\r", "\r"], /empty/],
    ["Ctrl-C", ["sec\u0003"], /cancelled/],
  ]
  for (const [title, lines, message] of refusals)
    it(`refuses ${title}`, async () => {
      const input = keyboard()
      const { terminal, output, messages } = terminalWith(input)
      const done = verifierCommand(terminal)
      await type(input, ...lines)
      equal(await done, 1)
      equal(output(), "")
      match(messages(), message)
    })

  it("refuses a password of more than 1024 bytes", async () => {
    const { terminal, messages } = terminalWith(Readable.from([Buffer.alloc(5_000, "x")]))
    equal(await verifierCommand(terminal), 1)
    match(messages(), /longer than 1024/)
  })
})

it("sluice token prints a token and the digest that configuration keeps", () => {
  const { terminal, output } = terminalWith(Readable.from([]))
  equal(tokenCommand(terminal), 0)
  const [, token = "", sha256] = /^token: {2}(\S+)\nsha256: ([0-9a-f]{64})\n$/.exec(output()) ?? []
  equal(hash("sha256", token, "hex"), sha256)
  ok(token.length >= 43)
})

describe("sluice check-config", () => {
  const path = new URL("../../../config/sluice.example.yaml", import.meta.url).pathname
  const environment = {
    AIRFLOW_TOKEN_SHA256: "a".repeat(64),
    PROMETHEUS_TOKEN_SHA256: "b".repeat(64),
    MART_PASSWORD: "hunter2",
    SUPERSET_VERIFIER: verifier,
    ETL_CHECK_VERIFIER: verifier,
  }

  it("says ok", async () => {
    const { terminal, output, messages } = terminalWith(Readable.from([]))
    equal(
      await checkConfigCommand(terminal, { path, environment, printsEffectiveConfig: false }),
      0,
    )
    equal(output(), "")
    match(messages(), /sluice\.example\.yaml: ok\n$/)
  })

  it("prints the effective configuration without secrets", async () => {
    const { terminal, output } = terminalWith(Readable.from([]))
    equal(await checkConfigCommand(terminal, { path, environment, printsEffectiveConfig: true }), 0)
    const printed = output()
    equal(JSON.parse(printed).listen.port, 6432)
    doesNotMatch(printed, /hunter2|SCRAM-SHA|aaaa|bbbb/)
  })

  it("lists the problems and fails", async () => {
    const { terminal, output, messages } = terminalWith(Readable.from([]))
    const options = { path, environment: {}, printsEffectiveConfig: true }
    equal(await checkConfigCommand(terminal, options), 1)
    equal(output(), "")
    match(
      messages(),
      /5 problems\n.*sluice\.example\.yaml:\d+:\d+: control\.tokens\[0\]\.sha256: environment/,
    )
  })
})
