import { folded } from "../catalog/relation-key.ts"
import type { CatalogRelation, CatalogSnapshot } from "../core/catalog.ts"
import type { Ast } from "../core/statement.ts"
import { quoteIdentifier } from "../sql/quote.ts"
import { isTime, type ScanCondition, type ScanConstant } from "../sql/scan-conditions.ts"
import type { BoundExpression } from "./expression.ts"

/**
 * Conditions of the client's that may run beside a filter, on rows that it hides: no value can make them fail, and they tell
 * nothing but which rows meet them. PostgreSQL calls such functions leakproof (manual, 39.5); the operators below are, for these types
 * (pg_proc.proleakproof of 18, and `timestamp` with `timestamptz`, which compares without raising since 13). Constants are
 * of a form that cannot fail to be read. They run once more outside, so that what they mean is not lost if a type is another by then.
 */
export function quietConditions(
  conditions: readonly ScanCondition[],
  relation: CatalogRelation,
  options: { readonly snapshot: CatalogSnapshot; readonly visible: ReadonlySet<string> },
): readonly BoundExpression[] {
  const { snapshot, visible } = options
  const { columns = [], columnTypes = [] } = relation
  return conditions.flatMap((condition) => {
    const wanted = folded(snapshot, condition.column)
    if (!visible.has(wanted)) return []
    const at = columns.findIndex((column) => folded(snapshot, column) === wanted)
    const [column, type] = [columns[at], columnTypes[at]]
    if (column === undefined || type === undefined || type === computedType) return []
    return quietCondition(column, condition, { type, isPostgres: snapshot.mirror === undefined })
  })
}

/** In the place of the type of a column that is computed where it is read. */
const computedType = 0

type Typed = { readonly type: number; readonly isPostgres: boolean }

function quietCondition(
  column: string,
  { operator, constants }: ScanCondition,
  typed: Typed,
): readonly BoundExpression[] {
  const lexpr = { ColumnRef: { fields: [{ String: { sval: column } }] } }
  const name = quoteIdentifier(column)
  if (operator === "null" || operator === "not null") {
    const nulltesttype = operator === "null" ? "IS_NULL" : "IS_NOT_NULL"
    return [
      {
        text: `(${name} IS ${operator === "null" ? "NULL" : "NOT NULL"})`,
        ast: { NullTest: { arg: lexpr, nulltesttype } },
      },
    ]
  }
  const literals: BoundExpression[] = []
  for (const constant of constants) {
    const literal = literalFor(constant, typed)
    if (literal === undefined) return []
    literals.push(literal)
  }
  const [first] = literals
  if (first === undefined) return []
  if (operator === "in") {
    const items = literals.map(({ ast }) => ast)
    const fields = { kind: "AEXPR_IN", name: [{ String: { sval: "=" } }], lexpr }
    return [
      {
        text: `(${name} IN (${literals.map(({ text }) => text).join(", ")}))`,
        ast: { A_Expr: { ...fields, rexpr: { List: { items } } } },
      },
    ]
  }
  const fields = { kind: "AEXPR_OP", name: [{ String: { sval: operator } }], lexpr }
  return [
    {
      text: `(${name} ${operator} ${first.text})`,
      ast: { A_Expr: { ...fields, rexpr: first.ast } },
    },
  ]
}

const uuidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const midnight = /^(\d{4}-\d\d-\d\d)(?:[ T]00:00(?::00(?:\.0+)?)?)?$/

/** The constant as it may stand beside a column of this type (pg_type.oid), or undefined. */
function literalFor(
  constant: ScanConstant,
  { type, isPostgres }: Typed,
): BoundExpression | undefined {
  switch (type) {
    // bool
    case 16:
      return constant.kind === "boolean" ? truth(constant.value) : undefined
    // int8, int2, int4
    case 20:
    case 21:
    case 23:
      return constant.kind === "number" ? wholeNumber(constant.text) : undefined
    // text, bpchar, varchar
    case 25:
    case 1042:
    case 1043:
      return constant.kind === "text" ? quoted(constant.text) : undefined
    // uuid
    case 2950:
      return constant.kind === "text" && uuidForm.test(constant.text)
        ? quoted(constant.text)
        : undefined
    // date, timestamp, timestamptz
    case 1082:
      return dateLiteral(constant)
    case 1114:
      return timestampLiteral(constant, isPostgres)
    case 1184: {
      const isSame = constant.kind === "timestamptz" || constant.kind === "text"
      return isPostgres && isSame && isTime(constant.text) ? quoted(constant.text) : undefined
    }
    default:
      return undefined
  }
}

function dateLiteral(constant: ScanConstant): BoundExpression | undefined {
  if (constant.kind !== "text" && constant.kind !== "date" && constant.kind !== "timestamp")
    return undefined
  if (!isTime(constant.text)) return undefined
  // As text a time is cut off; as a timestamp it counts.
  const [, day] = midnight.exec(constant.text) ?? []
  return day === undefined ? undefined : quoted(day)
}

function timestampLiteral(
  constant: ScanConstant,
  isPostgres: boolean,
): BoundExpression | undefined {
  if (constant.kind === "number" || constant.kind === "boolean") return undefined
  if (!isTime(constant.text)) return undefined
  const literal = quoted(constant.text)
  if (constant.kind !== "timestamptz") return literal
  if (!isPostgres) return undefined
  const names = [{ String: { sval: "pg_catalog" } }, { String: { sval: "timestamptz" } }]
  return {
    text: `${literal.text}::timestamp with time zone`,
    ast: { TypeCast: { arg: literal.ast, typeName: { names, typemod: -1 } } },
  }
}

function truth(value: boolean): BoundExpression {
  const ast: Ast = { A_Const: { boolval: value ? { boolval: true } : {} } }
  return { text: value ? "true" : "false", ast }
}

const int4Max = 2_147_483_647n
const int8Max = 9_223_372_036_854_775_807n

/** Whole numbers that an integer type holds; beyond them the column would be computed with as numeric. */
function wholeNumber(text: string): BoundExpression | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined
  const value = BigInt(text)
  const size = value < 0n ? -value : value
  if (size > int8Max) return undefined
  const ast: Ast =
    size <= int4Max
      ? { A_Const: { ival: { ival: Number(value) } } }
      : { A_Const: { fval: { fval: text } } }
  return { text, ast }
}

/** A plain literal: standard_conforming_strings is always on. */
function quoted(text: string): BoundExpression {
  return {
    text: `'${text.replaceAll("'", "''")}'`,
    ast: { A_Const: { sval: { sval: text } } },
  }
}
