import type { FactColumn } from "../core/statement.ts"
import {
  booleanConstant,
  type Fields,
  listOf,
  nameParts,
  nodeFields,
  numberOf,
  stringConstant,
  textOf,
} from "./ast.ts"

/**
 * SELECTs that only ask about the session, such as drivers send at every connect (`select pg_catalog.version()`,
 * `select current_schema()`): the session answers them itself. Anything beyond bare calls in the target list makes the
 * statement an ordinary read.
 */

type Fact = FactColumn["fact"]

const grammarFacts: ReadonlyMap<string, { readonly label: string; readonly fact: Fact }> = new Map([
  ["SVFOP_CURRENT_USER", { label: "current_user", fact: { kind: "current_user" } }],
  ["SVFOP_CURRENT_ROLE", { label: "current_role", fact: { kind: "current_user" } }],
  ["SVFOP_USER", { label: "user", fact: { kind: "current_user" } }],
  ["SVFOP_SESSION_USER", { label: "session_user", fact: { kind: "session_user" } }],
  ["SVFOP_CURRENT_CATALOG", { label: "current_catalog", fact: { kind: "current_database" } }],
  ["SVFOP_CURRENT_SCHEMA", { label: "current_schema", fact: { kind: "current_schema" } }],
])

const plainFacts: ReadonlyMap<string, Fact> = new Map([
  ["version", { kind: "version" }],
  ["current_schema", { kind: "current_schema" }],
  ["current_database", { kind: "current_database" }],
  ["pg_backend_pid", { kind: "backend_pid" }],
  ["pg_advisory_unlock_all", { kind: "no_locks" }],
])

const selectFields: ReadonlySet<string> = new Set(["targetList", "limitOption", "op"])
const callFields: ReadonlySet<string> = new Set(["funcname", "args", "funcformat", "location"])

/** $n by itself; `$0` and a cast around it are none. */
function parameterNumber(value: unknown): number | undefined {
  const number = numberOf(nodeFields(value, "ParamRef")?.["number"])
  return number > 0 ? number : undefined
}

function calledFact(name: string, args: readonly unknown[]): Fact | undefined {
  if (args.length === 0) return plainFacts.get(name)
  const setting = stringConstant(args[0])
  if (setting === undefined) return undefined
  if (name === "current_setting" && args.length <= 2) {
    const missingOk = args.length === 1 ? false : booleanConstant(args[1])
    return missingOk === undefined
      ? undefined
      : { kind: "current_setting", name: setting, missingOk }
  }
  if (name === "set_config" && args.length === 3) {
    const value = stringConstant(args[1]) ?? parameterNumber(args[1])
    const isLocal = booleanConstant(args[2])
    if (value === undefined || isLocal === undefined) return undefined
    return { kind: "set_config", name: setting, value, isLocal }
  }
  return undefined
}

function factOf(value: unknown): FactColumn | undefined {
  const grammar = nodeFields(value, "SQLValueFunction")
  if (grammar !== undefined) return grammarFacts.get(textOf(grammar["op"]))
  const call = nodeFields(value, "FuncCall")
  if (call === undefined || Object.keys(call).some((key) => !callFields.has(key))) return undefined
  const parts = nameParts(call["funcname"])
  const name = parts.at(-1) ?? ""
  if (parts.length > 2 || (parts.length === 2 && parts[0] !== "pg_catalog")) return undefined
  const fact = calledFact(name, listOf(call["args"]))
  return fact === undefined ? undefined : { label: name, fact }
}

/** Columns of a SELECT that asks for nothing but session facts; undefined for every other query. */
export function sessionFacts(select: Fields): readonly FactColumn[] | undefined {
  for (const key in select) if (!selectFields.has(key)) return undefined
  const columns: FactColumn[] = []
  for (const item of listOf(select["targetList"])) {
    const target = nodeFields(item, "ResTarget") ?? {}
    const column = "indirection" in target ? undefined : factOf(target["val"])
    if (column === undefined) return undefined
    const alias = textOf(target["name"])
    columns.push(alias === "" ? column : { label: alias, fact: column.fact })
  }
  const isDistinct = select["op"] !== "SETOP_NONE"
  return columns.length === 0 || isDistinct ? undefined : columns
}
