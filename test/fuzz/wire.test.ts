import { deepEqual, equal, ok } from "node:assert/strict"
import { describe, it } from "node:test"
import * as fc from "fast-check"
import { GatewayError, InvariantViolation } from "../../src/core/errors.ts"
import type { FormatCode } from "../../src/core/parameters.ts"
import { dataRow, rowDescription } from "../../src/wire/backend-messages.ts"
import { FrameSplitter } from "../../src/wire/frame-splitter.ts"
import {
  decodeFrontend,
  decodePassword,
  decodeSaslInitialResponse,
} from "../../src/wire/frontend-decoder.ts"
import type { FrontendMessage } from "../../src/wire/frontend-messages.ts"
import { changeFormats, readRowDescription, splitRows } from "../../src/wire/rows.ts"
import { mockVerifier, parseVerifier, ScramServer } from "../../src/wire/scram.ts"
import { decodeStartup, splitStartup } from "../../src/wire/startup.ts"
import {
  bind,
  close,
  copyData,
  copyFail,
  describe as describeMessage,
  execute,
  flush,
  frame,
  parse,
  query,
  startup,
  sync,
  terminate,
} from "../support/frontend-encoder.ts"

/** Runs of a property; a long run sets it higher. */
const numRuns = Number(process.env["FUZZ_RUNS"] ?? 2_000)

const messageBytesMax = 1 << 20

const types = Array.from("QPBDESHCXFdcf", (letter) => letter.charCodeAt(0))
const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array))
/** What a NUL-terminated field can hold. */
const name = fc.string({ unit: "binary", maxLength: 30 }).map((text) => text.replaceAll("\0", ""))
const format = fc.constantFrom<FormatCode>(0, 1)
const target = fc.constantFrom("statement" as const, "portal" as const)
const textValue = name.map((text) => Buffer.from(text))
const oid = fc.nat(0xffffffff)

type Pair = readonly [Buffer, FrontendMessage]

const bindPair: fc.Arbitrary<Pair> = fc
  .record({
    portal: name,
    statement: name,
    parameters: fc.array(
      fc.oneof(
        fc.tuple(fc.constant<FormatCode>(0), fc.option(textValue)),
        fc.tuple(fc.constant<FormatCode>(1), fc.option(bytes)),
      ),
      { maxLength: 20 },
    ),
    resultFormats: fc.array(format, { maxLength: 5 }),
  })
  .map(({ portal, statement, parameters, resultFormats }): Pair => {
    const parameterFormats = parameters.map(([code]) => code)
    const values = parameters.map(([, value]) => value)
    const message = { portal, statement, values, resultFormats }
    return [
      bind({ ...message, formats: parameterFormats }),
      { kind: "Bind", ...message, parameterFormats },
    ]
  })

/** Sound messages: the bytes beside what they mean. */
const pair: fc.Arbitrary<Pair> = fc.oneof(
  bindPair,
  name.map((sql): Pair => [query(sql), { kind: "Query", sql }]),
  fc
    .tuple(name, name, fc.array(oid, { maxLength: 20 }))
    .map(
      ([label, sql, list]): Pair => [
        parse(sql, { name: label, types: list }),
        { kind: "Parse", name: label, sql, parameterTypes: list },
      ],
    ),
  fc
    .tuple(target, name)
    .map(
      ([kind, label]): Pair => [
        describeMessage(kind, label),
        { kind: "Describe", target: kind, name: label },
      ],
    ),
  fc
    .tuple(target, name)
    .map(
      ([kind, label]): Pair => [close(kind, label), { kind: "Close", target: kind, name: label }],
    ),
  fc
    .tuple(name, fc.nat(0x7fffffff))
    .map(
      ([portal, rowsMax]): Pair => [execute(portal, rowsMax), { kind: "Execute", portal, rowsMax }],
    ),
  bytes.map((data): Pair => [copyData(data), { kind: "CopyData", data }]),
  name.map((message): Pair => [copyFail(message), { kind: "CopyFail", message }]),
  fc.constant<Pair>([sync, { kind: "Sync" }]),
  fc.constant<Pair>([flush, { kind: "Flush" }]),
  fc.constant<Pair>([terminate, { kind: "Terminate" }]),
)

/** True when the action ended well or refused the client; anything else is a bug and thrown. */
function isAnswered(action: () => void): boolean {
  try {
    action()
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown instanceof InvariantViolation) throw thrown
  }
  return true
}

/** Everything that a splitter finds in the chunks, and how it ended. */
function read(chunks: readonly Buffer[]): string[] {
  const splitter = new FrameSplitter({ messageBytesMax })
  const found: string[] = []
  try {
    for (const chunk of chunks) {
      splitter.push(chunk)
      while (splitter.next()) {
        const { type, bytes: buffer, start, end } = splitter
        ok(start <= end && end <= buffer.length)
        found.push(`${type}:${buffer.toString("hex", start, end)}`)
      }
    }
    found.push(`waits with ${splitter.pendingBytes}`)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown
    found.push(thrown.message)
  }
  return found
}

function cut(whole: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (whole.length + 1)))].toSorted(
    (left, right) => left - right,
  )
  const starts = [0, ...sorted]
  return starts.map((start, index) => whole.subarray(start, starts[index + 1] ?? whole.length))
}

describe("sound messages", () => {
  it("are read as what was written", () => {
    fc.assert(
      fc.property(pair, ([encoded, message]) => {
        deepEqual({ ...decodeFrontend(encoded[0] ?? 0, encoded, 5) }, message)
      }),
      { numRuns },
    )
  })

  it("are found wherever the stream is cut", () => {
    const stream = fc.array(pair, { maxLength: 8 })
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 12 }), (messages, places) => {
        const whole = Buffer.concat(messages.map(([encoded]) => encoded))
        deepEqual(read(cut(whole, places)), read([whole]))
        equal(read([whole]).length, messages.length + 1)
      }),
      { numRuns },
    )
  })
})

describe("what is not sound", () => {
  it("is read or refused, and never beyond its end", () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), bytes, bytes, (type, body, after) => {
        const alone = resultOf(type, body)
        const followed = resultOf(type, Buffer.concat([body, after]), body.length)
        deepEqual(followed, alone)
      }),
      { numRuns },
    )
  })

  it("is read or refused when a sound frame was changed in one byte", () => {
    fc.assert(
      fc.property(pair, fc.nat(), fc.nat(255), ([encoded], place, value) => {
        const changed = Buffer.from(encoded)
        changed[place % changed.length] = value
        ok(isAnswered(() => decodeFrontend(changed[0] ?? 0, changed, Math.min(5, changed.length))))
        deepEqual(read(cut(changed, [place, place + 1])), read([changed]))
      }),
      { numRuns },
    )
  })

  it("is read or refused when a sound frame was cut or stretched under its length field", () => {
    fc.assert(
      fc.property(pair, fc.nat(), bytes, ([encoded], place, more) => {
        const body = encoded.subarray(5, 5 + (place % (encoded.length - 4)))
        const type = String.fromCharCode(encoded[0] ?? 0)
        for (const changed of [frame(type, body), frame(type, Buffer.concat([body, more]))]) {
          ok(isAnswered(() => decodeFrontend(changed[0] ?? 0, changed, 5)))
        }
      }),
      { numRuns },
    )
  })

  it("ends a stream of any bytes the same way however it is cut", () => {
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(), { maxLength: 8 }), (whole, places) => {
        deepEqual(read(cut(whole, places)), read([whole]))
      }),
      { numRuns },
    )
  })

  it("is refused before login as well", () => {
    const parameters = fc.dictionary(name, name, { maxKeys: 5 })
    fc.assert(
      fc.property(parameters, bytes, fc.nat(), (pairs, body, place) => {
        const changed = startup({ user: "u", ...pairs })
        changed[place % changed.length] = place & 0xff
        for (const packet of [changed, body]) {
          ok(isAnswered(() => decodeStartup(packet)))
          ok(isAnswered(() => decodePassword(packet)))
          ok(isAnswered(() => decodeSaslInitialResponse(packet, {}, () => undefined)))
          const splitter = new FrameSplitter({ messageBytesMax })
          splitter.push(packet)
          ok(isAnswered(() => splitStartup(splitter)))
        }
      }),
      { numRuns },
    )
  })
})

function resultOf(type: number, body: Buffer, end: number = body.length): unknown {
  try {
    return decodeFrontend(type, body, 0, end)
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) || thrown instanceof InvariantViolation) throw thrown
    return thrown.message
  }
}

describe("SCRAM", () => {
  const verifier = mockVerifier("u", Buffer.from("secret"))
  const pieces = fc.constantFrom("n", "y", "p=", ",", "=", "r=", "a", "m", "c=biws", "é", "\0", "x")
  const message = fc.oneof(
    bytes,
    fc.array(pieces).map((list) => Buffer.from(list.join(""))),
  )

  it("answers or refuses whatever comes, and lets nobody in", () => {
    fc.assert(
      fc.property(message, message, (first, second) => {
        ok(
          isAnswered(() => {
            const server = new ScramServer({ user: "u", verifier })
            equal(server.begin("SCRAM-SHA-256", first).kind, "continue")
            equal(server.step(second).kind, "continue")
          }),
        )
      }),
      { numRuns },
    )
  })

  it("reads or refuses any text as a verifier", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        equal(parseVerifier(text), undefined)
      }),
      { numRuns },
    )
  })
})

describe("rows", () => {
  const value = fc.option(bytes)

  it("are cut into two batches that are the whole", () => {
    const rows = fc.array(fc.array(value, { maxLength: 4 }), { maxLength: 20 })
    fc.assert(
      fc.property(rows, fc.integer({ min: -1, max: 25 }), (list, count) => {
        const batch = {
          bytes: Buffer.concat(list.map((row) => dataRow(row))),
          rowCount: list.length,
        }
        const [front, back] = splitRows(batch, count)
        deepEqual(Buffer.concat([front.bytes, back.bytes]), batch.bytes)
        equal(front.rowCount + back.rowCount, list.length)
        equal(front.rowCount, Math.min(Math.max(count, 0), list.length))
      }),
      { numRuns },
    )
  })

  it("are described as what was written, and a broken description is refused", () => {
    const column = fc.record(
      {
        name,
        tableOid: oid,
        columnNumber: fc.integer({ min: -32_768, max: 32_767 }),
        typeOid: oid,
        typeSize: fc.integer({ min: -32_768, max: 32_767 }),
        typeModifier: fc.integer({ min: -0x80000000, max: 0x7fffffff }),
        format,
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.array(column, { maxLength: 6 }), format, fc.nat(), (columns, code, place) => {
        const description = rowDescription(columns)
        deepEqual(readRowDescription(description), columns)
        deepEqual(
          readRowDescription(changeFormats(description, [code])),
          columns.map((item) => ({ ...item, format: code })),
        )
        const changed = Buffer.from(description)
        changed[place % changed.length] = place & 0xff
        ok(isAnswered(() => readRowDescription(changed)))
        ok(isAnswered(() => changeFormats(changed, [code])))
      }),
      { numRuns },
    )
  })
})
