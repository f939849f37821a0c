import {
  type DuckDBDataChunk,
  type DuckDBEnumType,
  type DuckDBType,
  DuckDBTypeId,
} from "@duckdb/node-api"
import { GatewayError } from "../../core/errors.ts"
import { batchBytesTarget } from "../../core/limits.ts"
import type { FormatCode } from "../../core/parameters.ts"
import type { RowBatch } from "../../core/result.ts"
import type { SettingsView } from "../../core/settings.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { ColumnEncoder } from "./encode-column.ts"
import { DateColumn, IntervalColumn, TimeColumn, TimestampColumn } from "./encode-datetime.ts"
import { isNullType, NullColumn, ValueColumn } from "./encode-nested.ts"
import { BigIntColumn, BoolColumn, FloatColumn, IntColumn } from "./encode-number.ts"
import { DecimalColumn } from "./encode-numeric.ts"
import { ByteSink } from "./encode-sink.ts"
import { BytesColumn, EnumColumn, UuidColumn } from "./encode-text.ts"
import type { ValueStyle } from "./encode-value.ts"
import { ZoneOffsets } from "./time-zone.ts"
import { isDecimalType } from "./type-map.ts"

/** How the session wants values spelled. Throws 0A000 for spellings that only PostgreSQL's own output knows. */
export function valueStyle(settings: SettingsView): ValueStyle {
  const dateStyle = settings.values.get("datestyle") ?? "ISO, MDY"
  if (!/^iso\b/i.test(dateStyle)) throw unsupportedStyle("DateStyle", dateStyle, "ISO")
  const intervalStyle = settings.values.get("intervalstyle") ?? "postgres"
  if (intervalStyle !== "postgres") {
    throw unsupportedStyle("IntervalStyle", intervalStyle, "postgres")
  }
  return {
    zone: new ZoneOffsets(settings.values.get("timezone") ?? "UTC"),
    bytea: settings.values.get("bytea_output") === "escape" ? "escape" : "hex",
    extraFloatDigits: Number(settings.values.get("extra_float_digits") ?? "1"),
  }
}

function unsupportedStyle(name: string, value: string, supported: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: `${name} "${value}" is not supported by this warehouse`,
    hint: `SET ${name} = '${supported}'.`,
    safeToRetry: true,
  })
}

function decimalItemBytes(width: number): 2 | 4 | 8 | 16 {
  if (width <= 4) return 2
  if (width <= 9) return 4
  return width <= 18 ? 8 : 16
}

function isEnum(type: DuckDBType): type is DuckDBEnumType {
  return type.typeId === DuckDBTypeId.ENUM
}

function columnEncoder(type: DuckDBType, format: FormatCode, style: ValueStyle): ColumnEncoder {
  const isBinary = format === 1
  if (isNullType(type)) return new NullColumn()
  if (isEnum(type)) return new EnumColumn(type.values)
  if (isDecimalType(type)) {
    const itemBytes = decimalItemBytes(type.width)
    return new DecimalColumn({ itemBytes, isUnsigned: false, scale: type.scale, isBinary })
  }
  const integer = (itemBytes: 1 | 2 | 4, isUnsigned: boolean, binaryBytes: number): IntColumn =>
    new IntColumn(itemBytes, isUnsigned, isBinary ? binaryBytes : 0)
  const numeric = (itemBytes: 8 | 16, isUnsigned: boolean): DecimalColumn =>
    new DecimalColumn({ itemBytes, isUnsigned, scale: 0, isBinary })
  const float = (isSingle: boolean): FloatColumn =>
    new FloatColumn({ isBinary, isSingle, extraFloatDigits: style.extraFloatDigits })
  // The rest (rare scalars, lists, structs) goes through the driver's objects.
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check
  switch (type.typeId) {
    case DuckDBTypeId.BOOLEAN:
      return new BoolColumn(isBinary)
    case DuckDBTypeId.TINYINT:
      return integer(1, false, 2)
    case DuckDBTypeId.UTINYINT:
      return integer(1, true, 2)
    case DuckDBTypeId.SMALLINT:
      return integer(2, false, 2)
    case DuckDBTypeId.USMALLINT:
      return integer(2, true, 4)
    case DuckDBTypeId.INTEGER:
      return integer(4, false, 4)
    case DuckDBTypeId.UINTEGER:
      return integer(4, true, 8)
    case DuckDBTypeId.BIGINT:
      return new BigIntColumn(isBinary)
    case DuckDBTypeId.UBIGINT:
      return numeric(8, true)
    case DuckDBTypeId.HUGEINT:
      return numeric(16, false)
    case DuckDBTypeId.UHUGEINT:
      return numeric(16, true)
    case DuckDBTypeId.FLOAT:
      return float(true)
    case DuckDBTypeId.DOUBLE:
      return float(false)
    case DuckDBTypeId.VARCHAR:
      return new BytesColumn(undefined)
    case DuckDBTypeId.BLOB:
      return new BytesColumn(isBinary ? undefined : style.bytea)
    case DuckDBTypeId.UUID:
      return new UuidColumn(isBinary)
    case DuckDBTypeId.DATE:
      return new DateColumn(isBinary)
    case DuckDBTypeId.TIME:
      return new TimeColumn(isBinary)
    case DuckDBTypeId.TIMESTAMP:
      return new TimestampColumn(isBinary, undefined)
    case DuckDBTypeId.TIMESTAMP_TZ:
      return new TimestampColumn(isBinary, style.zone)
    case DuckDBTypeId.INTERVAL:
      return new IntervalColumn(isBinary)
    default:
      return new ValueColumn(type, isBinary, style)
  }
}

/** The format of each column by the rule of Bind (PostgreSQL manual, 54.7): none = text, one = all, else one each. */
export function columnFormat(formats: readonly FormatCode[], column: number): FormatCode {
  return (formats.length === 1 ? formats[0] : formats[column]) ?? 0
}

export type RowEncoderInit = {
  readonly types: readonly DuckDBType[]
  readonly formats: readonly FormatCode[]
  readonly style: ValueStyle
}

/** Columnar chunks to DataRow messages, a batch at a time: a batch of 64 KiB takes about 1 ms of the event loop. */
export class RowEncoder {
  readonly #columns: readonly ColumnEncoder[]
  readonly #sink = new ByteSink()
  #chunk: DuckDBDataChunk | undefined
  #rowCount = 0
  #nextRow = 0

  constructor({ types, formats, style }: RowEncoderInit) {
    this.#columns = types.map((type, column) =>
      columnEncoder(type, columnFormat(formats, column), style),
    )
  }

  /** True while rows of the chunk are left. */
  get hasRows(): boolean {
    return this.#nextRow < this.#rowCount
  }

  load(chunk: DuckDBDataChunk): void {
    this.#chunk = chunk
    this.#rowCount = chunk.rowCount
    this.#nextRow = 0
    for (const [index, column] of this.#columns.entries()) column.load(chunk, index)
  }

  /** Writes rows of the chunk until it ends or the open batch is full; the number of rows written. */
  fill(): number {
    const sink = this.#sink
    const columns = this.#columns
    const columnCount = columns.length
    const first = this.#nextRow
    let row = first
    while (row < this.#rowCount && sink.offset < batchBytesTarget) {
      sink.ensure(7)
      const start = sink.offset
      sink.buffer[start] = 0x44
      sink.buffer.writeInt16BE(columnCount, start + 5)
      sink.offset = start + 7
      for (let column = 0; column < columnCount; column++) columns[column]?.write(sink, row)
      sink.buffer.writeInt32BE(sink.offset - start - 1, start + 1)
      row++
    }
    this.#nextRow = row
    if (!this.hasRows) this.#chunk = undefined
    return row - first
  }

  get isBatchFull(): boolean {
    return this.#sink.offset >= batchBytesTarget
  }

  /** Closes the open batch. */
  take(rowCount: number): RowBatch {
    return { bytes: this.#sink.take(), rowCount }
  }

  /** True while views into a chunk's memory are in use. */
  get holdsChunk(): boolean {
    return this.#chunk !== undefined
  }
}
