import { hash } from "node:crypto"
import { expand } from "../catalog/expand.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import { type ErrorReason, GatewayError } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import type { BypassReason } from "../core/observation.ts"
import { type RelationName, relationName } from "../core/relation.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Verdict } from "../policy/judge.ts"
import type { EffectivePolicy } from "../policy/policy.ts"
import { keyBaseOf, needsNewCatalog, planFor } from "./plan.ts"
import type { Plan } from "./plan-memo.ts"
import type { Question } from "./question.ts"
import type { Rooms } from "./rooms.ts"
import { sqlToRun } from "./run.ts"
import { boundToBucket, readsClock, type TimeBound } from "./time-bucket.ts"
import { timeBucketMsOf, wishOf } from "./wish.ts"
import { withClaims } from "./with-claims.ts"

/** What the gateway would do with a statement, told without running it. */
export type Explanation = {
  /** Who was taken to ask. */
  readonly identity: Pick<Identity, "user" | "roles" | "claims">
  readonly statement: string
  readonly verdict: "allowed" | "refused"
  /** As the client would hear it, with the reason for operators. */
  readonly refusal:
    | {
        readonly sqlState: string
        readonly reason: ErrorReason
        readonly message: string
        readonly hint: string | undefined
      }
    | undefined
  readonly relations: readonly string[]
  /** Row and column policies that changed the statement. */
  readonly policies: readonly string[]
  /** Columns that the statement has to restrict, as `sales.events: range of day`, and what else its reader's guards limit. */
  readonly guards: readonly string[]
  readonly workloadClass: string | undefined
  readonly rowLimit: number | undefined
  readonly resultBytesMax: number | undefined
  readonly statementTimeoutMs: number
  readonly cacheable: boolean
  readonly reason: BypassReason | undefined
  readonly ttlMs: number
  /** Pattern of the TTL class that decided, or `default`. */
  readonly ttlClass: string
  /**
   * Digest of the key without parameters and tokens: equal ones mean a shared answer, whichever process tells them. A gateway's
   * own keys (`SHOW sluice.last`) have both in them and are others.
   */
  readonly key: string | undefined
  /**
   * Digest of what stands in the key beside the statement that would run: policies, limits, names' meaning, settings. Readers
   * with equal scopes and equal SQL share an answer.
   */
  readonly keyScope: string | undefined
  /** The start of the time bucket that would stand for now(). */
  readonly timeBucket: string | undefined
  /** The endpoint that would answer a miss, or the shadow catalogue; undefined for what no warehouse is asked. */
  readonly route: string | undefined
  /** The text that the warehouse would get; undefined for a refused statement. */
  readonly sql: string | undefined
}

/**
 * The spine's decisions by the spine's own means (plan, key, emit), so that what is explained is what happens. Rejects with
 * a GatewayError when the catalogue cannot be read.
 */
export async function explain(question: Question, rooms: Rooms): Promise<Explanation> {
  let snapshot = rooms.catalog.current() ?? (await rooms.catalog.refreshNow())
  let asked = planFor(question.statement, question, snapshot, rooms)
  if (needsNewCatalog(asked, rooms)) {
    snapshot = await rooms.catalog.refreshNow()
    asked = planFor(question.statement, question, snapshot, rooms)
  }
  const known = await withClaims(question, asked, rooms)
  if (known !== undefined) return explain(known, rooms)
  const bound = bucketOf(question, asked, snapshot, rooms)
  const plan = bound?.plan ?? asked
  const { statement } = bound?.question ?? question
  const { verdict, cacheability } = plan
  const isAllowed = verdict.kind === "allowed"
  const isCacheable = isAllowed && cacheability.kind === "cacheable"
  const base = keyBaseOf(plan, undefined, { context: question, rooms })
  const { user, roles, claims } = question.identity
  const policy = rooms.policy().effective(roles)
  const { relations } = expand(plan.relations, snapshot)
  return {
    identity: { user, roles, claims },
    statement: statement.class.kind,
    verdict: verdict.kind,
    refusal: isAllowed ? undefined : refusalOf(verdict),
    relations,
    policies: plan.asked.governed?.applied ?? [],
    guards: guardsOf(policy, relations),
    workloadClass: policy.guards.workloadClass,
    rowLimit: isAllowed ? verdict.policy.rowLimit : undefined,
    resultBytesMax: isAllowed ? policy.guards.resultBytesMax : undefined,
    statementTimeoutMs: isAllowed ? verdict.policy.statementTimeoutMs : 0,
    cacheable: isCacheable,
    reason: cacheability.kind === "bypass" ? cacheability.reason : undefined,
    ttlMs: plan.ttlMs,
    ttlClass: rooms.ttl.decidingPattern(plan.relations) ?? "default",
    keyScope: isCacheable ? scopeDigest(question, plan, rooms) : undefined,
    timeBucket: bound?.instant,
    route: isAllowed && plan.traits !== undefined ? routeOf(plan, rooms) : undefined,
    key: isCacheable ? hash("sha256", base.material) : undefined,
    sql: isAllowed && plan.traits !== undefined ? await sqlToRun(question, plan, rooms) : undefined,
  }
}

function bucketOf(
  question: Question,
  plan: Plan,
  snapshot: CatalogSnapshot,
  rooms: Rooms,
): TimeBound | undefined {
  if (plan.verdict.kind !== "allowed" || !readsClock(plan)) return undefined
  const bucketMs = timeBucketMsOf(plan, wishOf(question, plan.verdict.policy))
  return boundToBucket({ question, bucketMs }, snapshot, rooms)
}

function refusalOf(verdict: Extract<Verdict, { kind: "refused" }>): Explanation["refusal"] {
  const { sqlState, reason, message, hint } = verdict
  return { sqlState, reason, message, hint }
}

/** Hexadecimal digits of a digest that people compare. */
const scopeChars = 16

function scopeDigest({ identity, settings }: Question, plan: Plan, rooms: Rooms): string {
  const policy = rooms.policy()
  const { scope, rowLimit } = policy.effective(identity.roles)
  const parts = [
    rooms.warehouse,
    policy.version,
    scope,
    rowLimit ?? 0,
    plan.resolution,
    settings.bytesDigest,
  ]
  return hash("sha256", JSON.stringify(parts)).slice(0, scopeChars)
}

function routeOf(plan: Plan, rooms: Rooms): string {
  if (plan.place.kind === "catalogue") return `${rooms.warehouse}/shadow catalogue`
  return rooms.router.endpoints.map(({ name }) => name).join(", ")
}

function guardsOf(
  { guards, requiredFilters }: EffectivePolicy,
  relations: readonly RelationName[],
): readonly string[] {
  const names = new Set<string>(relations)
  const shown: string[] = []
  for (const { schema, relation, column, kind, ends } of requiredFilters) {
    const name = relationName(schema, relation)
    if (!names.has(name)) continue
    shown.push(`${name}: ${kind} of ${column}${ends === "both" ? "" : ` (${ends})`}`)
  }
  if (guards.costMax !== undefined) shown.push(`cost up to ${guards.costMax}`)
  if (guards.rowsEstimatedMax !== undefined)
    shown.push(`estimated rows up to ${guards.rowsEstimatedMax}`)
  if (guards.forbid.length > 0) shown.push(`no ${guards.forbid.join(", ")}`)
  return shown
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
