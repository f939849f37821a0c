import {
  answersDiffer,
  firstRow,
  isDeferredError,
  type Message,
  messagesOf,
} from "../../differential/compare.ts"
import { encodeExchange } from "../../support/query-generator-messages.ts"
import type { SessionOptions } from "../../support/query-generator-session.ts"
import { type Asked, converse } from "./conversation.ts"

/** Answers of one conversation: from PostgreSQL twice, from the gateway twice. */
type Answers = {
  readonly direct: readonly Buffer[]
  readonly again: readonly Buffer[]
  readonly first: readonly Buffer[]
  readonly second: readonly Buffer[]
}

/** One exchange, judged. */
export type Verdict = Asked & {
  /** PostgreSQL itself answered in two ways (a clock, a process id): then only the messages' types and columns are compared. */
  readonly isMoving: boolean
  /** What differs, from whichever asking; undefined when nothing does. */
  readonly difference: string | undefined
  /**
   * What the second asking came to: `hit_l1`, `miss`, `bypass time_function` ..., `local` for what the session answers
   * itself, the SQLSTATE of an error, `unreported`.
   */
  readonly outcome: string
}

const showLast = encodeExchange([{ kind: "query", sql: "SHOW sluice.last" }])
const nothing = Buffer.alloc(0)

/** Name, column number, type, length, modifier, format of each column; not its table's id, which moves with a new table. */
function columnsOf(body: Buffer): string {
  const columns: string[] = []
  let at = 2
  for (let column = 0; column < body.readInt16BE(0); column += 1) {
    const end = body.indexOf(0, at)
    columns.push(`${body.toString("utf8", at, end)} ${body.toString("hex", end + 5, end + 19)}`)
    at = end + 19
  }
  return columns.join(", ")
}

/** Message types and columns: what stays when the values move. */
function shapeOf(answer: Buffer): string {
  const letters: string[] = []
  for (const { type, body } of messagesOf(answer)) {
    if (type === "D" && letters.at(-1) === "D") continue
    letters.push(type === "T" ? `T ${columnsOf(body)}` : type)
  }
  return letters.join("\n")
}

function differenceOf(expected: Buffer, got: Buffer, isMoving: boolean): string | undefined {
  if (isMoving)
    return shapeOf(expected) === shapeOf(got)
      ? undefined
      : `shape: expected ${shapeOf(expected)}\ngot ${shapeOf(got)}`
  const difference = answersDiffer(expected, got)
  return difference === undefined || isDeferredError(expected, got) ? undefined : difference
}

function find(answer: Buffer, type: string): Message | undefined {
  return messagesOf(answer).find((message) => message.type === type)
}

/**
 * A statement that the session answers by itself leaves the report of the one before as it was, stage times and all.
 * Reports fail inside an aborted transaction; what caused that shows as its SQLSTATE.
 */
function outcomeOf(
  answer: Buffer,
  report: Buffer | undefined,
  reportBefore: Buffer | undefined,
): string {
  if (report === undefined) return "unreported"
  const error = find(answer, "E")
  if (error !== undefined)
    return /\0C([0-9A-Z]{5})/.exec(error.body.toString("latin1"))?.[1] ?? "error"
  const row = firstRow(report)
  if (row === undefined || reportBefore?.equals(report) === true) return "local"
  return [row.get("cache"), row.get("reason")].filter((part) => typeof part === "string").join(" ")
}

export type Sides = {
  readonly direct: SessionOptions
  readonly through: SessionOptions
  /** Whether the second asking is followed by SHOW sluice.last; outcomes are empty when not. */
  readonly isReported: boolean
  /** Before each asking, so that all four find the same. */
  readonly cleanUp?: () => Promise<void>
}

async function answersTo(
  asked: readonly Asked[],
  sides: Sides,
): Promise<Answers & { reports: readonly Buffer[] }> {
  const clean = sides.cleanUp ?? (async () => {})
  const plain = asked.map(({ bytes }) => bytes)
  await clean()
  const direct = await converse(sides.direct, plain)
  await clean()
  const first = await converse(sides.through, plain)
  await clean()
  const mixed = await converse(
    sides.through,
    sides.isReported ? plain.flatMap((bytes) => [bytes, showLast]) : plain,
  )
  await clean()
  const again = await converse(sides.direct, plain)
  await clean()
  return {
    direct,
    again,
    first,
    second: sides.isReported ? mixed.filter((_, index) => index % 2 === 0) : mixed,
    reports: sides.isReported ? mixed.filter((_, index) => index % 2 === 1) : [],
  }
}

/** The same conversation with PostgreSQL, twice with the gateway on connections of their own, and with PostgreSQL again. */
export async function judged(asked: readonly Asked[], sides: Sides): Promise<readonly Verdict[]> {
  const { direct, again, first, second, reports } = await answersTo(asked, sides)
  return asked.map((exchange, at) => {
    const expected = direct[at] ?? nothing
    const isMoving = answersDiffer(expected, again[at] ?? nothing) !== undefined
    const answers = [first[at] ?? nothing, second[at] ?? nothing]
    return {
      ...exchange,
      isMoving,
      difference: answers
        .map((answer) => differenceOf(expected, answer, isMoving))
        .find((difference) => difference !== undefined),
      outcome: outcomeOf(second[at] ?? nothing, reports[at], reports[at - 1]),
    }
  })
}
