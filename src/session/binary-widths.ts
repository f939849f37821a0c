import { GatewayError } from "../core/errors.ts"
import type { Parameters } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"

/** Bytes that the binary input of a type of one width reads (pg_type.dat: OID; the type's receive function: width). */
const widths: ReadonlyMap<number, number> = new Map([
  [16, 1],
  [18, 1],
  [20, 8],
  [21, 2],
  [23, 4],
  [26, 4],
  [700, 4],
  [701, 8],
  [1082, 4],
  [1083, 8],
  [1114, 8],
  [1184, 8],
  [1186, 16],
  [1266, 12],
  [2950, 16],
])

/**
 * What can be known of binary values without the warehouse: one of a wrong width is refused at Bind, as PostgreSQL does
 * (exec_bind_message, postgres.c). Parameters whose type nobody has named yet are the warehouse's to read.
 */
export function checkBinaryWidths({ types, formats, values }: Parameters, portal: string): void {
  if (!formats.includes(1)) return
  for (const [index, value] of values.entries()) {
    const format = formats.length === 1 ? formats[0] : formats[index]
    const width = widths.get(types[index] ?? 0)
    if (value === null || format !== 1 || width === undefined || value.length === width) continue
    throw wrongWidth({ width, isShort: value.length < width }, index + 1, portal)
  }
}

function wrongWidth(
  { width, isShort }: { readonly width: number; readonly isShort: boolean },
  number: number,
  portal: string,
): GatewayError {
  // pq_getmsgbyte has words of its own (pqformat.c).
  const tooShort = width === 1 ? "no data left in message" : "insufficient data left in message"
  const context = `${portal === "" ? "unnamed portal" : `portal "${portal}"`} parameter $${number}`
  return new GatewayError({
    sqlState: isShort ? SqlState.ProtocolViolation : SqlState.InvalidBinaryRepresentation,
    reason: "invalid_parameter",
    message: isShort ? tooShort : `incorrect binary data format in bind parameter ${number}`,
    fields: new Map([["W", context]]),
    safeToRetry: true,
  })
}
