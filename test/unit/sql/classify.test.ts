import { equal } from "node:assert/strict"
import { before, describe, it } from "node:test"
import type { CopyOption, CopySource, ExecuteCall, Statement } from "../../../src/core/statement.ts"
import { loadParser, parseText } from "../../../src/sql/parser.ts"
import { readCases } from "../../support/cases.ts"

function onlyStatement(text: string): Statement {
  const [statement, ...rest] = parseText(text)
  equal(rest.length, 0)
  if (statement === undefined) throw new Error("no statement")
  return statement
}

function showClass({ class: found, command }: Statement): string {
  switch (found.kind) {
    case "empty":
      return "empty"
    case "cursor": {
      const flags = [
        found.isHeld ? " held" : "",
        found.isScroll ? " scroll" : "",
        found.isBinary ? " binary" : "",
      ]
      return `cursor ${command} name=${found.name}${flags.join("")} query=${found.query.text}`
    }
    case "refused":
      return `refused ${found.construct}`
    case "prepare":
      return `prepare ${command} name=${found.name} types=${found.types.length} ${found.query.class.kind} query=${found.query.text}`
    case "execute":
      return `execute ${command} ${showCall(found.call)}`
    case "explain_execute":
      return `explain_execute ${command} ${showCall(found.call)} prefix=${found.prefix.trim()}`
    case "copy":
      return [`copy ${command}`, showSource(found.source), ...found.options.map(showOption)].join(
        " ",
      )
    default:
      return `${found.kind} ${command}`
  }
}

function showCall(call: ExecuteCall): string {
  return `name=${call.name} arguments=${call.arguments.length}`
}

function showSource(source: CopySource): string {
  if (source.kind === "query") return `query=${source.query.text}`
  const { schema, name } = source.relation
  const columns = source.columns === undefined ? "" : ` columns=${source.columns.join(",")}`
  return `table=${schema === undefined ? name : `${schema}.${name}`}${columns}`
}

function showOption({ name, value }: CopyOption): string {
  return `${name}=${String(value)}`
}

function infinityAsText(_key: string, value: unknown): unknown {
  return value === Number.POSITIVE_INFINITY ? "Infinity" : value
}

function showCommand({ class: found, command }: Statement): string {
  if (found.kind !== "session" && found.kind !== "transaction") return found.kind
  return `${command} ${JSON.stringify(found.command, infinityAsText)}`
}

before(loadParser)

describe("a statement's class", () => {
  for (const item of readCases("test/cases/sql/classify.case")) {
    it(`classify.case:${item.line} ${item.input}`, () => {
      equal(showClass(onlyStatement(item.input)), item.expected)
    })
  }
})

describe("a session command", () => {
  for (const item of readCases("test/cases/sql/session.case")) {
    it(`session.case:${item.line} ${item.input}`, () => {
      equal(showCommand(onlyStatement(item.input)), item.expected)
    })
  }
})
