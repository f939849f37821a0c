import { deepEqual, equal, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import {
  decodeFrontend,
  decodePassword,
  decodeSaslInitialResponse,
  decodeSaslResponse,
} from "../../../src/wire/frontend-decoder.ts"
import type { FrontendMessage } from "../../../src/wire/frontend-messages.ts"
import {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe as describeMessage,
  execute,
  flush,
  frame,
  parse,
  password,
  query,
  saslInitialResponse,
  saslResponse,
  sync,
  terminate,
  text,
} from "../../support/frontend-encoder.ts"

function decode(bytes: Buffer): FrontendMessage {
  return decodeFrontend(bytes[0] ?? 0, bytes, 5)
}

const sound: readonly (readonly [string, Buffer, FrontendMessage])[] = [
  ["Query", query("select 'ü€😀\u{fffd}'"), { kind: "Query", sql: "select 'ü€😀\u{fffd}'" }],
  ["an empty Query", query(""), { kind: "Query", sql: "" }],
  [
    "Parse",
    parse("select $1", { name: "s", types: [23, 0, 4_294_967_295] }),
    { kind: "Parse", name: "s", sql: "select $1", parameterTypes: [23, 0, 4_294_967_295] },
  ],
  [
    "Parse without types",
    parse("select 1"),
    { kind: "Parse", name: "", sql: "select 1", parameterTypes: [] },
  ],
  [
    "Bind without formats",
    bind({ portal: "p", statement: "s", values: ["a", null, ""] }),
    {
      kind: "Bind",
      portal: "p",
      statement: "s",
      parameterFormats: [0, 0, 0],
      values: [Buffer.from("a"), null, Buffer.alloc(0)],
      resultFormats: [],
    },
  ],
  [
    "Bind with one format for all",
    bind({ values: [Buffer.from([0, 255]), Buffer.from([1])], formats: [1], resultFormats: [1] }),
    {
      kind: "Bind",
      portal: "",
      statement: "",
      parameterFormats: [1, 1],
      values: [Buffer.from([0, 255]), Buffer.from([1])],
      resultFormats: [1],
    },
  ],
  [
    "Bind with a format each",
    bind({ values: ["1", Buffer.from([0])], formats: [0, 1], resultFormats: [0, 1, 0] }),
    {
      kind: "Bind",
      portal: "",
      statement: "",
      parameterFormats: [0, 1],
      values: [Buffer.from("1"), Buffer.from([0])],
      resultFormats: [0, 1, 0],
    },
  ],
  ["Execute", execute("p", 7), { kind: "Execute", portal: "p", rowsMax: 7 }],
  ["Execute of all rows", execute(), { kind: "Execute", portal: "", rowsMax: 0 }],
  ["Execute of -1 rows", execute("", -1), { kind: "Execute", portal: "", rowsMax: 0 }],
  [
    "Describe of a statement",
    describeMessage("statement", "s"),
    { kind: "Describe", target: "statement", name: "s" },
  ],
  ["Close of a portal", close("portal", "p"), { kind: "Close", target: "portal", name: "p" }],
  ["Sync", sync, { kind: "Sync" }],
  ["Flush", flush, { kind: "Flush" }],
  ["Terminate", terminate, { kind: "Terminate" }],
  ["Terminate with a body", frame("X", Buffer.from("x")), { kind: "Terminate" }],
  ["CopyData", copyData(Buffer.from("x")), { kind: "CopyData", data: Buffer.from("x") }],
  ["CopyDone", copyDone, { kind: "CopyDone" }],
  ["CopyFail", copyFail("because"), { kind: "CopyFail", message: "because" }],
  ["FunctionCall", frame("F", Buffer.from("x")), { kind: "FunctionCall" }],
]

describe("decodeFrontend", () => {
  for (const [name, bytes, expected] of sound) {
    it(`reads ${name}`, () => {
      deepEqual({ ...decode(bytes) }, expected)
    })

    it(`reads ${name} between other bytes`, () => {
      const before = Buffer.alloc(3, 0xaa)
      const around = Buffer.concat([before, bytes, Buffer.alloc(3, 0)])
      const end = before.length + bytes.length
      deepEqual({ ...decodeFrontend(bytes[0] ?? 0, around, 8, end) }, expected)
    })
  }

  it("never reads a NUL of the next message for its own", () => {
    const cut = frame("Q", Buffer.from("select 1"))
    const bytes = Buffer.concat([cut, query("select 2")])
    throws(() => decodeFrontend(0x51, bytes, 5, cut.length), {
      message: "invalid string in message",
    })
    for (const length of [3, 32, 33, 100]) {
      const parsed = frame("P", Buffer.alloc(length, "x"))
      const followed = Buffer.concat([parsed, query("select 2")])
      throws(() => decodeFrontend(0x50, followed, 5, parsed.length), {
        message: "invalid string in message",
      })
    }
  })

  it("gives parameter values that outlive the buffer they came in", () => {
    const bytes = bind({ values: ["one", "two"] })
    const message = decode(bytes)
    bytes.fill(0)
    equal(message.kind === "Bind" && message.values.join(), "one,two")
  })

  it("reads a Bind of 65,535 parameters", () => {
    const message = decode(bind({ values: Array.from({ length: 65_535 }, () => "1") }))
    equal(message.kind === "Bind" && message.values.length, 65_535)
  })

  it("takes any bytes in a binary parameter", () => {
    const value = Buffer.from([0, 0xff, 0xc0])
    const message = decode(bind({ values: [value], formats: [1] }))
    deepEqual(message.kind === "Bind" && message.values[0], value)
  })

  it("takes long text beyond ASCII in a text parameter", () => {
    const value = "é".repeat(500)
    const message = decode(bind({ values: [value] }))
    equal(message.kind === "Bind" && message.values[0]?.toString(), value)
  })

  it("refuses an unknown type as FATAL", () => {
    throws(() => decodeFrontend(88 + 32, Buffer.alloc(0)), {
      severity: "FATAL",
      message: "invalid frontend message type 120",
    })
  })
})

const anyMechanism = (): void => undefined

describe("answers to authentication requests", () => {
  it("are read", () => {
    equal(decodePassword(password("sécret"), 5), "sécret")
    deepEqual(
      decodeSaslInitialResponse(
        saslInitialResponse("M", Buffer.from("x")),
        { start: 5 },
        anyMechanism,
      ),
      {
        mechanism: "M",
        data: Buffer.from("x"),
      },
    )
    deepEqual(
      decodeSaslInitialResponse(saslInitialResponse("M", undefined), { start: 5 }, anyMechanism),
      {
        mechanism: "M",
        data: undefined,
      },
    )
    deepEqual(decodeSaslResponse(saslResponse(Buffer.from("x")), 5), Buffer.from("x"))
  })

  it("are refused when a password has no NUL, two, or nothing before it", () => {
    const size = { severity: "FATAL", message: "invalid password packet size" }
    throws(() => decodePassword(frame("p", Buffer.from("x")), 5), size)
    throws(() => decodePassword(frame("p", Buffer.alloc(0)), 5), size)
    throws(() => decodePassword(frame("p", text("a\0b")), 5), size)
    throws(() => decodePassword(password(""), 5), {
      sqlState: "28P01",
      severity: "FATAL",
      message: "empty password returned by client",
    })
  })
})
