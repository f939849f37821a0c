import { GatewayError, toGatewayError } from "../core/errors.ts"
import type { Parameters } from "../core/parameters.ts"
import { noParameters } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import type { Completion, EarlyNotice, RowBatch, RowStream } from "../core/result.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Emitted, Statement } from "../core/statement.ts"
import type { Leased, RouteOptions } from "../route/router.ts"
import { emitTree, emitUnchanged, limitRows } from "../sql/emit.ts"
import { nameReading } from "../sql/name-reading.ts"
import { coarsePlan } from "./coarse-plan.ts"
import { checkEstimate, needsEstimate, queryToEstimate } from "./cost-guard.ts"
import { type Estimate, estimateId, explained, ofExplained, readEstimate } from "./estimate.ts"
import type { Asked, Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"
import { LimitedRows } from "./row-limit.ts"
import { scrubbed } from "./scrub-error.ts"

/** The server's own statement_timeout speaks first, because its error has all fields; ours follows when it does not. */
const timeoutGraceMs = 250

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

/**
 * A warehouse's error position counts in the text it was sent; the client's counts in what it wrote. What may tell of rows
 * that a policy hides is taken out.
 */
export function inClientsTerms(
  thrown: unknown,
  emitted: Emitted,
  question: Question,
  { asked }: Plan,
): GatewayError {
  const raised = toGatewayError(thrown)
  if (raised.reason !== "warehouse_error") return raised
  const error = asked.governed === undefined ? raised : scrubbed(raised)
  if (error.position === undefined) return error
  const position = clientPosition(error.position, emitted, question.statement, asked)
  if (position === error.position) return error
  const { sqlState, reason, message, severity, safeToRetry, stage } = error
  return new GatewayError({
    sqlState,
    reason,
    message,
    severity,
    safeToRetry,
    stage,
    cause: error.cause,
    ...(position === undefined ? {} : { position }),
    ...(error.detail === undefined ? {} : { detail: error.detail }),
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.fields === undefined ? {} : { fields: error.fields }),
  })
}

function clientPosition(
  position: number,
  emitted: Emitted,
  statement: Statement,
  asked: Asked,
): number | undefined {
  if (!emitted.keepsPositions || statement.isRewritten === true) return undefined
  if (position > asked.statement.text.length + 1) return undefined
  const own = asked.governed === undefined ? position : asked.governed.clientPosition(position)
  if (own === undefined || statement.sourcePosition === undefined)
    return own === undefined ? undefined : own + statement.offset
  const source = statement.sourcePosition(own)
  return source === undefined ? undefined : source + statement.offset
}

/** The statement's own signal: aborted by the client's, or when its time is up. */
export class Deadline {
  readonly signal: AbortSignal
  readonly #parent: AbortSignal
  readonly #onParentAbort: (() => void) | undefined
  readonly #timer: NodeJS.Timeout | undefined

  constructor(timeoutMs: number, parent: AbortSignal) {
    this.#parent = parent
    if (timeoutMs === 0) {
      this.signal = parent
      return
    }
    // One listener by hand: AbortSignal.any() costs several microseconds, because it keeps weak references to its sources.
    const controller = new AbortController()
    this.signal = controller.signal
    this.#onParentAbort = () => controller.abort(parent.reason)
    if (parent.aborted) this.#onParentAbort()
    else parent.addEventListener("abort", this.#onParentAbort)
    this.#timer = setTimeout(() => controller.abort(timedOut()), timeoutMs + timeoutGraceMs)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    if (this.#onParentAbort !== undefined)
      this.#parent.removeEventListener("abort", this.#onParentAbort)
  }
}

export function timedOut(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.QueryCanceled,
    reason: "statement_timeout",
    message: "canceling statement due to statement timeout",
  })
}

type Held = {
  readonly leased: Leased
  /** The lease belongs to the transaction and stays with it. */
  readonly isPinned: boolean
  readonly deadline: Deadline
  readonly mapError: (thrown: unknown) => GatewayError
  readonly queueMs: number
  readonly warehouseMs: number
}

/** Rows from the warehouse with what must be given back after them. */
export class WarehouseRows implements RowStream {
  /** Filled until the rows have ended. */
  readonly remarks: Remark[]
  readonly endpoint: string
  readonly queueMs: number
  readonly warehouseMs: number
  readonly #rows: RowStream
  #held: Held | undefined
  readonly #mapError: Held["mapError"]

  constructor(limitedRows: { readonly rows: RowStream; readonly remarks: Remark[] }, held: Held) {
    this.#rows = limitedRows.rows
    this.remarks = limitedRows.remarks
    this.#held = held
    this.#mapError = held.mapError
    this.endpoint = held.leased.route.endpoint
    this.queueMs = held.queueMs
    this.warehouseMs = held.warehouseMs
  }

  get description(): Buffer | undefined {
    return this.#rows.description
  }

  get notices(): readonly EarlyNotice[] | undefined {
    return this.#rows.notices
  }

  get completion(): Completion {
    return this.#rows.completion
  }

  /** True when a limit left rows out: such a result is not stored. */
  get isCut(): boolean {
    return this.#rows instanceof LimitedRows && this.#rows.isCut
  }

  async next(): Promise<RowBatch | undefined> {
    try {
      const batch = await this.#rows.next()
      if (batch === undefined) this.#giveBack()
      return batch
    } catch (thrown) {
      this[Symbol.dispose]()
      throw this.#mapError(thrown)
    }
  }

  [Symbol.dispose](): void {
    this.#rows[Symbol.dispose]()
    this.#giveBack()
  }

  #giveBack(): void {
    const held = this.#held
    if (held === undefined) return
    this.#held = undefined
    held.deadline[Symbol.dispose]()
    if (!held.isPinned) held.leased.lease[Symbol.dispose]()
  }
}
