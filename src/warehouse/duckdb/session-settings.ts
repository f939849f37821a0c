import type { DuckDBConnection } from "@duckdb/node-api"
import { GatewayError } from "../../core/errors.ts"
import type { SettingsView } from "../../core/settings.ts"
import { SqlState } from "../../core/sql-state.ts"
import { duckdbZoneName } from "./time-zone.ts"

/**
 * DuckDB looks for an unqualified name in temp, then along the search path, then in main. The catalogue reader tells
 * the gateway that main comes first; so it is put first here, and both resolve every name alike.
 */
export const alwaysSearchedSchema = "main"

const zoneOf = (settings: SettingsView): string => settings.values.get("timezone") ?? "UTC"

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Replays what DuckDB itself has to know; styles of output are the encoders' own business. The settings now in force. */
export async function applySettings(
  duck: DuckDBConnection,
  settings: SettingsView,
  applied: SettingsView | undefined,
): Promise<SettingsView> {
  if (settings === applied) return settings
  if (applied === undefined || zoneOf(applied) !== zoneOf(settings)) {
    await setTimeZone(duck, zoneOf(settings))
  }
  const path = searchPath(settings)
  if (applied === undefined || searchPath(applied).join("\0") !== path.join("\0")) {
    await setSearchPath(duck, path)
  }
  return settings
}

async function setTimeZone(duck: DuckDBConnection, name: string): Promise<void> {
  const zone = duckdbZoneName(name)
  if (zone === undefined || /\0/.test(zone)) throw unknownZone(name)
  try {
    await duck.run(`SET TimeZone = ${literal(zone)}`)
  } catch (cause) {
    throw unknownZone(name, cause)
  }
}

/** The name as it may stand in the session's settings; DuckDB's own list of zones decides. */
export async function checkTimeZone(duck: DuckDBConnection, name: string): Promise<string> {
  await setTimeZone(duck, name)
  return name
}

function unknownZone(name: string, cause?: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: `invalid value for parameter "TimeZone": "${name}"`,
    ...(cause === undefined ? {} : { cause }),
  })
}

function searchPath(settings: SettingsView): readonly string[] {
  return [
    alwaysSearchedSchema,
    ...settings.searchPath.filter((schema) => schema !== alwaysSearchedSchema),
  ]
}

/** PostgreSQL passes over schemas that do not exist, DuckDB refuses the whole path. */
async function setSearchPath(duck: DuckDBConnection, path: readonly string[]): Promise<void> {
  const reader = await duck.runAndReadAll(
    "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()",
  )
  const existing = new Set(reader.getRows().map(([name]) => String(name).toLowerCase()))
  const found = path.filter((schema) => existing.has(schema.toLowerCase()))
  const list = found.map((schema) => `"${schema.replaceAll('"', '""')}"`).join(",")
  await duck.run(`SET search_path = ${literal(list)}`)
}
