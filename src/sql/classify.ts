import type { Ast, ExecuteCall, Statement, StatementClass } from "../core/statement.ts"
import { type Fields, isFields, listOf, nodeFields, nodeOf, numberOf, textOf } from "./ast.ts"
import { atPositions } from "./at-positions.ts"
import { backendSignal } from "./backend-signal.ts"
import { copyOptions, copyTable } from "./copy-command.ts"
import { firstLocation } from "./first-location.ts"
import {
  closeStatement,
  deallocateStatement,
  discardStatement,
  fetchStatement,
  type Refusal,
  type SessionStatement,
  setStatement,
} from "./session-command.ts"
import { sessionFacts } from "./session-facts.ts"
import { inspectQuery } from "./traits.ts"
import { transactionCommand, transactionTag } from "./transaction-command.ts"
import { explainedNode, lockTag, refusalOf, writeTag } from "./write-command.ts"

/** A statement's class and its command tag. For a write, the tag is the one that PostgreSQL's 25006 names. */
export type Classified = { readonly class: StatementClass; readonly command: string }

/** Where the text of a wrapped statement stands: behind this word, or between the first parentheses. */
export type Wrapping = "for" | "as" | "parentheses"

/** Cuts statements out of the text of the one that wraps them. */
export type WrappedText = {
  /** Undefined when the text cannot be cut out with proof. */
  statement(query: Ast, wrapping: Wrapping): Statement | undefined
  /** What stands in front of the first such word; undefined when there is none. */
  before(word: string): string | undefined
  /** Characters from 1 in the client's text for a location of the tree. */
  readonly position: (location: number) => number
}

function refused(refusal: Refusal): Classified {
  const { construct, hint } = refusal
  return { class: { kind: "refused", construct, hint }, command: construct }
}

/** A query as a read with its traits, or as what it is instead. Facts about the session are reads here. */
function classifyQuery(query: Ast): Classified {
  const found = inspectQuery(query)
  if (found.hasInto) return { class: { kind: "write" }, command: "SELECT INTO" }
  if (found.modifyingTag !== undefined) {
    // A data-modifying WITH: PostgreSQL's own error names the outer command.
    return { class: { kind: "write" }, command: "SELECT" }
  }
  if (found.lockStrength !== undefined) {
    return { class: { kind: "write" }, command: lockTag(found.lockStrength) }
  }
  if (found.unknownTag !== undefined) return refused(refusalOf(found.unknownTag))
  return { class: { kind: "read", traits: found.traits }, command: "SELECT" }
}

function classifySelect(ast: Ast, fields: Fields): Classified {
  const columns = sessionFacts(fields)
  if (columns === undefined) {
    const signal = backendSignal(fields)
    if (signal === undefined) return classifyQuery(ast)
    return {
      class: { kind: "session", command: { kind: "signal_backend", ...signal } },
      command: "SELECT",
    }
  }
  return { class: { kind: "session", command: { kind: "facts", columns } }, command: "SELECT" }
}

/** EXPLAIN of a read; EXPLAIN of anything else is what it explains, whether or not ANALYZE would run it. */
function classifyExplain(fields: Fields, wrapped: WrappedText): Classified {
  const inner = explainedNode(fields)
  const execute = nodeFields(inner, "ExecuteStmt")
  if (execute !== undefined && nodeFields(fields["query"], "ExecuteStmt") !== undefined) {
    const prefix = wrapped.before("execute")
    if (prefix !== undefined) {
      const call = executeCall(execute, wrapped)
      return { class: { kind: "explain_execute", prefix, call }, command: "EXPLAIN" }
    }
  }
  if (!isFields(inner)) return refused({ construct: "EXPLAIN", hint: undefined })
  if (nodeFields(inner, "SelectStmt") !== undefined) {
    const query = classifyQuery(inner)
    if (query.class.kind !== "read") return query
    return { class: { kind: "explain", traits: query.class.traits, inner }, command: "EXPLAIN" }
  }
  return classifyOther(inner)
}

const cursorBinary = 0x01
const cursorScroll = 0x02
const cursorNoScroll = 0x04
const cursorHold = 0x20

function classifyDeclare(fields: Fields, wrapped: WrappedText): Classified {
  const query = fields["query"]
  if (!isFields(query) || nodeFields(query, "SelectStmt") === undefined) {
    return refused({
      construct: "DECLARE CURSOR for a statement that is no query",
      hint: undefined,
    })
  }
  const inner = classifyQuery(query)
  if (inner.class.kind !== "read") return inner
  const statement = wrapped.statement(query, "for")
  if (statement === undefined) {
    return refused({ construct: "DECLARE CURSOR in this form", hint: "Run the query itself." })
  }
  const options = numberOf(fields["options"])
  return {
    class: {
      kind: "cursor",
      name: textOf(fields["portalname"]),
      isHeld: (options & cursorHold) !== 0,
      isScroll: (options & cursorScroll) !== 0,
      isNoScroll: (options & cursorNoScroll) !== 0,
      isBinary: (options & cursorBinary) !== 0,
      query: statement,
    },
    command: "DECLARE CURSOR",
  }
}

function executeCall(fields: Fields, wrapped: WrappedText): ExecuteCall {
  const parameters = atPositions(listOf(fields["params"]).filter(isFields), wrapped.position)
  const subquery = firstLocation(parameters, "SubLink")
  return { name: textOf(fields["name"]), arguments: parameters, subquery }
}

/** What it keeps is judged when it is executed, as PostgreSQL checks a write then. */
function classifyPrepare(fields: Fields, wrapped: WrappedText): Classified {
  const query = fields["query"]
  const statement = isFields(query) ? wrapped.statement(query, "as") : undefined
  if (statement === undefined)
    return refused({ construct: "PREPARE in this form", hint: undefined })
  const types = atPositions(listOf(fields["argtypes"]).filter(isFields), wrapped.position)
  const name = textOf(fields["name"])
  return { class: { kind: "prepare", name, types, query: statement }, command: "PREPARE" }
}

/** COPY TO STDOUT; COPY FROM is a write, and files and programs are the warehouse's own. */
function classifyCopy(ast: Ast, fields: Fields, wrapped: WrappedText): Classified {
  if (fields["is_from"] === true) return classifyOther(ast)
  if ("filename" in fields || fields["is_program"] === true) {
    const construct = fields["is_program"] === true ? "COPY TO PROGRAM" : "COPY TO FILE"
    return refused({ construct, hint: undefined })
  }
  const options = copyOptions(fields, wrapped.position)
  const query = fields["query"]
  if (!isFields(query)) {
    const source = copyTable(fields)
    return { class: { kind: "copy", source, options }, command: "COPY" }
  }
  const inner =
    nodeFields(query, "SelectStmt") === undefined ? classifyOther(query) : classifyQuery(query)
  if (inner.class.kind !== "read") return inner
  const statement = wrapped.statement(query, "parentheses")
  if (statement === undefined) return refused({ construct: "COPY in this form", hint: undefined })
  return {
    class: { kind: "copy", source: { kind: "query", query: statement }, options },
    command: "COPY",
  }
}

function session(statement: SessionStatement): Classified {
  if (statement.command === undefined) return refused(statement.refusal)
  return { class: { kind: "session", command: statement.command }, command: statement.tag }
}

function classifyTransaction(fields: Fields): Classified {
  const command = transactionCommand(fields)
  if (command === undefined) return refused(refusalOf("TransactionStmt"))
  return { class: { kind: "transaction", command }, command: transactionTag(command) }
}

/** Writes and refusals: everything that no rule above has proven to be harmless. */
function classifyOther(ast: Ast): Classified {
  const node = nodeOf(ast)
  if (node === undefined) return refused({ construct: "statement without a node", hint: undefined })
  const command = writeTag(node.tag, node.fields)
  if (command !== undefined) return { class: { kind: "write" }, command }
  return refused(refusalOf(node.tag))
}

/** The class of one statement by its tree. An allow-list: what is not proven to be a read or about the session is not. */
export function classify(ast: Ast, wrapped: WrappedText): Classified {
  const node = nodeOf(ast)
  switch (node?.tag) {
    case "SelectStmt":
      return classifySelect(ast, node.fields)
    case "ExplainStmt":
      return classifyExplain(node.fields, wrapped)
    case "DeclareCursorStmt":
      return classifyDeclare(node.fields, wrapped)
    case "PrepareStmt":
      return classifyPrepare(node.fields, wrapped)
    case "ExecuteStmt":
      return {
        class: { kind: "execute", call: executeCall(node.fields, wrapped) },
        command: "EXECUTE",
      }
    case "CopyStmt":
      return classifyCopy(ast, node.fields, wrapped)
    case "UnlistenStmt":
      return session({ command: { kind: "unlisten" }, tag: "UNLISTEN" })
    case "TransactionStmt":
      return classifyTransaction(node.fields)
    case "VariableShowStmt": {
      const name = textOf(node.fields["name"]).toLowerCase()
      return session({ command: { kind: "show", name }, tag: "SHOW" })
    }
    case "VariableSetStmt":
      return session(setStatement(node.fields, wrapped.position))
    case "DiscardStmt":
      return session(discardStatement(node.fields))
    case "DeallocateStmt":
      return session(deallocateStatement(node.fields))
    case "ClosePortalStmt":
      return session(closeStatement(node.fields))
    case "FetchStmt":
      return session(fetchStatement(node.fields))
    default:
      return classifyOther(ast)
  }
}

/** A query as the read it is, even where it asks for session facts only: for cursors, which must have rows. */
export function classifyAsQuery(query: Ast): Classified {
  return classifyQuery(query)
}
