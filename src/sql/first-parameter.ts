import type { Statement } from "../core/statement.ts"
import { isFields, nodeFields, numberOf } from "./ast.ts"
import { parseTrees } from "./parser.ts"
import { charactersBefore } from "./source-text.ts"

export type FirstParameter = {
  readonly number: number
  /** Characters from 1, in the client's whole text. */
  readonly position: number
}

/** The first `$n` of a statement, for the error that there is no such parameter; undefined when it has none. */
export function firstParameter(statement: Statement): FirstParameter | undefined {
  let number = 0
  let location = Number.POSITIVE_INFINITY
  const pending: unknown[] = [...parseTrees(statement.text)]
  while (pending.length > 0) {
    const value = pending.pop()
    const parameter = nodeFields(value, "ParamRef")
    if (parameter !== undefined && numberOf(parameter["location"]) < location) {
      number = numberOf(parameter["number"])
      location = numberOf(parameter["location"])
    }
    if (Array.isArray(value)) pending.push(...value)
    else if (isFields(value)) pending.push(...Object.values(value))
  }
  if (location === Number.POSITIVE_INFINITY) return undefined
  const source = { text: statement.text, bytes: Buffer.from(statement.text, "utf8") }
  return { number, position: statement.offset + charactersBefore(source, location) + 1 }
}
