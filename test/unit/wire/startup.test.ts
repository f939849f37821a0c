import { deepEqual, equal, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { isSameCancelKey, makeCancelKey } from "../../../src/wire/cancel-key.ts"
import { FrameSplitter } from "../../../src/wire/frame-splitter.ts"
import { decodeStartup, needsNegotiation, splitStartup } from "../../../src/wire/startup.ts"
import {
  cancel,
  gssEncRequest,
  int16,
  packet,
  sslRequest,
  startup,
  text,
} from "../../support/frontend-encoder.ts"

function read(bytes: Buffer) {
  return decodeStartup(bytes, 4)
}

describe("splitStartup", () => {
  it("reads user, database and every other parameter", () => {
    const parameters = {
      user: "ana",
      database: "märts",
      application_name: "",
      options: "-c search_path=x",
    }
    deepEqual(read(startup(parameters)), {
      kind: "StartupMessage",
      protocolMinor: 0,
      user: "ana",
      database: "märts",
      parameters: new Map(Object.entries(parameters)),
      protocolOptions: [],
    })
  })

  it("takes the user's name for a database that is not named, or named by nothing", () => {
    for (const parameters of [{ user: "ana" }, { user: "ana", database: "" }]) {
      const message = read(startup(parameters))
      equal(message.kind === "StartupMessage" && message.database, "ana")
    }
  })

  it("reads a packet that comes byte by byte", () => {
    const splitter = new FrameSplitter({ messageBytesMax: 1000 })
    const bytes = startup({ user: "ana" })
    for (const [index, byte] of bytes.entries()) {
      splitter.push(Buffer.from([byte]))
      const message = splitStartup(splitter)
      equal(message !== undefined, index === bytes.length - 1)
    }
  })

  it("reads the requests that have no parameters", () => {
    deepEqual(read(sslRequest), { kind: "SSLRequest" })
    deepEqual(read(gssEncRequest), { kind: "GSSENCRequest" })
  })

  for (const length of [4, 32, 256]) {
    it(`reads a CancelRequest with a key of ${length} bytes`, () => {
      const secretKey = Buffer.alloc(length, 7)
      deepEqual(read(cancel(-5, secretKey)), { kind: "CancelRequest", processId: -5, secretKey })
    })
  }

  it("asks for a negotiation above 3.2 and for unknown extensions only", () => {
    const cases: readonly (readonly [Buffer, boolean])[] = [
      [startup({ user: "u" }), false],
      [startup({ user: "u" }, { minor: 2 }), false],
      [startup({ user: "u" }, { minor: 3 }), true],
      [startup({ user: "u", "_pq_.x": "1" }), true],
    ]
    for (const [bytes, expected] of cases) {
      const message = read(bytes)
      equal(message.kind === "StartupMessage" && needsNegotiation(message), expected)
    }
  })

  it("keeps the last of a repeated name, as PostgreSQL does", () => {
    const pairs = ["user", "first", "user", "second"].map((part) => text(part))
    const message = read(packet(Buffer.concat([int16(3, 0), ...pairs, Buffer.alloc(1)])))
    equal(message.kind === "StartupMessage" && message.user, "second")
  })

  it("refuses a user name that is not UTF-8 as FATAL", () => {
    const pairs = [text("user"), text(Buffer.from([0xff]))]
    const bytes = packet(Buffer.concat([int16(3, 0), ...pairs, Buffer.alloc(1)]))
    throws(() => read(bytes), { sqlState: "22021", severity: "FATAL" })
  })

  it("takes a packet at PostgreSQL's limit and none above", () => {
    const room = 10_000 - startup({ user: "u", options: "" }).length + 4
    const sound = new FrameSplitter({ messageBytesMax: 1000 })
    sound.push(startup({ user: "u", options: "x".repeat(room) }))
    equal(splitStartup(sound)?.kind, "StartupMessage")
    const large = new FrameSplitter({ messageBytesMax: 1000 })
    large.push(startup({ user: "u", options: "x".repeat(room + 1) }))
    throws(() => splitStartup(large), { message: "invalid length of startup packet" })
  })
})

describe("cancel keys", () => {
  it("are as long as the protocol version can carry, and new each time", () => {
    deepEqual(
      [0, 1, 2].map((minor) => makeCancelKey(minor).length),
      [4, 4, 32],
    )
    equal(isSameCancelKey(makeCancelKey(2), makeCancelKey(2)), false)
  })

  it("match themselves and nothing else", () => {
    equal(isSameCancelKey(Buffer.from("abcd"), Buffer.from("abcd")), true)
    equal(isSameCancelKey(Buffer.from("abcd"), Buffer.from("abce")), false)
    equal(isSameCancelKey(Buffer.from("abcd"), Buffer.from("abc")), false)
  })
})
