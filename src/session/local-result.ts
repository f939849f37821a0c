import type { FormatCode } from "../core/parameters.ts"
import type { StoredResult } from "../core/result.ts"
import { type ColumnDescription, dataRow, rowDescription } from "../wire/backend-messages.ts"

/** Types of answers that the session makes itself (pg_type OIDs and lengths). */
const types = {
  bool: { oid: 16, size: 1 },
  text: { oid: 25, size: -1 },
  name: { oid: 19, size: 64 },
  int4: { oid: 23, size: 4 },
  int8: { oid: 20, size: 8 },
  void: { oid: 2278, size: 4 },
  float8: { oid: 701, size: 8 },
} as const

export type LocalColumn = { readonly name: string; readonly type: keyof typeof types }
export type LocalValue = string | number | null

function description(columns: readonly LocalColumn[], formats: readonly FormatCode[]): Buffer {
  return rowDescription(
    columns.map(
      (column, index): ColumnDescription => ({
        name: column.name,
        tableOid: 0,
        columnNumber: 0,
        typeOid: types[column.type].oid,
        typeSize: types[column.type].size,
        typeModifier: -1,
        format: formatOf(formats, index),
      }),
    ),
  )
}

/** Bind's rule: no codes = all text, one code = for all, otherwise one a column. */
function formatOf(formats: readonly FormatCode[], index: number): FormatCode {
  return (formats.length <= 1 ? formats[0] : formats[index]) ?? 0
}

function encode(value: LocalValue, type: keyof typeof types, format: FormatCode): Buffer | null {
  if (value === null) return null
  if (format === 0 || type === "text" || type === "name" || type === "void")
    return Buffer.from(String(value))
  if (type === "bool") return Buffer.from([value === "t" ? 1 : 0])
  const bytes = Buffer.alloc(type === "int4" ? 4 : 8)
  if (type === "int4") bytes.writeInt32BE(Number(value))
  else if (type === "int8") bytes.writeBigInt64BE(BigInt(value))
  else bytes.writeDoubleBE(Number(value))
  return bytes
}

/** A result made here, in the same shape as one from the cache. */
export function localResult(
  columns: readonly LocalColumn[],
  rows: readonly (readonly LocalValue[])[],
  options: { readonly tag: string; readonly formats: readonly FormatCode[] },
): StoredResult {
  const bytes = Buffer.concat(
    rows.map((row) =>
      dataRow(
        columns.map((column, index) =>
          encode(row[index] ?? null, column.type, formatOf(options.formats, index)),
        ),
      ),
    ),
  )
  return {
    description: description(columns, options.formats),
    batches: rows.length === 0 ? [] : [{ bytes, rowCount: rows.length }],
    rowCount: rows.length,
    byteCount: bytes.length,
    tag: options.tag,
  }
}

/** The answer of a command without rows. */
export function commandResult(tag: string): StoredResult {
  return { description: undefined, batches: [], rowCount: 0, byteCount: 0, tag }
}
