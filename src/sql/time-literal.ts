import { isFields, textOf } from "./ast.ts"

/**
 * Words that PostgreSQL's date and time input reads as relative to the clock (manual, 8.5.1.4). `epoch`, `infinity` and
 * `allballs` are constants. A word counts when no letter stands next to it, because input splits a text into runs of
 * letters and the rest: `today12:00` and `{now}` count, `unknown` does not.
 */
const relativeWord = /(?<![a-z])(?:now|today|tomorrow|yesterday)(?![a-z])/i

/**
 * True when a string constant of the tree might be read as a date, a time or an interval. All of them hold a digit but those
 * that are relative to the clock.
 */
export function mentionsDate(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(mentionsDate)
  if (!isFields(value)) return false
  const constant = value["sval"]
  if (isFields(constant)) {
    const text = textOf(constant["sval"])
    return /\d/.test(text) || looksLikeTimeLiteral(text)
  }
  return Object.values(value).some(mentionsDate)
}

/**
 * True when a cast of this text to a date or time type might give a value that depends on the clock. For string constants
 * and for parameter values, text format or binary (a binary value holds no such word by anything but chance).
 */
export function looksLikeTimeLiteral(text: string | Buffer): boolean {
  return relativeWord.test(typeof text === "string" ? text : text.toString("latin1"))
}
