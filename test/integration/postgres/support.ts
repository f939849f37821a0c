import { ok } from "node:assert/strict"
import type { GatewayError } from "../../../src/core/errors.ts"
import { GatewayError as GatewayErrorClass } from "../../../src/core/errors.ts"
import { noParameters, type Parameters } from "../../../src/core/parameters.ts"
import type { RowStream } from "../../../src/core/result.ts"
import type { SettingsView } from "../../../src/core/settings.ts"
import { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import type { ConnectionLimits } from "../../../src/warehouse/postgres/connection-limits.ts"
import { decodeRows, type TextRow } from "../../../src/warehouse/postgres/text-rows.ts"
import type { RunRequest, WarehouseConnection } from "../../../src/warehouse/warehouse.ts"

export const never = new AbortController().signal

export function settings(values: Record<string, string> = {}): SettingsView {
  return { values: new Map(Object.entries(values)), searchPath: [], bytesDigest: "" }
}

export const noSettings = settings()

export function request(text: string, changes: Partial<RunRequest> = {}): RunRequest {
  return {
    statement: { text, ast: {}, keepsPositions: true },
    parameters: noParameters,
    resultFormats: [],
    protocol: "simple",
    settings: noSettings,
    statementTimeoutMs: 0,
    signal: never,
    ...changes,
  }
}

export function textParameters(...values: (string | null)[]): Parameters {
  return {
    types: [],
    formats: [],
    values: values.map((value) => (value === null ? null : Buffer.from(value))),
  }
}

export async function readAll(stream: RowStream): Promise<TextRow[]> {
  const rows: TextRow[] = []
  for (;;) {
    const batch = await stream.next()
    if (batch === undefined) return rows
    decodeRows(batch, (row) => rows.push(row))
  }
}

/** Runs and reads to the end; the rows as text. */
export async function rowsOf(
  connection: WarehouseConnection,
  text: string,
  changes: Partial<RunRequest> = {},
): Promise<TextRow[]> {
  const stream = await connection.run(request(text, changes))
  return readAll(stream)
}

export function adapterOf(uri: string, limits: Partial<ConnectionLimits> = {}): PostgresAdapter {
  return new PostgresAdapter({ name: "main", uri, connectTimeoutMs: 5_000, limits })
}

/** The GatewayError that the promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<GatewayError> {
  try {
    await promise
  } catch (error) {
    ok(error instanceof GatewayErrorClass, `not a GatewayError: ${String(error)}`)
    return error
  }
  throw new Error("it did not reject")
}

/** Waits until the condition holds; fails loudly when it never does. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error("the condition never came true")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
