import { type FormatCode, noParameters, type Parameters } from "../../../src/core/parameters.ts"
import type { SettingsView } from "../../../src/core/settings.ts"
import type { Emitted } from "../../../src/core/statement.ts"
import { emitTree, emitUnchanged } from "../../../src/sql/emit.ts"
import { parseText } from "../../../src/sql/parser.ts"
import type { DuckdbAdapter } from "../../../src/warehouse/duckdb/adapter.ts"
import type { DuckdbOptions } from "../../../src/warehouse/duckdb/client.ts"
import type { WarehouseConnection } from "../../../src/warehouse/warehouse.ts"

export const memoryOptions: DuckdbOptions = {
  path: ":memory:",
  mode: "owned",
  threads: 1,
  memoryBytesMax: 0,
  idleCloseMs: 50,
  burstMsMax: 60_000,
  burstGapMs: 50,
  lockWaitMsMax: 10_000,
}

export function settingsOf(
  values: Readonly<Record<string, string>> = {},
  searchPath: readonly string[] = ["main"],
): SettingsView {
  return { values: new Map(Object.entries(values)), searchPath, bytesDigest: "" }
}

export const never: AbortSignal = new AbortController().signal

export type Column = { readonly name: string; readonly oid: number }
export type Answer = {
  readonly columns: readonly Column[]
  /** Values as text, or in binary format as hexadecimal digits. */
  readonly rows: readonly (readonly (string | null)[])[]
  readonly tag: string
  readonly batchCount: number
}

export type Ask = {
  readonly settings?: SettingsView
  readonly parameters?: Parameters
  readonly formats?: readonly FormatCode[]
  readonly statementTimeoutMs?: number
  readonly signal?: AbortSignal
}

/** What the pipeline does: parse, adapt, emit with proof. */
export function prepared(adapter: DuckdbAdapter, sql: string, parameters?: Parameters): Emitted {
  const [statement] = parseText(sql)
  if (statement === undefined) throw new Error("no statement")
  const tree = adapter.adapt(statement.ast, parameters)
  return tree === undefined ? emitUnchanged(statement) : emitTree(tree)
}

/** Runs PostgreSQL's SQL through the dialect. */
export async function ask(
  adapter: DuckdbAdapter,
  connection: WarehouseConnection,
  sql: string,
  how: Ask = {},
): Promise<Answer> {
  return send(connection, prepared(adapter, sql, how.parameters), how)
}

/** Runs DuckDB's SQL as it is. */
export async function askDuckdb(
  connection: WarehouseConnection,
  sql: string,
  how: Ask = {},
): Promise<Answer> {
  return send(connection, { text: sql, ast: {}, keepsPositions: true }, how)
}

async function send(
  connection: WarehouseConnection,
  statement: Emitted,
  how: Ask,
): Promise<Answer> {
  const rows: (string | null)[][] = []
  let batchCount = 0
  const stream = await connection.run({
    statement,
    parameters: how.parameters ?? noParameters,
    resultFormats: how.formats ?? [],
    protocol: "simple",
    settings: how.settings ?? settingsOf(),
    statementTimeoutMs: how.statementTimeoutMs ?? 0,
    signal: how.signal ?? never,
  })
  const encoding = how.formats?.[0] === 1 ? "hex" : "utf8"
  for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
    batchCount++
    rows.push(...readRows(batch.bytes, encoding))
  }
  const columns = stream.description === undefined ? [] : readColumns(stream.description)
  return { columns, rows, tag: stream.completion.tag, batchCount }
}

export function readRows(bytes: Buffer, encoding: "hex" | "utf8"): (string | null)[][] {
  const rows: (string | null)[][] = []
  let offset = 0
  while (offset < bytes.length) {
    const row: (string | null)[] = []
    let at = offset + 7
    for (let left = bytes.readInt16BE(offset + 5); left > 0; left--) {
      const length = bytes.readInt32BE(at)
      at += 4
      row.push(length < 0 ? null : bytes.toString(encoding, at, at + length))
      at += Math.max(0, length)
    }
    rows.push(row)
    offset += 1 + bytes.readInt32BE(offset + 1)
  }
  return rows
}

export function readColumns(description: Buffer): Column[] {
  const columns: Column[] = []
  let at = 7
  for (let left = description.readInt16BE(5); left > 0; left--) {
    const end = description.indexOf(0, at)
    columns.push({
      name: description.toString("utf8", at, end),
      oid: description.readUInt32BE(end + 7),
    })
    at = end + 19
  }
  return columns
}
