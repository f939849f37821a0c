import { type CacheKey, completeKey, type KeyBase } from "../cache/key.ts"
import type { StoredEntry } from "../cache/stored-entry.ts"
import type { TokenVector } from "../cache/token-store.ts"
import { toGatewayError } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { StaleKind } from "./refreshes.ts"
import type { Rooms } from "./rooms.ts"
import type { Wish } from "./wish.ts"

/** A miss, as far as something older may stand in for it. */
export type Missed = {
  readonly question: Question
  readonly plan: Plan
  readonly rooms: Rooms
  readonly base: KeyBase
  readonly key: CacheKey
  readonly vector: TokenVector
  readonly wish: Wish
}

export type Stale = { readonly kind: StaleKind; readonly entry: StoredEntry }

/**
 * An entry that may be served while it is made anew: past its TTL under the tokens in force, within its class's time; or
 * within its TTL under tokens that soft invalidations replaced. Whether the reader may have it was judged as for a hit, and the
 * key says that it is the same question under the same rules. Synchronous: it holds in the turn in which tokens were usable.
 */
export function staleEntry(missed: Missed): Stale | undefined {
  const { question, plan, rooms, base, key, wish } = missed
  if (wish.use !== "on") return undefined
  const nowMs = rooms.nowMs()
  const { memory } = rooms.cache
  const late = memory.kept(key, nowMs)
  if (late !== undefined && nowMs - late.createdAtMs < wish.ageMsMax) {
    const lateMs = nowMs - late.expiresAtMs
    if (lateMs < rooms.ttl.staleWhileRevalidateMs(plan.relations))
      return { kind: "expired", entry: late }
  }
  for (const vector of rooms.tokens.pastVectors(plan.relations)) {
    const { parameters, resultFormats } = question
    const entry = memory.kept(completeKey(base, { parameters, resultFormats, vector }), nowMs)
    if (entry === undefined || nowMs - entry.createdAtMs >= wish.ageMsMax) continue
    if (nowMs < entry.expiresAtMs) return { kind: "soft", entry }
  }
  return undefined
}

/**
 * What may be served in place of this error: only when the warehouse cannot be reached, and only an entry under the tokens that
 * are in force now, when the attempt has failed. An invalidation that came meanwhile leaves the error.
 */
export function staleInPlaceOf(thrown: unknown, missed: Missed): Stale | undefined {
  const { plan, rooms, key, vector, wish } = missed
  if (wish.use !== "on" || !isUnreachable(thrown)) return undefined
  if (!rooms.tokens.isUsable()) return undefined
  if (rooms.tokens.vector(plan.relations).text !== vector.text) return undefined
  const nowMs = rooms.nowMs()
  const entry = rooms.cache.memory.kept(key, nowMs)
  if (entry === undefined || nowMs - entry.createdAtMs >= wish.ageMsMax) return undefined
  const lateMs = nowMs - entry.expiresAtMs
  return lateMs < rooms.ttl.staleIfErrorMs(plan.relations) ? { kind: "error", entry } : undefined
}

function isUnreachable(thrown: unknown): boolean {
  return toGatewayError(thrown).sqlState === SqlState.ConnectionFailure
}

/** What the client is told: always when the warehouse is away, of the others only who wants to know. */
export function staleRemarks(kind: StaleKind, ageMs: number, question: Question): Remark[] {
  const age = `The result is ${(ageMs / 1_000).toFixed(1)} s old.`
  if (kind === "error")
    return [
      {
        severity: "WARNING",
        sqlState: SqlState.Warning,
        message: "the warehouse is not reachable; an earlier result is shown",
        hint: age,
      },
    ]
  if (question.tellsStale !== true) return []
  const message = "an earlier result is shown while it is made anew"
  return [{ severity: "NOTICE", sqlState: SqlState.SuccessfulCompletion, message, hint: age }]
}
