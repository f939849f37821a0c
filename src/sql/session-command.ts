import type { SessionCommand } from "../core/statement.ts"
import { type Fields, fieldsOf, listOf, nodeFields, numberOf, textOf } from "./ast.ts"
import { syntaxError } from "./parse-errors.ts"
import { transactionMode } from "./transaction-command.ts"
import { zoneOfInterval } from "./zone-interval.ts"

/** A construct that Sluice does not answer, by its name in the manual. */
export type Refusal = { readonly construct: string; readonly hint: string | undefined }

/** What a statement about the session becomes: a command with its CommandComplete tag, or a refusal. */
export type SessionStatement =
  | { readonly command: SessionCommand; readonly tag: string }
  | { readonly command: undefined; readonly refusal: Refusal }

function refused(construct: string, hint?: string): SessionStatement {
  return { command: undefined, refusal: { construct, hint } }
}

const identityHint = "The identity of a session is fixed at login."

const identitySettings: ReadonlyMap<string, string> = new Map([
  ["role", "SET ROLE"],
  ["session_authorization", "SET SESSION AUTHORIZATION"],
])

/** A value of SET as text: what flatten_set_variable_args gives for each constant. */
function settingValue(node: unknown): string | undefined {
  const constant = nodeFields(node, "A_Const")
  if (constant === undefined) return undefined
  if ("sval" in constant) return textOf(fieldsOf(constant["sval"])["sval"])
  if ("fval" in constant) return textOf(fieldsOf(constant["fval"])["fval"])
  if ("ival" in constant) return String(numberOf(fieldsOf(constant["ival"])["ival"]))
  return undefined
}

/** Characters from 1 in the client's text for a location of the tree. */
type Position = (location: number) => number

function setValues(fields: Fields, name: string, position: Position): SessionStatement {
  const values: string[] = []
  const numbers: number[] = []
  for (const argument of listOf(fields["args"])) {
    checkNoParameter(argument, position)
    const value = settingValue(argument) ?? zoneOfInterval(argument)
    if (value === undefined) {
      return refused("SET with an interval", "Write the time zone's name or its offset in hours.")
    }
    if (isNumber(argument)) numbers.push(values.length)
    values.push(value)
  }
  const isLocal = fields["is_local"] === true
  return { command: { kind: "set", name, values, numbers, isLocal }, tag: "SET" }
}

function isNumber(node: unknown): boolean {
  const constant = nodeFields(node, "A_Const") ?? {}
  return "ival" in constant || "fval" in constant
}

/** libpg-query's grammar takes a parameter for a value of SET; PostgreSQL's does not. */
function checkNoParameter(node: unknown, position: Position): void {
  const parameter = nodeFields(node, "ParamRef")
  if (parameter === undefined) return
  const number = numberOf(parameter["number"])
  const at = position(numberOf(parameter["location"]))
  throw syntaxError(`syntax error at or near "$${number}"`, at)
}

function setSeveral(fields: Fields): SessionStatement {
  const mode = transactionMode(fields["args"])
  if (fields["name"] === "TRANSACTION") {
    return { command: { kind: "set_transaction", mode, isSession: false }, tag: "SET" }
  }
  if (fields["name"] === "SESSION CHARACTERISTICS") {
    return { command: { kind: "set_transaction", mode, isSession: true }, tag: "SET" }
  }
  return refused("SET TRANSACTION SNAPSHOT")
}

/** SET and RESET in all their forms (VariableSetStmt). */
export function setStatement(fields: Fields, position: Position): SessionStatement {
  const name = textOf(fields["name"]).toLowerCase()
  const identity = identitySettings.get(name)
  if (identity !== undefined) return refused(identity, identityHint)
  switch (fields["kind"]) {
    case "VAR_SET_VALUE":
      return setValues(fields, name, position)
    case "VAR_SET_DEFAULT": {
      const isLocal = fields["is_local"] === true
      return { command: { kind: "set", name, values: undefined, numbers: [], isLocal }, tag: "SET" }
    }
    case "VAR_SET_MULTI":
      return setSeveral(fields)
    case "VAR_RESET":
      return { command: { kind: "reset", name }, tag: "RESET" }
    case "VAR_RESET_ALL":
      return { command: { kind: "reset_all" }, tag: "RESET" }
    default:
      return refused("SET FROM CURRENT")
  }
}

const discardTargets = {
  DISCARD_ALL: "all",
  DISCARD_PLANS: "plans",
  DISCARD_SEQUENCES: "sequences",
  DISCARD_TEMP: "temp",
} as const

export function discardStatement(fields: Fields): SessionStatement {
  const key = textOf(fields["target"])
  if (!(key in discardTargets)) return refused("DISCARD")
  const target = discardTargets[key as keyof typeof discardTargets]
  return { command: { kind: "discard", target }, tag: `DISCARD ${target.toUpperCase()}` }
}

export function deallocateStatement(fields: Fields): SessionStatement {
  const name = fields["isall"] === true ? undefined : textOf(fields["name"])
  const tag = name === undefined ? "DEALLOCATE ALL" : "DEALLOCATE"
  return { command: { kind: "deallocate", name }, tag }
}

export function closeStatement(fields: Fields): SessionStatement {
  const name = "portalname" in fields ? textOf(fields["portalname"]) : undefined
  const tag = name === undefined ? "CLOSE CURSOR ALL" : "CLOSE CURSOR"
  return { command: { kind: "close_cursor", name }, tag }
}

const directions = {
  FETCH_FORWARD: "forward",
  FETCH_BACKWARD: "backward",
  FETCH_ABSOLUTE: "absolute",
  FETCH_RELATIVE: "relative",
} as const

/** FETCH_ALL is LONG_MAX; the parser is a 32-bit build. */
const fetchAll = 2_147_483_647

/** FETCH and MOVE. A negative count of FORWARD or BACKWARD turns the direction, as the manual says. */
export function fetchStatement(fields: Fields): SessionStatement {
  const key = textOf(fields["direction"])
  if (!(key in directions)) return refused("FETCH")
  let direction: "forward" | "backward" | "absolute" | "relative" =
    directions[key as keyof typeof directions]
  let count = numberOf(fields["howMany"])
  if (count < 0 && (direction === "forward" || direction === "backward")) {
    direction = direction === "forward" ? "backward" : "forward"
    count = -count
  }
  if (count === fetchAll) count = Number.POSITIVE_INFINITY
  const isMove = fields["ismove"] === true
  const cursor = textOf(fields["portalname"])
  const tag = isMove ? "MOVE" : "FETCH"
  return { command: { kind: "fetch", cursor, direction, count, isMove }, tag }
}
