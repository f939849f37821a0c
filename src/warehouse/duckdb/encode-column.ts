import type { DuckDBDataChunk } from "@duckdb/node-api"
import type { ByteSink } from "./encode-sink.ts"
import { isValid, type RawVector, rawVector } from "./vectors.ts"

/** Writes the values of one result column as DataRow fields: an Int32 length (-1 for null) and the bytes. */
export interface ColumnEncoder {
  /** Points the encoder at a column of a chunk, which the caller keeps alive while rows of it are written. */
  load(chunk: DuckDBDataChunk, column: number): void
  write(sink: ByteSink, row: number): void
}

export function writeNull(sink: ByteSink): void {
  sink.ensure(4)
  sink.buffer.writeInt32BE(-1, sink.offset)
  sink.offset += 4
}

const noVector: RawVector = {
  data: new Uint8Array(0),
  view: new DataView(new ArrayBuffer(0)),
  validity: undefined,
}

/** Base of the encoders that read items of a fixed width straight from DuckDB's memory. */
export abstract class RawColumn implements ColumnEncoder {
  readonly #itemBytes: number
  readonly #valueBytesMax: number
  protected raw: RawVector = noVector
  protected view: DataView = noVector.view

  /** `valueBytesMax`: room that every value needs at most; a longer one asks the sink itself. */
  constructor(itemBytes: number, valueBytesMax: number) {
    this.#itemBytes = itemBytes
    this.#valueBytesMax = valueBytesMax
  }

  load(chunk: DuckDBDataChunk, column: number): void {
    this.raw = rawVector(chunk, column, this.#itemBytes)
    this.view = this.raw.view
  }

  write(sink: ByteSink, row: number): void {
    if (!isValid(this.raw.validity, row)) {
      writeNull(sink)
      return
    }
    sink.ensure(4 + this.#valueBytesMax)
    const start = sink.offset
    sink.offset = start + 4
    this.value(sink, row)
    sink.buffer.writeInt32BE(sink.offset - start - 4, start)
  }

  protected abstract value(sink: ByteSink, row: number): void
}
