import type { ClaimLookup } from "../policy/claim-lookup.ts"
import type { ClaimType } from "../policy/claim-types.ts"
import { arrayElements, claimFromText } from "./text-values.ts"

export type Claims = Readonly<Record<string, unknown>>

/** Values as text, in the order of the query's columns. */
export type LookupRow = readonly (string | null)[]

/** What the operator is told. */
export class LookupProblem extends Error {
  override readonly name = "LookupProblem"
}

/**
 * The claims that the rows of one user are, as values of the types that the policies declare. A NULL is a claim that is missing.
 * Throws a {@link LookupProblem} for several rows where one was promised.
 */
export function claimsOfRows(
  rows: readonly LookupRow[],
  lookup: ClaimLookup,
  types: ReadonlyMap<string, ClaimType>,
): Claims {
  const { columns } = lookup
  if (lookup.rows === "one" && rows.length > 1)
    throw new LookupProblem("the query gave several rows for one user; say `rows: many` for lists")
  const claims: Record<string, unknown> = {}
  for (const [index, name] of columns.entries()) {
    const type = types.get(name)
    const values = rows.map((row) => row[index] ?? null)
    const value =
      type === undefined || rows.length === 0
        ? undefined
        : lookup.rows === "many"
          ? gathered(values, type)
          : single(values[0] ?? null, type)
    if (value !== undefined) claims[name] = value
  }
  return claims
}

/** Values of several rows; NULLs, as of an outer join, are nobody's. */
function gathered(values: LookupRow, { base }: ClaimType): unknown {
  const present = new Set(values.filter((value) => value !== null))
  return [...present].map((value) => claimFromText(value, base))
}

function single(value: string | null, { base, isList }: ClaimType): unknown {
  if (value === null) return undefined
  if (!isList) return claimFromText(value, base)
  const elements = arrayElements(value)
  if (elements === undefined) return undefined
  // A list with a NULL in it is none that a policy takes.
  return elements.map((element) => (element === null ? null : claimFromText(element, base)))
}
