import { type CacheHints, type CacheUse, reduces } from "../core/cache-hints.ts"
import { GatewayError } from "../core/errors.ts"
import type { BypassReason } from "../core/observation.ts"
import type { Remark } from "../core/remark.ts"
import { SqlState } from "../core/sql-state.ts"
import type { EffectivePolicy } from "../policy/policy.ts"
import type { RoleCaching } from "../policy/rules.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"

/**
 * What this reader may be given from the cache for this statement: the session's `sluice.cache`, what the statement's comments
 * ask for, and what the reader's roles allow of it. None of it is part of a key: it decides which stored answers are looked
 * at, never what an answer is.
 */
export type Wish = {
  readonly use: CacheUse
  /** No stored answer older than this for this reader; Infinity = its TTL decides. */
  readonly ageMsMax: number
  /** Instead of the time bucket that configuration gives; undefined = that one. */
  readonly timeBucketMs: number | undefined
  readonly remarks: readonly Remark[]
  /** What is in force beyond the default, for SHOW sluice.last. */
  readonly text: string | undefined
}

const noRemarks: readonly Remark[] = []

type Asked = {
  readonly caching: RoleCaching
  readonly use: CacheUse
  readonly hints: CacheHints | undefined
}

/** One for each session value and limit of a role: a hit makes no object. */
const plainWishes = new WeakMap<RoleCaching, Map<CacheUse, Wish>>()
/** The last wish for a statement's hints: statements with hints mostly come again from the same kind of session. */
const hintedWishes = new WeakMap<CacheHints, { readonly asked: Asked; readonly wish: Wish }>()

/** A burst of hits asks for the same one. */
let lastPlain:
  | { readonly caching: RoleCaching; readonly use: CacheUse; readonly wish: Wish }
  | undefined

export function wishOf({ statement, caching: use }: Question, policy: EffectivePolicy): Wish {
  const { caching } = policy
  const { hints } = statement
  if (hints === undefined) return plainWish(caching, use)
  const last = hintedWishes.get(hints)
  if (last !== undefined && last.asked.caching === caching && last.asked.use === use)
    return last.wish
  const asked = { caching, use, hints }
  const wish = makeWish(asked)
  hintedWishes.set(hints, { asked, wish })
  return wish
}

function plainWish(caching: RoleCaching, use: CacheUse): Wish {
  if (lastPlain !== undefined && lastPlain.caching === caching && lastPlain.use === use)
    return lastPlain.wish
  let known = plainWishes.get(caching)
  if (known === undefined) {
    known = new Map()
    plainWishes.set(caching, known)
  }
  let wish = known.get(use)
  if (wish === undefined) {
    wish = makeWish({ caching, use, hints: undefined })
    known.set(use, wish)
  }
  lastPlain = { caching, use, wish }
  return wish
}

function makeWish({ caching, use: session, hints }: Asked): Wish {
  const remarks: Remark[] = (hints?.unknown ?? []).map((word) =>
    notice(`unrecognized cache hint "${word}"`, "Hints are cache, ttl and bucket."),
  )
  const mayAnything = caching.hints === "any"
  let use = session
  if (hints?.use !== undefined) {
    if (mayAnything || reduces(hints.use, session)) use = hints.use
    else remarks.push(notGranted(`cache=${hints.use}`))
  }
  const ageMsMax = Math.min(
    caching.ageMsMax ?? Number.POSITIVE_INFINITY,
    hints?.ttlMs ?? Number.POSITIVE_INFINITY,
  )
  const timeBucketMs = hints?.timeBucketMs
  const words = [
    ...(use === "on" ? [] : [`cache=${use}`]),
    ...(ageMsMax === Number.POSITIVE_INFINITY ? [] : [`ttl=${durationText(ageMsMax)}`]),
    ...(timeBucketMs === undefined ? [] : [`bucket=${durationText(timeBucketMs)}`]),
  ]
  return {
    use,
    ageMsMax,
    timeBucketMs,
    remarks: remarks.length === 0 ? noRemarks : remarks,
    text: words.length === 0 ? undefined : words.join(" "),
  }
}

/** The shortest bucket that makes sense: below it entries would be made faster than they are read. */
const timeBucketMsMin = 1_000
const timeBucketMsMax = 86_400_000

/** The bucket in force; 0 = none. A comment may make it shorter or take it away; more only where the role says so. */
export function timeBucketMsOf(plan: Plan, wish: Wish): number {
  const { timeBucketMs: given, verdict } = plan
  const asked = wish.timeBucketMs
  if (asked === undefined) return given
  const mayAnything = verdict.kind === "allowed" && verdict.policy.caching.hints === "any"
  const bucketMs = mayAnything ? Math.min(asked, timeBucketMsMax) : Math.min(asked, given)
  return bucketMs < timeBucketMsMin ? 0 : bucketMs
}

function notGranted(word: string): Remark {
  return notice(
    `cache hint "${word}" has no effect`,
    "A statement may only reduce what its session asks of the cache, unless its role has cacheHints: any.",
  )
}

function notice(message: string, hint: string): Remark {
  return { severity: "NOTICE", sqlState: SqlState.SuccessfulCompletion, message, hint }
}

function durationText(ms: number): string {
  return ms % 1_000 === 0 ? `${ms / 1_000}s` : `${ms}ms`
}

/** For `sluice.cache = only`: the warehouse would have to be asked. */
export function notInCache(reason: BypassReason | undefined): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ObjectNotInPrerequisiteState,
    reason: "not_in_cache",
    message: "the answer is not in the cache",
    detail:
      reason === undefined
        ? "No stored answer is young enough, or there is none."
        : `This statement goes past the cache: ${reason}.`,
    hint: "The session or the statement asks for stored answers only (sluice.cache = 'only').",
    safeToRetry: true,
  })
}
