/** One backend message of an answer. */
export type Message = { readonly type: string; readonly body: Buffer }

/** Splits whole messages; an answer always ends at a message's end. */
export function messagesOf(answer: Buffer): Message[] {
  const messages: Message[] = []
  let at = 0
  while (at + 5 <= answer.length) {
    const end = at + 1 + answer.readInt32BE(at + 1)
    messages.push({
      type: String.fromCharCode(answer[at] ?? 0),
      body: answer.subarray(at + 5, end),
    })
    at = end
  }
  return messages
}

/** Fields of ErrorResponse and NoticeResponse by their one-letter codes (PostgreSQL manual, 54.8). */
export function fieldsOf(body: Buffer): Map<string, string> {
  const fields = new Map<string, string>()
  for (const part of body.toString().split("\0")) {
    const code = part[0]
    if (code !== undefined) fields.set(code, part.slice(1))
  }
  return fields
}

/**
 * Where the server's own source raised an error. Exempt only as a whole, and only when the gateway sends none of the three:
 * then the error is one that it raised itself (a syntax error, a failed transaction), and it has no place in PostgreSQL's
 * source to name. An error that passes through must carry all three unchanged.
 */
const sourcePlace = ["F", "L", "R"] as const

function showFields(fields: ReadonlyMap<string, string>): string {
  return [...fields].map(([code, value]) => `${code}=${JSON.stringify(value)}`).join(" ")
}

function fieldsDiffer(expected: Buffer, actual: Buffer): string | undefined {
  const wanted = fieldsOf(expected)
  const got = fieldsOf(actual)
  if (sourcePlace.every((code) => !got.has(code)))
    for (const code of sourcePlace) wanted.delete(code)
  const codes = new Set([...wanted.keys(), ...got.keys()])
  for (const code of codes)
    if (wanted.get(code) !== got.get(code))
      return `field ${code}: expected ${showFields(wanted)} got ${showFields(got)}`
  return undefined
}

function showBody(message: Message | undefined): string {
  if (message === undefined) return "nothing"
  if (message.type === "E" || message.type === "N")
    return `${message.type} ${showFields(fieldsOf(message.body))}`
  const text = message.body.subarray(0, 400)
  return `${message.type} ${JSON.stringify(text.toString("latin1"))}`
}

/**
 * ParameterStatus reports come at no promised place ("at any time", PostgreSQL manual, 54.2.7), so that they are compared as
 * a list of their own: same reports, same order among themselves.
 */
function parted(messages: readonly Message[]): { reports: Message[]; rest: Message[] } {
  const reports: Message[] = []
  const rest: Message[] = []
  for (const message of messages) (message.type === "S" ? reports : rest).push(message)
  return { reports: reports.toSorted((a, b) => Buffer.compare(a.body, b.body)), rest }
}

function listsDiffer(
  expected: readonly Message[],
  actual: readonly Message[],
  what: string,
): string | undefined {
  for (let index = 0; index < Math.max(expected.length, actual.length); index += 1) {
    const wanted = expected[index]
    const got = actual[index]
    const isAlike = wanted !== undefined && got !== undefined && wanted.type === got.type
    if (isAlike && wanted.body.equals(got.body)) continue
    if (isAlike && (wanted.type === "E" || wanted.type === "N")) {
      const difference = fieldsDiffer(wanted.body, got.body)
      if (difference === undefined) continue
      return `${what} ${index} (${wanted.type}) ${difference}`
    }
    return `${what} ${index}: expected ${showBody(wanted)}\n             got ${showBody(got)}`
  }
  return undefined
}

/** The type letters in order, runs of rows as one, and the first error: enough to see where two answers part. */
function shapeOf(messages: readonly Message[]): string {
  const letters = messages.map((message) => message.type).join("")
  const error = messages.find((message) => message.type === "E")
  const fields = error === undefined ? "" : ` ${showFields(fieldsOf(error.body))}`
  return `${letters.replaceAll(/D{2,}/g, "D+")}${fields}`
}

/** What differs between the origin's answer and the gateway's, or undefined. Bytes first: almost always they are equal. */
export function answersDiffer(expected: Buffer, actual: Buffer): string | undefined {
  if (expected.equals(actual)) return undefined
  const wanted = parted(messagesOf(expected))
  const got = parted(messagesOf(actual))
  const difference =
    listsDiffer(wanted.rest, got.rest, "message") ??
    listsDiffer(wanted.reports, got.reports, "ParameterStatus")
  if (difference === undefined) return undefined
  return `${difference}\n  whole: expected ${shapeOf(wanted.rest)}\n         got ${shapeOf(got.rest)}`
}

const acknowledgements = new Set(["1", "2", "T", "n"])

/**
 * True for the one shift in time that the gateway's laziness costs: it answers Parse and Bind itself, so that a statement that
 * is found in the cache needs no warehouse, and the warehouse's own complaint (an unknown column, a bad parameter) comes at
 * Describe or Execute of the same batch. The error itself, what precedes it and the transaction status must be the same; only
 * ParseComplete, BindComplete and the answer to a Describe (which knows no values yet) may stand before it in addition. Both
 * end in the same Sync.
 */
export function isDeferredError(expected: Buffer, actual: Buffer): boolean {
  // Settings that the error took back are reported somewhere between; their place is not promised.
  const wanted = parted(messagesOf(expected)).rest
  const got = parted(messagesOf(actual)).rest
  const failsAt = wanted.findIndex((message) => message.type === "E")
  const gotFailsAt = got.findIndex((message) => message.type === "E")
  if (failsAt === -1 || gotFailsAt <= failsAt) return false
  const extra = got.slice(failsAt, gotFailsAt)
  if (!extra.every((message) => acknowledgements.has(message.type))) return false
  const rest = [...got.slice(0, failsAt), ...got.slice(gotFailsAt)]
  return listsDiffer(wanted, rest, "message") === undefined
}

/** First row of an answer as name -> text, for SHOW sluice.last. */
export function firstRow(answer: Buffer): Map<string, string | null> | undefined {
  const messages = messagesOf(answer)
  const description = messages.find((message) => message.type === "T")?.body
  const row = messages.find((message) => message.type === "D")?.body
  if (description === undefined || row === undefined) return undefined
  const values = new Map<string, string | null>()
  let at = 2
  let from = 2
  for (let index = 0; index < description.readInt16BE(0); index += 1) {
    const end = description.indexOf(0, at)
    const name = description.toString("utf8", at, end)
    at = end + 19
    const length = row.readInt32BE(from)
    from += 4
    values.set(name, length < 0 ? null : row.toString("utf8", from, from + length))
    from += Math.max(length, 0)
  }
  return values
}

/** What an answer is in a word: the SQLSTATE of its first error, `rows`, `empty result`, or `command` where no result is. */
export function summaryOf(answer: Buffer): string {
  let summary = "command"
  for (const message of messagesOf(answer)) {
    if (message.type === "E") return fieldsOf(message.body).get("C") ?? "no code"
    if (message.type === "D" || message.type === "d") summary = "rows"
    const isResult =
      message.type === "T" || /^(SELECT|FETCH|COPY) /.test(message.body.toString("latin1"))
    if (isResult && summary === "command") summary = "empty result"
  }
  return summary
}
