import { deepEqual, equal, ok, throws } from "node:assert/strict"
import { describe, it } from "node:test"
import { FrameSplitter, loginMessageBytesMax } from "../../../src/wire/frame-splitter.ts"
import { splitStartup } from "../../../src/wire/startup.ts"
import {
  bind,
  frame,
  int32,
  parse,
  query,
  saslResponse,
  startup,
  sync,
} from "../../support/frontend-encoder.ts"

const messageBytesMax = 32 * 1024 * 1024

/** Frames found after each chunk, as `type:body`. */
function split(chunks: readonly Buffer[]): string[] {
  const splitter = new FrameSplitter({ messageBytesMax })
  const found: string[] = []
  for (const chunk of chunks) {
    splitter.push(chunk)
    while (splitter.next()) found.push(shownFrame(splitter))
  }
  equal(splitter.pendingBytes, 0)
  return found
}

function shownFrame({ type, bytes, start, end }: FrameSplitter): string {
  return `${String.fromCharCode(type)}:${bytes.toString("latin1", start, end)}`
}

const batch = Buffer.concat([parse("select $1"), bind({ values: ["x"] }), sync, query("select 2")])
const whole = split([batch])

describe("FrameSplitter", () => {
  it("finds all frames of a chunk", () => {
    equal(whole.length, 4)
    equal(whole[3], "Q:select 2\0")
  })

  for (const size of [1, 2, 3, 4, 5, 6, 7, 11, 40]) {
    it(`finds the same frames in chunks of ${size} bytes`, () => {
      const chunks = Array.from({ length: Math.ceil(batch.length / size) }, (_, index) =>
        batch.subarray(index * size, (index + 1) * size),
      )
      deepEqual(split(chunks), whole)
    })
  }

  it("finds frames in chunks that come before the earlier ones are read", () => {
    const splitter = new FrameSplitter({ messageBytesMax })
    for (const byte of batch) splitter.push(Buffer.from([byte]))
    equal(splitter.pendingBytes, batch.length)
    const found: string[] = []
    while (splitter.next()) found.push(shownFrame(splitter))
    deepEqual(found, whole)
    equal(splitter.pendingBytes, 0)
  })

  it("skips empty chunks", () => {
    const empty = Buffer.alloc(0)
    deepEqual(split([empty, batch.subarray(0, 3), empty, batch.subarray(3), empty]), whole)
  })

  it("does not copy a frame that is whole within a chunk", () => {
    const splitter = new FrameSplitter({ messageBytesMax })
    splitter.push(batch)
    ok(splitter.next())
    equal(splitter.bytes, batch)
  })

  it("holds on to no chunk once all of it was read", () => {
    const splitter = new FrameSplitter({ messageBytesMax })
    splitter.push(batch)
    while (splitter.next());
    equal(splitter.bytes.length, 0)
    splitter.push(batch)
    ok(splitter.next())
  })

  it("keeps no more than twice what came of a frame that announces 32 MB", () => {
    const splitter = new FrameSplitter({ messageBytesMax })
    splitter.push(Buffer.concat([Buffer.from("B"), int32(messageBytesMax), Buffer.alloc(95)]))
    const before = process.memoryUsage().arrayBuffers
    equal(splitter.next(), false)
    equal(splitter.pendingBytes, 100)
    ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024)
  })

  it("joins a Bind of 16 MB that comes in 64 kB chunks", () => {
    const value = Buffer.alloc(16 * 1024 * 1024, "v")
    const bytes = bind({ values: [value] })
    const splitter = new FrameSplitter({ messageBytesMax })
    let joined: Buffer = Buffer.alloc(0)
    for (let offset = 0; offset < bytes.length; offset += 65_536) {
      splitter.push(bytes.subarray(offset, offset + 65_536))
      if (splitter.next()) joined = splitter.bytes.subarray(splitter.start, splitter.end)
    }
    ok(bytes.subarray(5).equals(joined))
  })

  it("refuses a length above the limit as soon as the header is there", () => {
    const splitter = new FrameSplitter({ messageBytesMax: 1000 })
    splitter.push(Buffer.concat([Buffer.from("Q"), int32(1001)]))
    throws(() => splitter.next(), {
      sqlState: "08P01",
      reason: "message_too_large",
      severity: "FATAL",
    })
  })

  it("takes a length at the limit", () => {
    const splitter = new FrameSplitter({ messageBytesMax: 1000 })
    splitter.push(frame("Q", Buffer.alloc(996)))
    ok(splitter.next())
    equal(splitter.end - splitter.start, 996)
  })

  it("follows a limit that is changed between frames", () => {
    const splitter = new FrameSplitter({ messageBytesMax: 10 })
    splitter.push(Buffer.concat([query("12345"), query("123456")]))
    ok(splitter.next())
    splitter.messageBytesMax = 11
    ok(splitter.next())
  })

  it("leaves what follows the login's frames to the next phase", () => {
    const splitter = new FrameSplitter({ messageBytesMax })
    splitter.push(
      Buffer.concat([startup({ user: "u" }), saslResponse(Buffer.from("x")), query("select 1")]),
    )
    equal(splitStartup(splitter)?.kind, "StartupMessage")
    ok(splitter.nextLogin())
    equal(splitter.bytes.toString("latin1", splitter.start, splitter.end), "x")
    ok(splitter.next())
    equal(shownFrame(splitter), "Q:select 1\0")
    equal(splitter.next(), false)
  })

  it("counts bytes sent behind an SSLRequest as pending", () => {
    const splitter = new FrameSplitter({ messageBytesMax })
    splitter.push(Buffer.concat([Buffer.from("0000000804d2162f", "hex"), Buffer.from([0x16])]))
    equal(splitStartup(splitter)?.kind, "SSLRequest")
    equal(splitter.pendingBytes, 1)
  })

  it("takes an answer to an authentication request up to the limit and not above", () => {
    const sound = new FrameSplitter({ messageBytesMax })
    sound.push(saslResponse(Buffer.alloc(loginMessageBytesMax - 4)))
    ok(sound.nextLogin())
    const large = new FrameSplitter({ messageBytesMax })
    large.push(Buffer.concat([Buffer.from("p"), int32(loginMessageBytesMax + 1)]))
    throws(() => large.nextLogin(), { reason: "message_too_large", severity: "FATAL" })
  })
})
