import type { TextRow } from "./text-rows.ts"

/**
 * What tells whether the catalogue is still the one that was read. A row version of a table is known by its place and the
 * transaction that wrote it (`ctid`, `xmin`; PostgreSQL manual, 5.6): whoever inserts, updates or deletes a row of these tables changes
 * the set of visible versions, and VACUUM changes nothing that is read here. Looking at them costs 2 ms where reading them costs
 * 10 ms and as much again of the event loop. The server's start is part of it: behind a failover or a restored backup the same transaction
 * number may have written something else.
 */
const catalogTables = [
  "pg_namespace",
  "pg_class",
  "pg_attribute",
  "pg_type",
  "pg_range",
  "pg_inherits",
  "pg_proc",
  "pg_language",
  "pg_operator",
  "pg_cast",
  "pg_constraint",
  "pg_trigger",
  "pg_rewrite",
  // Named in the text of a view's definition.
  "pg_collation",
  "pg_ts_config",
  "pg_ts_dict",
] as const

type CatalogTable = (typeof catalogTables)[number]

/** Its functions for hashing rows and combining hashes are there from this version on. */
const serverVersionMin = 14

/** One statement, so that all tables are looked at in one snapshot. */
export const fingerprintSql = `${catalogTables
  .map(
    (table) => `SELECT '${table}' AS name, pg_catalog.concat(pg_catalog.count(*), ' ',
  pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(t.ctid, t.xmin), 0))) AS value
FROM pg_catalog.${table} t`,
  )
  .join("\nUNION ALL\n")}
UNION ALL
SELECT 'server', pg_catalog.concat(d.oid, ' ', pg_catalog.pg_postmaster_start_time())
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`

export type CatalogFingerprint = ReadonlyMap<string, string>

export function canFingerprint(serverVersion: string): boolean {
  return Number.parseInt(serverVersion, 10) >= serverVersionMin
}

export function addFingerprint(into: Map<string, string>, [name, value]: TextRow): void {
  if (name != null && value != null) into.set(name, value)
}

/** True when none of the tables has changed; all of them when none is named. A part that is missing has changed. */
export function isSameCatalog(
  before: CatalogFingerprint | undefined,
  now: CatalogFingerprint | undefined,
  tables: readonly CatalogTable[] = catalogTables,
): boolean {
  if (before === undefined || now === undefined) return false
  return ["server", ...tables].every((name) => {
    const value = now.get(name)
    return value !== undefined && value === before.get(name)
  })
}
