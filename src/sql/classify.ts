import type { Ast, Statement, StatementClass } from "../core/statement.ts"
import { type Fields, isFields, nodeFields, nodeOf, numberOf, textOf } from "./ast.ts"
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

/** Makes the statement that a DECLARE CURSOR wraps; undefined when its text cannot be cut out with proof. */
export type CursorQuery = (query: Ast) => Statement | undefined

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
  if (found.unknownTag !== undefined) return refused(refusalOf(found.unknownTag, {}))
  return { class: { kind: "read", traits: found.traits }, command: "SELECT" }
}

function classifySelect(ast: Ast, fields: Fields): Classified {
  const columns = sessionFacts(fields)
  if (columns === undefined) return classifyQuery(ast)
  return { class: { kind: "session", command: { kind: "facts", columns } }, command: "SELECT" }
}

/** EXPLAIN of a read; EXPLAIN of anything else is what it explains, whether or not ANALYZE would run it. */
function classifyExplain(fields: Fields): Classified {
  const inner = explainedNode(fields)
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
const cursorHold = 0x20

function classifyDeclare(fields: Fields, cursorQuery: CursorQuery): Classified {
  const query = fields["query"]
  if (!isFields(query) || nodeFields(query, "SelectStmt") === undefined) {
    return refused({
      construct: "DECLARE CURSOR for a statement that is no query",
      hint: undefined,
    })
  }
  const inner = classifyQuery(query)
  if (inner.class.kind !== "read") return inner
  const statement = cursorQuery(query)
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
      isBinary: (options & cursorBinary) !== 0,
      query: statement,
    },
    command: "DECLARE CURSOR",
  }
}

function session(statement: SessionStatement): Classified {
  if (statement.command === undefined) return refused(statement.refusal)
  return { class: { kind: "session", command: statement.command }, command: statement.tag }
}

function classifyTransaction(fields: Fields): Classified {
  const command = transactionCommand(fields)
  if (command === undefined) return refused(refusalOf("TransactionStmt", fields))
  return { class: { kind: "transaction", command }, command: transactionTag(command) }
}

/** Writes and refusals: everything that no rule above has proven to be harmless. */
function classifyOther(ast: Ast): Classified {
  const node = nodeOf(ast)
  if (node === undefined) return refused({ construct: "statement without a node", hint: undefined })
  const command = writeTag(node.tag, node.fields)
  if (command !== undefined) return { class: { kind: "write" }, command }
  return refused(refusalOf(node.tag, node.fields))
}

/** The class of one statement by its tree. An allow-list: what is not proven to be a read or about the session is not. */
export function classify(ast: Ast, cursorQuery: CursorQuery): Classified {
  const node = nodeOf(ast)
  switch (node?.tag) {
    case "SelectStmt":
      return classifySelect(ast, node.fields)
    case "ExplainStmt":
      return classifyExplain(node.fields)
    case "DeclareCursorStmt":
      return classifyDeclare(node.fields, cursorQuery)
    case "TransactionStmt":
      return classifyTransaction(node.fields)
    case "VariableShowStmt": {
      const name = textOf(node.fields["name"]).toLowerCase()
      return session({ command: { kind: "show", name }, tag: "SHOW" })
    }
    case "VariableSetStmt":
      return session(setStatement(node.fields))
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
