import {
  type DuckDBDataChunk,
  type DuckDBType,
  DuckDBTypeId,
  type DuckDBValue,
  type DuckDBVector,
} from "@duckdb/node-api"
import { GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"
import { type ColumnEncoder, writeNull } from "./encode-column.ts"
import { ByteSink } from "./encode-sink.ts"
import {
  itemsOf,
  jsonText,
  type ValueStyle,
  writeValueBinary,
  writeValueText,
} from "./encode-value.ts"
import { arrayOidOf, innermostType, isListType, PgOid, pgTypeOf } from "./type-map.ts"

const scratchBytes = 256

/** Base of the encoders that go through the driver's objects; slower by an order of magnitude, and rarely asked for. */
abstract class ObjectColumn implements ColumnEncoder {
  #vector: DuckDBVector | undefined

  load(chunk: DuckDBDataChunk, column: number): void {
    this.#vector = chunk.getColumnVector(column)
  }

  write(sink: ByteSink, row: number): void {
    const value: DuckDBValue | undefined = this.#vector?.getItem(row)
    if (value === null || value === undefined) {
      writeNull(sink)
      return
    }
    sink.ensure(4)
    const start = sink.offset
    sink.offset += 4
    this.value(sink, value)
    sink.buffer.writeInt32BE(sink.offset - start - 4, start)
  }

  protected abstract value(sink: ByteSink, value: NonNullable<DuckDBValue>): void
}

/** Scalars without an encoder of their own, lists as PostgreSQL arrays, everything else as json. */
export class ValueColumn extends ObjectColumn {
  readonly #type: DuckDBType
  readonly #elementType: DuckDBType
  readonly #elementOid: number
  readonly #isArray: boolean
  readonly #isJson: boolean
  readonly #style: ValueStyle
  readonly #isBinary: boolean
  readonly #scratch = new ByteSink(scratchBytes)

  constructor(type: DuckDBType, isBinary: boolean, style: ValueStyle) {
    super()
    this.#type = type
    this.#elementType = innermostType(type)
    this.#elementOid = pgTypeOf(this.#elementType).oid
    this.#isArray = isListType(type) && arrayOidOf.has(this.#elementOid)
    this.#isJson = pgTypeOf(type).oid === PgOid.Json
    this.#isBinary = isBinary
    this.#style = style
  }

  protected value(sink: ByteSink, value: NonNullable<DuckDBValue>): void {
    if (this.#isArray) {
      if (this.#isBinary) this.#arrayBinary(sink, value)
      else sink.utf8(this.#arrayText(value))
    } else if (this.#isJson) sink.utf8(jsonText(value, (scalar) => this.#text(scalar)))
    else if (this.#isBinary) writeValueBinary(sink, value, this.#elementOid)
    else writeValueText(sink, value, this.#type.typeId, this.#style)
  }

  #text(value: NonNullable<DuckDBValue>): string {
    const scratch = this.#scratch
    scratch.offset = 0
    writeValueText(scratch, value, this.#elementType.typeId, this.#style)
    return scratch.buffer.toString("utf8", 0, scratch.offset)
  }

  /** array_out (arrayfuncs.c). */
  #arrayText(value: NonNullable<DuckDBValue>): string {
    const items = itemsOf(value) ?? []
    const parts = items.map((item) => {
      if (item === null) return "NULL"
      if (itemsOf(item) !== undefined) return this.#arrayText(item)
      if (this.#elementOid === PgOid.Json) {
        return quoted(jsonText(item, (scalar) => this.#text(scalar)))
      }
      const text = this.#text(item)
      return needsQuotes(text) ? quoted(text) : text
    })
    return `{${parts.join(",")}}`
  }

  /** array_send: dimensions, a flag for nulls, the element's type, then a length and a lower bound per dimension. */
  #arrayBinary(sink: ByteSink, value: NonNullable<DuckDBValue>): void {
    const dimensions = dimensionsOf(value)
    const leaves: DuckDBValue[] = []
    gatherLeaves(value, dimensions, 0, leaves)
    sink.ensure(12 + 8 * dimensions.length)
    const isEmpty = leaves.length === 0
    sink.offset = sink.buffer.writeInt32BE(isEmpty ? 0 : dimensions.length, sink.offset)
    sink.offset = sink.buffer.writeInt32BE(leaves.includes(null) ? 1 : 0, sink.offset)
    sink.offset = sink.buffer.writeInt32BE(this.#elementOid, sink.offset)
    if (isEmpty) return
    for (const length of dimensions) {
      sink.offset = sink.buffer.writeInt32BE(length, sink.offset)
      sink.offset = sink.buffer.writeInt32BE(1, sink.offset)
    }
    for (const leaf of leaves) {
      if (leaf === null) {
        writeNull(sink)
        continue
      }
      sink.ensure(4)
      const start = sink.offset
      sink.offset += 4
      if (this.#elementOid === PgOid.Json) sink.utf8(jsonText(leaf, (scalar) => this.#text(scalar)))
      else writeValueBinary(sink, leaf, this.#elementOid)
      sink.buffer.writeInt32BE(sink.offset - start - 4, start)
    }
  }
}

function needsQuotes(text: string): boolean {
  return text === "" || /[{}",\\\s]/.test(text) || text.toUpperCase() === "NULL"
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
}

function dimensionsOf(value: DuckDBValue): number[] {
  const dimensions: number[] = []
  let level = itemsOf(value)
  while (level !== undefined) {
    dimensions.push(level.length)
    const first = level.find((item) => item !== null)
    level = first === undefined ? undefined : itemsOf(first)
  }
  return dimensions
}

function gatherLeaves(
  value: DuckDBValue,
  dimensions: readonly number[],
  depth: number,
  leaves: DuckDBValue[],
): void {
  const items = itemsOf(value)
  if (depth === dimensions.length) {
    leaves.push(value)
    return
  }
  // DuckDB's lists may be ragged, PostgreSQL's arrays may not; its text form can show them all the same.
  if (items === undefined || items.length !== dimensions[depth]) throw raggedArray()
  for (const item of items) gatherLeaves(item, dimensions, depth + 1, leaves)
}

function raggedArray(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: "multidimensional arrays must have sub-arrays with matching dimensions",
    hint: "Ask for the column in text format, or cast it to json.",
  })
}

/** PostgreSQL's text for a NULL of unknown type is a NULL of type text: no value is ever written. */
export class NullColumn implements ColumnEncoder {
  load(): void {}

  write(sink: ByteSink): void {
    writeNull(sink)
  }
}

export const isNullType = (type: DuckDBType): boolean => type.typeId === DuckDBTypeId.SQLNULL
