import { completeKey } from "../cache/key.ts"
import { expand } from "../catalog/expand.ts"
import { GatewayError } from "../core/errors.ts"
import type { BypassReason } from "../core/observation.ts"
import { SqlState } from "../core/sql-state.ts"
import { keyBaseOf, planFor } from "./plan.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"
import { sqlToRun } from "./run.ts"

/** What the gateway would do with a statement, told without running it. */
export type Explanation = {
  readonly statement: string
  readonly verdict: "allowed" | "refused"
  /** SQLSTATE and message of a refusal. */
  readonly refusal: string | undefined
  readonly relations: readonly string[]
  /** Row and column policies that changed the statement. */
  readonly policies: readonly string[]
  readonly rowLimit: number | undefined
  readonly statementTimeoutMs: number
  readonly cacheable: boolean
  readonly reason: BypassReason | undefined
  readonly ttlMs: number
  readonly key: string | undefined
  /** The text that the warehouse would get; undefined for a refused statement. */
  readonly sql: string | undefined
}

/**
 * The spine's decisions by the spine's own means (plan, key, emit), so that what is explained is what happens. Rejects with
 * a GatewayError when the catalogue cannot be read.
 */
export async function explain(question: Question, rooms: Rooms): Promise<Explanation> {
  const snapshot = rooms.catalog.current() ?? (await rooms.catalog.refreshNow())
  const { statement } = question
  const plan = planFor(statement, question, snapshot, rooms)
  const { verdict, cacheability } = plan
  const isAllowed = verdict.kind === "allowed"
  const isCacheable = isAllowed && cacheability.kind === "cacheable"
  const vector = rooms.tokens.vector(plan.relations)
  const base = keyBaseOf(plan, undefined, { context: question, rooms })
  const { parameters, resultFormats } = question
  return {
    statement: statement.class.kind,
    verdict: verdict.kind,
    refusal: isAllowed ? undefined : `${verdict.sqlState}: ${verdict.message}`,
    relations: expand(plan.relations, snapshot).relations,
    policies: plan.asked.governed?.applied ?? [],
    rowLimit: isAllowed ? verdict.policy.rowLimit : undefined,
    statementTimeoutMs: isAllowed ? verdict.policy.statementTimeoutMs : 0,
    cacheable: isCacheable,
    reason: cacheability.kind === "bypass" ? cacheability.reason : undefined,
    ttlMs: plan.ttlMs,
    key: isCacheable ? completeKey(base, { parameters, resultFormats, vector }).digest : undefined,
    sql: isAllowed && plan.traits !== undefined ? await sqlToRun(question, plan, rooms) : undefined,
  }
}

/** One statement of a text that must hold exactly one. */
export function onlyOne<Item>(items: readonly Item[]): Item {
  const [first, ...more] = items
  if (first !== undefined && more.length === 0) return first
  throw new GatewayError({
    sqlState: SqlState.SyntaxError,
    reason: "syntax_error",
    message: "exactly one statement can be explained at a time",
  })
}
