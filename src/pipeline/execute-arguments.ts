import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Ast } from "../core/statement.ts"
import {
  booleanConstant,
  fieldsOf,
  listOf,
  nodeFields,
  numberOf,
  stringConstant,
  textOf,
} from "../sql/ast.ts"
import { emitTree } from "../sql/emit.ts"
import { firstLocation } from "../sql/first-location.ts"
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
const bitTypes: ReadonlySet<number> = new Set([1560, 1562])
const boolType = 16
const int4Type = 23

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
  // `b0101` or `x1F`: the types' own input reads both. A cast would have to be written `bit`, which the grammar takes for bit(1).
  if ("bsval" in constant && bitTypes.has(type))
    return Buffer.from(textOf(fieldsOf(constant["bsval"])["bsval"]))
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

/**
 * A boolean for an integer and a whole number for a boolean: PostgreSQL casts them only where CAST is written (pg_cast.dat), and
 * {@link argumentsQuery} writes it.
 */
export function checkAssignable(argument: Ast, type: number, number: number): void {
  const constant = nodeFields(argument, "A_Const")
  const isBoolean = booleanConstant(argument) !== undefined
  const [from, to] =
    isBoolean && type === int4Type ? ["boolean", "integer"] : ["integer", "boolean"]
  const isWrong = isBoolean
    ? type === int4Type
    : type === boolType && constant !== undefined && "ival" in constant
  if (!isWrong) return
  throw new GatewayError({
    sqlState: SqlState.DatatypeMismatch,
    reason: "invalid_parameter",
    message: `parameter $${number} of type ${from} cannot be coerced to the expected type ${to}`,
    hint: "You will need to rewrite or cast the expression.",
    position: argumentPosition(argument) ?? 0,
  })
}

export type ArgumentToEvaluate = { readonly argument: Ast; readonly type: number }

/** A text that is asked for the client, and where in the client's own text its parts come from. */
export type AskedText = {
  readonly text: string
  /** The client's position for one of this text's, both in characters from 1; undefined for what no part of it is. */
  clientPosition(position: number): number | undefined
  /** Which column a position belongs to, from 0. */
  columnAt(position: number): number
}

/** `SELECT` of the arguments, each in its parameter's type: emitted and verified as every rewritten text. */
export function argumentsQuery(wanted: readonly ArgumentToEvaluate[]): AskedText {
  const targets = wanted.map(({ argument, type }) => {
    checkArgument(argument)
    const name = argumentTypes.get(type)
    return { ResTarget: { val: name === undefined ? argument : castTo(argument, name) } }
  })
  return selectOf(targets)
}

/** `SELECT` of a NULL of each type, to be described and not run: the warehouse's word on what the names mean. */
export function typesQuery(types: readonly Ast[]): AskedText {
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

function selectOf(targetList: readonly Ast[]): AskedText {
  const { text, ast } = emitTree({
    SelectStmt: { targetList, limitOption: "LIMIT_OPTION_DEFAULT", op: "SETOP_NONE" },
  })
  const emitted = listOf(fieldsOf(fieldsOf(ast)["SelectStmt"])["targetList"])
  const starts = emitted.map((target) => numberOf(nodeFields(target, "ResTarget")?.["location"]))
  const byteOf = (position: number): number =>
    Buffer.byteLength(
      Array.from(text)
        .slice(0, position - 1)
        .join(""),
    )
  const columnAt = (position: number): number =>
    Math.max(
      0,
      starts.findLastIndex((start) => start <= byteOf(position)),
    )
  return {
    text,
    columnAt,
    clientPosition: (position) => {
      const column = columnAt(position)
      return locationOf(targetList[column], emitted[column], byteOf(position))
    },
  }
}

/** The source's location of the node that stands at `byte` in the emitted tree; the source's own beginning where there is none. */
function locationOf(source: unknown, emitted: unknown, byte: number): number | undefined {
  let first: number | undefined
  const pending: (readonly [unknown, unknown])[] = [[source, emitted]]
  while (pending.length > 0) {
    const [wanted, found] = pending.pop() ?? []
    if (typeof wanted !== "object" || wanted === null) continue
    const [from, to] = [fieldsOf(wanted), fieldsOf(found)]
    const location = numberOf(from["location"])
    if (location > 0) {
      if (to["location"] === byte) return location
      first = Math.min(first ?? location, location)
    }
    const keys = Array.isArray(wanted) ? [...wanted.keys()].map(String) : Object.keys(from)
    for (const key of keys) pending.push([memberOf(wanted, key), memberOf(found, key)])
  }
  return first
}

/** Where an argument begins in the client's text (exprLocation, nodeFuncs.c). */
export function argumentPosition(argument: Ast): number | undefined {
  return locationOf(argument, undefined, -1)
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined
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
      position: firstLocation(argument, "ParamRef") ?? 0,
    })
}
