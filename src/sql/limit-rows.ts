import type { Ast, Emitted, Statement } from "../core/statement.ts"
import { parseTrees } from "./parser.ts"
import { type TopLimit, topLimit, withLimit } from "./top-limit.ts"
import { verified } from "./verified.ts"

/** Ways to put a row limit into a query's own text, so that error positions stay the client's. */

/** On a line of its own: the text may end in a `--` comment. */
function appended(text: string, rows: number): string {
  return `${text}\nLIMIT ${rows}`
}

/** True when a limit may be appended to this query: shown by parsing it with one. */
export function takesAppendedLimit(text: string, ast: Ast): boolean {
  if (topLimit(ast).kind !== "none") return false
  try {
    return verified(appended(text, 1), withLimit(ast, 1)) !== undefined
  } catch {
    return false
  }
}

export function appendLimit(statement: Statement, rows: number): Emitted | undefined {
  const text = appended(statement.text, rows)
  const ast = verified(text, withLimit(statement.ast, rows))
  return ast === undefined ? undefined : { text, ast, keepsPositions: true }
}

const limitToken = /^(?:0[xob][0-9a-f_]+|[0-9][0-9_]*|all|null)/i

/** The query with its constant limit replaced where it stands, padded to the old length where the new one is shorter. */
export function replaceLimit(statement: Statement, rows: number): Emitted | undefined {
  // Locations of the statement's own tree count from the start of the client's whole text.
  const [ast] = parseTrees(statement.text)
  const limit = ast === undefined ? undefined : topLimit(ast)
  if (ast === undefined || limit?.kind !== "constant" || limit.location <= 0) return undefined
  const bytes = Buffer.from(statement.text, "utf8")
  const before = bytes.toString("utf8", 0, limit.location)
  const behind = bytes.toString("utf8", limit.location)
  const old = limitToken.exec(behind)?.[0]
  if (old === undefined) return undefined
  const digits = String(rows).padEnd(old.length)
  const text = before + digits + behind.slice(old.length)
  const proven = verified(text, withLimit(ast, rows))
  if (proven === undefined) return undefined
  return { text, ast: proven, keepsPositions: digits.length === old.length }
}

/** What a worker found out about a statement too large to be parsed again here. */
export type LargeStatementFacts = {
  readonly topLimit: TopLimit
  readonly takesAppendedLimit: boolean
}

const largeStatements = new WeakMap<Statement, LargeStatementFacts>()

export function rememberLarge(statement: Statement, facts: LargeStatementFacts): void {
  largeStatements.set(statement, facts)
}

export function factsOfLarge(statement: Statement): LargeStatementFacts | undefined {
  return largeStatements.get(statement)
}

/**
 * As {@link appendLimit}, on the worker's proof: it parsed this text with `LIMIT 1` behind it, and the grammar does not
 * distinguish one whole number from another.
 */
export function appendLimitUnparsed(statement: Statement, rows: number): Emitted {
  return {
    text: appended(statement.text, rows),
    get ast() {
      return withLimit(statement.ast, rows)
    },
    keepsPositions: true,
  }
}
