import { GatewayError } from "../core/errors.ts"
import type { SettingsView } from "../core/settings.ts"
import { SqlState } from "../core/sql-state.ts"
import { computesWithSettings } from "../pipeline/setting-dependence.ts"
import { readRowDescription } from "../wire/rows.ts"
import type { Portal } from "./named-objects.ts"

/**
 * PostgreSQL prints the rows of a cursor or of a suspended portal with the settings that hold when they are fetched; here they are
 * kept as they were printed when the statement ran. These settings change the text of rows, and the text of these types only
 * (OIDs of pg_type.dat), their arrays, ranges and what is made of them.
 */
const typesBySetting: ReadonlyMap<string, ReadonlySet<number>> = new Map([
  ["timezone", new Set([1184, 1185, 3910, 3911, 4534, 6153])],
  [
    "datestyle",
    new Set([
      1082, 1182, 1114, 1115, 1184, 1185, 3908, 3909, 3910, 3911, 3912, 3913, 4533, 4534, 4535,
      6152, 6153, 6155,
    ]),
  ],
  ["intervalstyle", new Set([1186, 1187])],
  [
    "extra_float_digits",
    new Set([
      700, 701, 1021, 1022, 600, 1017, 601, 1018, 602, 1019, 603, 1020, 604, 1027, 628, 629, 718,
      719,
    ]),
  ],
  ["bytea_output", new Set([17, 1001])],
])

/** Types of an extension or of a user's (FirstNormalObjectId, transam.h), and records: what is inside them is not known. */
const userTypeOidMin = 16_384
const recordTypes: ReadonlySet<number> = new Set([2249, 2287])

/** Settings that print rows and differ between the two; nearly always none. */
export function changedSettings(then: SettingsView, now: SettingsView): readonly string[] {
  if (then.bytesDigest === now.bytesDigest) return none
  return [...typesBySetting.keys()].filter((name) => then.values.get(name) !== now.values.get(name))
}

const none: readonly string[] = []

/** True when a column is sent as text that one of the settings may change. Binary rows are the same under all of them. */
export function printsWith(changed: readonly string[], description: Buffer | undefined): boolean {
  if (description === undefined || changed.length === 0) return false
  return readRowDescription(description).some(
    ({ format, typeOid }) =>
      format === 0 &&
      (typeOid >= userTypeOidMin ||
        recordTypes.has(typeOid) ||
        changed.some((name) => typesBySetting.get(name)?.has(typeOid) === true)),
  )
}

/** Throws 0A000 for a portal whose further rows PostgreSQL would show otherwise than they were made. */
export function checkRowSettings(portal: Portal, now: SettingsView): void {
  if (portal.run === undefined || portal.isFinished) return
  const changed = changedSettings(portal.run.settings, now)
  const { statement } = portal.prepared
  if (changed.length === 0 || statement === undefined) return
  // A command's rows are made when it runs.
  if (statement.class.kind !== "read" && statement.class.kind !== "execute") return
  const isPrinted = printsWith(changed, portal.run.outcome.result.description)
  if (isPrinted || computesWithSettings(statement)) throw settingsChanged(portal.name, changed)
}

export function settingsChanged(name: string, changed: readonly string[]): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "row_settings_changed",
    message: `cursor "${name}" cannot go on after a change of ${changed.join(", ")}`,
    detail: "Its rows were made before the change and would be shown as they were then.",
    hint: "Set it before the statement runs, or back to what it was.",
  })
}
