import type { NameScope } from "../../catalog/resolve.ts"
import type { RelationName, RelationRef } from "../../core/relation.ts"
import { SqlState } from "../../core/sql-state.ts"
import type { Ast, Statement } from "../../core/statement.ts"
import { isPublicCatalogue, type Refusal, refused } from "../judge.ts"
import type { EffectivePolicy } from "../policy.ts"
import { checkConstructs } from "./constructs.ts"
import { checkRequiredFilters } from "./required-filter.ts"

/** One read, or the EXPLAIN of one, that grants allow. */
export type GuardedRead = {
  /** As the client wrote it: what policies make of it is not its writer's doing. */
  readonly statement: Statement
  /** Every relation that it reads, through views and parents, too. */
  readonly expanded: readonly RelationName[]
  readonly unknown: readonly RelationRef[]
  readonly scope: NameScope
}

/** What a role's guards find wrong with a statement before it is run. Statements over the system catalogue alone are free. */
export function checkGuards(
  { statement, expanded, unknown, scope }: GuardedRead,
  { requiredFilters, guards }: EffectivePolicy,
): Refusal | undefined {
  if (requiredFilters.length === 0 && guards.forbid.length === 0) return undefined
  if (unknown.length === 0 && expanded.every(isPublicCatalogue)) return undefined
  const query = queryOf(statement)
  return (
    checkConstructs(query, guards.forbid) ??
    (requiredFilters.length === 0 ? undefined : checkUnknown(unknown)) ??
    checkRequiredFilters(query, requiredFilters, { ...scope, expanded })
  )
}

/** A name that the catalogue does not know may by now be a view over what must be restricted. */
function checkUnknown([ref]: readonly RelationRef[]): Refusal | undefined {
  if (ref === undefined) return undefined
  const name = ref.schema === undefined ? ref.name : `${ref.schema}.${ref.name}`
  return refused(
    SqlState.UndefinedTable,
    "relation_not_granted",
    `relation "${name}" does not exist`,
  )
}

function queryOf({ class: statementClass, ast }: Statement): Ast {
  return statementClass.kind === "explain" ? statementClass.inner : ast
}
