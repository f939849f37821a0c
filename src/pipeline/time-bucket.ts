import type { CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError } from "../core/errors.ts"
import type { Remark } from "../core/remark.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { bindTime, boundFunctions, instantText } from "../sql/bind-time.ts"
import { planFor } from "./plan.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"

/**
 * Statements that read the clock, made cacheable where configuration opts in: now() and its kin become the start of a time
 * bucket, a literal in the statement that is judged, keyed and run. So the key holds the bucket, and the answer is what the
 * warehouse gives when that instant is written by hand.
 *
 * The literal is put into the client's statement, before policies: a row filter that reads the clock keeps doing so, and its
 * readers' statements are not cached.
 *
 * In an explicit transaction now() is one instant. The first statement that reads the clock decides for all of them: either it is
 * bound to a bucket, and each later one that can be bound is bound to the same instant; or it reads the warehouse's clock, and
 * no later one is bound. What cannot be bound (now() inside a view) reads the warehouse's clock in either case.
 */
export type TimeBound = {
  readonly question: Question
  readonly plan: Plan
  /** `2026-11-21 10:40:00+00`. */
  readonly instant: string
}

/**
 * For a statement that {@link readsClock}. Undefined: it reads the warehouse's own. With `bucketMs` 0 a statement is bound only
 * because its transaction is, and must go past the cache.
 */
export function boundToBucket(
  asked: { readonly question: Question; readonly bucketMs: number },
  snapshot: CatalogSnapshot,
  rooms: Rooms,
): TimeBound | undefined {
  const { question, bucketMs } = asked
  const { transaction } = question
  const instantMs = instantFor(question, bucketMs, rooms.wallMs())
  const bound =
    instantMs === undefined || !clocksAreSystems(snapshot)
      ? undefined
      : boundStatement(question.statement, instantMs)
  const boundPlan = bound === undefined ? undefined : planFor(bound, question, snapshot, rooms)
  const isCacheable =
    boundPlan?.verdict.kind === "allowed" && boundPlan.cacheability.kind === "cacheable"
  if (bound === undefined || boundPlan === undefined || instantMs === undefined || !isCacheable) {
    if (transaction !== undefined) transaction.hasReadClock = true
    return undefined
  }
  if (transaction !== undefined) transaction.boundTimeMs = instantMs
  return {
    question: { ...question, statement: bound },
    plan: boundPlan,
    instant: instantText(instantMs),
  }
}

/** True for a statement that is kept from the cache by nothing so much as by the clock. */
export function readsClock({ cacheability, verdict, place, traits }: Plan): boolean {
  if (verdict.kind !== "allowed" || place.kind !== "warehouse" || traits === undefined) return false
  return cacheability.kind === "bypass" && cacheability.reason === "time_function"
}

/** The instant to bind to; undefined where the clock itself is to be read. */
function instantFor(
  { transaction, statement }: Question,
  bucketMs: number,
  wallMs: number,
): number | undefined {
  if (statement.class.kind !== "read" || statement.isRewritten === true) return undefined
  if (transaction?.boundTimeMs !== undefined) return transaction.boundTimeMs
  if (bucketMs === 0) return undefined
  if (transaction?.hasReadClock === true) return undefined
  // What runs on the transaction's own connection may have read its clock, and a snapshot belongs to it.
  if (transaction?.isPinned === true || transaction?.needsSnapshot === true) return undefined
  return Math.floor(wallMs / bucketMs) * bucketMs
}

const systemClocks = new WeakMap<CatalogSnapshot, boolean>()

/** False when somebody has a function of such a name, which a search_path might find first. */
function clocksAreSystems(snapshot: CatalogSnapshot): boolean {
  let known = systemClocks.get(snapshot)
  if (known === undefined) {
    known = ![...snapshot.functions.keys()].some(
      (full) =>
        !full.startsWith("pg_catalog.") &&
        boundFunctions.has(
          full
            .slice(full.lastIndexOf(".") + 1)
            .replaceAll('"', "")
            .toLowerCase(),
        ),
    )
    systemClocks.set(snapshot, known)
  }
  return known
}

type Bound = { readonly instantMs: number; readonly statement: Statement | undefined }

/** The two instants asked for last: around the end of a bucket transactions that are open still use the one before. */
const instantsKept = 2
const boundStatements = new WeakMap<Statement, readonly Bound[]>()

/** One object for all who ask in the same bucket, so that plans and keys are made once. */
function boundStatement(statement: Statement, instantMs: number): Statement | undefined {
  const known = boundStatements.get(statement) ?? []
  const found = known.find((bound) => bound.instantMs === instantMs)
  if (found !== undefined) return found.statement
  const bound = { instantMs, statement: boundOrNot(statement, instantMs) }
  boundStatements.set(statement, [bound, ...known].slice(0, instantsKept))
  return bound.statement
}

/** A text that only its bound form makes too deep or too long for the parser stays as it is. */
function boundOrNot(statement: Statement, instantMs: number): Statement | undefined {
  try {
    return bindTime(statement, instantMs)
  } catch (thrown) {
    if (thrown instanceof GatewayError) return undefined
    throw thrown
  }
}

/** What a client is told with every answer that is bound. */
export function bucketRemark(instant: string): Remark {
  return {
    severity: "NOTICE",
    sqlState: SqlState.SuccessfulCompletion,
    message: `now() was taken to be ${instant}, the start of a time bucket`,
    hint: "SET sluice.cache = off asks the warehouse with its own clock.",
  }
}
