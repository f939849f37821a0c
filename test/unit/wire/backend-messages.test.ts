import { deepEqual, equal } from "node:assert/strict"
import { describe, it } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import {
  authenticationCleartextPassword,
  authenticationOk,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  backendKeyData,
  bindComplete,
  commandComplete,
  copyData,
  copyDone,
  copyOutResponse,
  dataRow,
  errorFields,
  errorResponse,
  negotiateProtocolVersion,
  noticeFields,
  noticeResponse,
  notificationResponse,
  parameterDescription,
  parameterStatus,
  parseComplete,
  portalSuspended,
  readyForQuery,
  rowDescription,
} from "../../../src/wire/backend-messages.ts"
import { readRowDescription } from "../../../src/wire/rows.ts"
import { readFields } from "../../support/wire-client.ts"
import { golden, readGoldens } from "./goldens.ts"

const goldens = readGoldens<readonly string[]>("backend-messages")

function bytesOf(name: string): Buffer[] {
  return golden(goldens, name).map((text) => Buffer.from(text, "hex"))
}

/** The error or notice of a golden, as if a warehouse had sent it, without the server's source location. */
function fieldsOf(bytes: Buffer | undefined): Record<string, string> {
  const {
    F: _file,
    L: _line,
    R: _routine,
    ...fields
  } = readFields(bytes?.subarray(5) ?? Buffer.alloc(0))
  return fields
}

function hex(...messages: readonly Buffer[]): string[] {
  return messages.map((message) => message.toString("hex"))
}

describe("encoders write the bytes that PostgreSQL writes", () => {
  it("at login", () => {
    const [, , challenge, final, , key] = bytesOf("login of 3.9999 with _pq_.foo")
    deepEqual(
      hex(
        negotiateProtocolVersion(2, ["_pq_.foo"]),
        authenticationSasl(["SCRAM-SHA-256"]),
        authenticationSaslContinue(challenge?.subarray(9) ?? Buffer.alloc(0)),
        authenticationSaslFinal(final?.subarray(9) ?? Buffer.alloc(0)),
        authenticationOk,
        backendKeyData(key?.readInt32BE(5) ?? 0, key?.subarray(9) ?? Buffer.alloc(0)),
        readyForQuery("I"),
      ),
      golden(goldens, "login of 3.9999 with _pq_.foo"),
    )
  })

  it("for NOTIFY", () => {
    const processId = bytesOf("LISTEN and NOTIFY")[2]?.readInt32BE(5) ?? 0
    deepEqual(
      hex(
        commandComplete("LISTEN"),
        commandComplete("NOTIFY"),
        notificationResponse(processId, "c", "payload"),
        readyForQuery("I"),
      ),
      golden(goldens, "LISTEN and NOTIFY"),
    )
  })

  it("for COPY TO STDOUT", () => {
    deepEqual(
      hex(
        copyOutResponse(0, [0, 0]),
        copyData(Buffer.from("1\tä\n")),
        copyDone,
        commandComplete("COPY 1"),
        readyForQuery("I"),
      ),
      golden(goldens, "COPY in text"),
    )
    deepEqual(hex(copyOutResponse(1, [1])), golden(goldens, "COPY in binary").slice(0, 1))
  })

  it("for RowDescription, after reading it", () => {
    for (const name of [
      "columns of several types",
      "Describe of a portal with formats none, 1, and 0 1 1",
    ]) {
      const descriptions = bytesOf(name).filter((message) => message[0] === 0x54)
      equal(descriptions.length > 0, true)
      for (const bytes of descriptions) {
        deepEqual(hex(rowDescription(readRowDescription(bytes))), hex(bytes))
      }
    }
  })

  it("for a row and the messages around it", () => {
    const [parsed, bound, , , , , , row, suspended] = bytesOf(
      "Describe of a portal with formats none, 1, and 0 1 1",
    )
    const values = [Buffer.from("1"), Buffer.from("x"), Buffer.from("0000000000000002", "hex")]
    deepEqual(
      hex(parseComplete, bindComplete, dataRow(values), portalSuspended),
      [parsed, bound, row, suspended].map((message) => message?.toString("hex")),
    )
    deepEqual(dataRow([null]).toString("hex"), "440000000a0001ffffffff")
  })

  it("for ParameterDescription", () => {
    const oids = [23, 4_294_967_295]
    equal(parameterDescription(oids).toString("hex"), "740000000e000200000017ffffffff")
  })

  it("for a password in clear text", () => {
    equal(authenticationCleartextPassword.toString("hex"), "520000000800000003")
  })

  it("for a parameter beyond ASCII", () => {
    equal(parameterStatus("n", "é").toString("latin1"), "S\0\0\0\u0009n\0\u00c3\u00a9\0")
  })
})

describe("errorFields", () => {
  it("writes the fields of a warehouse's error in PostgreSQL's order", () => {
    const [bytes] = bytesOf("an error of PL/pgSQL")
    const { C = "", M = "", D = "", H = "" } = fieldsOf(bytes)
    const sent = Object.entries(readFields(bytes?.subarray(5) ?? Buffer.alloc(0)))
    const error = new GatewayError({
      sqlState: C,
      reason: "warehouse_error",
      message: M,
      detail: D,
      hint: H,
      // As a map whose order says nothing about the order on the wire.
      fields: new Map(sent.toReversed()),
    })
    equal(errorResponse(errorFields(error)).toString("hex"), bytes?.toString("hex"))
  })

  it("writes a position behind the hint", () => {
    const [bytes] = bytesOf("a syntax error")
    const error = new GatewayError({
      sqlState: "42601",
      reason: "syntax_error",
      message: "syntax error at end of input",
      position: 25,
    })
    const written = errorResponse(errorFields(error))
    deepEqual(Object.entries(readFields(written.subarray(5))), Object.entries(fieldsOf(bytes)))
  })

  it("lets the session override severity and position", () => {
    const error = new GatewayError({
      sqlState: "42601",
      reason: "syntax_error",
      message: "m",
      position: 3,
    })
    deepEqual(errorFields(error, { severity: "FATAL", position: 13 }), [
      ["S", "FATAL"],
      ["V", "FATAL"],
      ["C", "42601"],
      ["M", "m"],
      ["P", "13"],
    ])
  })

  it("never shows cause or reason, and lets no field of a warehouse replace ours", () => {
    const error = new GatewayError({
      sqlState: "57014",
      reason: "cancelled",
      message: "m",
      cause: new Error("secret"),
      fields: new Map([
        ["S", "PANIC"],
        ["M", "theirs"],
        ["P", "9"],
        ["Z", "new"],
        ["F", "file.c"],
        ["", "nothing"],
        ["\0", "NUL"],
      ]),
    })
    deepEqual(errorFields(error), [
      ["S", "ERROR"],
      ["V", "ERROR"],
      ["C", "57014"],
      ["M", "m"],
      ["Z", "new"],
      ["F", "file.c"],
    ])
  })

  it("ends no field early when a text holds a NUL", () => {
    equal(errorResponse([["M", "a\0Cb"]]).toString("latin1", 5), "MaCb\0\0")
  })
})

it("noticeFields writes what PostgreSQL writes", () => {
  const [bytes] = bytesOf("a notice")
  const { M = "" } = fieldsOf(bytes)
  const written = noticeResponse(
    noticeFields({ severity: "NOTICE", sqlState: "00000", message: M }),
  )
  deepEqual(Object.entries(readFields(written.subarray(5))), Object.entries(fieldsOf(bytes)))
  deepEqual(
    noticeFields({ severity: "WARNING", sqlState: "01000", message: "m", detail: "d", hint: "h" }),
    [
      ["S", "WARNING"],
      ["V", "WARNING"],
      ["C", "01000"],
      ["M", "m"],
      ["D", "d"],
      ["H", "h"],
    ],
  )
})
