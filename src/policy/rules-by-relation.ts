import { findRelation, folded } from "../catalog/relation-key.ts"
import type { CatalogSnapshot } from "../core/catalog.ts"
import type { RelationName } from "../core/relation.ts"
import type {
  ReaderRule,
  ReaderRules,
  RelationPolicies,
  RelationPolicy,
} from "./relation-policy.ts"

type RulesByRelation = ReadonlyMap<RelationName, ReaderRule>

const bySnapshot = new WeakMap<CatalogSnapshot, WeakMap<ReaderRules, RulesByRelation>>()

/**
 * A reader's rules by what the catalogue calls their relations: looked up once for a catalogue and a set of roles, so that a
 * statement costs the same under ten policies and under a thousand.
 */
export function rulesByRelation(rules: ReaderRules, snapshot: CatalogSnapshot): RulesByRelation {
  let ofSnapshot = bySnapshot.get(snapshot)
  if (ofSnapshot === undefined) {
    ofSnapshot = new WeakMap()
    bySnapshot.set(snapshot, ofSnapshot)
  }
  const known = ofSnapshot.get(rules)
  if (known !== undefined) return known
  const found = new Map<RelationName, ReaderRule>()
  for (const rule of rules.rules) {
    const name = findRelation(snapshot, rule.policy.schema, rule.policy.relation)
    if (name !== undefined) found.set(name, rule)
  }
  ofSnapshot.set(rules, found)
  return found
}

/** What policies name and a catalogue does not have. */
export type Unmatched = {
  /** Policies of relations that are not there, by their places in the file's order. */
  readonly relations: readonly RelationPolicy[]
  /** Columns of masks and denials that their relation lacks: its readers are refused (`policy_unfit`). */
  readonly columns: readonly { readonly policy: RelationPolicy; readonly column: string }[]
}

/** Linear in what the policies name. */
export function unmatchedIn(policies: RelationPolicies, snapshot: CatalogSnapshot): Unmatched {
  const relations: RelationPolicy[] = []
  const columns: { readonly policy: RelationPolicy; readonly column: string }[] = []
  for (const policy of policies.relations) {
    const name = findRelation(snapshot, policy.schema, policy.relation)
    const found = name === undefined ? undefined : snapshot.relations.get(name)
    if (found === undefined) {
      relations.push(policy)
      continue
    }
    if (found.columns === undefined) continue
    const known = new Set(found.columns.map((column) => folded(snapshot, column)))
    const named = [
      ...policy.masks.map(({ column }) => column),
      ...policy.deniedColumns.flatMap(({ columns: denied }) => denied),
    ]
    for (const column of new Set(named))
      if (!known.has(folded(snapshot, column))) columns.push({ policy, column })
  }
  return { relations, columns }
}
