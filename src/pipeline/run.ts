import { GatewayError } from "../core/errors.ts"
import type { Parameters } from "../core/parameters.ts"
import { noParameters } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import type { RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted } from "../core/statement.ts"
import type { Leased, RouteOptions } from "../route/router.ts"
import { emitTree, emitUnchanged, limitRows } from "../sql/emit.ts"
import { nameReading } from "../sql/name-reading.ts"
import { inClientsTerms } from "./client-errors.ts"
import { coarsePlan } from "./coarse-plan.ts"
import { checkEstimate, needsEstimate, queryToEstimate } from "./cost-guard.ts"
import { Deadline } from "./deadline.ts"
import { type Estimate, estimateId, explained, ofExplained, readEstimate } from "./estimate.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"
import { LimitedRows } from "./row-limit.ts"
import { WarehouseRows } from "./warehouse-rows.ts"

export type RunOptions = {
  readonly signal: AbortSignal
  /** What a server must have replayed to answer (TokenVector.fences); undefined = only the primary may. */
  readonly fences: readonly string[] | undefined
  /** No client waits for it: it takes no place of the role's workload class. */
  readonly isBackground?: boolean
}

/**
 * Admits, leases, runs. The rows that come back own the lease and the deadline, and give both up when they have ended,
 * failed or were disposed of.
 */
export async function runOnWarehouse(
  question: Question,
  plan: Plan,
  rooms: Rooms,
  runOptions: RunOptions,
): Promise<WarehouseRows> {
  const emitted = emittedOf(plan)
  const timeoutMs = deadlineOf(question, plan)
  const deadline = new Deadline(timeoutMs, runOptions.signal)
  try {
    const queuedMs = performance.now()
    const leased = await leaseFor(question, plan, rooms, {
      ...runOptions,
      signal: deadline.signal,
    })
    const leasedMs = performance.now()
    let sent = emitted
    try {
      const { statement, parameters } = adapt(emitted, question.parameters, leased)
      sent = statement
      const course = { question, plan, rooms, leased, timeoutMs, signal: deadline.signal }
      if (needsEstimate(plan)) await checkCost(emitted, course)
      const rows =
        isCoarse(plan) && plan.asked.statement.class.kind === "explain"
          ? coarsePlan(await estimated(emitted, course), question.resultFormats)
          : await leased.lease.connection.run({
              statement,
              parameters,
              resultFormats: question.resultFormats,
              protocol: question.protocol,
              settings: question.settings,
              statementTimeoutMs: timeoutMs,
              signal: deadline.signal,
            })
      return new WarehouseRows(limited(rows, plan), {
        leased,
        isPinned: isPinned(question, leased),
        deadline,
        mapError: (error) => inClientsTerms(error, statement, question, plan),
        queueMs: leasedMs - queuedMs,
        warehouseMs: performance.now() - leasedMs,
      })
    } catch (thrown) {
      if (!isPinned(question, leased)) leased.lease[Symbol.dispose]()
      throw inClientsTerms(thrown, sent, question, plan)
    }
  } catch (thrown) {
    deadline[Symbol.dispose]()
    throw thrown
  }
}

/** A statement that has its lease. */
type Course = {
  readonly question: Question
  readonly plan: Plan
  readonly rooms: Rooms
  readonly leased: Leased
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

async function checkCost(emitted: Emitted, course: Course): Promise<void> {
  const { verdict, asked } = course.plan
  if (verdict.kind !== "allowed") return
  checkEstimate(await estimated(emitted, course), verdict.policy, asked.governed !== undefined)
}

/** What the engine expects of the statement, asked on the statement's own connection. */
async function estimated(emitted: Emitted, course: Course): Promise<Estimate> {
  const { question, plan, rooms, leased } = course
  const { statement } = plan.asked
  const { bytesDigest } = question.settings
  const version = rooms.catalog.current()?.version ?? ""
  const id = estimateId(
    [statement.canonical, emitted.text, bytesDigest, version],
    question.parameters,
  )
  const known = rooms.estimates.get(id)
  if (known !== undefined) return known
  const query = adapt(queryToEstimate(emitted, statement), question.parameters, leased)
  try {
    const rows = await leased.lease.connection.run({
      statement: explained(query.statement),
      parameters: query.parameters,
      resultFormats: [],
      protocol: question.protocol,
      settings: question.settings,
      statementTimeoutMs: course.timeoutMs,
      signal: course.signal,
    })
    const estimate = await readEstimate(rows)
    rooms.estimates.set(id, estimate)
    return estimate
  } catch (thrown) {
    throw ofExplained(thrown)
  }
}

/** EXPLAIN of what a policy changed, for a role that may know the order of magnitude only. */
function isCoarse({ verdict, asked }: Plan): boolean {
  return (
    asked.governed !== undefined &&
    verdict.kind === "allowed" &&
    verdict.policy.guards.explain === "coarse"
  )
}

/** The text that `runOnWarehouse` would send. */
export async function sqlToRun(question: Question, plan: Plan, rooms: Rooms): Promise<string> {
  const emitted = emittedOf(plan)
  if (rooms.engine === "postgres" || plan.place.kind === "catalogue") return emitted.text
  const leased = await rooms.router.lease({ signal: question.abort.signal })
  using held = leased.lease
  return adapt(emitted, undefined, { ...leased, lease: held }).statement.text
}

export function emittedOf(plan: Plan): Emitted {
  if (plan.emitted !== undefined) return plan.emitted
  const { statement } = plan.asked
  const rowLimit = plan.verdict.kind === "allowed" ? plan.verdict.policy.rowLimit : undefined
  const emitted =
    rowLimit === undefined || statement.class.kind !== "read"
      ? emitUnchanged(statement)
      : limitRows(statement, rowLimit).emitted
  // For a governed one limitRows remembers it, as long as the statement itself is kept.
  if (plan.asked.governed === undefined) plan.emitted = emitted
  return emitted
}

/** The smaller of the session's and the role's limit; 0 = none. */
export function deadlineOf(question: Question, plan: Plan): number {
  const role = plan.verdict.kind === "allowed" ? plan.verdict.policy.statementTimeoutMs : 0
  const own = question.statementTimeoutMs
  return role === 0 || own === 0 ? Math.max(role, own) : Math.min(role, own)
}

/** Inside an explicit transaction some answers belong to it and must come from its own connection. */
function leaseFor(
  question: Question,
  plan: Plan,
  rooms: Rooms,
  { signal, fences, isBackground }: RunOptions,
): Promise<Leased> {
  const { transaction } = question
  const options = isBackground === true ? { signal } : routeOptions(plan, signal)
  const lease = () =>
    fences === undefined || !mayAskReplica(plan)
      ? rooms.router.lease(options)
      : rooms.router.leaseForRead(options, fences)
  if (transaction === undefined) return lease()
  const belongs =
    transaction.isPinned ||
    transaction.needsSnapshot ||
    (plan.cacheability.kind === "bypass" && plan.cacheability.needsTransaction)
  return belongs ? transaction.pin(rooms.router, options) : lease()
}

/** What is cached may come from any server; of the rest only what merely depends on the time or on the client's wish. */
function mayAskReplica({ cacheability, hasUnknown }: Plan): boolean {
  if (hasUnknown) return false
  return cacheability.kind !== "bypass" || cacheability.reason === "time_function"
}

/** A lease is the workload class's: it counts against that, and waits as long as that allows. */
export function routeOptions({ verdict }: Plan, signal: AbortSignal): RouteOptions {
  if (verdict.kind !== "allowed") return { signal }
  const { queueTimeoutMs, workloadClass } = verdict.policy.guards
  return { signal, queueTimeoutMs, workloadClass }
}

function isPinned(question: Question, leased: Leased): boolean {
  return question.transaction?.owns(leased) === true
}

/** The engine's dialect, emitted and verified; the client's own text where the engine takes it as it is. */
export function adapt(
  emitted: Emitted,
  parameters: Parameters | undefined,
  leased: Leased,
): { readonly statement: Emitted; readonly parameters: Parameters } {
  const { warehouse } = leased.lease
  if (warehouse.engine === "postgres")
    return { statement: emitted, parameters: parameters ?? noParameters }
  const tree = warehouse.adapt(emitted.ast, parameters)
  if (tree !== undefined)
    return { statement: withPlainNames(emitTree(tree)), parameters: noParameters }
  // The tree has names as PostgreSQL cuts them; the other engine would take the whole of what the text has.
  const isCut = readingOf(emitted) === "cut"
  const statement = withPlainNames(isCut ? emitTree(emitted.ast) : emitted)
  return { statement, parameters: parameters ?? noParameters }
}

const readings = new WeakMap<Emitted, ReturnType<typeof nameReading>>()

function readingOf(emitted: Emitted): ReturnType<typeof nameReading> {
  const known = readings.get(emitted)
  if (known !== undefined) return known
  const reading = nameReading(emitted.text)
  readings.set(emitted, reading)
  return reading
}

/** What was judged has to be what the engine reads. */
function withPlainNames(emitted: Emitted): Emitted {
  if (readingOf(emitted) !== "odd") return emitted
  throw new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "construct_unsupported",
    message: "a name without quotes holds a blank or sign that is not ASCII",
    hint: "It may be a no-break space that was pasted in: write a plain one.",
    safeToRetry: true,
  })
}

export function limited(rows: RowStream, plan: Plan): { rows: RowStream; remarks: Remark[] } {
  const remarks: Remark[] = []
  if (plan.verdict.kind !== "allowed") return { rows, remarks }
  const { rowLimit, onExceed, guards } = plan.verdict.policy
  const { resultBytesMax } = guards
  if (rowLimit === undefined && resultBytesMax === undefined) return { rows, remarks }
  const rule = { rowLimit, resultBytesMax, onExceed }
  return { rows: new LimitedRows(rows, rule, remarks), remarks }
}
