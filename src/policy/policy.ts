import { hash } from "node:crypto"
import type { Identity } from "../core/identity.ts"
import type { GuestRules } from "./guest-rules.ts"
import { RelationPatterns } from "./pattern.ts"
import type { ReaderRules, RelationPolicies, RequiredFilter } from "./relation-policy.ts"
import type { Guards, RoleCaching, RolePolicy } from "./rules.ts"

/** The limits in force for one set of roles, and who may read what: what judge() needs, computed once per set. */
export type EffectivePolicy = {
  readonly allow: RelationPatterns
  readonly deny: RelationPatterns
  readonly rowLimit: number | undefined
  readonly onExceed: "cut" | "error"
  readonly statementTimeoutMs: number
  /** Further limits of reads. */
  readonly guards: Guards
  /** Columns that every reading of some relations must restrict. */
  readonly requiredFilters: readonly RequiredFilter[]
  readonly mayCache: boolean
  readonly caching: RoleCaching
  /** Some role may write, and nothing limits what it reads: a writer's reads flow past limits and guards. */
  readonly mayWrite: boolean
  /**
   * Digest of everything here that can change the rows of an allowed statement. Two identities with equal scopes may share
   * a cache entry; grants are not part of it, because they are judged again at every question, hit or not.
   */
  readonly scope: PolicyScope
  /** Row and column policies that hide something from these roles; undefined when none does. Such roles never write. */
  readonly rules: ReaderRules | undefined
  /** Digest of the grants and denials alone: equal ones see the same relations of any catalogue. */
  readonly visibility: string
}

export type PolicyScope = string & { readonly __brand: "PolicyScope" }

/** Combinations of roles kept. */
const combinationsMax = 1_000

/** All roles of the configuration, with a version that changes when any of them does. Immutable: a reload makes a new one. */
export class Policy {
  readonly version: string
  /** Row and column policies; undefined when the configuration has none. */
  readonly relations: RelationPolicies | undefined
  readonly #roles: ReadonlyMap<string, RolePolicy>
  readonly #effective = new Map<string, EffectivePolicy>()
  readonly #byList = new WeakMap<readonly string[], EffectivePolicy>()
  readonly #ofGuests = new WeakMap<
    GuestRules,
    { readonly base: EffectivePolicy; readonly policy: EffectivePolicy }
  >()

  constructor(roles: readonly RolePolicy[], relations?: RelationPolicies) {
    this.#roles = new Map(roles.map((role) => [role.name, role]))
    this.relations = relations
    this.version = hash("sha256", JSON.stringify([roles, relations?.version ?? ""]))
  }

  hasRole(name: string): boolean {
    return this.#roles.has(name)
  }

  /**
   * Digest of the claims that the policies of this identity's roles use, and of its own row rules: identities with equal ones and
   * equal roles get equal plans. What no policy reads, such as a login's name in every token, is not in it.
   */
  claimsDigest(identity: Identity): string {
    const { rules } = this.of(identity)
    return rules === undefined ? "" : rules.policies.claimsDigest(identity.claims, rules)
  }

  /** What holds for one identity: its roles, and the row rules that its token brings. Those only take away. */
  of(identity: Identity): EffectivePolicy {
    const base = this.effective(identity.roles)
    const { relations } = this
    const guest = relations?.guestRules(identity.claims)
    if (relations === undefined || guest === undefined) return base
    const known = this.#ofGuests.get(guest)
    if (known?.base === base) return known.policy
    const { rules = [], claims = [] } = base.rules ?? {}
    const policy = {
      ...base,
      mayWrite: false,
      rules: { rules, claims, guest, policies: relations },
    }
    this.#ofGuests.set(guest, { base, policy })
    return policy
  }

  /** A role that is not configured grants nothing. */
  effective(roleNames: readonly string[]): EffectivePolicy {
    const mine = this.#byList.get(roleNames)
    if (mine !== undefined) return mine
    const id = JSON.stringify(roleNames)
    const made = this.#effective.get(id) ?? this.#combine(roleNames)
    // Tokens name roles in any order and number.
    if (this.#effective.size >= combinationsMax) this.#effective.clear()
    this.#effective.set(id, made)
    this.#byList.set(roleNames, made)
    return made
  }

  /** Grants add up, denials too and win; limits come from the first role. */
  #combine(roleNames: readonly string[]): EffectivePolicy {
    const roles = roleNames.flatMap((name) => this.#roles.get(name) ?? [])
    const first = roles[0]
    const rowLimit = first?.rowLimit
    const onExceed = first?.onExceed ?? "error"
    const allowed = roles.flatMap((role) => role.relations.allow)
    const denied = roles.flatMap((role) => role.relations.deny)
    const rules = this.relations?.rulesFor(roleNames)
    const requiredFilters = this.relations?.requiredFor(roleNames) ?? []
    const guards = first?.guards ?? noGuards
    const isUnlimited =
      rules === undefined &&
      rowLimit === undefined &&
      requiredFilters.length === 0 &&
      !limitsReads(guards)
    const { resultBytesMax } = guards
    const rowsShown = [rowLimit ?? null, onExceed, resultBytesMax ?? null]
    return {
      allow: new RelationPatterns(allowed),
      deny: new RelationPatterns(denied),
      rowLimit,
      onExceed,
      statementTimeoutMs: first?.statementTimeoutMs ?? 0,
      guards,
      requiredFilters,
      rules,
      mayWrite: isUnlimited && roles.some((role) => role.mayWrite),
      mayCache: roles.length > 0 && roles.every((role) => role.mayCache),
      caching: strictest(roles.map(({ caching }) => caching ?? noRoleCaching)),
      scope: hash("sha256", JSON.stringify(rowsShown)) as PolicyScope,
      visibility: hash("sha256", JSON.stringify([distinct(allowed), distinct(denied)])),
    }
  }
}

const noGuards: Guards = {
  workloadClass: undefined,
  resultBytesMax: undefined,
  queueTimeoutMs: undefined,
  costMax: undefined,
  rowsEstimatedMax: undefined,
  forbid: [],
  explain: "none",
}

function limitsReads({ resultBytesMax, costMax, rowsEstimatedMax, forbid }: Guards): boolean {
  return (resultBytesMax ?? costMax ?? rowsEstimatedMax) !== undefined || forbid.length > 0
}

const noRoleCaching: RoleCaching = {
  hints: "reduce",
  ageMsMax: undefined,
  timeBucketMs: undefined,
}

/** Whoever has several roles gets the youngest answers and the shortest bucket that one of them asks for. */
function strictest(all: readonly RoleCaching[]): RoleCaching {
  return {
    hints: all.length > 0 && all.every(({ hints }) => hints === "any") ? "any" : "reduce",
    ageMsMax: least(all.map(({ ageMsMax }) => ageMsMax)),
    timeBucketMs: least(all.map(({ timeBucketMs }) => timeBucketMs)),
  }
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const given = values.filter((value) => value !== undefined)
  return given.length === 0 ? undefined : Math.min(...given)
}

function distinct(patterns: readonly string[]): readonly string[] {
  return [...new Set(patterns)].toSorted()
}
