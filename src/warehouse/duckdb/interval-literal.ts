/** Interval input of PostgreSQL (manual, 8.5.4) in units that DuckDB reads without loss. */

const unitMonths: Readonly<Record<string, number>> = {
  mon: 1,
  month: 1,
  year: 12,
  yr: 12,
  y: 12,
  decade: 120,
  decades: 120,
  century: 1_200,
  centuries: 1_200,
}

const unitDays: Readonly<Record<string, number>> = { d: 1, day: 1, week: 7, w: 7 }

const unitMicros: Readonly<Record<string, number>> = {
  h: 3_600_000_000,
  hr: 3_600_000_000,
  hour: 3_600_000_000,
  m: 60_000_000,
  min: 60_000_000,
  minute: 60_000_000,
  s: 1_000_000,
  sec: 1_000_000,
  second: 1_000_000,
  ms: 1_000,
  msec: 1_000,
  millisecond: 1_000,
  us: 1,
  usec: 1,
  microsecond: 1,
}

const daysPerMonth = 30
const microsPerDay = 86_400_000_000

/** What both engines read alike is left as it is. */
const common = /^[+-]?\d{1,6} (?:second|minute|hour|day|week|month|year)s?$/

type Sum = { months: number; days: number; micros: number }

function singular(unit: string): string {
  return unit.length > 2 && unit.endsWith("s") && unit !== "centuries" && unit !== "decades"
    ? unit.slice(0, -1)
    : unit
}

/** Fractions of a month spill into days of 30 to the month, fractions of a day into time, as interval_in has it. */
function add(sum: Sum, amount: number, unit: string): boolean {
  const name = unitMicros[unit] === undefined ? singular(unit) : unit
  const months = unitMonths[name]
  if (months !== undefined) {
    const total = amount * months
    sum.months += Math.trunc(total)
    return addDays(sum, (total - Math.trunc(total)) * daysPerMonth)
  }
  const days = unitDays[name]
  if (days !== undefined) return addDays(sum, amount * days)
  const micros = unitMicros[name]
  if (micros === undefined) return false
  sum.micros += Math.round(amount * micros)
  return true
}

function addDays(sum: Sum, amount: number): boolean {
  const rounded = Math.round(amount * 1e9) / 1e9
  sum.days += Math.trunc(rounded)
  sum.micros += Math.round((rounded - Math.trunc(rounded)) * microsPerDay)
  return true
}

const token =
  /\s*(?:([+-]?\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,6})?))?|([+-]?\s*(?:\d+(?:\.\d*)?|\.\d+))\s*([a-z]+)?)(?=[\s+-]|$)/iy

/** The same interval in months, days and microseconds; undefined when this reader does not know its form. */
export function duckdbInterval(literal: string): string | undefined {
  const trimmed = literal.trim().toLowerCase()
  if (common.test(trimmed)) return literal
  const isAgo = /\sago$/.test(trimmed)
  const body = trimmed.replace(/^@\s*/, "").replace(/\s*\bago$/, "")
  const sum: Sum = { months: 0, days: 0, micros: 0 }
  if (body === "" || !addAll(sum, body)) return undefined
  const sign = isAgo ? -1 : 1
  const parts: string[] = []
  if (sum.months !== 0) parts.push(`${sum.months * sign} months`)
  if (sum.days !== 0) parts.push(`${sum.days * sign} days`)
  if (sum.micros !== 0 || parts.length === 0) parts.push(`${sum.micros * sign} microseconds`)
  return parts.join(" ")
}

function addAll(sum: Sum, body: string): boolean {
  token.lastIndex = 0
  while (token.lastIndex < body.length) {
    const match = token.exec(body)
    if (match === null) return false
    const [, hours, minutes, seconds = "0", amount, unit = "second"] = match
    if (hours !== undefined) {
      const sign = hours.startsWith("-") ? -1 : 1
      sum.micros += Number(hours) * 3_600_000_000
      sum.micros += sign * (Number(minutes) * 60_000_000 + Math.round(Number(seconds) * 1_000_000))
    } else if (!add(sum, Number(amount?.replace(/\s/g, "")), unit)) return false
  }
  return [sum.months, sum.days, sum.micros].every((part) => Number.isSafeInteger(part))
}
