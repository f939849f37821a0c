import type { RelationRef } from "../core/relation.ts"
import type { Statement } from "../core/statement.ts"
import { isFields, listOf, nameParts, nodeFields, textOf } from "../sql/ast.ts"
import { editText } from "../sql/edits.ts"
import { parseText } from "../sql/parser.ts"
import { ExpressionProblem } from "./expression.ts"
import { claimPlaces } from "./expression-places.ts"

/** Claims that a query of the gateway's own finds for a user. */
export type ClaimLookup = {
  /** With `$1` in the place of `:user`. */
  readonly statement: Statement
  readonly relations: readonly RelationRef[]
  /** Output columns in order: names of claims. */
  readonly columns: readonly string[]
  /** Undefined: the only warehouse there is. */
  readonly warehouse: string | undefined
  /** `one`: a user has at most one row. `many`: each column's values are gathered to a list. */
  readonly rows: "one" | "many"
  readonly ttlMs: number
  readonly timeoutMs: number
  /** Users kept. */
  readonly usersMax: number
}

/**
 * Reads the query of `claimsFrom`. Throws an {@link ExpressionProblem} for what is no read of one statement, names relations without
 * their schema, has columns without names, or places for anything but the user.
 */
export function readLookup(
  source: string,
): Pick<ClaimLookup, "statement" | "relations" | "columns"> {
  if (/\$\d/.test(source))
    throw new ExpressionProblem("has a parameter $n; the user is written :user")
  const places = claimPlaces(source)
  if (places.some(({ claim }) => claim !== "user"))
    throw new ExpressionProblem("has a place for something else than :user")
  if (places.length === 0) throw new ExpressionProblem("has no place :user")
  const edits = places.map(({ start, end }) => ({ start, end, text: "$1::text" }))
  const [statement, ...more] = parsed(editText(source, edits).text)
  if (statement?.class.kind !== "read" || more.length > 0)
    throw new ExpressionProblem("is not one SELECT")
  const { relations, usesSessionFact } = statement.class.traits
  if (usesSessionFact) throw new ExpressionProblem("asks about the session; use :user")
  const unqualified = relations.find(({ schema }) => schema === undefined)
  if (unqualified !== undefined)
    throw new ExpressionProblem(`reads "${unqualified.name}" without its schema`)
  if (relations.length === 0) throw new ExpressionProblem("reads no relation")
  return { statement, relations, columns: columnsOf(statement) }
}

function parsed(text: string): readonly Statement[] {
  try {
    return parseText(text)
  } catch (thrown) {
    throw new ExpressionProblem(thrown instanceof Error ? thrown.message : "does not parse")
  }
}

function columnsOf({ ast }: Statement): readonly string[] {
  const targets = listOf(nodeFields(ast, "SelectStmt")?.["targetList"])
  const columns = targets.map(columnName)
  if (columns.length === 0 || new Set(columns).size < columns.length)
    throw new ExpressionProblem("must be a plain SELECT whose columns have different names")
  return columns
}

/** A column's own name or its alias; what else PostgreSQL would call it is nobody's claim. */
function columnName(target: unknown): string {
  const fields = nodeFields(target, "ResTarget")
  const alias = textOf(fields?.["name"])
  const value = fields?.["val"]
  const reference = isFields(value) ? nodeFields(value, "ColumnRef") : undefined
  const name = alias === "" ? nameParts(reference?.["fields"]).at(-1) : alias
  if (name === undefined || name === "")
    throw new ExpressionProblem("has a column without a name of its own")
  return name
}
