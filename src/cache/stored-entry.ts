import type { RelationName } from "../core/relation.ts"
import type { RowBatch, StoredResult } from "../core/result.ts"
import type { CacheKey } from "./key.ts"

/** A whole result under its key. Immutable; whoever got one may keep sending it after it was evicted. */
export type StoredEntry = {
  readonly key: CacheKey
  readonly result: StoredResult
  /** When the filling query's tokens were captured, which is before it ran: age and TTL count from here. Monotonic clock. */
  readonly createdAtMs: number
  readonly expiresAtMs: number
  /** Until then it may stay in memory, for readers who may have it past its time; never before `expiresAtMs`. */
  readonly keepUntilMs: number
  /** What the entry saves at every hit. */
  readonly warehouseMs: number
  /** Everything the rows depend on: relations named, bases of views, relations read by policy predicates. */
  readonly relations: readonly RelationName[]
  /** Memory it takes, with keys and objects. */
  readonly bytes: number
}

/** Up to here a result is kept in one piece, so that a hit is one write. Above it copying into one buffer gains nothing. */
export const wireImageBytesMax = 64 * 1024

/** Larger results are kept in pieces of about this size: few objects, and no allocation as large as the whole. */
const pieceBytesTarget = 256 * 1024

/**
 * Objects and map slots of one entry. With it, 100,000 entries of one 200-byte row over three relations count 2.7 kB each;
 * they were seen to take 1.7 kB of heap and external memory and 3.0 kB of resident memory.
 */
const entryOverheadBytes = 1_400

/** A buffer's objects and a RowBatch. */
const batchOverheadBytes = 300

/** One relation's share in the index from relations to entries. */
const relationOverheadBytes = 64

export function entryBytes(result: StoredResult, keyChars: number, relationCount: number): number {
  const descriptionBytes = result.description?.length ?? 0
  const own =
    entryOverheadBytes +
    result.batches.length * batchOverheadBytes +
    relationCount * relationOverheadBytes
  return descriptionBytes + result.byteCount + keyChars + own + noticeBytes(result)
}

/** A notice's message, its buffer and its object. */
const noticeOverheadBytes = 200

function noticeBytes({ notices = [], batches, endNotices = [] }: StoredResult): number {
  let bytes = 0
  for (const { frame } of notices) bytes += noticeOverheadBytes + frame.length
  for (const batch of batches)
    for (const frame of batch.notices ?? []) bytes += noticeOverheadBytes + frame.length
  for (const frame of endNotices) bytes += noticeOverheadBytes + frame.length
  return bytes
}

/** Notices have places of their own among the rows: such a result is kept in pieces between them. */
function hasNotices({ notices = [], batches, endNotices = [] }: StoredResult): boolean {
  if (notices.length > 0 || endNotices.length > 0) return true
  return batches.some((batch) => batch.notices !== undefined)
}

/**
 * Copies a gathered result into buffers of exactly its size. Batches are mostly slices of receive buffers, and a slice of
 * 300 bytes keeps all 64 KiB of its parent alive. `commandComplete` is the whole message for the result's tag.
 */
export function packResult(result: StoredResult, commandComplete: Buffer): StoredResult {
  const { description, batches, rowCount, byteCount, tag } = result
  const descriptionBytes = description?.length ?? 0
  const isLarge = descriptionBytes + byteCount + commandComplete.length > wireImageBytesMax
  if (isLarge || hasNotices(result)) {
    const ownDescription = description === undefined ? undefined : exactCopy([description])
    const { notices, endNotices } = result
    const packed = { description: ownDescription, batches: pieces(batches), rowCount, byteCount }
    return { ...packed, tag, notices, endNotices }
  }
  const rowBuffers = batches.map((batch) => batch.bytes)
  const start = description === undefined ? [] : [description]
  const whole = exactCopy([...start, ...rowBuffers, commandComplete])
  const rowsEnd = descriptionBytes + byteCount
  return {
    description: description === undefined ? undefined : whole.subarray(0, descriptionBytes),
    batches: rowCount === 0 ? [] : [{ bytes: whole.subarray(descriptionBytes, rowsEnd), rowCount }],
    rowCount,
    byteCount,
    tag,
    wire: { whole, afterDescription: whole.subarray(descriptionBytes) },
  }
}

function pieces(batches: readonly RowBatch[]): RowBatch[] {
  const packed: RowBatch[] = []
  let group: Buffer[] = []
  let groupBytes = 0
  let groupRows = 0
  let notices: readonly Buffer[] | undefined
  const close = (): void => {
    if (group.length > 0) {
      const bytes = exactCopy(group)
      packed.push({ bytes, rowCount: groupRows, ...(notices === undefined ? {} : { notices }) })
    }
    notices = undefined
    group = []
    groupBytes = 0
    groupRows = 0
  }
  for (const batch of batches) {
    const isNoted = batch.notices !== undefined
    if (isNoted || groupBytes + batch.bytes.length > pieceBytesTarget) close()
    if (isNoted) notices = batch.notices
    group.push(batch.bytes)
    groupBytes += batch.bytes.length
    groupRows += batch.rowCount
  }
  close()
  return packed
}

/** One buffer that owns its memory; Buffer.concat and Buffer.from may hand out a slice of Node's shared pool. */
export function exactCopy(parts: readonly Buffer[]): Buffer {
  const [only] = parts
  if (parts.length === 1 && only !== undefined && ownsItsMemory(only)) return only
  let bytes = 0
  for (const part of parts) bytes += part.length
  const copy = Buffer.allocUnsafeSlow(bytes)
  let offset = 0
  for (const part of parts) offset += part.copy(copy, offset)
  return copy
}

function ownsItsMemory(buffer: Buffer): boolean {
  return buffer.length === buffer.buffer.byteLength
}
