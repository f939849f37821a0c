import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Ast } from "../core/statement.ts"
import {
  booleanConstant,
  fieldsOf,
  nodeFields,
  numberOf,
  stringConstant,
  textOf,
} from "../sql/ast.ts"
import { emitTree } from "../sql/emit.ts"
import { inspectQuery } from "../sql/traits.ts"
import { argumentTypes } from "./argument-types.ts"

/**
 * Arguments of EXECUTE (PostgreSQL manual, EXECUTE) become bound values, never part of a text that is asked: constants as they
 * stand, everything else by a question of its own to the warehouse, which the same policy judges.
 */

/** Whole numbers and the least and greatest value that each of these types takes. */
const integerTypes: ReadonlyMap<number, number> = new Map([
  [21, 32_767],
  [23, 2_147_483_647],
  [20, 2_147_483_647],
])
const numericTypes: ReadonlySet<number> = new Set([1700, 701])
const textTypes: ReadonlySet<number> = new Set([25, 1043])
const boolType = 16

/**
 * The value to bind for an argument that is a constant, in text format; null for NULL; undefined when the warehouse has to
 * coerce or compute it.
 */
export function constantArgument(argument: Ast, type: number): Buffer | null | undefined {
  const constant = nodeFields(argument, "A_Const")
  if (constant === undefined) return undefined
  if (constant["isnull"] === true) return null
  // A string literal has no type of its own yet: the parameter's input function reads it, as it reads a bound text.
  const text = stringConstant(argument)
  if (text !== undefined) return Buffer.from(text)
  const boolean = booleanConstant(argument)
  if (boolean !== undefined) return type === boolType ? Buffer.from(boolean ? "t" : "f") : undefined
  if ("ival" in constant) return wholeNumber(numberOf(fieldsOf(constant["ival"])["ival"]), type)
  if ("fval" in constant && numericTypes.has(type))
    return Buffer.from(textOf(fieldsOf(constant["fval"])["fval"]))
  return undefined
}

function wholeNumber(value: number, type: number): Buffer | undefined {
  const max = integerTypes.get(type)
  const fits =
    max === undefined ? numericTypes.has(type) || textTypes.has(type) : Math.abs(value) <= max
  return fits ? Buffer.from(String(value)) : undefined
}

export type ArgumentToEvaluate = { readonly argument: Ast; readonly type: number }

/** `SELECT` of the arguments, each in its parameter's type: emitted and verified as every rewritten text. */
export function argumentsQuery(wanted: readonly ArgumentToEvaluate[]): string {
  const targets = wanted.map(({ argument, type }) => {
    checkArgument(argument)
    const name = argumentTypes.get(type)
    return { ResTarget: { val: name === undefined ? argument : castTo(argument, name) } }
  })
  return selectOf(targets)
}

/** `SELECT` of a NULL of each type, to be described and not run: the warehouse's word on what the names mean. */
export function typesQuery(types: readonly Ast[]): string {
  return selectOf(
    types.map((type) => ({
      ResTarget: {
        val: {
          TypeCast: { arg: { A_Const: { isnull: true } }, typeName: fieldsOf(type)["TypeName"] },
        },
      },
    })),
  )
}

function selectOf(targetList: readonly Ast[]): string {
  return emitTree({
    SelectStmt: { targetList, limitOption: "LIMIT_OPTION_DEFAULT", op: "SETOP_NONE" },
  }).text
}

const grammarTypes: ReadonlySet<string> = new Set([
  "bool",
  "int2",
  "int4",
  "int8",
  "float4",
  "float8",
  "numeric",
  "varchar",
  "bpchar",
  "time",
  "timetz",
  "timestamp",
  "timestamptz",
  "interval",
  "bit",
  "varbit",
  "json",
])

function namePart(sval: string): Ast {
  return { String: { sval } }
}

function castTo(argument: Ast, name: string): Ast {
  return {
    TypeCast: {
      arg: argument,
      // As the grammar spells it when it reads the emitted text: its own type words are qualified, other names are not.
      typeName: {
        names: grammarTypes.has(name) ? [namePart("pg_catalog"), namePart(name)] : [namePart(name)],
        typemod: -1,
      },
    },
  }
}

/** EXECUTE has no parameters of its own, however it was sent. */
function checkArgument(argument: Ast): void {
  const { traits } = inspectQuery(argument)
  if (traits.parameterCount > 0)
    throw new GatewayError({
      sqlState: SqlState.UndefinedParameter,
      reason: "invalid_parameter",
      message: `there is no parameter $${traits.parameterCount}`,
    })
}
