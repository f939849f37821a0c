import type { DuckDBConnection } from "@duckdb/node-api"
import { GatewayError } from "../../core/errors.ts"
import type { SettingsView } from "../../core/settings.ts"
import { SqlState } from "../../core/sql-state.ts"
import { duckdbZoneName } from "./time-zone.ts"

/**
 * Schemas that are searched before those of search_path, unless it lists them itself. DuckDB on its own looks for an
 * unqualified name in temp, along the search path, and at last in main and system; the catalogue reader gives this list
 * to the gateway, and `setSearchPath` gives DuckDB the same order, so that both resolve every name alike. What only
 * DuckDB's own last resort would find (main, when search_path does not list it) is unknown to the gateway and not cached.
 */
export const implicitSchemas: readonly string[] = ["pg_catalog"]

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
  const listed = settings.searchPath.filter((schema) => !schema.startsWith("pg_temp"))
  const names = new Set(listed.map((schema) => schema.toLowerCase()))
  return [...implicitSchemas.filter((schema) => !names.has(schema)), ...listed]
}

const systemSchemas = new Set(["pg_catalog", "information_schema"])
const plainName = /^[a-z_][a-z0-9_]*$/i

/** PostgreSQL passes over schemas that do not exist, DuckDB refuses the whole path. */
async function setSearchPath(duck: DuckDBConnection, path: readonly string[]): Promise<void> {
  const reader = await duck.runAndReadAll(
    "SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()",
  )
  const existing = new Set(reader.getRows().map(([name]) => String(name).toLowerCase()))
  const entries: string[] = []
  for (const schema of path) {
    const folded = schema.toLowerCase()
    // Without a catalogue in front: the first entry's catalogue is the one in which `schema.name` is looked up.
    if (systemSchemas.has(folded)) entries.push(folded)
    else if (existing.has(folded)) {
      entries.push(plainName.test(schema) ? schema : `"${schema.replaceAll('"', '""')}"`)
    }
  }
  try {
    await duck.run(`SET search_path = ${literal(entries.join(","))}`)
  } catch (cause) {
    // DuckDB 1.5.6 reads a quoted name only at the end of the list.
    throw new GatewayError({
      sqlState: SqlState.FeatureNotSupported,
      reason: "construct_unsupported",
      message: "the warehouse does not take this search_path",
      hint: "Put the schema whose name needs quotes last, or qualify its tables.",
      cause,
    })
  }
}
