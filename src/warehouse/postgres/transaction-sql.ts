import type { IsolationLevel } from "../../core/statement.ts"
import type { SavepointCommand } from "../warehouse.ts"

/** Spellings of transaction commands (PostgreSQL manual, BEGIN, SAVEPOINT). */

export const isolationSql: Readonly<Record<IsolationLevel, string>> = {
  "read uncommitted": "READ UNCOMMITTED",
  "read committed": "READ COMMITTED",
  "repeatable read": "REPEATABLE READ",
  serializable: "SERIALIZABLE",
}

export const savepointSql: Readonly<Record<SavepointCommand["kind"], string>> = {
  savepoint: "SAVEPOINT",
  release: "RELEASE SAVEPOINT",
  rollback_to: "ROLLBACK TO SAVEPOINT",
}
