import { call, cast, concatenation, integer, type Node, stringConstant, text } from "./ast-nodes.ts"
import { unsupported } from "./dialect-errors.ts"

/** Template patterns of to_char, to_date and to_timestamp (manual, 9.8), longest first. */
const patterns = [
  "HH24",
  "HH12",
  "YYYY",
  "IYYY",
  "MONTH",
  "Month",
  "month",
  "DAY",
  "Day",
  "day",
  "DDD",
  "MON",
  "Mon",
  "mon",
  "HH",
  "MI",
  "SS",
  "MS",
  "US",
  "AM",
  "PM",
  "am",
  "pm",
  "YY",
  "MM",
  "DD",
  "DY",
  "Dy",
  "dy",
  "ID",
  "IW",
  "Q",
  "D",
] as const

type Pattern = (typeof patterns)[number]

type Piece =
  | { readonly kind: "pattern"; readonly name: Pattern; readonly isFill: boolean }
  | { readonly kind: "text"; readonly text: string }

/** Splits a template; undefined when it holds a pattern that is not known here. */
function piecesOf(template: string): readonly Piece[] {
  const pieces: Piece[] = []
  let at = 0
  while (at < template.length) {
    const quoted = /"((?:[^"\\]|\\.)*)"?/y
    quoted.lastIndex = at
    const inQuotes = template[at] === '"' ? quoted.exec(template) : null
    if (inQuotes !== null) {
      pieces.push({ kind: "text", text: (inQuotes[1] ?? "").replaceAll(/\\(.)/g, "$1") })
      at = quoted.lastIndex
      continue
    }
    const isFill = template.startsWith("FM", at)
    const start = isFill ? at + 2 : at
    const name = patterns.find((candidate) => template.startsWith(candidate, start))
    if (name !== undefined) {
      pieces.push({ kind: "pattern", name, isFill })
      at = start + name.length
      continue
    }
    const character = template[at] ?? ""
    if (isFill || /[A-Za-z0-9]/.test(character)) throw unknownTemplate(template)
    pieces.push({ kind: "text", text: character })
    at++
  }
  return pieces
}

function unknownTemplate(template: string): Error {
  return unsupported(`the format "${template}"`)
}

/** strftime's codes, each with the code that leaves leading zeros out (FM). */
const codes: Readonly<Partial<Record<Pattern, readonly [string, string]>>> = {
  YYYY: ["%Y", "%Y"],
  YY: ["%y", "%y"],
  MM: ["%m", "%-m"],
  DD: ["%d", "%-d"],
  DDD: ["%j", "%-j"],
  HH24: ["%H", "%-H"],
  HH12: ["%I", "%-I"],
  HH: ["%I", "%-I"],
  MI: ["%M", "%-M"],
  SS: ["%S", "%-S"],
  MS: ["%g", "%g"],
  US: ["%f", "%f"],
  AM: ["%p", "%p"],
  PM: ["%p", "%p"],
  Mon: ["%b", "%b"],
  Dy: ["%a", "%a"],
  IYYY: ["%G", "%G"],
  IW: ["%V", "%V"],
  ID: ["%u", "%u"],
}

/** Names of months and days, which PostgreSQL pads to nine characters unless FM says otherwise. */
const longNames: Readonly<Partial<Record<Pattern, readonly [string, "upper" | "lower" | ""]>>> = {
  Month: ["%B", ""],
  MONTH: ["%B", "upper"],
  month: ["%B", "lower"],
  Day: ["%A", ""],
  DAY: ["%A", "upper"],
  day: ["%A", "lower"],
}

const shortNames: Readonly<Partial<Record<Pattern, readonly [string, "upper" | "lower"]>>> = {
  MON: ["%b", "upper"],
  mon: ["%b", "lower"],
  DY: ["%a", "upper"],
  dy: ["%a", "lower"],
  am: ["%p", "lower"],
  pm: ["%p", "lower"],
}

/** to_char(date or timestamp, constant template). Templates for numbers are not translated. */
export function adaptToChar(value: unknown, template: unknown): Node {
  const literal = stringConstant(template)
  if (literal === undefined) throw unsupported("to_char with a computed format")
  const parts: Node[] = []
  let pending = ""
  const flush = (): void => {
    if (pending !== "") parts.push(call("strftime", [value, text(pending)]))
    pending = ""
  }
  const pieces = piecesOf(literal)
  if (!pieces.some((piece) => piece.kind === "pattern")) throw unknownTemplate(literal)
  for (const piece of pieces) {
    if (piece.kind === "text") {
      pending += piece.text.replaceAll("%", "%%")
      continue
    }
    const code = codes[piece.name]
    if (code !== undefined) {
      pending += piece.isFill ? code[1] : code[0]
      continue
    }
    flush()
    parts.push(namePart(value, piece.name, piece.isFill))
  }
  flush()
  return concatenation(parts)
}

function namePart(value: unknown, name: Pattern, isFill: boolean): Node {
  if (name === "Q") return cast(call("quarter", [value]), "text")
  if (name === "D") {
    // Sunday is 1 here and 0 in DuckDB.
    const fromZero = call("dayofweek", [value])
    return cast(call("add", [fromZero, integer(1)]), "text")
  }
  const long = longNames[name]
  const [code, change] = long ?? shortNames[name] ?? ["", ""]
  if (code === "") throw unsupported(`the format "${name}"`)
  const plain = call("strftime", [value, text(code)])
  const changed = change === "" ? plain : call(change, [plain])
  return long === undefined || isFill ? changed : call("rpad", [changed, integer(9), text(" ")])
}

const digitsMax: Readonly<Partial<Record<Pattern, number>>> = {
  YYYY: 4,
  MM: 2,
  DD: 2,
  HH24: 2,
  MI: 2,
  SS: 2,
  MS: 3,
  US: 6,
}

/** strptime's codes for the patterns above. */
const readCodes: Readonly<Partial<Record<Pattern, string>>> = {
  YYYY: "%Y",
  MM: "%m",
  DD: "%d",
  HH24: "%H",
  MI: "%M",
  SS: "%S",
  US: "%f",
}

/**
 * to_timestamp(text, template) and to_date(text, template). Literals are read here, so that the warehouse sees a plain
 * constant that it can prune by; other texts go through strptime, which is stricter than PostgreSQL.
 */
export function adaptFromText(
  name: "to_date" | "to_timestamp",
  value: unknown,
  template: unknown,
): Node {
  const format = stringConstant(template)
  if (format === undefined) throw unsupported(`${name} with a computed format`)
  const target = name === "to_date" ? "date" : "timestamptz"
  const literal = stringConstant(value)
  if (literal !== undefined) {
    const iso = readByTemplate(literal, format)
    return cast(text(name === "to_date" ? iso.slice(0, 10) : iso), target)
  }
  const codesOfFormat = piecesOf(format).map((piece) => {
    const code = piece.kind === "text" ? piece.text.replaceAll("%", "%%") : readCodes[piece.name]
    if (code === undefined) throw unknownTemplate(format)
    return code
  })
  return cast(call("strptime", [cast(value, "text"), text(codesOfFormat.join(""))]), target)
}

/** `YYYY-MM-DD HH:MI:SS.ffffff` of a text by a template, where what is missing is the start of the year or of the day. */
function readByTemplate(literal: string, format: string): string {
  const found: Partial<Record<Pattern, string>> = {}
  let at = 0
  for (const piece of piecesOf(format)) {
    while (literal[at] === " ") at++
    if (at >= literal.length) break
    if (piece.kind === "text") {
      // A separator of the template stands for any separator of the text, and a space for none.
      if (/[^A-Za-z0-9\s]/.test(literal[at] ?? "") || piece.text === literal[at]) at++
      else if (piece.text !== " ") throw mismatch(literal, format)
      continue
    }
    const digits = digitsMax[piece.name]
    if (digits === undefined) throw unknownTemplate(format)
    const match = new RegExp(`\\d{1,${digits}}`, "y")
    match.lastIndex = at
    const read = match.exec(literal)?.[0]
    if (read === undefined) throw mismatch(literal, format)
    found[piece.name] = read
    at += read.length
  }
  if (found.YYYY?.length !== 4) throw mismatch(literal, format)
  const two = (name: Pattern, missing: string): string => (found[name] ?? missing).padStart(2, "0")
  const date = `${found.YYYY}-${two("MM", "1")}-${two("DD", "1")}`
  const fraction = (found.US ?? found.MS ?? "").padEnd(6, "0")
  return `${date} ${two("HH24", "0")}:${two("MI", "0")}:${two("SS", "0")}.${fraction}`
}

function mismatch(literal: string, format: string): Error {
  return unsupported(`reading "${literal.slice(0, 40)}" by the format "${format}"`)
}
