import { findRelation } from "../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName } from "../core/relation.ts"
import type { Unread } from "./governed-read.ts"
import { guestRefusal } from "./guest-predicate.ts"
import type { GuestRules } from "./guest-rules.ts"
import type { Refusal } from "./judge.ts"
import type { FullName } from "./relation-parts.ts"
import { type ReaderRule, ruleFor } from "./relation-policy.ts"

/** The rules of a reader by relation, or why the statement cannot be answered. */
export type GuestReach =
  | { readonly kind: "rules"; readonly rules: ReadonlyMap<RelationName, ReaderRule> }
  | { readonly kind: "stopped"; readonly by: Unread | Refusal }

/**
 * Adds the rules of the reader's own token to those of the roles: for relations that they name, and those for every relation for
 * what the statement names (`named`). The catalogue's own relations hold no rows of tenants.
 */
export function withGuestRules(
  guest: GuestRules,
  named: readonly CatalogRelation[],
  roles: ReadonlyMap<RelationName, ReaderRule>,
  snapshot: CatalogSnapshot,
): GuestReach {
  const [first, ...more] = named.filter(isOfData)
  if (first === undefined) return { kind: "rules", rules: roles }
  const stopped = (hint: string): GuestReach => ({
    kind: "stopped",
    by: guestRefusal(first.relation, hint).refusal,
  })
  if (guest.problem !== undefined) return stopped("The row rules of your token cannot be read.")
  const ruled = new Set<CatalogRelation>()
  // Those of the roles are shared by all their readers.
  const rules = new Map(roles)
  for (const { relations, clause } of guest.clauses)
    for (const relation of meant(relations, snapshot) ?? [first, ...more]) {
      if (relation === undefined)
        return stopped("A row rule of your token is for a relation that is not there.")
      const rule = ruleFor(relation, rules.get(relation.name))
      rules.set(relation.name, { ...rule, guest: [...rule.guest, clause] })
      ruled.add(relation)
    }
  const unread = [...ruled].filter(({ columns }) => columns === undefined)
  if (unread.length === 0) return { kind: "rules", rules }
  const { refusal } = guestRefusal(first.relation, "The columns of a relation are not known.")
  return { kind: "stopped", by: { kind: "unread", relations: unread, refusal } }
}

function meant(
  names: readonly FullName[] | undefined,
  snapshot: CatalogSnapshot,
): readonly (CatalogRelation | undefined)[] | undefined {
  return names?.map(({ schema, relation }) => {
    const found = findRelation(snapshot, schema, relation)
    return found === undefined ? undefined : snapshot.relations.get(found)
  })
}

function isOfData({ schema }: CatalogRelation): boolean {
  return schema !== "pg_catalog" && schema !== "information_schema"
}
