import type { Statement } from "../../core/statement.ts"
import { statementsOf } from "../../pipeline/answer.ts"
import { belongsToTransaction, changesSomething } from "../../pipeline/direct.ts"
import type { FrontendMessage } from "../../wire/frontend-messages.ts"
import type { NamedObjects } from "../named-objects.ts"
import type { SessionState } from "../session-state.ts"
import { settingRule } from "../setting-table.ts"

/**
 * True when this message begins what a session that may write needs a connection of its own for: a write, a cursor or a
 * suspended portal that later writes of the transaction must not disturb, a setting that only the warehouse has, a read that
 * shares a snapshot or a clock with writes to come. Reads before that are answered like everybody's.
 */
export function needsDirect(
  message: FrontendMessage,
  state: SessionState,
  objects: NamedObjects,
): boolean | Promise<boolean> {
  if (state.transaction.status === "E") return false
  if (message.kind === "Execute") {
    const portal = objects.findPortal(message.portal)
    if (portal === undefined || portal.run !== undefined) return false
    const statement = meantBy(portal.prepared.statement, state)
    if (statement === undefined || !asksForData(statement)) return false
    return message.rowsMax > 0 || isOfTransaction(statement, state)
  }
  if (message.kind !== "Query" && message.kind !== "Parse") return false
  try {
    const parsed = statementsOf(message.sql, state.origin.rooms)
    const someDo = (statements: readonly Statement[]): boolean =>
      someNeed(
        statements.map((statement) => meantBy(statement, state) ?? statement),
        message.kind,
        state,
      )
    if (!(parsed instanceof Promise)) return someDo(parsed)
    return parsed.then(someDo, () => false)
  } catch {
    // What does not parse is answered as everybody's is.
    return false
  }
}

/** The statement that another one wraps: what an EXECUTE runs, what a PREPARE keeps, what a COPY asks. */
function meantBy(statement: Statement | undefined, state: SessionState): Statement | undefined {
  const statementClass = statement?.class
  switch (statementClass?.kind) {
    case "prepare":
      return isForDirect(statementClass.query, state) ? statementClass.query : statement
    case "execute":
    case "explain_execute":
      return state.objects.findPrepared(statementClass.call.name)?.statement ?? statement
    case "copy":
      return statementClass.source.kind === "query" ? statementClass.source.query : statement
    default:
      return statement
  }
}

function someNeed(
  statements: readonly Statement[],
  kind: "Query" | "Parse",
  state: SessionState,
): boolean {
  return statements.some(
    (statement) =>
      isForDirect(statement, state) ||
      (kind === "Query" && asksForData(statement) && isOfTransaction(statement, state)),
  )
}

function asksForData({ class: { kind } }: Statement): boolean {
  return kind === "read" || kind === "explain"
}

/** Outside a transaction block a read stands alone. */
function isOfTransaction(statement: Statement, state: SessionState): boolean {
  if (!state.transaction.isExplicit) return false
  if (state.scope?.needsSnapshot === true) return true
  const { identity, rooms } = state.origin
  return belongsToTransaction(statement, { identity, settings: state.settings.view }, rooms)
}

function isForDirect({ class: statementClass }: Statement, state: SessionState): boolean {
  switch (statementClass.kind) {
    case "read":
      return changesSomething(statementClass.traits, state.origin.rooms)
    case "write":
    case "refused":
    case "cursor":
      return true
    case "session": {
      const { command } = statementClass
      if (command.kind === "set_transaction") return command.mode.readOnly !== undefined
      if (command.kind !== "set" && command.kind !== "reset") return false
      const rule = settingRule(command.name)
      return rule === undefined || (!rule.isTold && !rule.name.startsWith("sluice."))
    }
    default:
      return false
  }
}
