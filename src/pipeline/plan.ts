import { hash } from "node:crypto"
import { type KeyBase, keyBase } from "../cache/key.ts"
import { type Expansion, expand } from "../catalog/expand.ts"
import { type NameScope, type Resolution, resolveRelations } from "../catalog/resolve.ts"
import { resolveFunctions } from "../catalog/resolve-functions.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import { InvariantViolation } from "../core/errors.ts"
import type { Identity } from "../core/identity.ts"
import { type RelationName, relationName } from "../core/relation.ts"
import type { SettingsView } from "../core/settings.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ReadTraits, Statement } from "../core/statement.ts"
import { isRestricted, sightOf } from "../policy/catalogue-sight.ts"
import { govern } from "../policy/govern.ts"
import { checkGuards } from "../policy/guards/check-guards.ts"
import { judge, type Verdict } from "../policy/judge.ts"
import type { Policy } from "../policy/policy.ts"
import { parseText } from "../sql/parser.ts"
import { type Cacheability, cacheability } from "./cacheability.ts"
import { onWarehouse, placeOf } from "./place.ts"
import { type Asked, askedUnchanged, type Plan, RewrittenStatement } from "./plan-memo.ts"
import type { Rooms } from "./rooms.ts"

/** Who asks under which settings, as far as a plan depends on it. */
export type PlanContext = {
  readonly identity: Identity
  readonly settings: SettingsView
}

/** Stands for every catalogue relation in token vectors: each invalidation raises it, because a load may have changed the schema. */
export const catalogueRelation = relationName("pg_catalog", "*")

/** The plan of a statement for whoever asks, made at the first question of its kind. */
export function planFor(
  statement: Statement,
  context: PlanContext,
  snapshot: CatalogSnapshot,
  rooms: Rooms,
): Plan {
  const id = planId(context, rooms.policy(), snapshot.version)
  const known = rooms.plans.get(statement, id)
  if (known !== undefined) return known
  const plan = makePlan(statement, context, snapshot, rooms)
  rooms.plans.set(statement, id, plan)
  return plan
}

/**
 * True when a catalogue that is read now may say more of what the plan has to know. A relation is asked for once: while its
 * columns stay unknown after that, the plan's refusal holds.
 */
export function needsNewCatalog(plan: Plan, rooms: Rooms): boolean {
  if (plan.unread.length > 0 && rooms.wanted.add(plan.unread)) return true
  return plan.hasUnknown && rooms.catalog.mayKnowMore()
}

const rolesIds = new WeakMap<readonly string[], string>()

/** The role list is one immutable object a session, so that its text is made once. */
function rolesId(roles: readonly string[]): string {
  let id = rolesIds.get(roles)
  if (id === undefined) {
    id = JSON.stringify(roles)
    rolesIds.set(roles, id)
  }
  return id
}

type KnownId = {
  readonly settings: SettingsView
  readonly policy: Policy
  readonly catalogVersion: string
  readonly id: string
}

/**
 * The last id of each identity, which is one object a session: joining and hashing 300 characters costs as much as the rest of a hit,
 * and with many users at once hardly two questions in a row are of the same one.
 */
const knownIds = new WeakMap<Identity, KnownId>()

/** All parts are hexadecimal digests of fixed length but the roles, which come last: the text is unambiguous. */
function planId(context: PlanContext, policy: Policy, catalogVersion: string): string {
  const { settings, identity } = context
  const known = knownIds.get(identity)
  if (
    known !== undefined &&
    known.settings === settings &&
    known.policy === policy &&
    known.catalogVersion === catalogVersion
  )
    return known.id
  const fixed = `${settings.bytesDigest}${policy.version}${policy.claimsDigest(identity)}`
  const id = `${fixed}${catalogVersion}${rolesId(identity.roles)}`
  knownIds.set(identity, { settings, policy, catalogVersion, id })
  return id
}

function traitsOf(statement: Statement): ReadTraits | undefined {
  const { class: statementClass } = statement
  return statementClass.kind === "read" || statementClass.kind === "explain"
    ? statementClass.traits
    : undefined
}

const nothingRead = { named: [], expanded: [], unknown: [] } as const

function makePlan(
  statement: Statement,
  context: PlanContext,
  snapshot: CatalogSnapshot,
  rooms: Rooms,
): Plan {
  const effective = rooms.policy().of(context.identity)
  const traits = traitsOf(statement)
  if (traits === undefined)
    return {
      verdict: judge(statement, nothingRead, effective),
      place: onWarehouse,
      traits,
      hasUnknown: false,
      unread: [],
      hidesNames: false,
      cacheability: { kind: "bypass", reason: "not_a_read", needsTransaction: false },
      relations: [],
      resolution: "",
      ttlMs: 0,
      timeBucketMs: 0,
      bases: new Map(),
      asked: askedUnchanged(statement),
      emitted: undefined,
    }
  const { searchPath } = context.settings
  const scope: NameScope = { snapshot, searchPath, database: rooms.warehouse }
  const asked = read(statement, traits, scope)
  const { named } = asked
  const expanded = asked.expansion.relations
  const granted = judge(
    statement,
    { named: named.resolved, expanded, unknown: named.unknown },
    effective,
  )
  const judged =
    (granted.kind === "allowed"
      ? checkGuards({ statement, expanded, unknown: named.unknown, scope }, effective)
      : undefined) ?? granted
  const place =
    rooms.shadow === undefined
      ? onWarehouse
      : placeOf(traits, { named: named.resolved, unknown: named.unknown }, snapshot, effective)
  const hasOwnCatalogue = rooms.shadow === undefined
  // In a shadow there are no rows of anybody's, and nothing of the schema that its readers may not see: any function may run.
  const used = place.kind === "catalogue" ? { ...traits, functions: [], operators: [] } : traits
  const governed =
    judged.kind === "allowed"
      ? governedRead({ ...asked, traits: used }, judged, context, { scope, hasOwnCatalogue })
      : { verdict: judged }
  const { verdict } = governed
  const sent = governed.read ?? asked
  const functions = resolveFunctions(sent.traits.functions, { snapshot, searchPath })
  const behind = united(expanded, sent.expansion.relations)
  const relations = dependencies(behind, snapshot)
  const ttlMs = rooms.ttl.ttlMs(relations)
  const { expansion } = sent
  const findings = { expansion, unknown: sent.named.unknown, functions, snapshot }
  const shared = cacheability(sent.traits, findings)
  return {
    verdict: place.kind === "mixed" && verdict.kind === "allowed" ? mixed() : verdict,
    place,
    traits,
    hasUnknown: named.unknown.length > 0,
    unread: governed.unread ?? [],
    hidesNames: hasOwnCatalogue && isRestricted(effective),
    cacheability:
      place.kind === "catalogue"
        ? { kind: "bypass", reason: "shadow_catalogue", needsTransaction: false }
        : restricted(shared, statement, {
            isEnabled: rooms.isCacheEnabled && effective.mayCache,
            ttlMs,
          }),
    relations,
    resolution: resolutionOf(sent.named.resolved, behind, snapshot),
    ttlMs,
    timeBucketMs: rooms.ttl.timeBucketMs(
      relations,
      effective.caching.timeBucketMs ?? rooms.timeBucketMs,
    ),
    bases: new Map(),
    asked:
      governed.governed === undefined
        ? askedUnchanged(sent.statement)
        : new RewrittenStatement(sent.statement, governed.governed),
    emitted: undefined,
  }
}

/** A statement with what the catalogue makes of its names. */
type Read = {
  readonly statement: Statement
  readonly traits: ReadTraits
  readonly named: Resolution
  readonly expansion: Expansion
}

function read(statement: Statement, traits: ReadTraits, scope: NameScope): Read {
  const named = resolveRelations(traits.relations, scope)
  return { statement, traits, named, expansion: expand(named.resolved, scope.snapshot) }
}

type GovernedPlan = {
  readonly verdict: Verdict
  /** What takes the client's statement's place. */
  readonly read?: Read
  readonly governed?: Asked["governed"]
  readonly unread?: Plan["unread"]
}

/** What row and column policies make of a read that grants allow. */
function governedRead(
  asked: Read,
  verdict: Extract<Verdict, { kind: "allowed" }>,
  { identity }: PlanContext,
  { scope, hasOwnCatalogue }: { readonly scope: NameScope; readonly hasOwnCatalogue: boolean },
): GovernedPlan {
  const { rules, guards } = verdict.policy
  // Where a shadow answers for the catalogue, what is hidden is not in it.
  const isFiltered = hasOwnCatalogue && isRestricted(verdict.policy)
  if (rules === undefined && !isFiltered) return { verdict }
  const sight = isFiltered ? sightOf(verdict.policy, scope.snapshot) : undefined
  const { statement, traits } = asked
  const expanded = asked.expansion.relations
  const { unknown } = asked.named
  const { claims } = identity
  const governed = govern({
    statement,
    traits,
    rules,
    sight,
    claims,
    scope,
    expanded,
    unknown,
    explain: guards.explain,
  })
  if (governed.kind === "refused") return { verdict: governed }
  if (governed.kind === "unread") return { verdict: governed.refusal, unread: governed.relations }
  if (governed.kind === "untouched") return { verdict }
  const { query, applied } = governed
  const [rewritten, ...more] = parseText(query.text)
  const made = rewritten === undefined ? undefined : traitsOf(rewritten)
  if (rewritten === undefined || made === undefined || more.length > 0)
    throw new InvariantViolation("what policies made of a read is none")
  return {
    verdict,
    read: read(rewritten, made, scope),
    governed: { applied, clientPosition: query.clientPosition ?? (() => undefined) },
  }
}

function united(
  left: readonly RelationName[],
  right: readonly RelationName[],
): readonly RelationName[] {
  return left === right ? left : [...new Set([...left, ...right])].toSorted()
}

function mixed(): Verdict {
  return {
    kind: "refused",
    sqlState: SqlState.FeatureNotSupported,
    reason: "catalogue_mixed",
    message: "a statement cannot read tables and the system catalogue of this warehouse together",
    hint: "Ask the catalogue in a statement of its own.",
  }
}

/**
 * What the names of this statement mean now. Part of the key in place of the whole catalogue's version, so that a table made
 * elsewhere, as dbt does all night, does not turn answers cold that have nothing to do with it.
 */
function resolutionOf(
  named: readonly RelationName[],
  expanded: readonly RelationName[],
  snapshot: CatalogSnapshot,
): string {
  const behind = expanded.map((name) => [name, snapshot.relations.get(name)?.identity ?? ""])
  return hash("sha256", JSON.stringify([named, behind]))
}

/** Catalogue relations share one token; everything else has its own. */
function dependencies(
  relations: readonly RelationName[],
  snapshot: CatalogSnapshot,
): readonly RelationName[] {
  const isSystem = (name: RelationName): boolean => {
    const schema = snapshot.relations.get(name)?.schema
    return schema === "pg_catalog" || schema === "information_schema"
  }
  if (!relations.some(isSystem)) return relations
  return [...relations.filter((name) => !isSystem(name)), catalogueRelation]
}

/** What configuration and the kind of statement take away from what could be shared. */
function restricted(
  shared: Cacheability,
  statement: Statement,
  options: { readonly isEnabled: boolean; readonly ttlMs: number },
): Cacheability {
  if (statement.class.kind === "explain")
    return { kind: "bypass", reason: "explain", needsTransaction: false }
  if (shared.kind === "bypass") return shared
  if (!options.isEnabled)
    return { kind: "bypass", reason: "cache_disabled", needsTransaction: false }
  if (options.ttlMs <= 0) return { kind: "bypass", reason: "ttl_zero", needsTransaction: false }
  return shared
}

/** The fixed part of the key for this plan on this date. */
export function keyBaseOf(
  plan: Plan,
  date: string | undefined,
  parts: {
    readonly context: PlanContext
    readonly rooms: Rooms
  },
): KeyBase {
  const id = date ?? ""
  const known = plan.bases.get(id)
  if (known !== undefined) return known
  const policy = parts.rooms.policy()
  const { scope, rowLimit } = policy.effective(parts.context.identity.roles)
  const made = keyBase({
    warehouse: parts.rooms.warehouse,
    origin: parts.rooms.origin,
    canonical: plan.asked.canonical,
    scope: `${policy.version}${scope}`,
    resolution: plan.resolution,
    settingsDigest: parts.context.settings.bytesDigest,
    rowLimit: rowLimit ?? 0,
    dateBucket: date,
  })
  // Yesterday's base is of no more use: at most the zones' two dates are alive at any time.
  if (plan.bases.size >= 2) plan.bases.clear()
  plan.bases.set(id, made)
  return made
}
