/**
 * Values of session settings as one immutable view. A session makes a new one at every change, so that identity of the
 * object is identity of the settings: memo tables may key on it.
 */
export type SettingsView = {
  /** All settings that may be replayed on a warehouse session, by PostgreSQL's canonical lower-case name. */
  readonly values: ReadonlyMap<string, string>
  /** search_path as a list of schema names, `"$user"` already resolved, unquoted. */
  readonly searchPath: readonly string[]
  /** Digest over the settings that change result bytes: search_path, TimeZone, DateStyle, IntervalStyle, extra_float_digits, bytea_output and the like. */
  readonly bytesDigest: string
}
