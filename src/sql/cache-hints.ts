import type { CacheHints, CacheUse } from "../core/cache-hints.ts"
import { scanTokens, type Token } from "./parser-instance.ts"

/**
 * Cache hints: comments that begin with `sluice:`, in front of a statement's first word or behind its last. They are found among
 * PostgreSQL's own tokens, so that nothing inside a string or a quoted name is ever taken for one. The tree knows nothing of
 * them, and so no key does.
 */

/** Looked at in front of and behind one statement; what stands further off is a plain comment. */
const commentsMax = 16
const wordsMax = 16
/** Of an unknown word, in the NOTICE that repeats it. */
const shownCharsMax = 64

/** Where a statement stands in its text, in bytes. */
export type StatementRange = { readonly start: number; readonly length: number }

const marker = /sluice:/i

/** Hints for each of a text's statements, in order; undefined where there is none at all, which is found by one search. */
export function cacheHintsOf(
  text: string,
  ranges: readonly StatementRange[],
): readonly (CacheHints | undefined)[] | undefined {
  if (!marker.test(text)) return undefined
  const tokens = scanTokens(text)
  const found = ranges.map((range, index) =>
    hintsIn(commentsAround(tokens, range, index === ranges.length - 1)),
  )
  return found.some((hints) => hints !== undefined) ? found : undefined
}

function isComment(token: Token | undefined): boolean {
  return token !== undefined && (token.text.startsWith("/*") || token.text.startsWith("--"))
}

/** `isLast`: what stands behind the final semicolon belongs to the statement before it. */
function commentsAround(
  tokens: readonly Token[],
  { start, length }: StatementRange,
  isLast: boolean,
): readonly string[] {
  const inside = tokens.filter((token) => token.start >= start && token.end <= start + length)
  const first = tokens.findIndex((token) => token.start >= start && !isComment(token))
  const found: string[] = []
  for (let at = first - 1; isComment(tokens[at]) && found.length < commentsMax; at -= 1)
    found.push(tokens[at]?.text ?? "")
  const lastWord = inside.findLastIndex((token) => !isComment(token))
  found.push(...inside.slice(lastWord + 1).map(({ text }) => text))
  if (isLast) {
    const behind = tokens.filter((token) => token.start >= start + length)
    found.push(...behind.filter(isComment).map(({ text }) => text))
  }
  return found.slice(0, 2 * commentsMax)
}

function hintsIn(comments: readonly string[]): CacheHints | undefined {
  const words = comments.flatMap(wordsOf)
  if (words.length === 0) return undefined
  let use: CacheUse | undefined
  let ttlMs: number | undefined
  let timeBucketMs: number | undefined
  const unknown: string[] = []
  for (const word of words.slice(0, wordsMax)) {
    const [, name = "", value = ""] = /^([a-z]+)=(\S+)$/i.exec(word) ?? []
    const asked = useOf(name, value)
    const ms = durationOf(value)
    // Given twice, the one that reduces caching more holds.
    if (asked !== undefined) use = uses.find((known) => known === use || known === asked)
    else if (name.toLowerCase() === "ttl" && ms !== undefined)
      ttlMs = Math.min(ms, ttlMs ?? Number.POSITIVE_INFINITY)
    else if (name.toLowerCase() === "bucket" && ms !== undefined)
      timeBucketMs = Math.min(ms, timeBucketMs ?? Number.POSITIVE_INFINITY)
    else unknown.push(word.slice(0, shownCharsMax))
  }
  return { use, ttlMs, timeBucketMs, unknown }
}

/** Words behind `sluice:` in one comment, that of a plain comment none. */
function wordsOf(comment: string): readonly string[] {
  const content = comment.startsWith("--") ? comment.slice(2) : comment.slice(2, -2)
  const [, words] = /^\s*sluice:([\s\S]*)$/i.exec(content) ?? []
  return words?.split(/[\s,]+/).filter((word) => word !== "") ?? []
}

/** The greatest reduction first. */
const uses: readonly CacheUse[] = ["off", "refresh", "only", "on"]

function useOf(name: string, value: string): CacheUse | undefined {
  if (name.toLowerCase() !== "cache") return undefined
  return uses.find((known) => known === value.toLowerCase())
}

const millisecondsPer: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["", 1_000],
  ["s", 1_000],
  ["m", 60_000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
])

/** Seconds, or a number with its unit; nine digits, so that no number loses a digit. */
function durationOf(value: string): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,9})([a-z]*)$/i.exec(value) ?? []
  const factor = millisecondsPer.get(unit.toLowerCase())
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor
}
