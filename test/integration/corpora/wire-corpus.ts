import { readFileSync } from "node:fs"

/** How a client sent a statement; `extended` with the name and the parameter types of its Parse. */
export type Protocol =
  | { readonly kind: "simple" }
  | { readonly kind: "extended"; readonly name: string; readonly types: readonly number[] }

export type WireStatement = {
  /** `W001` and so on. */
  readonly id: string
  /** The flow of the client that sends it. */
  readonly origin: string
  readonly protocol: Protocol
  readonly sql: string
}

const file = new URL("../../corpora/superset_wire_statements.sql", import.meta.url)
const extended = /^extended(?: Parse stmt=b'(?<name>[^']*)' oids=\((?<types>[^)]*)\))?$/

function protocolOf(text: string): Protocol {
  if (text === "simple") return { kind: "simple" }
  const match = extended.exec(text)
  if (match === null) throw new Error(`unknown protocol "${text}"`)
  const types = match.groups?.["types"]?.match(/\d+/g) ?? []
  return { kind: "extended", name: match.groups?.["name"] ?? "", types: types.map(Number) }
}

function headOf(block: string, name: string): string {
  return new RegExp(`^-- @${name} +(.*)$`, "m").exec(block)?.[1]?.trim() ?? ""
}

function statementOf(block: string): WireStatement {
  const id = headOf(block, "id")
  const [, sql] = block.split(/^-- @evidence.*\n/m)
  if (id === "" || sql === undefined) throw new Error(`no statement in: ${block.slice(0, 80)}`)
  return {
    id,
    origin: headOf(block, "origin"),
    protocol: protocolOf(headOf(block, "protocol")),
    // The line break before `-- @end` is the file's.
    sql: sql.replace(/\n$/, ""),
  }
}

/** Statements as BI clients send them, recorded from or built after the clients' own code; by id, in the file's order. */
export function wireCorpus(): ReadonlyMap<string, WireStatement> {
  const blocks = readFileSync(file, "utf8")
    .split(/^-- @end$/m)
    .filter((block) => block.includes("-- @id"))
  return new Map(blocks.map(statementOf).map((statement) => [statement.id, statement]))
}
