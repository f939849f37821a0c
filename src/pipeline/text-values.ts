/**
 * Elements of a one-dimensional array in PostgreSQL's text form (manual, 8.15.6): `{a,"b c",NULL}`. Undefined for anything
 * else, such as an array of arrays or one with bounds of its own.
 */
export function arrayElements(text: string): readonly (string | null)[] | undefined {
  if (!text.startsWith("{") || !text.endsWith("}")) return undefined
  const inner = text.slice(1, -1)
  if (inner === "") return []
  const elements: (string | null)[] = []
  let at = 0
  for (;;) {
    const end = inner[at] === '"' ? quotedEnd(inner, at) : plainEnd(inner, at)
    if (end === undefined) return undefined
    elements.push(elementOf(inner.slice(at, end)))
    if (end === inner.length) return elements
    if (inner[end] !== ",") return undefined
    at = end + 1
  }
}

function quotedEnd(text: string, start: number): number | undefined {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1
    else if (text[at] === '"') return at + 1
  }
  return undefined
}

function plainEnd(text: string, start: number): number | undefined {
  let at = start
  while (at < text.length && text[at] !== ",") {
    if (text[at] === "{" || text[at] === "}" || text[at] === '"' || text[at] === "\\")
      return undefined
    at += 1
  }
  return at === start ? undefined : at
}

function elementOf(text: string): string | null {
  if (text.startsWith('"')) return text.slice(1, -1).replaceAll(/\\(.)/gs, "$1")
  return text === "NULL" ? null : text
}

/** PostgreSQL's text of a value as a token would bring it; what does not fit is left as it is, and its type refuses it. */
export function claimFromText(text: string, base: string): unknown {
  if (base === "bool")
    return text === "t" || text === "true" ? true : text === "f" || text === "false" ? false : text
  if (base !== "timestamptz") return text
  const [, date, time, zone = ""] = /^(\S+) (\S+?)(Z|[+-]\d{2}(?::?\d{2})?)$/.exec(text) ?? []
  if (date === undefined || time === undefined) return text
  return `${date}T${time}${zone.length === 3 ? `${zone}:00` : zone}`
}
