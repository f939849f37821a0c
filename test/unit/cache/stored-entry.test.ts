import { deepEqual, equal, ok } from "node:assert/strict"
import { it } from "node:test"
import {
  entryBytes,
  exactCopy,
  packResult,
  wireImageBytesMax,
} from "../../../src/cache/stored-entry.ts"
import type { RowBatch } from "../../../src/core/result.ts"
import { commandComplete } from "../../../src/wire/backend-messages.ts"
import { batch, description, result } from "./entries.ts"

function joined(batches: readonly RowBatch[]): Buffer {
  return Buffer.concat(batches.map((one) => one.bytes))
}

it("a small result is packed into one buffer of exactly its size, of which all parts are views", () => {
  const gathered = result([batch(2), batch(3)])
  const packed = packResult(gathered, commandComplete(gathered.tag))
  const { wire } = packed
  ok(wire)
  const whole = [description, joined(gathered.batches), commandComplete("SELECT 5")]
  deepEqual(wire.whole, Buffer.concat(whole))
  deepEqual(wire.afterDescription, Buffer.concat(whole.slice(1)))
  equal(wire.whole.buffer.byteLength, wire.whole.length)
  equal(packed.batches.length, 1)
  equal(packed.batches[0]?.rowCount, 5)
  for (const part of [packed.description, packed.batches[0]?.bytes, wire.afterDescription])
    equal(part?.buffer, wire.whole.buffer)
  deepEqual(packed.description, description)
  deepEqual(joined(packed.batches), joined(gathered.batches))
  equal(packed.rowCount, 5)
  equal(packed.tag, "SELECT 5")
})

it("a result without rows has no batch", () => {
  const packed = packResult(result([]), commandComplete("SELECT 0"))
  deepEqual(packed.batches, [])
  deepEqual(packed.wire?.afterDescription, commandComplete("SELECT 0"))
})

it("a result without a description is packed from its first byte", () => {
  const packed = packResult({ ...result([batch(1)]), description: undefined }, commandComplete("x"))
  equal(packed.description, undefined)
  deepEqual(packed.wire?.whole, packed.wire?.afterDescription)
})

it("a result above the limit for one write is kept in few buffers that own their memory", () => {
  const gathered = result(Array.from({ length: 100 }, () => batch(10, 1_000)))
  const packed = packResult(gathered, commandComplete(gathered.tag))
  ok(gathered.byteCount > wireImageBytesMax)
  equal(packed.wire, undefined)
  ok(packed.batches.length < 6)
  for (const one of packed.batches) equal(one.bytes.buffer.byteLength, one.bytes.length)
  deepEqual(joined(packed.batches), joined(gathered.batches))
  equal(
    packed.batches.reduce((sum, one) => sum + one.rowCount, 0),
    1_000,
  )
})

it("a batch larger than a piece stays whole, and is not copied when it owns its memory", () => {
  const big = exactCopy([batch(1, 600_000).bytes, Buffer.alloc(0)])
  const packed = packResult(result([batch(1), { bytes: big, rowCount: 1 }, batch(1)]), big)
  equal(packed.batches.length, 3)
  equal(packed.batches[1]?.bytes, big)
})

it("a slice of a large receive buffer does not keep that buffer", () => {
  const received = Buffer.alloc(64 * 1024)
  const { bytes } = batch(1)
  bytes.copy(received)
  const slice = received.subarray(0, bytes.length)
  const packed = packResult(result([{ bytes: slice, rowCount: 1 }]), commandComplete("SELECT 1"))
  for (const one of packed.batches) ok(one.bytes.buffer.byteLength < 200)
})

it("accounting counts rows, description, key and relations", () => {
  const small = result([batch(1)])
  const base = entryBytes(small, 0, 0)
  ok(base > small.byteCount + description.length)
  equal(entryBytes(small, 100, 0) - base, 100)
  ok(entryBytes(small, 0, 3) > base)
  equal(entryBytes({ ...small, byteCount: small.byteCount + 7 }, 0, 0) - base, 7)
})

it("a result with notices is kept in pieces, each behind its own, and its notices count", () => {
  const [early, among, end] = [Buffer.from("Nearly"), Buffer.from("Namong"), Buffer.from("Nend")]
  const plain = result([batch(1), batch(2), batch(3), batch(4)])
  const gathered = {
    ...plain,
    batches: plain.batches.map((one, index) => (index === 2 ? { ...one, notices: [among] } : one)),
    notices: [{ frame: early, stage: "parse" as const }],
    endNotices: [end],
  }
  const packed = packResult(gathered, commandComplete(gathered.tag))
  equal(packed.wire, undefined)
  deepEqual(
    packed.batches.map(({ rowCount, notices }) => [rowCount, notices]),
    [
      [3, undefined],
      [7, [among]],
    ],
  )
  deepEqual([packed.notices, packed.endNotices], [gathered.notices, [end]])
  deepEqual(joined(packed.batches), joined(plain.batches))
  const noticeBytes = 3 * 200 + early.length + among.length + end.length
  const batchBytes = 2 * 300
  equal(
    entryBytes(packed, 0, 0) - entryBytes({ ...plain, batches: [] }, 0, 0),
    noticeBytes + batchBytes,
  )
})
