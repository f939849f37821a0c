import type { DuckDBDataChunk } from "@duckdb/node-api"
import duckdb from "@duckdb/node-bindings"

/**
 * Raw access to the columns of a chunk: the only file that uses the low-level bindings. All views point into DuckDB's
 * memory and are valid for as long as the chunk is referenced; whoever holds a view holds the chunk.
 */
export type RawVector = {
  readonly data: Uint8Array
  readonly view: DataView
  /** One bit a row, 1 = not null; undefined when no row is null. */
  readonly validity: Uint8Array | undefined
}

export function rawVector(chunk: DuckDBDataChunk, column: number, itemBytes: number): RawVector {
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, column)
  const rowCount = chunk.rowCount
  const data = duckdb.vector_get_data(vector, rowCount * itemBytes)
  return {
    data,
    view: new DataView(data.buffer, data.byteOffset, data.byteLength),
    validity: duckdb.vector_get_validity(vector, Math.ceil(rowCount / 64) * 8) ?? undefined,
  }
}

export function isValid(validity: Uint8Array | undefined, row: number): boolean {
  return validity === undefined || (((validity[row >>> 3] ?? 0) >>> (row & 7)) & 1) === 1
}

/** Bytes of DuckDB's string_t: 4 of length, then up to 12 inline, or 4 of prefix and a pointer (8). */
export const stringItemBytes = 16
export const stringInlineBytesMax = 12

/**
 * Two strings whose heap bytes lie less than this apart lie in adjacent memory pages at most, both of which hold bytes of
 * a live string. So everything between them is mapped, and one native call can cover both.
 */
const gapBytesMax = 4_000

/**
 * The bytes of long strings of one vector. A native call per string costs about 1 us; a chunk's strings mostly lie one
 * after the other, so runs of neighbours are fetched by one call.
 */
export class StringHeap {
  readonly #runOfRow: Int32Array
  readonly #startInRun: Int32Array
  readonly #runs: Uint8Array[] = []

  constructor(raw: RawVector, rowCount: number) {
    this.#runOfRow = new Int32Array(rowCount)
    this.#startInRun = new Int32Array(rowCount)
    let firstRow = -1
    let runAddress = 0
    let runEnd = 0
    for (let row = 0; row < rowCount; row++) {
      if (!isValid(raw.validity, row)) continue
      const item = row * stringItemBytes
      const length = raw.view.getUint32(item, true)
      if (length <= stringInlineBytesMax) continue
      const address = pointerAt(raw.view, item + 8)
      if (firstRow === -1 || address < runAddress || address - runEnd > gapBytesMax) {
        if (firstRow !== -1) this.#close(raw, firstRow, runEnd - runAddress)
        firstRow = row
        runAddress = address
        runEnd = address
      }
      this.#runOfRow[row] = this.#runs.length
      this.#startInRun[row] = address - runAddress
      runEnd = Math.max(runEnd, address + length)
    }
    if (firstRow !== -1) this.#close(raw, firstRow, runEnd - runAddress)
  }

  run(row: number): Uint8Array {
    return this.#runs[this.#runOfRow[row] ?? 0] ?? empty
  }

  start(row: number): number {
    return this.#startInRun[row] ?? 0
  }

  #close(raw: RawVector, firstRow: number, byteCount: number): void {
    const pointerOffset = raw.data.byteOffset + firstRow * stringItemBytes + 8
    this.#runs.push(
      duckdb.get_data_from_pointer(raw.data.buffer as ArrayBuffer, pointerOffset, byteCount),
    )
  }
}

const empty = new Uint8Array(0)

/** Addresses of user space have at most 47 bits (48 on some systems): exact as a number. */
function pointerAt(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * 4_294_967_296 + view.getUint32(offset, true)
}
