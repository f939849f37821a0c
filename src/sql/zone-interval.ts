import { fieldsOf, integerConstant, listOf, nodeFields, stringConstant, textOf } from "./ast.ts"

/** INTERVAL_MASK bits of the ranges that end in hours, in minutes and in seconds (timestamp.h, datetime.h). */
const hourBit = 1 << 10
const minuteBit = 1 << 11
const secondBit = 1 << 12
const rangeUnits: ReadonlyMap<number, number> = new Map([
  [hourBit, 3_600],
  [hourBit | minuteBit, 60],
  [hourBit | minuteBit | secondBit, 1],
])

/** `2`, `+02:00`, `-5:30:15`: what INTERVAL reads as a time, and nothing else. */
const timeOfDay = /^\s*([+-]?)(\d{1,3})(?::(\d{2})(?::(\d{2}))?)?\s*$/

/** 167 hours and 59 minutes are PostgreSQL's own bound for a POSIX zone (localtime.c). */
const offsetSecondsMax = 167 * 3_600 + 59 * 60

/**
 * The zone of `SET TIME ZONE INTERVAL '-05:30' HOUR TO MINUTE` as PostgreSQL names it: `<-05:30>+05:30` (pg_tzset_offset,
 * pgtz.c). Undefined for what is no such interval, or one with more in it than a time.
 */
export function zoneOfInterval(node: unknown): string | undefined {
  const cast = nodeFields(node, "TypeCast")
  if (cast === undefined) return undefined
  const type = fieldsOf(cast["typeName"])
  const names = listOf(type["names"]).map((name) => textOf(nodeFields(name, "String")?.["sval"]))
  if (names.at(-1) !== "interval") return undefined
  const [range, ...more] = listOf(type["typmods"])
  if (more.length > 0) return undefined
  const unit = range === undefined ? 1 : rangeUnits.get(integerConstant(range) ?? 0)
  const match = timeOfDay.exec(stringConstant(cast["arg"]) ?? "")
  if (unit === undefined || match === null) return undefined
  const [, sign, first = "0", minutes, seconds] = match
  const size =
    minutes === undefined
      ? Number(first) * unit
      : Number(first) * 3_600 + Number(minutes) * 60 + Number(seconds ?? 0)
  const isTime = Number(minutes ?? 0) < 60 && Number(seconds ?? 0) < 60
  // PostgreSQL takes a zone with seconds from an interval, but does not read the name that it gives it.
  if (!isTime || size > offsetSecondsMax || size % 60 > 0) return undefined
  return zoneName(sign === "-" ? -size : size)
}

/** `offset`: seconds east of Greenwich. POSIX counts west. */
function zoneName(offset: number): string {
  const size = Math.abs(offset)
  const parts = [size / 3_600, (size / 60) % 60].map((part) =>
    String(Math.floor(part)).padStart(2, "0"),
  )
  const shown = parts.slice(0, size % 3_600 > 0 ? 2 : 1).join(":")
  return offset < 0 ? `<-${shown}>+${shown}` : `<+${shown}>-${shown}`
}
