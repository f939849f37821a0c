import {
  leftToRight,
  mappedToNothing,
  nonAsciiSpaces,
  prohibited,
  rightToLeft,
  unassigned,
} from "./saslprep-tables.ts"

/** Starts and ends of ranges, alternating, in ascending order. */
type Table = Uint32Array

const tables = new Map<string, Table>()

/** Read on first use: most processes never see a password that is not ASCII. */
function tableOf(text: string): Table {
  const known = tables.get(text)
  if (known !== undefined) return known
  const bounds = text
    .trim()
    .split(/\s+/)
    .flatMap((range) => {
      const [first = "", last = first] = range.split("-")
      return [Number.parseInt(first, 16), Number.parseInt(last, 16)]
    })
  const table = Uint32Array.from(bounds)
  tables.set(text, table)
  return table
}

function isIn(text: string, codePoint: number): boolean {
  const table = tableOf(text)
  let low = 0
  let high = table.length / 2 - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    if (codePoint < (table[2 * middle] ?? 0)) high = middle - 1
    else if (codePoint > (table[2 * middle + 1] ?? 0)) low = middle + 1
    else return true
  }
  return false
}

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    if (text.charCodeAt(index) > 0x7f) return false
  }
  return true
}

/**
 * SASLprep (RFC 4013) as PostgreSQL does it (saslprep.c): ASCII passes untouched, control characters included, and a
 * password that the profile refuses is used as it is, so that any password works when both sides do the same.
 */
export function saslprep(password: string): string {
  if (isAscii(password)) return password
  const mapped: number[] = []
  for (const character of password) {
    const codePoint = character.codePointAt(0) ?? 0
    if (isIn(nonAsciiSpaces, codePoint)) mapped.push(0x20)
    else if (!isIn(mappedToNothing, codePoint)) mapped.push(codePoint)
  }
  const output = mapped.map((codePoint) => String.fromCodePoint(codePoint)).join("")
  const normalized = output.normalize("NFKC")
  return isAllowed(normalized) ? normalized : password
}

function isAllowed(text: string): boolean {
  const codePoints = Array.from(text, (character) => character.codePointAt(0) ?? 0)
  if (codePoints.length === 0) return false
  for (const codePoint of codePoints) {
    if (isIn(prohibited, codePoint) || isIn(unassigned, codePoint)) return false
  }
  if (!codePoints.some((codePoint) => isIn(rightToLeft, codePoint))) return true
  if (codePoints.some((codePoint) => isIn(leftToRight, codePoint))) return false
  return isIn(rightToLeft, codePoints[0] ?? 0) && isIn(rightToLeft, codePoints.at(-1) ?? 0)
}
