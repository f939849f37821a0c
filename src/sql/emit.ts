import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { Ast, Emitted, Statement } from "../core/statement.ts"
import { deparse } from "./deparse.ts"
import { appendLimit, appendLimitUnparsed, factsOfLarge, replaceLimit } from "./limit-rows.ts"
import { topLimit } from "./top-limit.ts"
import { verified } from "./verified.ts"

/** SQL for the warehouse. Whatever is not the client's own text has been parsed again and compared with what was meant. */

/** The statement as the client wrote it. */
export function emitUnchanged(statement: Statement): Emitted {
  return {
    text: statement.text,
    get ast() {
      return statement.ast
    },
    keepsPositions: true,
  }
}

function notVerified(cause: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "emit_not_verified",
    message: "this statement cannot be rewritten safely",
    hint: "Simplify the statement: its rewritten form could not be proven equal to what was asked.",
    safeToRetry: true,
    cause,
  })
}

/** Bounded by the lives of the trees. */
const emittedTrees = new WeakMap<Ast, Emitted>()

/**
 * SQL that parses to this tree: deparsed, parsed again and compared. Throws 0A000 `emit_not_verified` when the deparser
 * does not know a node or its text says something else; nothing unproven is ever returned. Memoised by the tree object,
 * which must not be changed afterwards. Synchronous: a tree of a megabyte of SQL takes about a second.
 */
export function emitTree(ast: Ast): Emitted {
  const known = emittedTrees.get(ast)
  if (known !== undefined) return known
  const emitted = deparseVerified(ast)
  emittedTrees.set(ast, emitted)
  return emitted
}

function deparseVerified(ast: Ast): Emitted {
  let text: string
  let parsed: Ast | undefined
  try {
    text = deparse(ast)
    parsed = verified(text, ast)
  } catch (thrown) {
    throw notVerified(thrown)
  }
  if (parsed === undefined) throw notVerified(`the emitted text differs: ${text}`)
  return { text, ast: parsed, keepsPositions: false }
}

export type LimitedRead = {
  readonly emitted: Emitted
  /**
   * `in_sql`: the warehouse stops after rowLimit + 1 rows. `not_needed`: the text asks for no more than rowLimit, or is no
   * read. `stream_only`: the text could not carry the limit; whoever reads the rows must count.
   */
  readonly enforced: "in_sql" | "stream_only" | "not_needed"
}

/** Row limits remembered for one statement; roles have few different ones. */
const limitsRememberedMax = 8

const limitedReads = new WeakMap<Statement, Map<number, LimitedRead>>()

/**
 * A read that returns at most `rowLimit` + 1 rows: the one more tells a cut result from a complete one. `rowLimit` is a
 * whole number from 0; `Infinity` means no limit. Never throws: what cannot be limited in the text is `stream_only`.
 */
export function limitRows(statement: Statement, rowLimit: number): LimitedRead {
  let known = limitedReads.get(statement)
  const limited = known?.get(rowLimit)
  if (limited !== undefined) return limited
  if (known === undefined || known.size >= limitsRememberedMax) {
    known = new Map()
    limitedReads.set(statement, known)
  }
  const made = limitedRead(statement, rowLimit)
  known.set(rowLimit, made)
  return made
}

function limitedRead(statement: Statement, rowLimit: number): LimitedRead {
  const unchanged = emitUnchanged(statement)
  const rows = rowLimit + 1
  if (statement.class.kind !== "read" || !Number.isSafeInteger(rows) || rows < 1) {
    return { emitted: unchanged, enforced: "not_needed" }
  }
  const large = factsOfLarge(statement)
  const limit = large?.topLimit ?? topLimit(statement.ast)
  if (limit.kind === "constant" && limit.rows <= rowLimit) {
    return { emitted: unchanged, enforced: "not_needed" }
  }
  if (limit.kind === "constant" && limit.rows === rows) {
    return { emitted: unchanged, enforced: "in_sql" }
  }
  if (large !== undefined) {
    return large.takesAppendedLimit
      ? { emitted: appendLimitUnparsed(statement, rows), enforced: "in_sql" }
      : { emitted: unchanged, enforced: "stream_only" }
  }
  const emitted = limit.kind === "other" ? undefined : writeLimit(statement, rows, limit.kind)
  if (emitted === undefined) return { emitted: unchanged, enforced: "stream_only" }
  return { emitted, enforced: "in_sql" }
}

function writeLimit(
  statement: Statement,
  rows: number,
  kind: "none" | "constant",
): Emitted | undefined {
  try {
    return kind === "none" ? appendLimit(statement, rows) : replaceLimit(statement, rows)
  } catch (thrown) {
    // A text that parsed alone and not with a limit: too deep by a hair. The stream's own count holds.
    if (thrown instanceof GatewayError) return undefined
    throw thrown
  }
}
