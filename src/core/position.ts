/**
 * A place in a warehouse's log of changes, as text: `<high>/<low>`, both hexadecimal, compared as two numbers. For PostgreSQL
 * `low` and the lower 32 bits of `high` are the pg_lsn, and the bits above them its timeline: after a failover every
 * position of the new timeline is later than all of the old one.
 */
export type Position = string

const form = /^([0-9A-Fa-f]{1,13})\/([0-9A-Fa-f]{1,8})$/

function parts(position: Position): readonly [number, number] | undefined {
  const [, high, low] = form.exec(position) ?? []
  if (high === undefined || low === undefined) return undefined
  return [Number.parseInt(high, 16), Number.parseInt(low, 16)]
}

/** Negative, 0 or positive as Array.sort wants it; undefined when either is no position. */
export function comparePositions(left: Position, right: Position): number | undefined {
  const a = parts(left)
  const b = parts(right)
  if (a === undefined || b === undefined) return undefined
  return a[0] === b[0] ? a[1] - b[1] : a[0] - b[0]
}

/** The position that everything of `positions` stands at or before; undefined when one of them is none. */
export function latestPosition(positions: readonly Position[]): Position | undefined {
  let latest: Position | undefined
  for (const position of positions) {
    const order = comparePositions(position, latest ?? position)
    if (order === undefined) return undefined
    if (latest === undefined || order > 0) latest = position
  }
  return latest
}

const highBits = 2 ** 32

/** A pg_lsn (`3A/7F0012C8`) of a timeline. Timelines from 2^20 on cannot be told exactly and give undefined. */
export function postgresPosition(timeline: number, lsn: bigint): Position | undefined {
  if (!Number.isInteger(timeline) || timeline < 1 || timeline >= 2 ** 20) return undefined
  const high = timeline * highBits + Number(lsn >> 32n)
  const low = Number(lsn & 0xffff_ffffn)
  return `${high.toString(16).toUpperCase()}/${low.toString(16).toUpperCase()}`
}
