import { hash } from "node:crypto"
import { RelationPatterns } from "./pattern.ts"
import type { ReaderRules, RelationPolicies } from "./relation-policy.ts"
import type { RolePolicy } from "./rules.ts"

/** The limits in force for one set of roles, and who may read what: what judge() needs, computed once per set. */
export type EffectivePolicy = {
  readonly allow: RelationPatterns
  readonly deny: RelationPatterns
  readonly rowLimit: number | undefined
  readonly onExceed: "cut" | "error"
  readonly statementTimeoutMs: number
  readonly mayCache: boolean
  /** Some role may write, and nothing limits the rows it reads: a writer's reads flow past the row limit. */
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

/** All roles of the configuration, with a version that changes when any of them does. Immutable: a reload makes a new one. */
export class Policy {
  readonly version: string
  /** Row and column policies; undefined when the configuration has none. */
  readonly relations: RelationPolicies | undefined
  readonly #roles: ReadonlyMap<string, RolePolicy>
  readonly #effective = new Map<string, EffectivePolicy>()

  constructor(roles: readonly RolePolicy[], relations?: RelationPolicies) {
    this.#roles = new Map(roles.map((role) => [role.name, role]))
    this.relations = relations
    this.version = hash("sha256", JSON.stringify([roles, relations?.version ?? ""]))
  }

  /** Digest of the claims that a statement's rewriting can depend on. */
  claimsDigest(claims: Readonly<Record<string, unknown>>): string {
    return this.relations?.claimsDigest(claims) ?? ""
  }

  /** A role that is not configured grants nothing. */
  effective(roleNames: readonly string[]): EffectivePolicy {
    const id = JSON.stringify(roleNames)
    const known = this.#effective.get(id)
    if (known !== undefined) return known
    const made = this.#combine(roleNames)
    this.#effective.set(id, made)
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
    return {
      allow: new RelationPatterns(allowed),
      deny: new RelationPatterns(denied),
      rowLimit,
      onExceed,
      statementTimeoutMs: first?.statementTimeoutMs ?? 0,
      rules,
      mayWrite:
        rules === undefined && rowLimit === undefined && roles.some((role) => role.mayWrite),
      mayCache: roles.length > 0 && roles.every((role) => role.mayCache),
      scope: hash("sha256", JSON.stringify([rowLimit ?? null, onExceed])) as PolicyScope,
      visibility: hash("sha256", JSON.stringify([distinct(allowed), distinct(denied)])),
    }
  }
}

function distinct(patterns: readonly string[]): readonly string[] {
  return [...new Set(patterns)].toSorted()
}
