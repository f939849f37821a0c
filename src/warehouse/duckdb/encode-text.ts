import type { DuckDBDataChunk } from "@duckdb/node-api"
import { RawColumn } from "./encode-column.ts"
import type { ByteSink } from "./encode-sink.ts"
import { StringHeap, stringInlineBytesMax, stringItemBytes } from "./vectors.ts"

const hexDigits = Buffer.from("0123456789abcdef")

export type ByteaOutput = "hex" | "escape"

/** bytea's text form (PostgreSQL manual, 8.4). */
export function writeByteaText(sink: ByteSink, bytes: Uint8Array, output: ByteaOutput): void {
  if (output === "hex") {
    sink.ensure(2 + bytes.length * 2)
    const { buffer } = sink
    let at = sink.offset
    buffer[at++] = 0x5c
    buffer[at++] = 0x78
    for (const byte of bytes) {
      buffer[at++] = hexDigits[byte >>> 4] ?? 0
      buffer[at++] = hexDigits[byte & 15] ?? 0
    }
    sink.offset = at
    return
  }
  let text = ""
  for (const byte of bytes) {
    if (byte === 0x5c) text += "\\\\"
    else if (byte < 0x20 || byte > 0x7e) text += `\\${byte.toString(8).padStart(3, "0")}`
    else text += String.fromCharCode(byte)
  }
  sink.ascii(text)
}

/** VARCHAR, whose bytes go out as they are (DuckDB keeps UTF-8), and BLOB. */
export class BytesColumn extends RawColumn {
  readonly #bytea: ByteaOutput | undefined
  #heap: StringHeap | undefined

  /** `bytea`: write as bytea's text; undefined = raw bytes. */
  constructor(bytea: ByteaOutput | undefined) {
    super(stringItemBytes, stringInlineBytesMax)
    this.#bytea = bytea
  }

  override load(chunk: DuckDBDataChunk, column: number): void {
    super.load(chunk, column)
    this.#heap = new StringHeap(this.raw, chunk.rowCount)
  }

  protected value(sink: ByteSink, row: number): void {
    const item = row * stringItemBytes
    const length = this.view.getUint32(item, true)
    const isInline = length <= stringInlineBytesMax
    const source = isInline || this.#heap === undefined ? this.raw.data : this.#heap.run(row)
    const start = isInline ? item + 4 : (this.#heap?.start(row) ?? 0)
    if (this.#bytea !== undefined) {
      writeByteaText(sink, source.subarray(start, start + length), this.#bytea)
    } else if (isInline) {
      const { buffer, offset } = sink
      for (let at = 0; at < length; at++) buffer[offset + at] = source[start + at] ?? 0
      sink.offset = offset + length
    } else {
      sink.ensure(length)
      sink.buffer.set(source.subarray(start, start + length), sink.offset)
      sink.offset += length
    }
  }
}

/** ENUM, as the labels of its dictionary. */
export class EnumColumn extends RawColumn {
  readonly #itemBytes: 1 | 2 | 4
  readonly #labels: readonly Buffer[]

  constructor(labels: readonly string[]) {
    const itemBytes = enumItemBytes(labels.length)
    super(itemBytes, 0)
    this.#itemBytes = itemBytes
    this.#labels = labels.map((label) => Buffer.from(label))
  }

  protected value(sink: ByteSink, row: number): void {
    const label = this.#labels[this.#index(row)]
    if (label === undefined) return
    sink.ensure(label.length)
    sink.offset += label.copy(sink.buffer, sink.offset)
  }

  #index(row: number): number {
    if (this.#itemBytes === 1) return this.view.getUint8(row)
    if (this.#itemBytes === 2) return this.view.getUint16(row * 2, true)
    return this.view.getUint32(row * 4, true)
  }
}

function enumItemBytes(labelCount: number): 1 | 2 | 4 {
  if (labelCount <= 255) return 1
  return labelCount <= 65_535 ? 2 : 4
}

/** DuckDB keeps a uuid as a signed 128-bit integer, little-endian, with the first bit turned so that it sorts. */
export class UuidColumn extends RawColumn {
  readonly #isBinary: boolean

  constructor(isBinary: boolean) {
    super(16, 36)
    this.#isBinary = isBinary
  }

  protected value(sink: ByteSink, row: number): void {
    const { buffer } = sink
    let at = sink.offset
    for (let index = 15; index >= 0; index--) {
      const stored = this.view.getUint8(row * 16 + index)
      const byte = index === 15 ? stored ^ 0x80 : stored
      if (this.#isBinary) {
        buffer[at++] = byte
        continue
      }
      buffer[at++] = hexDigits[byte >>> 4] ?? 0
      buffer[at++] = hexDigits[byte & 15] ?? 0
      if (index === 12 || index === 10 || index === 8 || index === 6) buffer[at++] = 0x2d
    }
    sink.offset = at
  }
}
