import type { DestinationStream } from "pino"

const shownElsewhere = new Set(["level", "time", "pid", "room", "message"])

/** Control characters would let a client's text move the cursor or forge a line. */
function visible(text: string): string {
  return text.replaceAll(
    /\p{Cc}/gu,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`,
  )
}

/** `12:00:00.000 info  session  message key=value`; a line that is no JSON object is passed on as it is. */
export function prettyLine(line: string): string {
  let entry: unknown
  try {
    entry = JSON.parse(line)
  } catch {
    return line
  }
  if (typeof entry !== "object" || entry === null) return line
  const fields = entry as Readonly<Record<string, unknown>>
  const { level, time, room, message } = fields as {
    level?: string
    time?: string
    room?: string
    message?: string
  }
  const rest = Object.entries(fields)
    .filter(([key]) => !shownElsewhere.has(key))
    .map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`)
  const head = `${(time ?? "").slice(11, 23)} ${(level ?? "").padEnd(5)} ${(room ?? "").padEnd(9)}`
  return `${visible([head, message ?? "", ...rest].join(" "))}\n`
}

export function prettyDestination(stream: DestinationStream): DestinationStream {
  return { write: (line: string) => stream.write(prettyLine(line)) }
}
