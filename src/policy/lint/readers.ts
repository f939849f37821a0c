import { relationName } from "../../core/relation.ts"
import { claimLiteral } from "../claim-types.ts"
import { RelationPatterns } from "../pattern.ts"
import { claimValue, type RelationPolicy } from "../relation-policy.ts"
import { type Finding, type LintSubject, type Located, locatedPolicies } from "./finding.ts"

/** Roles that somebody can have; undefined when identities come from outside and may bring any. */
function rolesHeld(subject: LintSubject): ReadonlySet<string> | undefined {
  if (subject.hasUnknownUsers) return undefined
  return new Set(subject.users.flatMap(({ roles }) => roles))
}

/** What policies say of roles and claims, against those that readers can have. Needs no warehouse. */
export function lintReaders(subject: LintSubject): readonly Finding[] {
  return [
    ...nobodysRoles(subject),
    ...locatedPolicies(subject).flatMap((located) => [
      ...grantless(subject, located),
      ...neverApplies(subject, located),
      ...usersWithoutClaims(subject, located),
    ]),
    ...claimsOfNobody(subject),
  ]
}

/** Every place of a policy that names roles. */
function rolePlaces({ policy, path }: Located): readonly {
  readonly path: Finding["path"]
  readonly roles: readonly string[]
}[] {
  return [
    ...policy.rowFilters.map(({ roles = [] }, index) => ({
      path: [...path, "rowFilters", index, "roles"],
      roles,
    })),
    { path: [...path, "unfilteredRoles"], roles: policy.unfilteredRoles },
    ...policy.masks.map(({ exceptRoles }, index) => ({
      path: [...path, "masks", index, "exceptRoles"],
      roles: exceptRoles,
    })),
    ...policy.deniedColumns.map(({ exceptRoles }, index) => ({
      path: [...path, "deniedColumns", index, "exceptRoles"],
      roles: exceptRoles,
    })),
  ]
}

/** Told once for a role, at the first place that names it. */
function nobodysRoles(subject: LintSubject): readonly Finding[] {
  const held = rolesHeld(subject)
  if (held === undefined) return []
  const places = new Map<string, Finding["path"][]>()
  for (const located of locatedPolicies(subject))
    for (const { path, roles } of rolePlaces(located))
      for (const [index, role] of roles.entries()) {
        if (held.has(role)) continue
        const known = places.get(role)
        if (known === undefined) places.set(role, [[...path, index]])
        else known.push([...path, index])
      }
  return [...places].map(([role, [path = [], ...others]]): Finding => {
    const more = others.length === 0 ? "" : `, which ${others.length + 1} places name`
    const message = `no user has the role "${role}"${more}`
    return { level: "warning", code: "role_of_nobody", path, message }
  })
}

/** A filter for a role that may not read the relation at all. */
function grantless(subject: LintSubject, { policy, path }: Located): readonly Finding[] {
  const findings: Finding[] = []
  const name = relationName(policy.schema, policy.relation)
  const canRead = new Set(
    subject.roles
      .filter(({ relations: { allow, deny } }) => {
        return (
          new RelationPatterns(allow).matches(name) && !new RelationPatterns(deny).matches(name)
        )
      })
      .map((role) => role.name),
  )
  for (const [index, { roles }] of policy.rowFilters.entries())
    for (const [at, role] of (roles ?? []).entries())
      if (!canRead.has(role))
        findings.push({
          level: "warning",
          code: "role_without_grant",
          path: [...path, "rowFilters", index, "roles", at],
          message: `the role "${role}" may not read ${name}`,
        })
  return findings
}

function neverApplies(subject: LintSubject, { policy, path }: Located): readonly Finding[] {
  const all = subject.roles.map(({ name }) => name)
  const covers = (roles: readonly string[], wanted: readonly string[] = all): boolean =>
    wanted.length > 0 && wanted.every((role) => roles.includes(role))
  const { rowFilters, unfilteredRoles, masks, deniedColumns } = policy
  const found = (where: Finding["path"], message: string): Finding => ({
    level: "warning",
    code: "never_applies",
    path: [...path, ...where],
    message,
  })
  const findings: Finding[] = []
  if (rowFilters.length + masks.length + deniedColumns.length === 0)
    findings.push({ level: "warning", code: "policy_empty", path, message: "hides nothing" })
  const isOpen = rowFilters.length > 0 && covers(unfilteredRoles)
  if (isOpen) findings.push(found(["unfilteredRoles"], "has every role, so that no filter applies"))
  for (const [index, { roles }] of rowFilters.entries())
    if (!isOpen && roles !== undefined && covers(unfilteredRoles, roles))
      findings.push(
        found(
          ["rowFilters", index, "roles"],
          "are all unfiltered, so that the filter never applies",
        ),
      )
  for (const [index, { exceptRoles }] of masks.entries())
    if (covers(exceptRoles))
      findings.push(found(["masks", index, "exceptRoles"], "has every role: nobody sees the mask"))
  for (const [index, { exceptRoles }] of deniedColumns.entries())
    if (covers(exceptRoles))
      findings.push(
        found(
          ["deniedColumns", index, "exceptRoles"],
          "has every role: the columns are open to all",
        ),
      )
  return [...findings, ...masksOnDenied(policy, path)]
}

/** A mask that nobody sees, because whoever would see it is denied the column. */
function masksOnDenied(policy: RelationPolicy, path: Finding["path"]): readonly Finding[] {
  return policy.masks.flatMap(({ column, exceptRoles }, index): readonly Finding[] => {
    const denial = policy.deniedColumns.find(
      (denied) =>
        denied.columns.includes(column) &&
        denied.exceptRoles.every((role) => exceptRoles.includes(role)),
    )
    if (denial === undefined) return []
    return [
      {
        level: "warning",
        code: "mask_on_denied_column",
        path: [...path, "masks", index, "column"],
        message: `the column "${column}" is denied to everybody who would see its mask`,
      },
    ]
  })
}

/** Users whom a filter or mask is for, and who bring no fitting claim: all they ask of the relation is refused. */
function usersWithoutClaims(subject: LintSubject, { policy, path }: Located): readonly Finding[] {
  return subject.users.flatMap((user): readonly Finding[] => {
    const rule = subject.policies
      .rulesFor(user.roles)
      ?.rules.find((candidate) => candidate.policy === policy)
    if (rule === undefined) return []
    const { rows } = rule
    const filters = rows.kind === "filtered" ? [...rows.permissive, ...rows.restrictive] : []
    const needed = [
      ...filters.flatMap(({ filter }) => filter.claims),
      ...rule.masks.flatMap(({ mask }) => mask.claims),
    ]
    const missing = new Set(needed.filter((claim) => !bringsClaim(subject, user.claims, claim)))
    if (missing.size === 0) return []
    return [
      {
        level: "warning",
        code: "claim_missing",
        path,
        message: `the user "${user.name}" brings no fitting claim ${[...missing].join(", ")}, and is refused`,
      },
    ]
  })
}

function bringsClaim(
  { policies }: LintSubject,
  claims: Readonly<Record<string, unknown>>,
  name: string,
): boolean {
  const type = policies.claims.get(name)
  return type !== undefined && claimLiteral(claimValue(claims, name), type) !== undefined
}

function claimsOfNobody(subject: LintSubject): readonly Finding[] {
  const used = new Set(
    subject.policies.relations.flatMap(({ rowFilters, masks }) => [
      ...rowFilters.flatMap(({ filter }) => filter.claims),
      ...masks.flatMap(({ mask }) => mask.claims),
    ]),
  )
  return [...subject.policies.claims.keys()].flatMap((claim): readonly Finding[] => {
    const path = ["claims", claim]
    if (!used.has(claim))
      return [{ level: "info", code: "claim_unused", path, message: "no filter or mask uses it" }]
    const isBrought =
      subject.hasUnknownUsers ||
      subject.users.some(({ claims }) => bringsClaim(subject, claims, claim))
    if (isBrought) return []
    return [
      {
        level: "warning",
        code: "claim_of_nobody",
        path,
        message: "no user brings it, so that what uses it refuses everybody",
      },
    ]
  })
}
