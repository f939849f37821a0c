import { findFunction, findRelation, folded } from "../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import { InvariantViolation } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Ast, Emitted } from "../core/statement.ts"
import { listOf, nodeFields } from "../sql/ast.ts"
import { quoteIdentifier } from "../sql/quote.ts"
import type { ScanCondition } from "../sql/scan-conditions.ts"
import { verified } from "../sql/verified.ts"
import { claimLiteral } from "./claim-types.ts"
import { type BoundExpression, bindExpression, type PolicyExpression } from "./expression.ts"
import { foreignName } from "./expression-scope.ts"
import { guestPredicate } from "./guest-predicate.ts"
import { PolicyRefusal } from "./policy-refusal.ts"
import { quietConditions } from "./quiet-conditions.ts"
import { claimValue, type ReaderRule, type RelationPolicies } from "./relation-policy.ts"

/** What a relation's rows come from: the relation, or the query that a view stands for. */
export type Source = { readonly text: string; readonly ast: Ast }

export type TableQuery = {
  readonly relation: CatalogRelation
  /** Its masks and denied columns hold, and its filter. */
  readonly rule: ReaderRule
  /** Rules whose filters hold as well: those of parents. */
  readonly parents: readonly ReaderRule[]
  readonly source: Source
  /** The name that the source has there: what expressions may qualify columns with. */
  readonly name: string
  readonly claims: Readonly<Record<string, unknown>>
  readonly policies: RelationPolicies
  readonly snapshot: CatalogSnapshot
  /** The reader's own, under which names of functions in filters, masks and rules of its token are looked up. */
  readonly searchPath: readonly string[]
  /** The client's own, for rows of this relation: what cannot tell of hidden rows runs beside the filter, so that indexes serve. */
  readonly conditions: readonly ScanCondition[]
}

/** The relation itself, with or without its children, under the name that a policy has for it. */
export function relationSource(
  { schema, relation }: CatalogRelation,
  includesChildren: boolean,
  name: string,
): Source {
  const full = `${quoteIdentifier(schema)}.${quoteIdentifier(relation)}`
  const renamed = name !== relation
  const fields = {
    schemaname: schema,
    relname: relation,
    relpersistence: "p",
    ...(renamed ? { alias: { aliasname: name } } : {}),
  }
  const read = includesChildren ? full : `ONLY ${full}`
  return {
    text: renamed ? `${read} AS ${quoteIdentifier(name)}` : read,
    ast: { RangeVar: includesChildren ? { ...fields, inh: true } : fields },
  }
}

/** A query under a relation's name. */
export function querySource(name: string, query: Pick<Emitted, "text" | "ast">): Source {
  return {
    text: `(${query.text}) AS ${quoteIdentifier(name)}`,
    ast: { RangeSubselect: { subquery: query.ast, alias: { aliasname: name } } },
  }
}

/**
 * `SELECT columns FROM source WHERE filters OFFSET 0` as a policy wants it for one reader, proven to parse to the tree that
 * was meant. Throws a {@link PolicyRefusal} when no filter lets the reader in, a claim is missing or of another type, or the
 * policy does not fit the relation's columns.
 */
export function tableQuery(query: TableQuery): Emitted {
  const { relation, rule, parents, source } = query
  if ([rule, ...parents].some(({ rows }) => rows.kind === "closed"))
    throw new PolicyRefusal(
      SqlState.InsufficientPrivilege,
      "row_policy_refused",
      `permission denied for table ${relation.relation}`,
      "No row filter of this relation is for a role of yours.",
    )
  const fence = [rule, ...parents].some(({ policy }) => policy.isFenced)
  const targets = targetsOf(query, fence)
  const filter = whereOf(query)
  // Without a fence the engine moves them there itself.
  const quiet = fence ? quietOf(query) : []
  const where =
    quiet.length === 0 ? filter : joined("AND", filter === undefined ? quiet : [filter, ...quiet])
  const text = [
    `SELECT ${targets.map((target) => target.text).join(", ")} FROM ${source.text}`,
    where === undefined ? "" : ` WHERE ${where.text}`,
    fence ? " OFFSET 0" : "",
  ].join("")
  const meant: Ast = {
    SelectStmt: {
      targetList: targets.map((target) => target.ast),
      fromClause: [source.ast],
      ...(where === undefined ? {} : { whereClause: where.ast }),
      ...(fence ? { limitOffset: { A_Const: { ival: {} } } } : {}),
      limitOption: fence ? "LIMIT_OPTION_COUNT" : "LIMIT_OPTION_DEFAULT",
      op: "SETOP_NONE",
    },
  }
  const ast = verified(text, meant)
  if (ast === undefined)
    throw new InvariantViolation(`the query for ${relation.name} does not parse to what was meant`)
  return { text, ast, keepsPositions: false }
}

/** Visible columns in their order, masked ones as their masks. */
function targetsOf(query: TableQuery, fence: boolean): readonly BoundExpression[] {
  const { relation, rule, snapshot } = query
  // `mirror`: the engine is DuckDB.
  const blurs = fence && snapshot.mirror !== undefined
  if (blurs && isShadowed("least", query)) throw unfit(relation, 'a macro is named "least"')
  const { columns } = relation
  if (columns === undefined) throw unfit(relation, "its columns are not known")
  const fold = (name: string): string => folded(snapshot, name)
  const known = new Set(columns.map(fold))
  const named = [...rule.masks.map(({ column }) => column), ...rule.deniedColumns]
  // A rule for a column that is not there any more may have been meant for one that has another name by now.
  const missing = named.find((column) => !known.has(fold(column)))
  if (missing !== undefined) throw unfit(relation, `it has no column "${missing}"`)
  const denied = new Set([...rule.deniedColumns].map(fold))
  const masks = new Map(rule.masks.map(({ column, mask }) => [fold(column), mask]))
  const visible = columns.filter((column) => !denied.has(fold(column)))
  if (visible.length === 0) throw unfit(relation, "no column is left")
  return visible.map((column) => {
    const mask = masks.get(fold(column))
    const text = quoteIdentifier(column)
    if (mask === undefined) {
      const val = { ColumnRef: { fields: [{ String: { sval: column } }] } }
      if (!blurs) return { text, ast: { ResTarget: { val } } }
      const blurred = withoutRange({ text, ast: val })
      return {
        text: `${blurred.text} AS ${text}`,
        ast: { ResTarget: { name: column, val: blurred.ast } },
      }
    }
    const found = boundIn(query, mask)
    const bound = blurs ? withoutRange(found) : found
    return {
      text: `${bound.text} AS ${text}`,
      ast: { ResTarget: { name: column, val: bound.ast } },
    }
  })
}

/**
 * The value itself, of which DuckDB's optimizer does not know between which values it lies. OFFSET 0 does not stop that: `x::int > 0
 * OR id <= 20` becomes true where no row of the table, hidden ones too, has a greater id, and the cast never fails; blocks of rows that a join
 * cannot meet are not read. least of one argument keeps every type, collation and NULL.
 */
function withoutRange({ text, ast }: BoundExpression): BoundExpression {
  return { text: `least(${text})`, ast: { MinMaxExpr: { op: "IS_LEAST", args: [ast] } } }
}

/** Conditions on columns that the reader sees as they are. */
function quietOf({ relation, rule, conditions, snapshot }: TableQuery): readonly BoundExpression[] {
  if (conditions.length === 0 || relation.kind === "view") return []
  const hidden = new Set(
    [...rule.masks.map(({ column }) => column), ...rule.deniedColumns].map((column) =>
      folded(snapshot, column),
    ),
  )
  const names = (relation.columns ?? []).map((column) => folded(snapshot, column))
  const visible = new Set(names.filter((column) => !hidden.has(column)))
  return quietConditions(conditions, relation, { snapshot, visible })
}

/** Permissive filters are ORed, restrictive ones ANDed to that (PostgreSQL manual, 5.9). */
function whereOf(query: TableQuery): BoundExpression | undefined {
  const filters = [query.rule, ...query.parents].flatMap(({ rows, guest }) => {
    const own = guest.map((clause) => guestPredicate(clause, query))
    if (rows.kind !== "filtered") return own
    const permissive = rows.permissive.map(({ filter }) => boundIn(query, filter))
    const restrictive = rows.restrictive.map(({ filter }) => boundIn(query, filter))
    return [joined("AND", [joined("OR", permissive), ...restrictive]), ...own]
  })
  return filters.length === 0 ? undefined : joined("AND", filters)
}

/** `(a) OR (b)`, with operands of the same kind in one list as the grammar makes it of them. */
function joined(word: "AND" | "OR", operands: readonly BoundExpression[]): BoundExpression {
  const [only, ...more] = operands
  if (only !== undefined && more.length === 0) return only
  const boolop = `${word}_EXPR`
  const args: unknown[] = []
  for (const [index, { ast }] of operands.entries()) {
    const inner = nodeFields(ast, "BoolExpr")
    // Only what stands on the left is taken apart.
    if (index === 0 && inner?.["boolop"] === boolop) args.push(...listOf(inner["args"]))
    else args.push(ast)
  }
  return {
    text: `(${operands.map(({ text }) => text).join(` ${word} `)})`,
    ast: { BoolExpr: { boolop, args } },
  }
}

function boundIn(query: TableQuery, expression: PolicyExpression): BoundExpression {
  const { relation, claims, policies, snapshot } = query
  const of = (schema: string, name: string): readonly string[] | undefined => {
    const found = findRelation(snapshot, schema, name)
    return found === undefined ? undefined : snapshot.relations.get(found)?.columns
  }
  const fold = (name: string): string => folded(snapshot, name)
  const ofTable = new Set((relation.columns ?? []).map(fold))
  const foreign = foreignName(expression.ast, { table: query.name, ofTable, of, fold })
  if (foreign !== undefined) throw unfit(relation, `a filter or mask names "${foreign}"`)
  const code = userCodeOf(expression, query)
  if (code !== undefined) throw unfit(relation, `a filter or mask may mean a user's "${code}"`)
  const bound = bindExpression(expression, {
    literal: (claim) => {
      const type = policies.claims.get(claim)
      return type === undefined ? undefined : claimLiteral(claimValue(claims, claim), type)
    },
    // DuckDB knows no pg_catalog before a function.
    pinsCalls: !snapshot.foldsCase,
  })
  if ("missing" in bound)
    throw new PolicyRefusal(
      SqlState.InsufficientPrivilege,
      "claim_missing",
      `permission denied for table ${relation.relation}`,
      `The policy of this relation needs the claim "${bound.missing}", which your login does not bring in the form it must have.`,
    )
  return bound
}

/** A function without a schema, or an operator, that could be somebody's own under this search_path of the client's. */
function userCodeOf({ calls, operators }: PolicyExpression, query: TableQuery): string | undefined {
  const { snapshot } = query
  const call = calls.find(({ name }) =>
    snapshot.foldsCase
      ? isShadowed(name, query)
      : findFunction(snapshot, "pg_catalog", name) === undefined,
  )
  return call?.name ?? operators.find((operator) => snapshot.userCode?.has(operator) === true)
}

/** DuckDB takes a macro along search_path, and in main at last, for a function of its own. */
function isShadowed(name: string, { snapshot, searchPath }: TableQuery): boolean {
  return [...searchPath, "main"].some(
    (schema) =>
      folded(snapshot, schema) !== "pg_catalog" &&
      findFunction(snapshot, schema, name) !== undefined,
  )
}

/** The message is for the reader, who is not told of columns; the hint names the file's owner. */
function unfit(relation: CatalogRelation, cause: string): PolicyRefusal {
  return new PolicyRefusal(
    SqlState.InsufficientPrivilege,
    "policy_unfit",
    `permission denied for table ${relation.relation}`,
    `The policy of this relation does not fit it (${cause}); tell whoever keeps the policies.`,
  )
}
