import { folded } from "../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { SqlState } from "../core/sql-state.ts"
import { checkCalls } from "./check-read.ts"
import { type BoundExpression, bindExpression } from "./expression.ts"
import type { GuestClause } from "./guest-clause.ts"
import { PolicyRefusal } from "./policy-refusal.ts"

export type GuestTarget = {
  readonly relation: CatalogRelation
  readonly snapshot: CatalogSnapshot
  readonly searchPath: readonly string[]
}

/**
 * A clause of a token as a predicate over one relation: every name in it is a column of that relation, and no function or
 * operator of somebody's own could be meant. Throws a {@link PolicyRefusal} otherwise, which tells nothing of the clause.
 */
export function guestPredicate(clause: GuestClause, target: GuestTarget): BoundExpression {
  const { relation, snapshot, searchPath } = target
  const fold = (name: string): string => folded(snapshot, name)
  const known = new Set((relation.columns ?? []).map(fold))
  const isColumn = (parts: readonly string[]): boolean => {
    const [column = "", table] = parts.toReversed()
    const isOfTable = table === undefined || fold(table) === fold(relation.relation)
    return isOfTable && known.has(fold(column))
  }
  if (!clause.columns.every(isColumn)) throw unfit(relation, "names what is no column of it")
  const { functions, operators } = clause
  const calls = { functions, operators, attributes: [], types: [] }
  // Nobody vouches for users' functions in texts that come with a login.
  const found = checkCalls(calls, { snapshot, searchPath, vouched: new Set() })
  if (found !== undefined) throw unfit(relation, "calls what may be a function of somebody's own")
  const bound = bindExpression(clause.expression, {
    literal: () => undefined,
    pinsCalls: !snapshot.foldsCase,
  })
  if ("missing" in bound) throw unfit(relation, "has a place for a claim")
  return bound
}

function unfit({ relation }: CatalogRelation, cause: string): PolicyRefusal {
  return guestRefusal(relation, `A row rule of your token does not fit this relation: it ${cause}.`)
}

export function guestRefusal(relation: string, hint: string): PolicyRefusal {
  return new PolicyRefusal(
    SqlState.InsufficientPrivilege,
    "guest_rule_refused",
    `permission denied for table ${relation}`,
    `${hint} Tell whoever issues the token.`,
  )
}
