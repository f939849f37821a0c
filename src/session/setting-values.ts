import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

/**
 * Input and output of setting values as PostgreSQL spells them (guc.c: parse_bool, parse_int with GUC_UNIT_MS, and the
 * check hooks of variable.c). Every function returns the canonical spelling or throws PostgreSQL's own error.
 */

export function invalidValue(name: string, value: string, hint?: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: `invalid value for parameter "${name}": "${value}"`,
    ...(hint === undefined ? {} : { hint }),
  })
}

function isPrefixOf(text: string, word: string, lettersMin: number): boolean {
  return text.length >= lettersMin && word.startsWith(text)
}

/** parse_bool (bool.c): unique prefixes of true, false, yes, no; on, off (two letters at least for `of`); 1, 0. */
export function booleanValue(name: string, value: string): string {
  const text = value.trim().toLowerCase()
  if (isPrefixOf(text, "true", 1) || isPrefixOf(text, "yes", 1) || text === "on" || text === "1")
    return "on"
  if (isPrefixOf(text, "false", 1) || isPrefixOf(text, "no", 1) || text === "0") return "off"
  if (isPrefixOf(text, "off", 2)) return "off"
  throw new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: `parameter "${name}" requires a Boolean value`,
  })
}

const millisecondsPer: Readonly<Record<string, number>> = {
  us: 0.001,
  ms: 1,
  s: 1000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Greatest value of an integer setting: INT_MAX, in the setting's base unit. */
const integerMax = 2_147_483_647

/** A duration in milliseconds (GUC_UNIT_MS): `60s`, `1min`, `500`, `1.5h`. */
export function durationMs(name: string, value: string): number {
  const match = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z]*)\s*$/i.exec(value)
  const unit = match?.[2] ?? ""
  const factor = unit === "" ? 1 : millisecondsPer[unit]
  if (match === null || factor === undefined)
    throw invalidValue(
      name,
      value,
      match === null
        ? undefined
        : 'Valid units for this parameter are "us", "ms", "s", "min", "h", and "d".',
    )
  const result = Math.round(Number(match[1]) * factor)
  if (Math.abs(result) > integerMax) throw invalidValue(name, value, "Value exceeds integer range.")
  if (result < 0)
    throw new GatewayError({
      sqlState: SqlState.InvalidParameterValue,
      reason: "invalid_parameter",
      message: `${result} ms is outside the valid range for parameter "${name}" (0 ms .. ${integerMax} ms)`,
    })
  return result
}

/** The greatest unit that divides the value, as SHOW prints it (guc.c: convert_int_from_base_unit). */
export function durationText(ms: number): string {
  if (ms === 0) return "0"
  for (const unit of ["d", "h", "min", "s"] as const) {
    const factor = millisecondsPer[unit] ?? 1
    if (ms % factor === 0) return `${ms / factor}${unit}`
  }
  return `${ms}ms`
}

export function integerValue(
  name: string,
  value: string,
  bounds: { readonly min: number; readonly max: number },
): string {
  const text = value.trim()
  if (!/^[+-]?(?:\d+|\d+\.\d*|0x[0-9a-f]+)$/i.test(text)) throw invalidValue(name, value)
  const number = Math.round(Number(text))
  if (number < bounds.min || number > bounds.max)
    throw new GatewayError({
      sqlState: SqlState.InvalidParameterValue,
      reason: "invalid_parameter",
      message: `${number} is outside the valid range for parameter "${name}" (${bounds.min} .. ${bounds.max})`,
    })
  return String(number)
}

export function enumValue(name: string, value: string, allowed: readonly string[]): string {
  const text = value.toLowerCase()
  if (allowed.includes(text)) return text
  throw invalidValue(name, value, `Available values: ${allowed.join(", ")}.`)
}

const dateStyles: Readonly<Record<string, string>> = {
  iso: "ISO",
  sql: "SQL",
  postgres: "Postgres",
  german: "German",
}

const dateOrders: Readonly<Record<string, string>> = {
  ymd: "YMD",
  dmy: "DMY",
  euro: "DMY",
  european: "DMY",
  mdy: "MDY",
  us: "MDY",
  noneuro: "MDY",
  noneuropean: "MDY",
}

/** check_datestyle (variable.c): a style, an order, or both; what is not named stays as it is. */
export function dateStyleValue(value: string, current: string): string {
  const [currentStyle = "ISO", currentOrder = "MDY"] = current.split(", ")
  let style: string | undefined
  let order: string | undefined
  if (value.trim() === "") return current
  for (const word of value.split(",").map((text) => text.trim().toLowerCase())) {
    const wordStyle = dateStyles[word]
    const wordOrder = dateOrders[word]
    if (word === "default") {
      style ??= "ISO"
      order ??= "MDY"
    } else if (wordStyle !== undefined) {
      if (style !== undefined && style !== wordStyle) throw conflictingDateStyle(value)
      style = wordStyle
      if (wordStyle === "German") order ??= "DMY"
    } else if (wordOrder !== undefined) {
      order = wordOrder
    } else {
      throw new GatewayError({
        sqlState: SqlState.InvalidParameterValue,
        reason: "invalid_parameter",
        message: `invalid value for parameter "DateStyle": "${value}"`,
        detail: `Unrecognized key word: "${word}".`,
      })
    }
  }
  return `${style ?? currentStyle}, ${order ?? currentOrder}`
}

function conflictingDateStyle(value: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: `invalid value for parameter "DateStyle": "${value}"`,
    detail: 'Conflicting "DateStyle" specifications.',
  })
}

const plainIdentifier = /^[a-z_][a-z0-9_$]*$/

/** quote_identifier without the key word test: what search_path's text needs to be read back the same. */
export function quoteIdentifier(name: string): string {
  return plainIdentifier.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** SplitIdentifierString (varlena.c): comma-separated names, folded unless quoted. */
export function splitIdentifiers(name: string, value: string): readonly string[] {
  const names: string[] = []
  const pattern = /\s*(?:"((?:[^"]|"")*)"|([^\s",]+))\s*(,|$)/y
  if (value.trim() === "") return names
  for (let isMore = true; isMore; ) {
    const match = pattern.exec(value)
    if (match === null)
      throw new GatewayError({
        sqlState: SqlState.InvalidParameterValue,
        reason: "invalid_parameter",
        message: `invalid value for parameter "${name}": "${value}"`,
        detail: "List syntax is invalid.",
      })
    names.push(match[1]?.replaceAll('""', '"') ?? (match[2] ?? "").toLowerCase())
    isMore = match[3] === ","
  }
  return names
}

/** pg_clean_ascii (string.c): every byte that is no printable ASCII as \xHH, since PostgreSQL 16. */
export function printableAscii(value: string): string {
  return value.replaceAll(/[^\x20-\x7e]/gu, (letter) =>
    Array.from(Buffer.from(letter), (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join(""),
  )
}

export function takesOneArgument(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: `SET ${name} takes only one argument`,
  })
}

export function cannotBeChanged(name: string, value: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "setting_not_changeable",
    message: `parameter "${name}" cannot be changed through this gateway`,
    hint: `It is always "${value}" here.`,
  })
}

export function unknownSetting(name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.UndefinedObject,
    reason: "unknown_setting",
    message: `unrecognized configuration parameter "${name}"`,
  })
}

/** A time zone as Intl knows it: the rule for engines that have no list of their own. */
export function timeZoneName(value: string): string {
  if (/^utc$|^gmt$|^z(ulu)?$/i.test(value.trim())) return "UTC"
  try {
    return new Intl.DateTimeFormat("en", { timeZone: value }).resolvedOptions().timeZone
  } catch (cause) {
    throw new GatewayError({
      sqlState: SqlState.InvalidParameterValue,
      reason: "invalid_parameter",
      message: `invalid value for parameter "TimeZone": "${value}"`,
      cause,
    })
  }
}

/** client_min_messages, from the most talkative: what is below the client's level is not sent. */
export const messageLevels: readonly string[] = [
  "debug5",
  "debug4",
  "debug3",
  "debug2",
  "debug1",
  "log",
  "notice",
  "warning",
  "error",
]
