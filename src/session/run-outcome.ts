import type { StatementReport } from "../core/observation.ts"
import type { FormatCode, Parameters, Protocol } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import type { RowStream, StoredResult } from "../core/result.ts"
import type { Statement } from "../core/statement.ts"
import type { Judged } from "./judged.ts"

/** One statement as it is to be run, by either protocol. */
export type RunRequest = {
  readonly statement: Statement
  readonly parseMs: number
  readonly parameters: Parameters
  readonly formats: readonly FormatCode[]
  readonly protocol: Protocol
}

export type RunOutcome = {
  readonly result: StoredResult | RowStream
  /** Undefined for what the session answered itself. */
  readonly report: StatementReport | undefined
  /** Told to the client before the command tag; a stream may add to them until its end. */
  readonly remarks: readonly Remark[]
  /** Left out for what the session answered itself. */
  readonly judged?: Judged | undefined
}
