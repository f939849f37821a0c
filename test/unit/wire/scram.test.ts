import { deepEqual, equal, notEqual, rejects, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { InvariantViolation } from "../../../src/core/errors.ts"
import { saslprep } from "../../../src/wire/saslprep.ts"
import {
  formatVerifier,
  makeVerifier,
  mockVerifier,
  parseVerifier,
  ScramServer,
  type ScramServerOptions,
  type ScramVerifier,
  scramMechanisms,
} from "../../../src/wire/scram.ts"
import { ScramClient } from "../../support/scram-client.ts"
import { golden, readGoldens } from "./goldens.ts"
import { passwords } from "./passwords.ts"

/** As few as the parser takes: what is tested here does not depend on the number. */
const iterations = 1

async function verifierOf(password: string): Promise<ScramVerifier> {
  return parsed(await makeVerifier(password, iterations))
}

function parsed(text: string): ScramVerifier {
  const verifier = parseVerifier(text)
  if (verifier === undefined) throw new Error(`not a verifier: ${text}`)
  return verifier
}

async function login(
  options: ScramServerOptions,
  password: string,
  gs2Header = "n,,",
): Promise<string> {
  const server = new ScramServer(options)
  const client = new ScramClient(password, { gs2Header })
  const challenge = server.begin("SCRAM-SHA-256", client.first())
  const step = server.step(await client.final(challenge.data))
  client.verify(step.data)
  return step.kind
}

const wrong = {
  sqlState: "28P01",
  severity: "FATAL",
  message: 'password authentication failed for user "ana"',
}

describe("ScramServer", () => {
  it("gives the answers of RFC 7677's example", async () => {
    const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64")
    const verifier = parsed(await makeVerifier("pencil", 4096, salt))
    const serverNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    const server = new ScramServer({ user: "user", verifier, serverNonce })
    const first = server.begin("SCRAM-SHA-256", Buffer.from("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))
    equal(
      first.data.toString(),
      `r=rOprNGfwEbeRWgbNEkqO${serverNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
    )
    const proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    const last = server.step(Buffer.from(`c=biws,r=rOprNGfwEbeRWgbNEkqO${serverNonce},p=${proof}`))
    equal(last.kind, "done")
    equal(last.data.toString(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
  })

  it("lets the right password in and no other", async () => {
    const verifier = await verifierOf("right")
    equal(await login({ user: "ana", verifier }, "right"), "done")
    await rejects(login({ user: "ana", verifier }, "wrong"), wrong)
    await rejects(login({ user: "ana", verifier }, ""), wrong)
  })

  it("refuses an unknown user as it refuses a wrong password", async () => {
    const verifier = mockVerifier("ana", Buffer.from("secret"))
    await rejects(login({ user: "ana", verifier }, "right"), wrong)
  })

  it("takes y while PLUS is not offered", async () => {
    const verifier = await verifierOf("right")
    equal(await login({ user: "ana", verifier }, "right", "y,,"), "done")
  })

  it("takes y for a downgrade while PLUS is offered", async () => {
    const verifier = await verifierOf("right")
    const options = { user: "ana", verifier, channelBinding: Buffer.alloc(32, 1) }
    await rejects(login(options, "right", "y,,"), {
      sqlState: "28000",
      severity: "FATAL",
      message: "SCRAM channel binding negotiation error",
    })
    equal(await login(options, "right", "n,,"), "done")
  })

  it("offers PLUS first when there is a channel to bind to", () => {
    deepEqual(scramMechanisms(undefined), ["SCRAM-SHA-256"])
    deepEqual(scramMechanisms(Buffer.alloc(32)), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
  })

  it("asks a client that sends no first data for it", async () => {
    const verifier = await verifierOf("right")
    const server = new ScramServer({ user: "ana", verifier })
    const client = new ScramClient("right")
    deepEqual(server.begin("SCRAM-SHA-256", undefined), {
      kind: "continue",
      data: Buffer.alloc(0),
    })
    const challenge = server.step(client.first())
    equal(server.step(await client.final(challenge.data)).kind, "done")
  })

  it("refuses the recorded answer of another login", async () => {
    const verifier = await verifierOf("right")
    const client = new ScramClient("right")
    const recorded = new ScramServer({ user: "ana", verifier })
    const answer = await client.final(recorded.begin("SCRAM-SHA-256", client.first()).data)
    equal(recorded.step(answer).kind, "done")
    const replayed = new ScramServer({ user: "ana", verifier })
    replayed.begin("SCRAM-SHA-256", client.first())
    throws(() => replayed.step(answer), {
      sqlState: "08P01",
      message: "invalid SCRAM response",
      detail: "Nonce does not match.",
    })
  })

  it("sees a user name beyond ASCII as the bytes that were sent", async () => {
    const salt = Buffer.alloc(16, 1)
    const verifier = parsed(await makeVerifier("right", iterations, salt))
    const server = new ScramServer({ user: "ana", verifier })
    const client = new ScramClient("right", { userName: "é" })
    const challenge = server.begin("SCRAM-SHA-256", client.first())
    equal(server.step(await client.final(challenge.data)).kind, "done")
  })

  it("refuses a message above 1024 bytes", async () => {
    const verifier = await verifierOf("right")
    const begin = (length: number) =>
      new ScramServer({ user: "ana", verifier }).begin(
        "SCRAM-SHA-256",
        Buffer.from(`n,,n=,r=${"x".repeat(length - 8)}`),
      )
    equal(begin(1024).kind, "continue")
    throws(() => begin(1025), { sqlState: "08P01", severity: "FATAL" })
  })

  it("calls a step after the end a bug of ours", async () => {
    const server = new ScramServer({ user: "ana", verifier: await verifierOf("right") })
    throws(() => server.step(Buffer.from("x")), InvariantViolation)
    server.begin("SCRAM-SHA-256", new ScramClient("right").first())
    throws(() => server.step(Buffer.from("x")))
    throws(() => server.step(Buffer.from("x")), InvariantViolation)
  })
})

describe("SCRAM-SHA-256-PLUS", () => {
  const channelBinding = Buffer.alloc(32, 9)

  async function bound(sent: Buffer, header = "p=tls-server-end-point,,"): Promise<string> {
    const verifier = await verifierOf("right")
    const server = new ScramServer({ user: "ana", verifier, channelBinding })
    const client = new ScramClient("right", { gs2Header: header, channelBinding: sent })
    const challenge = server.begin("SCRAM-SHA-256-PLUS", client.first())
    return server.step(await client.final(challenge.data)).kind
  }

  it("lets in who sees the same certificate", async () => {
    equal(await bound(channelBinding), "done")
  })

  it("refuses who sees another certificate", async () => {
    await rejects(bound(Buffer.alloc(32, 8)), {
      sqlState: "28000",
      message: "SCRAM channel binding check failed",
    })
  })

  it("refuses another kind of binding and none at all", async () => {
    await rejects(bound(channelBinding, "p=tls-unique,,"), {
      sqlState: "08P01",
      message: 'unsupported SCRAM channel-binding type "tls-unique"',
    })
    for (const header of ["n,,", "y,,"]) {
      await rejects(bound(channelBinding, header), {
        message: "malformed SCRAM message",
        detail:
          "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.",
      })
    }
  })
})

describe("verifiers", () => {
  const goldens = readGoldens<string>("verifiers")

  for (const [index, password] of passwords.entries()) {
    it(`number ${index} is PostgreSQL's own: ${JSON.stringify(password)}`, async () => {
      const text = golden(goldens, password)
      const { iterations: count, salt } = parsed(text)
      equal(await makeVerifier(password, count, salt), text)
    })
  }

  it("are read and written without change", () => {
    for (const password of passwords) {
      const text = golden(goldens, password)
      equal(formatVerifier(parsed(text)), text)
    }
  })

  const key = Buffer.alloc(32, 1).toString("base64")
  const broken: readonly string[] = [
    "",
    "pencil",
    "md5d41d8cd98f00b204e9800998ecf8427e",
    `SCRAM-SHA-1$4096:AAAA$${key}:${key}`,
    `SCRAM-SHA-256$0:AAAA$${key}:${key}`,
    `SCRAM-SHA-256$99999999:AAAA$${key}:${key}`,
    `SCRAM-SHA-256$-1:AAAA$${key}:${key}`,
    `SCRAM-SHA-256$4096:$${key}:${key}`,
    `SCRAM-SHA-256$4096:AAA$${key}:${key}`,
    `SCRAM-SHA-256$4096:AAB=$${key}:${key}`,
    `SCRAM-SHA-256$4096:AAAA$${key}`,
    `SCRAM-SHA-256$4096:AAAA$${key}:${key} `,
    `SCRAM-SHA-256$4096:AAAA$${key}:AAAA`,
    ` SCRAM-SHA-256$4096:AAAA$${key}:${key}`,
  ]
  for (const text of broken) {
    it(`are refused when malformed: ${JSON.stringify(text.slice(0, 40))}`, () => {
      equal(parseVerifier(text), undefined)
    })
  }

  it("differ for one password, because each has a salt of its own", async () => {
    notEqual(await makeVerifier("x", iterations), await makeVerifier("x", iterations))
  })

  it("are not made with an iteration count that nobody can use", async () => {
    for (const count of [0, -1, 1.5, 10_000_001, Number.NaN]) {
      await rejects(makeVerifier("x", count), RangeError)
    }
  })

  it("of unknown users show the same salt at every try, and another for each name and server", () => {
    const secret = Buffer.from("secret")
    equal(mockSalt("ana", secret), mockSalt("ana", secret))
    notEqual(mockSalt("ana", secret), mockSalt("bob", secret))
    notEqual(mockSalt("ana", secret), mockSalt("ana", Buffer.from("other")))
    equal(mockVerifier("ana", secret).salt.length, 16)
    equal(mockVerifier("ana", secret).iterations, 4096)
    const like = { iterations: 10_000, salt: Buffer.alloc(24) }
    const { iterations: count, salt } = mockVerifier("ana", secret, like)
    equal(count, 10_000)
    equal(salt.length, 24)
  })
})

function mockSalt(user: string, secret: Buffer): string {
  return mockVerifier(user, secret).salt.toString("hex")
}

it("saslprep passes ASCII through, maps, normalises, and gives up without change", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["a\u0007b", "a\u0007b"],
    ["I\u00adX", "IX"],
    ["\u2168", "IX"],
    ["\u00e9\u0007", "\u00e9\u0007"],
    ["\u0627x\u0628", "\u0627x\u0628"],
  ]
  for (const [input, output] of cases) equal(saslprep(input), output)
})
