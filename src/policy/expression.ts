import { InvariantViolation } from "../core/errors.ts"
import type { RelationRef } from "../core/relation.ts"
import type { Ast } from "../core/statement.ts"
import { fieldsOf, isFields, listOf, nameParts, nodeFields, numberOf } from "../sql/ast.ts"
import { editText } from "../sql/edits.ts"
import { parseTrees } from "../sql/parser.ts"
import { inspectQuery } from "../sql/traits.ts"
import { sameTree } from "../sql/tree.ts"
import { verified } from "../sql/verified.ts"
import type { ClaimLiteral } from "./claim-types.ts"
import { claimPlaces, type Place } from "./expression-places.ts"

/** An expression of a policy (a row filter, a mask) with places for claims: `region = any(:regions)`. */
export type PolicyExpression = {
  /** As written. */
  readonly source: string
  /** Names of its claims, each once, in the order of their first place. */
  readonly claims: readonly string[]
  /** With `$n` in the place of the n-th claim. */
  readonly ast: Ast
  readonly places: readonly Place[]
  readonly relations: readonly RelationRef[]
  /** Functions that it calls without a schema, and the bytes of the source at which their names begin. */
  readonly calls: readonly Call[]
  readonly operators: readonly string[]
}

type Call = { readonly start: number; readonly name: string }

/** An expression with its claims filled in: its tree, and a text in parentheses that was proven to parse to it. */
export type BoundExpression = { readonly ast: Ast; readonly text: string }

/** Why a text is no expression that a policy can hold, for the operator. */
export class ExpressionProblem extends Error {
  override readonly name = "ExpressionProblem"
}

/** Reads one. Throws an {@link ExpressionProblem}; parameters of the protocol, several statements, writes and aliases are none. */
export function readExpression(source: string): PolicyExpression {
  const places = claimPlaces(source)
  const claims = [...new Set(places.map(({ claim }) => claim))]
  const edits = places.map((place) => ({
    start: place.start,
    end: place.end,
    text: parameterFor(place, claims),
  }))
  if (/\$\d/.test(source))
    throw new ExpressionProblem("has a parameter $n; claims are written :name")
  const text = editText(source, edits).text
  // On a line of its own: the text may end in a `--` comment.
  const [statement, ast] = onlyTarget(`SELECT (${text}\n)`)
  // Without parentheses as well: `a) OR (b` and `a, b` are something else then.
  const [, bare] = onlyTarget(`SELECT ${text}\n`)
  if (!sameTree(ast, bare)) throw notOne()
  const { traits, hasInto, lockStrength, modifyingTag, unknownTag } = inspectQuery(statement)
  if (
    hasInto ||
    lockStrength !== undefined ||
    modifyingTag !== undefined ||
    unknownTag !== undefined
  )
    throw new ExpressionProblem("does more than read")
  // On the warehouse they would tell of the gateway's own login.
  if (traits.usesSessionFact) throw new ExpressionProblem("asks about the session; use a claim")
  if (traits.usesSystemColumn || traits.usesTableSample)
    throw new ExpressionProblem("reads how rows are stored")
  const unqualified = traits.relations.find(({ schema }) => schema === undefined)
  if (unqualified !== undefined)
    throw new ExpressionProblem(`reads "${unqualified.name}" without its schema`)
  const calls = callsIn(ast, places, claims)
  const { relations, operators } = traits
  return { source, claims, ast, places, relations, calls, operators }
}

/** Length of what stands before the expression in the text that it was read from. */
const prefixBytes = "SELECT (".length

function callsIn(ast: Ast, places: readonly Place[], claims: readonly string[]): readonly Call[] {
  const found: Call[] = []
  const pending: unknown[] = [ast]
  while (pending.length > 0) {
    const value = pending.pop()
    if (Array.isArray(value)) pending.push(...value)
    if (!isFields(value)) continue
    const call = nodeFields(value, "FuncCall")
    const [name, ...more] = nameParts(call?.["funcname"])
    if (call !== undefined && name !== undefined && more.length === 0) {
      let start = numberOf(call["location"]) - prefixBytes
      for (const place of places)
        if (place.start < start)
          start += place.end - place.start - parameterFor(place, claims).length
      found.push({ start, name })
    }
    pending.push(...Object.values(value))
  }
  return found
}

function parameterFor({ claim }: Place, claims: readonly string[]): string {
  return `$${claims.indexOf(claim) + 1}`
}

function parsed(text: string): readonly Ast[] {
  try {
    return parseTrees(text)
  } catch (thrown) {
    throw new ExpressionProblem(thrown instanceof Error ? thrown.message : "does not parse")
  }
}

const targetFields: ReadonlySet<string> = new Set(["targetList", "limitOption", "op"])

/** The one expression of `SELECT expression` and nothing else, behind its statement. */
function onlyTarget(text: string): readonly [statement: Ast, expression: Ast] {
  const [statement, ...others] = parsed(text)
  const select = nodeFields(statement, "SelectStmt")
  if (statement === undefined || select === undefined || others.length > 0) throw notOne()
  if (Object.keys(select).some((key) => !targetFields.has(key))) throw notOne()
  const [target, ...more] = listOf(select["targetList"])
  const fields = nodeFields(target, "ResTarget")
  if (fields === undefined || more.length > 0 || "name" in fields) throw notOne()
  if (!isFields(fields["val"])) throw notOne()
  return [statement, fields["val"]]
}

function notOne(): ExpressionProblem {
  return new ExpressionProblem("is not one expression")
}

export type Binding = {
  /** Asked once for each claim; undefined means that it has no value, and then nothing is made. */
  readonly literal: (claim: string) => ClaimLiteral | undefined
  /**
   * Puts `pg_catalog.` before calls without a schema. The client chooses search_path, and a function of its schemas that fits
   * the argument's type better than PostgreSQL's own would be called in its place (manual, 10.3).
   */
  readonly pinsCalls: boolean
}

/** Fills the claims in. */
export function bindExpression(
  expression: PolicyExpression,
  { literal, pinsCalls }: Binding,
): BoundExpression | { readonly missing: string } {
  const literals: ClaimLiteral[] = []
  for (const claim of expression.claims) {
    const found = literal(claim)
    if (found === undefined) return { missing: claim }
    literals.push(found)
  }
  const edits = expression.places.map(({ start, end, claim }) => ({
    start,
    end,
    text: literals[expression.claims.indexOf(claim)]?.text ?? "",
  }))
  if (pinsCalls)
    for (const { start } of expression.calls) edits.push({ start, end: start, text: "pg_catalog." })
  const ast = fieldsOf(bound(expression.ast, literals, pinsCalls))
  const text = `(${editText(expression.source, edits).text}\n)`
  if (verified(`SELECT ${text}`, selectOf(ast)) === undefined)
    throw new InvariantViolation("an expression of a policy does not parse to what was meant")
  return { ast, text }
}

function selectOf(val: Ast): Ast {
  return {
    SelectStmt: {
      targetList: [{ ResTarget: { val } }],
      limitOption: "LIMIT_OPTION_DEFAULT",
      op: "SETOP_NONE",
    },
  }
}

function bound(value: unknown, literals: readonly ClaimLiteral[], pinsCalls: boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => bound(item, literals, pinsCalls))
  if (!isFields(value)) return value
  const parameter = nodeFields(value, "ParamRef")
  if (parameter !== undefined) return literals[numberOf(parameter["number"]) - 1]?.ast
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key,
      pinsCalls && key === "funcname" && listOf(child).length === 1
        ? [{ String: { sval: "pg_catalog" } }, ...listOf(child)]
        : bound(child, literals, pinsCalls),
    ]),
  )
}
