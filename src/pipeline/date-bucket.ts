/**
 * The calendar date in a time zone, as the part of the cache key that makes `current_date` cacheable. Near midnight the
 * gateway's clock and the warehouse's may disagree about it, so that no bucket is given there.
 */

/** How far the warehouse's clock may stand from ours before a result could be stored under the wrong date. */
const clockSkewMsMax = 10_000

/** Time zones change their offset at quarter hours at the finest, so that a date found once holds until the next one. */
const quarterHourMs = 15 * 60_000

const zonesMax = 500

type Known = { readonly date: string; readonly validUntilMs: number }

const known = new Map<string, Known>()
const formats = new Map<string, Intl.DateTimeFormat | undefined>()

function format(timeZone: string): Intl.DateTimeFormat | undefined {
  if (formats.has(timeZone)) return formats.get(timeZone)
  if (formats.size >= zonesMax) formats.clear()
  let made: Intl.DateTimeFormat | undefined
  try {
    made = new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short" })
  } catch {
    // PostgreSQL knows zone specifications that Intl does not, such as EST5EDT or <+03>-3: those are not cached by date.
    made = undefined
  }
  formats.set(timeZone, made)
  return made
}

/** `YYYY-MM-DD`, or undefined when the date is about to change or the zone is not known here. */
export function dateBucket(timeZone: string, nowMs: number): string | undefined {
  const cached = known.get(timeZone)
  if (cached !== undefined && nowMs < cached.validUntilMs) return cached.date
  const dates = format(timeZone)
  if (dates === undefined) return undefined
  const date = dates.format(nowMs - clockSkewMsMax)
  if (date !== dates.format(nowMs + clockSkewMsMax)) return undefined
  if (known.size >= zonesMax) known.clear()
  const nextQuarterMs = (Math.floor(nowMs / quarterHourMs) + 1) * quarterHourMs
  known.set(timeZone, { date, validUntilMs: nextQuarterMs - clockSkewMsMax })
  return date
}
