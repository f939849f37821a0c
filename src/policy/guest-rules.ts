import { GatewayError, InvariantViolation } from "../core/errors.ts"
import { fieldsOf, isFields } from "../sql/ast.ts"
import { ExpressionProblem } from "./expression.ts"
import { type GuestClause, readGuestClause } from "./guest-clause.ts"
import { type FullName, readFullName } from "./relation-parts.ts"

/**
 * Row rules that a verified token brings for its own reader, as BI tools write them for guests of embedded dashboards:
 * `[{"dataset": 12, "clause": "org_id = 7"}]`. They are ANDed to everything else and only take rows away.
 */
export type GuestFilters = {
  /** Name of the claim. */
  readonly claim: string
  /** Relations by the tool's own name or number of a dataset. */
  readonly datasets: ReadonlyMap<string, readonly FullName[]>
}

export type GuestRules = {
  /** Why the claim cannot be used; then its reader reads no relation at all. For the operator and the issuer. */
  readonly problem: string | undefined
  readonly clauses: readonly {
    /** Undefined: every relation that is read. */
    readonly relations: readonly FullName[] | undefined
    readonly clause: GuestClause
  }[]
}

/** Rules of one token, and characters of one clause. */
const rulesMax = 100
const clauseCharsMax = 2_000

class GuestProblem extends Error {
  override readonly name = "GuestProblem"
}

/** Needs the parser. What is not understood wholly is a problem: a rule that is passed over would show rows. */
export function readGuestRules(value: unknown, filters: GuestFilters): GuestRules {
  try {
    if (!Array.isArray(value)) throw new GuestProblem("is no list of rules")
    if (value.length > rulesMax) throw new GuestProblem(`has more than ${rulesMax} rules`)
    return { problem: undefined, clauses: value.map((rule: unknown) => readRule(rule, filters)) }
  } catch (thrown) {
    if (!isProblem(thrown)) throw thrown
    return { problem: `claim "${filters.claim}" ${thrown.message}`, clauses: [] }
  }
}

/** What the parser refuses, such as a text that is nested too deep, is a problem of the claim as well. */
function isProblem(thrown: unknown): thrown is Error {
  if (thrown instanceof InvariantViolation) return false
  return (
    thrown instanceof GuestProblem ||
    thrown instanceof ExpressionProblem ||
    thrown instanceof GatewayError
  )
}

const ruleKeys: ReadonlySet<string> = new Set(["dataset", "clause"])

function readRule(rule: unknown, filters: GuestFilters): GuestRules["clauses"][number] {
  if (!isFields(rule)) throw new GuestProblem("has a rule that is no object")
  const { dataset, clause } = fieldsOf(rule) as { dataset?: unknown; clause?: unknown }
  if (Object.keys(rule).some((key) => !ruleKeys.has(key)))
    throw new GuestProblem("has a rule with another key than dataset and clause")
  if (typeof clause !== "string" || clause.trim() === "")
    throw new GuestProblem("has a rule without a clause")
  if (clause.length > clauseCharsMax)
    throw new GuestProblem(`has a clause of more than ${clauseCharsMax} characters`)
  if (clause.includes("\0") || !clause.isWellFormed())
    throw new GuestProblem("has a clause that is no text")
  return { relations: relationsOf(dataset, filters), clause: readGuestClause(clause) }
}

function relationsOf(
  dataset: unknown,
  { datasets }: GuestFilters,
): readonly FullName[] | undefined {
  if (dataset === undefined || dataset === null) return undefined
  const id = typeof dataset === "number" ? String(dataset) : dataset
  if (typeof id !== "string")
    throw new GuestProblem("has a dataset that is neither number nor text")
  const known = datasets.get(id)
  if (known !== undefined) return known
  const name = readFullName(id)
  if (name !== undefined) return [name]
  throw new GuestProblem("names a dataset that guestFilters.datasets does not map to a relation")
}
