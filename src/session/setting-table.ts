import type { SettingsView } from "../core/settings.ts"
import type { IsolationLevel } from "../core/statement.ts"
import {
  booleanValue,
  cannotBeChanged,
  dateStyleValue,
  durationMs,
  durationText,
  enumValue,
  integerValue,
  messageLevels,
  printableAscii,
  quoteIdentifier,
  splitIdentifiers,
  takesOneArgument,
  timeZoneName,
} from "./setting-values.ts"

/**
 * The settings that a session has: an allow-list. They are virtual: a warehouse connection learns of them when it is leased.
 *
 * - `bytes`: changes result bytes; replayed on the warehouse and part of every cache key.
 * - `replayed`: changes how the warehouse runs a statement, not what it answers.
 * - `local`: the gateway's own business, or accepted because its only supported value is asked for.
 */
export type SettingScope = "bytes" | "replayed" | "local"

export type SettingRule = {
  /** PostgreSQL's spelling, as SHOW labels the column and ParameterStatus reports it. */
  readonly name: string
  readonly scope: SettingScope
  readonly initial: string
  /** Reported by ParameterStatus when it changes (GUC_REPORT). */
  readonly isReported: boolean
  /** Validated by the engine itself where it can (names of time zones are the warehouse's data). */
  readonly isCheckedByEngine: boolean
  /** True for what a warehouse session of the client's own must be told; false for fixed values and for the gateway's own settings. */
  readonly isTold: boolean
  /** Values as written in SET, in order, to the canonical value. Throws PostgreSQL's error. */
  canonical(values: readonly string[], current: SettingsView): string
}

function single(name: string, check: (value: string, current: SettingsView) => string) {
  return (values: readonly string[], current: SettingsView): string => {
    const [value, ...more] = values
    if (value === undefined || more.length > 0) throw takesOneArgument(name.toLowerCase())
    return check(value, current)
  }
}

function rule(
  name: string,
  scope: SettingScope,
  initial: string,
  check: (value: string, current: SettingsView) => string,
): SettingRule {
  return {
    name,
    scope,
    initial,
    isReported: false,
    isCheckedByEngine: false,
    isTold: !name.startsWith("sluice."),
    canonical: single(name, check),
  }
}

function boolean(name: string, scope: SettingScope, initial: "on" | "off"): SettingRule {
  return rule(name, scope, initial, (value) => booleanValue(name, value))
}

function duration(name: string, initial = "0"): SettingRule {
  return rule(name, "local", initial, (value) => durationText(durationMs(name, value)))
}

/** A setting that exists in one value only: asking for that one is accepted, anything else refused by name. */
function fixed(name: string, initial: string, isSame: (value: string) => boolean): SettingRule {
  const fixedRule = rule(name, "local", initial, (value) => {
    if (isSame(value)) return initial
    throw cannotBeChanged(name, initial)
  })
  return { ...fixedRule, isTold: false }
}

const isolationLevels = ["serializable", "repeatable read", "read committed", "read uncommitted"]

const isUtf8 = (value: string): boolean => /^'?(utf-?8|unicode)'?$/i.test(value.trim())
const isOn = (value: string): boolean => /^(on|true|yes|1)$/i.test(value.trim())

/** search_path as SHOW prints it. A number stands in it as it was written (flatten_set_variable_args, guc_funcs.c). */
export function pathText(
  values: readonly string[],
  isNumber: (index: number) => boolean = () => false,
): string {
  return values
    .map((value, index) => (value === "" ? '""' : isNumber(index) ? value : quoteIdentifier(value)))
    .join(", ")
}

/** A level that `name` may have. */
export function isolationValue(name: string, value: string): IsolationLevel {
  return enumValue(name, value, isolationLevels) as IsolationLevel
}

const rules: readonly SettingRule[] = [
  {
    ...rule("search_path", "bytes", '"$user", public', (value) => value),
    // One list argument an element; a single string may hold a list itself only through set_config and startup options.
    canonical: (values) => pathText(values),
  },
  {
    ...rule("TimeZone", "bytes", "UTC", (value) => timeZoneName(value)),
    isReported: true,
    isCheckedByEngine: true,
  },
  {
    ...rule("DateStyle", "bytes", "ISO, MDY", (value) => value),
    isReported: true,
    canonical: (values, current) =>
      dateStyleValue(values.join(", "), current.values.get("datestyle") ?? "ISO, MDY"),
  },
  {
    ...rule("IntervalStyle", "bytes", "postgres", (value) =>
      enumValue("IntervalStyle", value, [
        "postgres",
        "postgres_verbose",
        "sql_standard",
        "iso_8601",
      ]),
    ),
    isReported: true,
  },
  rule("extra_float_digits", "bytes", "1", (value) =>
    integerValue("extra_float_digits", value, { min: -15, max: 3 }),
  ),
  rule("bytea_output", "bytes", "hex", (value) =>
    enumValue("bytea_output", value, ["escape", "hex"]),
  ),
  ...["enable_hashagg", "enable_hashjoin", "enable_mergejoin", "enable_nestloop"].map((name) =>
    boolean(name, "replayed", "on"),
  ),
  ...["enable_indexscan", "enable_seqscan", "enable_sort", "geqo"].map((name) =>
    boolean(name, "replayed", "on"),
  ),
  boolean("jit", "replayed", "on"),
  duration("statement_timeout"),
  duration("lock_timeout"),
  duration("idle_in_transaction_session_timeout"),
  duration("idle_session_timeout"),
  {
    ...rule("application_name", "local", "", printableAscii),
    isReported: true,
  },
  rule("client_min_messages", "local", "notice", (value) =>
    enumValue("client_min_messages", value, messageLevels),
  ),
  { ...fixed("client_encoding", "UTF8", isUtf8), isReported: true },
  { ...fixed("standard_conforming_strings", "on", isOn), isReported: true },
  fixed("row_security", "on", isOn),
  { ...fixed("default_transaction_read_only", "on", isOn), isReported: true },
  fixed("transaction_read_only", "on", isOn),
  boolean("default_transaction_deferrable", "local", "off"),
  rule("default_transaction_isolation", "local", "read committed", (value) =>
    isolationValue("default_transaction_isolation", value),
  ),
  rule("sluice.cache", "local", "on", (value) =>
    enumValue("sluice.cache", value, ["on", "off", "refresh", "only"]),
  ),
  boolean("sluice.stale_notice", "local", "off"),
]

const byName: ReadonlyMap<string, SettingRule> = new Map(
  rules.map((entry) => [entry.name.toLowerCase(), entry]),
)

/** Settings are matched without regard to case, as in PostgreSQL. */
export function settingRule(name: string): SettingRule | undefined {
  return byName.get(name.toLowerCase())
}

export function allSettings(): readonly SettingRule[] {
  return rules
}

/** One string that stands for the whole right-hand side: set_config() and startup options. */
export function valuesOfText(entry: SettingRule, text: string): readonly string[] {
  return entry.name === "search_path" ? splitIdentifiers(entry.name, text) : [text]
}
