import type { IsolationLevel, TransactionCommand, TransactionMode } from "../core/statement.ts"
import {
  booleanConstant,
  type Fields,
  integerConstant,
  listOf,
  nodeFields,
  stringConstant,
  textOf,
} from "./ast.ts"

/** TransactionStmt as a command of the session; undefined for two-phase commit, which a gateway cannot keep its word on. */

const isolationLevels: ReadonlySet<string> = new Set([
  "read uncommitted",
  "read committed",
  "repeatable read",
  "serializable",
])

function flag(argument: unknown): boolean {
  return booleanConstant(argument) ?? integerConstant(argument) === 1
}

/** Modes of BEGIN and SET TRANSACTION; a mode named twice takes its last value, as in PostgreSQL. */
export function transactionMode(options: unknown): TransactionMode {
  let isolation: IsolationLevel | undefined
  let readOnly: boolean | undefined
  let deferrable: boolean | undefined
  for (const option of listOf(options)) {
    const element = nodeFields(option, "DefElem") ?? {}
    const argument = element["arg"]
    if (element["defname"] === "transaction_isolation") {
      const level = stringConstant(argument) ?? ""
      if (isolationLevels.has(level)) isolation = level as IsolationLevel
    } else if (element["defname"] === "transaction_read_only") readOnly = flag(argument)
    else if (element["defname"] === "transaction_deferrable") deferrable = flag(argument)
  }
  return { isolation, readOnly, deferrable }
}

export function transactionCommand(fields: Fields): TransactionCommand | undefined {
  const name = textOf(fields["savepoint_name"])
  const chain = fields["chain"] === true
  switch (fields["kind"]) {
    case "TRANS_STMT_BEGIN":
      return { kind: "begin", tag: "BEGIN", mode: transactionMode(fields["options"]) }
    case "TRANS_STMT_START":
      return { kind: "begin", tag: "START TRANSACTION", mode: transactionMode(fields["options"]) }
    case "TRANS_STMT_COMMIT":
      return { kind: "commit", chain }
    case "TRANS_STMT_ROLLBACK":
      return { kind: "rollback", chain }
    case "TRANS_STMT_SAVEPOINT":
      return { kind: "savepoint", name }
    case "TRANS_STMT_RELEASE":
      return { kind: "release", name }
    case "TRANS_STMT_ROLLBACK_TO":
      return { kind: "rollback_to", name }
    default:
      return undefined
  }
}

/** CommandComplete's tag. */
export function transactionTag(command: TransactionCommand): string {
  switch (command.kind) {
    case "begin":
      return command.tag
    case "commit":
      return "COMMIT"
    case "rollback":
    case "rollback_to":
      return "ROLLBACK"
    case "savepoint":
      return "SAVEPOINT"
    case "release":
      return "RELEASE"
    default:
      return command satisfies never
  }
}
