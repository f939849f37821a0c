import type {
  ActivityColumn,
  ActivityCondition,
  BackendSignal,
  SignalOperand,
} from "../core/statement.ts"
import {
  type Fields,
  fieldsOf,
  listOf,
  nameParts,
  nodeFields,
  nodeOf,
  numberOf,
  textOf,
} from "./ast.ts"

/**
 * SELECTs that signal a session, in the forms that clients send: `SELECT pg_terminate_backend(123)`, and
 * `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = '123' AND ...`. In any other place the functions stay
 * what policy refuses, because on the warehouse they would hit a connection of somebody else's.
 */

const selectFields: ReadonlySet<string> = new Set([
  "targetList",
  "fromClause",
  "whereClause",
  "limitOption",
  "op",
])
const callFields: ReadonlySet<string> = new Set(["funcname", "args", "funcformat", "location"])

const signals: ReadonlyMap<string, BackendSignal["signal"]> = new Map([
  ["pg_cancel_backend", "cancel"],
  ["pg_terminate_backend", "terminate"],
])

const activityColumns: ReadonlySet<string> = new Set<ActivityColumn>([
  "pid",
  "usename",
  "datname",
  "application_name",
  "state",
])

/** Types under which a constant keeps its text: `'123'::int`, `CAST($1 AS integer)`. */
const plainTypes: ReadonlySet<string> = new Set(["int4", "int8", "text", "name", "varchar"])

function isActivityColumn(name: string): name is ActivityColumn {
  return activityColumns.has(name)
}

function systemName(parts: readonly string[]): string {
  const isSystem = parts.length === 1 || (parts.length === 2 && parts[0] === "pg_catalog")
  return isSystem ? (parts.at(-1) ?? "") : ""
}

function plainCall(value: unknown): { name: string; args: readonly unknown[] } | undefined {
  const call = nodeFields(value, "FuncCall")
  if (call === undefined || Object.keys(call).some((key) => !callFields.has(key))) return undefined
  return { name: systemName(nameParts(call["funcname"])), args: listOf(call["args"]) }
}

function constantOperand(fields: Fields): SignalOperand | undefined {
  if (fields["isnull"] === true) return { kind: "constant", text: undefined }
  if ("sval" in fields) return { kind: "constant", text: textOf(fieldsOf(fields["sval"])["sval"]) }
  if (!("ival" in fields)) return undefined
  return { kind: "constant", text: String(numberOf(fieldsOf(fields["ival"])["ival"])) }
}

function castOperand(fields: Fields): SignalOperand | undefined {
  const type = fieldsOf(fields["typeName"])
  if ("typmods" in type || "arrayBounds" in type) return undefined
  return plainTypes.has(systemName(nameParts(type["names"]))) ? operand(fields["arg"]) : undefined
}

function callOperand(value: unknown): SignalOperand | undefined {
  const call = plainCall(value)
  if (call === undefined || call.args.length > 0) return undefined
  if (call.name === "pg_backend_pid") return { kind: "own_pid" }
  return call.name === "current_database" ? { kind: "current_database" } : undefined
}

const userFacts: ReadonlySet<string> = new Set([
  "SVFOP_CURRENT_USER",
  "SVFOP_CURRENT_ROLE",
  "SVFOP_USER",
  "SVFOP_SESSION_USER",
])

function operand(value: unknown): SignalOperand | undefined {
  const node = nodeOf(value)
  switch (node?.tag) {
    case "A_Const":
      return constantOperand(node.fields)
    case "TypeCast":
      return castOperand(node.fields)
    case "ParamRef":
      return { kind: "parameter", number: numberOf(node.fields["number"]) }
    case "FuncCall":
      return callOperand(value)
    case "SQLValueFunction": {
      const op = textOf(node.fields["op"])
      if (userFacts.has(op)) return { kind: "current_user" }
      return op === "SVFOP_CURRENT_CATALOG" ? { kind: "current_database" } : undefined
    }
    default:
      return undefined
  }
}

/** The name under which the view's columns may be qualified; undefined when FROM is anything but the view. */
function activityAlias(from: readonly unknown[]): string | undefined {
  const range = from.length === 1 ? nodeFields(from[0], "RangeVar") : undefined
  if (range === undefined || textOf(range["relname"]) !== "pg_stat_activity") return undefined
  if ("catalogname" in range) return undefined
  if ("schemaname" in range && range["schemaname"] !== "pg_catalog") return undefined
  const alias = fieldsOf(range["alias"])
  if ("colnames" in alias) return undefined
  return textOf(alias["aliasname"]) || "pg_stat_activity"
}

function columnOf(value: unknown, alias: string): ActivityColumn | undefined {
  const fields = nodeFields(value, "ColumnRef")
  if (fields === undefined) return undefined
  const parts = nameParts(fields["fields"])
  const qualifier = parts.slice(0, -1).join(".")
  const isOurs =
    parts.length === 1 ||
    (parts.length === 2 && qualifier === alias) ||
    (alias === "pg_stat_activity" && qualifier === "pg_catalog.pg_stat_activity")
  const name = parts.at(-1) ?? ""
  return isOurs && isActivityColumn(name) ? name : undefined
}

function operandsOf(values: readonly unknown[]): readonly SignalOperand[] | undefined {
  const operands = values.map(operand).filter((item) => item !== undefined)
  return operands.length === values.length ? operands : undefined
}

/** `column = value`, `value <> column`, `column [NOT] IN (values)`. */
function comparison(fields: Fields, alias: string): ActivityCondition | undefined {
  const [operator, ...more] = nameParts(fields["name"])
  if (more.length > 0 || (operator !== "=" && operator !== "<>")) return undefined
  const isNegated = operator === "<>"
  const left = columnOf(fields["lexpr"], alias)
  if (fields["kind"] === "AEXPR_IN") {
    const list = nodeFields(fields["rexpr"], "List")
    const values = list === undefined ? undefined : operandsOf(listOf(list["items"]))
    return left === undefined || values === undefined
      ? undefined
      : { column: left, isNegated, values }
  }
  if (fields["kind"] !== "AEXPR_OP") return undefined
  const column = left ?? columnOf(fields["rexpr"], alias)
  const value = operand(left === undefined ? fields["lexpr"] : fields["rexpr"])
  return column === undefined || value === undefined
    ? undefined
    : { column, isNegated, values: [value] }
}

function conditionsOf(where: unknown, alias: string): readonly ActivityCondition[] | undefined {
  if (where === undefined) return []
  const node = nodeOf(where)
  if (node?.tag === "A_Expr") {
    const condition = comparison(node.fields, alias)
    return condition === undefined ? undefined : [condition]
  }
  if (node?.tag !== "BoolExpr" || node.fields["boolop"] !== "AND_EXPR") return undefined
  const parts = listOf(node.fields["args"]).map((part) => conditionsOf(part, alias))
  const known = parts.filter((part) => part !== undefined)
  return known.length === parts.length ? known.flat() : undefined
}

/** The signal that this SELECT is; undefined for every other query. */
export function backendSignal(select: Fields): BackendSignal | undefined {
  for (const key in select) if (!selectFields.has(key)) return undefined
  const targets = listOf(select["targetList"])
  const target = targets.length === 1 ? nodeFields(targets[0], "ResTarget") : undefined
  if (target === undefined || "indirection" in target || select["op"] !== "SETOP_NONE")
    return undefined
  const call = plainCall(target["val"])
  const signal = signals.get(call?.name ?? "")
  if (call === undefined || signal === undefined) return undefined
  const [first, second, ...more] = call.args
  if (first === undefined || more.length > 0) return undefined
  const timeout = second === undefined ? undefined : operand(second)
  if (second !== undefined && (timeout === undefined || signal === "cancel")) return undefined
  const label = textOf(target["name"]) || call.name
  const from = listOf(select["fromClause"])
  if (from.length === 0) {
    const pid = operand(first)
    if (pid === undefined || "whereClause" in select) return undefined
    return { signal, label, timeout, target: { kind: "pid", pid } }
  }
  const alias = activityAlias(from)
  if (alias === undefined || columnOf(first, alias) !== "pid") return undefined
  const conditions = conditionsOf(select["whereClause"], alias)
  return conditions === undefined
    ? undefined
    : { signal, label, timeout, target: { kind: "activity", conditions } }
}
