import type { ErrorStage } from "../../core/errors.ts"
import type { EarlyNotice, RowBatch, StoredResult } from "../../core/result.ts"
import { ByteReader, ByteWriter, Malformed } from "./bytes.ts"
import { checkNotice, checkRows, columnsOf } from "./frames.ts"

/** What a shared tier keeps of an entry: enough to serve it, and to prove that it is the one that was asked for. */
export type Envelope = {
  /** The full key material, which decides whether the rows are the asker's. */
  readonly material: string
  /** When the filling query's tokens were captured: milliseconds since 1970 by the clock of the instance that ran it. */
  readonly createdWallMs: number
  readonly warehouseMs: number
  /** Without a wire image: whoever takes it into memory packs it anew. */
  readonly result: StoredResult
}

const stages: readonly (ErrorStage | undefined)[] = [undefined, "parse", "bind"]

/** Row count, number of notices, length. */
const batchBytesMin = 12
/** A stage and a length. */
const earlyNoticeBytesMin = 5
const noticeBytesMin = 4

/**
 * The envelope as bytes:
 *
 *   created f64, warehouse ms f64, material (UTF-16, length), tag (UTF-8, length), rows u32,
 *   description (0 | 1 and length), early notices (count; stage u8, length),
 *   batches (count; rows u32, notices (count; length), length), end notices (count; length)
 *
 * Lengths and counts are u32, all numbers big-endian. UTF-16, because JavaScript's texts map to it one to one.
 */
export function encodeEnvelope(envelope: Envelope): Buffer {
  const { result } = envelope
  const out = new ByteWriter()
  out.amount(envelope.createdWallMs)
  out.amount(envelope.warehouseMs)
  out.block(Buffer.from(envelope.material, "utf16le"))
  out.block(Buffer.from(result.tag, "utf8"))
  out.u32(result.rowCount)
  out.u8(result.description === undefined ? 0 : 1)
  if (result.description !== undefined) out.block(result.description)
  const early = result.notices ?? []
  out.u32(early.length)
  for (const { frame, stage } of early) {
    out.u8(stages.indexOf(stage))
    out.block(frame)
  }
  out.u32(result.batches.length)
  for (const { bytes, rowCount, notices = [] } of result.batches) {
    out.u32(rowCount)
    writeNotices(out, notices)
    out.block(bytes)
  }
  writeNotices(out, result.endNotices ?? [])
  return out.join()
}

function writeNotices(out: ByteWriter, frames: readonly Buffer[]): void {
  out.u32(frames.length)
  for (const frame of frames) out.block(frame)
}

/** Throws {@link Malformed} unless every byte is as `encodeEnvelope` writes it. The result's buffers are slices of `bytes`. */
export function decodeEnvelope(bytes: Buffer): Envelope {
  const input = new ByteReader(bytes)
  const createdWallMs = input.amount()
  const warehouseMs = input.amount()
  const materialBytes = input.block()
  if (materialBytes.length % 2 !== 0) throw new Malformed("the material is no UTF-16")
  const material = materialBytes.toString("utf16le")
  const tag = input.block().toString("utf8")
  if (tag.includes("\0")) throw new Malformed("the tag has a NUL")
  const rowCount = input.u32()
  const description = readDescription(input)
  const columns = description === undefined ? undefined : columnsOf(description)
  const notices = readEarlyNotices(input)
  const batches = readBatches(input, columns)
  const endNotices = readNotices(input)
  input.end()
  let rows = 0
  let byteCount = 0
  for (const batch of batches) {
    rows += batch.rowCount
    byteCount += batch.bytes.length
  }
  if (rows !== rowCount) throw new Malformed("the batches have other rows than told")
  const result = { description, batches, rowCount, byteCount, tag, notices, endNotices }
  return { material, createdWallMs, warehouseMs, result }
}

function readDescription(input: ByteReader): Buffer | undefined {
  const isThere = input.u8()
  if (isThere > 1) throw new Malformed("a flag is neither 0 nor 1")
  return isThere === 0 ? undefined : input.block()
}

function readEarlyNotices(input: ByteReader): EarlyNotice[] {
  const notices: EarlyNotice[] = []
  for (let left = input.count(earlyNoticeBytesMin); left > 0; left -= 1) {
    const stage = input.u8()
    if (stage >= stages.length) throw new Malformed("a stage is unknown")
    const frame = input.block()
    checkNotice(frame)
    notices.push({ frame, stage: stages[stage] })
  }
  return notices
}

function readBatches(input: ByteReader, columns: number | undefined): RowBatch[] {
  const batches: RowBatch[] = []
  for (let left = input.count(batchBytesMin); left > 0; left -= 1) {
    const rowCount = input.u32()
    const notices = readNotices(input)
    const bytes = input.block()
    checkRows(bytes, rowCount, columns)
    batches.push({ bytes, rowCount, ...(notices.length === 0 ? {} : { notices }) })
  }
  return batches
}

function readNotices(input: ByteReader): Buffer[] {
  const frames: Buffer[] = []
  for (let left = input.count(noticeBytesMin); left > 0; left -= 1) {
    const frame = input.block()
    checkNotice(frame)
    frames.push(frame)
  }
  return frames
}
