import { type Fault, FaultyRequest } from "./problem.ts"

type Query = Readonly<Record<string, string | readonly string[] | undefined>>

/** `?name=` (a relation as an invalidation would name it; default: all) and `?limit=` (1 to 1000). */
export type RelationsQuery = { readonly name: string | undefined; readonly limit: number }

export type SinceQuery = { readonly sinceMs: number; readonly limit: number }

const limitDefault = 100
const limitMax = 1_000
/** Year 9999, the last that RFC 3339 can write. */
const timeMsMax = 253_402_300_799_999
/** RFC 3339. A `+` that nobody percent-encoded arrives as a blank. */
const dateTime = /^(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d(?:\.\d{1,9})?)([Zz]|[+ -]\d\d:\d\d)$/

function readTimeMs(text: string): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text) <= timeMsMax ? Number(text) : undefined
  const match = dateTime.exec(text)
  if (match === null) return undefined
  const [, date = "", time = "", zone = ""] = match
  const timeMs = Date.parse(`${date}T${time}${zone.toUpperCase().replace(" ", "+")}`)
  return Number.isNaN(timeMs) ? undefined : timeMs
}

/** `?since=` (RFC 3339 or milliseconds since 1970; default: everything remembered) and `?limit=` (1 to 1000). */
export function readSinceQuery(query: Query): SinceQuery {
  const faults: Fault[] = []
  for (const key of Object.keys(query))
    if (key !== "since" && key !== "limit") faults.push({ path: key, detail: "is unknown" })
  const { since = "0", limit = String(limitDefault) } = query
  const sinceMs = typeof since === "string" ? readTimeMs(since) : undefined
  if (sinceMs === undefined)
    faults.push({ path: "since", detail: "must be one RFC 3339 time or milliseconds since 1970" })
  const count = readLimit(limit, faults)
  if (sinceMs === undefined || faults.length > 0) throw new FaultyRequest(faults)
  return { sinceMs, limit: count }
}

export function readRelationsQuery(query: Query): RelationsQuery {
  const faults: Fault[] = []
  for (const key of Object.keys(query))
    if (key !== "name" && key !== "limit") faults.push({ path: key, detail: "is unknown" })
  const { name, limit = String(limitDefault) } = query
  if (name !== undefined && (typeof name !== "string" || name.trim() === ""))
    faults.push({ path: "name", detail: "must be one name" })
  const count = readLimit(limit, faults)
  if (faults.length > 0) throw new FaultyRequest(faults)
  return { name: typeof name === "string" ? name : undefined, limit: count }
}

function readLimit(limit: string | readonly string[], faults: Fault[]): number {
  const count = typeof limit === "string" && /^\d{1,4}$/.test(limit) ? Number(limit) : 0
  if (count < 1 || count > limitMax)
    faults.push({ path: "limit", detail: `must be a number from 1 to ${limitMax}` })
  return count
}
