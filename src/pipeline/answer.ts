import { type CacheKey, completeKey, type KeyBase } from "../cache/key.ts"
import type { LeadRequest } from "../cache/result-cache.ts"
import type { LeaderSeat } from "../cache/single-flight.ts"
import type { StoredEntry } from "../cache/stored-entry.ts"
import type { TokenVector } from "../cache/token-store.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import { GatewayError, unreachable } from "../core/errors.ts"
import type { BypassReason } from "../core/observation.ts"
import type { Remark } from "../core/remark.ts"
import type { RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Statement } from "../core/statement.ts"
import { checkDeclaredTypes } from "../policy/check-read.ts"
import { firstParameter } from "../sql/first-parameter.ts"
import { looksLikeTimeLiteral } from "../sql/time-literal.ts"
import { dateBucket } from "./date-bucket.ts"
import { timedOut } from "./deadline.ts"
import { checkParameterTypes } from "./naming-parameters.ts"
import type { Place } from "./place.ts"
import { keyBaseOf, needsNewCatalog, planFor } from "./plan.ts"
import type { Plan } from "./plan-memo.ts"
import type { Answer, Question } from "./question.ts"
import { refusal } from "./refusal.ts"
import { ReportDraft } from "./report.ts"
import type { Rooms } from "./rooms.ts"
import { deadlineOf, runOnWarehouse } from "./run.ts"
import { runOnCatalogue } from "./run-on-catalogue.ts"
import { type Stale, staleEntry, staleInPlaceOf, staleRemarks } from "./stale.ts"
import { boundToBucket, bucketRemark, readsClock } from "./time-bucket.ts"
import type { WarehouseRows } from "./warehouse-rows.ts"
import { notInCache, timeBucketMsOf, type Wish, wishOf } from "./wish.ts"
import { withClaims } from "./with-claims.ts"

/** A client's text as statements: parsed once for each distinct text. A promise only for texts that are parsed off the event loop. */
export function statementsOf(
  sql: string,
  rooms: Rooms,
): readonly Statement[] | Promise<readonly Statement[]> {
  return rooms.statements.get(sql)
}

/** One statement under way: what was asked, what was decided, what will be told of it. */
type Course = {
  readonly question: Question
  readonly plan: Plan
  readonly rooms: Rooms
  readonly draft: ReportDraft
  readonly wish: Wish
  /** False for a statement that is bound to an instant for its transaction's sake only. */
  readonly isShared: boolean
  /** What the warehouse is asked by the plan, as a digest; without the instant of a time bucket, which passes. */
  readonly canonical: string
  /** Told with the answer. */
  readonly remarks: readonly Remark[]
}

/**
 * THE SPINE. One statement's way from question to answer; every way to data is through here.
 *
 * parse (statementsOf) -> judge -> key -> cache -> admit -> lease -> run -> tee
 *
 * A hit returns without a promise. Whoever gets `rows` holds the lease and must read to the end or dispose.
 */
export function answer(question: Question, rooms: Rooms): Answer | Promise<Answer> {
  const draft = new ReportDraft(question, rooms.warehouse)

  const snapshot = rooms.catalog.current()
  if (snapshot === undefined) return answerWithNewCatalog(question, rooms)

  const plan = planFor(question.statement, question, snapshot, rooms)
  draft.judged(plan.relations)
  if (needsNewCatalog(plan, rooms)) return answerWithNewCatalog(question, rooms)
  if (plan.verdict.kind === "refused") {
    const known = withClaims(question, plan, rooms)
    if (known instanceof Promise) return known.then((ready) => answer(ready, rooms))
    if (known !== undefined) return answer(known, rooms)
    throw refusal(plan.verdict)
  }
  checkParameterTypes(question.parameters.types, plan)
  const { types } = question.parameters
  if (types.length > 0 && plan.verdict.policy.rules !== undefined) {
    const denied = checkDeclaredTypes(types, snapshot)
    if (denied !== undefined) throw refusal(denied)
  }
  if (isUnbound(question, plan)) throw undefinedParameter(question.statement)

  const wish = wishOf(question, plan.verdict.policy)
  const { remarks } = wish
  const { canonical } = plan.asked
  const asked: Course = { question, plan, rooms, draft, wish, canonical, remarks, isShared: true }
  const course = courseOf(asked, snapshot)
  const decision = cacheDecision(course)
  if (decision.kind === "bypass") return bypass(course, decision.reason)
  draft.keyed(decision.key, decision.vector)

  if (course.wish.use !== "refresh") {
    const hit = rooms.cache.lookup(decision.key)
    if (hit !== undefined && isYoungEnough(hit, course)) {
      if (rooms.verifier?.isDue() === true) sample(course, hit, decision)
      if (course.wish.use === "on" && rooms.isDueAhead(hit)) refresh(course, decision, hit)
      return serve(course, hit, "hit_l1")
    }
    const stale = staleEntry({ ...course, ...decision })
    if (stale !== undefined) {
      refresh(course, decision, stale.entry)
      return serveStale(course, stale)
    }
  }
  return miss(course, decision).catch((thrown: unknown) => {
    const stale = staleInPlaceOf(thrown, { ...course, ...decision })
    if (stale === undefined) throw thrown
    return serveStale(course, stale)
  })
}

/** With the start of a time bucket in place of now(), where that is allowed. */
function courseOf(course: Course, snapshot: CatalogSnapshot): Course {
  const { question, plan, rooms, draft, wish, remarks } = course
  draft.hint = wish.text
  if (!readsClock(plan)) return course
  const bucketMs = wish.use === "off" ? 0 : timeBucketMsOf(plan, wish)
  const bound = boundToBucket({ question, bucketMs }, snapshot, rooms)
  if (bound === undefined) return course
  draft.timeBucket = bound.instant
  return {
    ...course,
    question: bound.question,
    plan: bound.plan,
    isShared: bucketMs > 0,
    remarks: [...remarks, bucketRemark(bound.instant)],
  }
}

/** `sluice.cache = only`: no warehouse is asked. The shadow of a catalogue is none. */
function mayNotAsk({ wish, plan }: Course): boolean {
  return wish.use === "only" && plan.place.kind !== "catalogue"
}

/** Never older than the reader asked for, however long the entry may live for others. */
function isYoungEnough(entry: StoredEntry, { wish, rooms }: Course): boolean {
  const { ageMsMax } = wish
  return ageMsMax === Number.POSITIVE_INFINITY || rooms.nowMs() - entry.createdAtMs < ageMsMax
}

/** Until the catalogue says what names mean, neither can policy be proven to hold nor the cache be asked. */
async function answerWithNewCatalog(question: Question, rooms: Rooms): Promise<Answer> {
  await rooms.catalog.refreshNow()
  question.abort.throwIfAborted()
  return answer(question, rooms)
}

/** A simple query cannot carry parameters. */
function isUnbound({ parameters }: Question, plan: Plan): boolean {
  const { traits } = plan
  if (traits === undefined) return false
  return parameters.values.length < traits.parameterCount || traits.usesParameterZero
}

/** `there is no parameter $1`, at the place of the first that the statement uses. */
export function undefinedParameter(statement: Statement): GatewayError {
  const first = firstParameter(statement)
  return new GatewayError({
    sqlState: SqlState.UndefinedParameter,
    reason: "invalid_parameter",
    message: `there is no parameter $${first?.number ?? 1}`,
    safeToRetry: true,
    ...(first === undefined || statement.isRewritten === true ? {} : { position: first.position }),
  })
}

type Keyed = {
  readonly kind: "keyed"
  readonly base: KeyBase
  readonly key: CacheKey
  readonly vector: TokenVector
  readonly capturedAtMs: number
  /** The date that the key was made for, for a statement that uses current_date. */
  readonly date: string | undefined
  /** The entry that a refresh makes anew. */
  readonly replaces?: StoredEntry
}

type CacheDecision = Keyed | { readonly kind: "bypass"; readonly reason: BypassReason }

/** The token vector is captured here: before the look-up, and before an endpoint is chosen. */
function cacheDecision({ question, plan, rooms, wish, isShared }: Course): CacheDecision {
  if (plan.cacheability.kind === "bypass") return plan.cacheability
  if (question.statement.isRewritten === true) return { kind: "bypass", reason: "session_function" }
  if (!isShared) return { kind: "bypass", reason: "time_function" }
  if (wish.use === "off") return { kind: "bypass", reason: "requested_off" }
  if (question.transaction?.needsSnapshot === true)
    return { kind: "bypass", reason: "transaction_isolation" }
  // DuckDB keeps one snapshot for a whole transaction: what such a transaction reads may be older than the tokens say.
  if (question.transaction?.isPinned === true && rooms.engine === "duckdb")
    return { kind: "bypass", reason: "transaction_pinned" }
  if (!rooms.tokens.isUsable()) return { kind: "bypass", reason: "tokens_unavailable" }
  for (const value of question.parameters.values)
    if (value !== null && looksLikeTimeLiteral(value))
      return { kind: "bypass", reason: "time_literal" }
  const date = plan.cacheability.needsDate ? dateOf(question, rooms) : undefined
  if (plan.cacheability.needsDate && date === undefined)
    return { kind: "bypass", reason: "time_function" }
  const capturedAtMs = rooms.nowMs()
  const vector = rooms.tokens.vector(plan.relations)
  const base = keyBaseOf(plan, date, { context: question, rooms })
  const { parameters, resultFormats } = question
  const key = completeKey(base, { parameters, resultFormats, vector })
  return { kind: "keyed", base, key, vector, capturedAtMs, date }
}

function dateOf(question: Question, rooms: Rooms): string | undefined {
  return dateBucket(question.settings.values.get("timezone") ?? "UTC", rooms.wallMs())
}

function serve(
  { rooms, draft, remarks, canonical }: Course,
  entry: StoredEntry,
  outcome: "hit_l1" | "hit_l2" | "coalesced",
): Answer {
  const ageMs = rooms.nowMs() - entry.createdAtMs
  const report = draft.finish(outcome, undefined, ageMs)
  return { kind: "stored", result: entry.result, report, remarks, canonical }
}

/** Run again later, beside the way, and compared. */
function sample({ question, plan, rooms }: Course, entry: StoredEntry, keyed: Keyed): void {
  const { vector, date } = keyed
  rooms.verifier?.offer({ question, plan, entry, vector, date })
}

function serveStale(course: Course, { kind, entry }: Stale): Answer {
  const { question, rooms, draft, canonical } = course
  rooms.refreshes.served[kind] += 1
  const ageMs = rooms.nowMs() - entry.createdAtMs
  const report = draft.finish("stale", undefined, ageMs)
  const remarks = [...course.remarks, ...staleRemarks(kind, ageMs, question)]
  return { kind: "stored", result: entry.result, report, canonical, remarks }
}

/**
 * What was served is made anew in the background: under this reader's very plan, parameters and settings, and under the vector
 * that was captured before it was served.
 */
function refresh(course: Course, keyed: Keyed, served: StoredEntry): void {
  const { question, rooms } = course
  const pools = rooms.router.endpoints.map(({ pool }) => pool)
  rooms.refreshes.start(served, pools, (abort) => {
    const seat = rooms.cache.join(keyed.key)
    if (seat.role !== "leader") return undefined
    // What is made anew before its time is still good in the shared tier, and not to be taken from there.
    const isAhead = served.key.equals(keyed.key) && rooms.nowMs() < served.expiresAtMs
    const wish: Wish = { ...course.wish, use: isAhead ? "refresh" : "on" }
    const unasked = { ...question, abort, transaction: undefined }
    const draft = new ReportDraft(unasked, rooms.warehouse)
    return lead({ ...course, question: unasked, draft, wish }, { ...keyed, replaces: served }, seat)
  })
}

/** Nothing is looked up, nothing is stored. */
async function bypass(course: Course, reason: BypassReason | undefined): Promise<Answer> {
  const { question, plan, rooms } = course
  if (mayNotAsk(course)) throw notInCache(reason)
  if (plan.place.kind === "catalogue") return answerFromCatalogue(course, plan.place, reason)
  // Taken before an endpoint is chosen, as for a read that is stored: an answer past the cache is no older either.
  const fences = rooms.tokens.isUsable() ? rooms.tokens.vector(plan.relations).fences : undefined
  const { signal } = question.abort
  const run = await runOnWarehouse(question, plan, rooms, { signal, fences })
  return flowing(course, { rows: run, run, reason })
}

/** The engine has no pg_catalog: a shadow of its schema answers, by the same verdict and limits. */
async function answerFromCatalogue(
  { question, plan, rooms, draft, remarks: told, canonical }: Course,
  place: Extract<Place, { kind: "catalogue" }>,
  reason: BypassReason | undefined,
): Promise<Answer> {
  const { rows, remarks } = await runOnCatalogue(question, plan, place, rooms)
  remarks.unshift(...told)
  const report = draft.finish("bypass", reason, undefined)
  return { kind: "rows", rows, report, remarks, canonical }
}

/** One run for all who ask the same at once. */
async function miss(course: Course, keyed: Keyed): Promise<Answer> {
  const { question, rooms } = course
  const seat = rooms.cache.join(keyed.key)
  if (seat.role === "leader") return lead(course, keyed, seat)
  const { waitMs, isTimedOut } = waitOf(course)
  const outcome = await seat.wait(question.abort.signal, waitMs)
  switch (outcome.kind) {
    case "stored":
      // The run waited for may have begun before the age that this reader accepts.
      if (!isYoungEnough(outcome.entry, course)) return bypass(course, undefined)
      return serve(course, outcome.entry, "coalesced")
    case "leader":
      return lead(course, keyed, outcome.seat)
    case "alone":
      if (isTimedOut && outcome.reason === "timeout") throw timedOut()
      return bypass(course, undefined)
    default:
      return unreachable(outcome)
  }
}

/** A follower's own time-out counts while it waits; the leader's may be longer, or none. */
function waitOf({ question, plan, rooms }: Course): {
  readonly waitMs: number
  readonly isTimedOut: boolean
} {
  const timeoutMs = deadlineOf(question, plan)
  const isTimedOut = timeoutMs > 0 && timeoutMs <= rooms.followerWaitMsMax
  return { waitMs: isTimedOut ? timeoutMs : rooms.followerWaitMsMax, isTimedOut }
}

/** What other instances have, or are about to have; else the leader runs. */
async function lead(course: Course, keyed: Keyed, seat: LeaderSeat): Promise<Answer> {
  const { question, plan, rooms, wish } = course
  const shared = rooms.sharesAnswers ? rooms.cache.shared : undefined
  if (shared === undefined) return fill(course, keyed, { seat, flight: undefined })
  const { key } = keyed
  if (wish.use === "refresh") return fill(course, keyed, { seat, flight: shared.unclaimed(key) })
  const { waitMs, isTimedOut } = waitOf(course)
  const outcome = await rooms.cache.recall(shared, {
    key,
    seat,
    relations: plan.relations,
    ageMsMax: wish.ageMsMax,
    signal: question.abort.signal,
    waitMsMax: waitMs,
  })
  if (outcome.kind === "hit") {
    question.abort.throwIfAborted()
    return serve(course, outcome.entry, "hit_l2")
  }
  if (outcome.kind === "waited_out" && isTimedOut) {
    seat.abandon()
    throw timedOut()
  }
  return fill(course, keyed, { seat, flight: outcome.flight })
}

/** The leader's rows are teed into the cache on their way to its client. */
async function fill(
  course: Course,
  keyed: Keyed,
  duties: Pick<LeadRequest, "seat" | "flight">,
): Promise<Answer> {
  const { question, plan, rooms } = course
  if (mayNotAsk(course)) {
    duties.seat.abandon()
    duties.flight?.leave("cancelled")
    throw notInCache(undefined)
  }
  const { key, vector, capturedAtMs, date, replaces } = keyed
  let run: WarehouseRows | undefined
  const rows = await rooms.cache.lead({
    ...duties,
    key,
    vector,
    relations: plan.relations,
    capturedAtMs,
    replaces,
    signal: question.abort.signal,
    run: async (signal) => {
      run = await runOnWarehouse(question, plan, rooms, { signal, fences: vector.fences })
      return run
    },
    // A date that changed while the statement ran: its rows may belong to either day.
    wasCut: () => run?.isCut === true || (date !== undefined && dateOf(question, rooms) !== date),
  })
  return flowing(course, { rows, run, reason: undefined })
}

function flowing(
  { draft, remarks: told, canonical }: Course,
  started: {
    readonly rows: RowStream
    readonly run: WarehouseRows | undefined
    readonly reason: BypassReason | undefined
  },
): Answer {
  const { rows, run, reason } = started
  draft.ran(run)
  const report = draft.finish(reason === undefined ? "miss" : "bypass", reason, undefined)
  run?.remarks.unshift(...told)
  return { kind: "rows", rows, report, remarks: run?.remarks ?? told, canonical }
}
