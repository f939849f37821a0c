import type { RelationName } from "../core/relation.ts"
import { lengthDelimited } from "./length-delimited.ts"

/**
 * Soft invalidation: a new token remembers the ones that it replaced, and until when entries under them may still be served.
 *
 * **Why a hard invalidation ends it everywhere at once.** What may be served hangs on the token that is in force. A hard raise
 * makes a token without a past, and it reaches an instance in the one step in which every raise does, so that the proof in
 * redis/redis-token-store.ts covers it: whoever has the new token has no older one left to serve under.
 *
 * **Why several soft ones do not add up.** Data under a token that two soft invalidations replaced is older than both of them:
 * the shorter of their windows holds.
 */

/** A token that a soft invalidation replaced. `untilMs` is on the monotonic clock of this instance. */
export type PastToken = { readonly text: string; readonly untilMs: number }

export type Token = {
  readonly text: string
  readonly fence: string | undefined
  /** Tokens that soft invalidations replaced since the last hard one, newest first. */
  readonly past?: readonly PastToken[]
}

/** One soft invalidation as the ledger tells of it: the token before it, and the time that it allowed. */
export type SoftLink = { readonly text: string; readonly maxStaleMs: number }

/** Tokens that one token remembers; older entries are run anew. */
export const pastTokensMax = 4

/** Vectors of the past that one read is looked up under. */
const pastVectorsMax = 8

const noPast: readonly PastToken[] = []

/** What a token remembers that softly replaces `before`, which is undefined for a relation without one. */
export function pastAfter(
  before: Token | undefined,
  baseText: string,
  untilMs: number,
): readonly PastToken[] {
  const older = (before?.past ?? noPast).map((one) => ({
    text: one.text,
    untilMs: Math.min(one.untilMs, untilMs),
  }))
  return [{ text: before?.text ?? baseText, untilMs }, ...older].slice(0, pastTokensMax)
}

/**
 * The same from the ledger's links, newest first, for an instance that may have missed some of them. `sinceMs`: a time at which
 * this instance had everything up to the token that it knew. Whatever it did not know then happened after it, so that the
 * window counts from there: it may end early by the age of the news, never late.
 */
export function pastOfLinks(
  links: readonly SoftLink[],
  known: Token | undefined,
  sinceMs: number,
): readonly PastToken[] {
  let untilMs = Number.POSITIVE_INFINITY
  return links.map(({ text, maxStaleMs }) => {
    const seen = known?.past?.find((one) => one.text === text)
    untilMs = Math.min(untilMs, seen?.untilMs ?? sinceMs + maxStaleMs)
    return { text, untilMs }
  })
}

/**
 * Texts of the vectors that were in force before each soft invalidation of these relations, newest first, as long as all of
 * their tokens may still be served. Tokens grow, so that "before" is an order of texts.
 */
export function pastVectors(
  relations: readonly RelationName[],
  tokens: ReadonlyMap<RelationName, Token>,
  { epoch, baseText, nowMs }: { epoch: string; baseText: string; nowMs: number },
): readonly string[] {
  const raised = new Set<string>()
  for (const relation of relations) {
    const token = tokens.get(relation)
    let replacedBy = token?.text
    for (const past of token?.past ?? noPast) {
      if (replacedBy !== undefined) raised.add(replacedBy)
      replacedBy = past.text
    }
  }
  const texts: string[] = []
  for (const change of [...raised].toSorted().toReversed().slice(0, pastVectorsMax)) {
    let text = lengthDelimited(epoch)
    for (const relation of relations) {
      const before = tokenBefore(tokens.get(relation), baseText, { change, nowMs })
      // An older vector has this relation's token from before as well, and its window is no longer.
      if (before === undefined) return texts
      text += lengthDelimited(relation) + lengthDelimited(before)
    }
    texts.push(text)
  }
  return texts
}

/** The relation's token in force before that change; undefined when nothing under it may be served. */
function tokenBefore(
  token: Token | undefined,
  baseText: string,
  { change, nowMs }: { readonly change: string; readonly nowMs: number },
): string | undefined {
  const text = token?.text ?? baseText
  if (text < change) return text
  const found = token?.past?.find((one) => one.text < change)
  return found !== undefined && nowMs < found.untilMs ? found.text : undefined
}
