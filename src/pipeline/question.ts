import type { CacheUse } from "../core/cache-hints.ts"
import type { Identity } from "../core/identity.ts"
import type { StatementReport } from "../core/observation.ts"
import type { FormatCode, Parameters, Protocol } from "../core/parameters.ts"
import type { Remark } from "../core/remark.ts"
import type { RowStream, StoredResult } from "../core/result.ts"
import type { SettingsView } from "../core/settings.ts"
import type { Statement } from "../core/statement.ts"
import type { AbortScope } from "./abort-scope.ts"
import type { TransactionScope } from "./transaction-scope.ts"

/** One statement with everything that decides its answer, as it enters the spine. */
export type Question = {
  readonly statement: Statement
  /** What it took to parse the text, for the report. */
  readonly parseMs: number
  readonly parameters: Parameters
  readonly resultFormats: readonly FormatCode[]
  readonly protocol: Protocol
  readonly identity: Identity
  /** The database name of the login, for the engine that has to be told. */
  readonly database: string
  readonly settings: SettingsView
  /** `sluice.cache` of the session: a client may only reduce caching. The statement's own hints come on top (wish.ts). */
  readonly caching: CacheUse
  /** `sluice.stale_notice`: the client wants to be told when it is given an earlier result. Left out = no. */
  readonly tellsStale?: boolean
  /** The session's own statement_timeout; 0 = none. The role's limit holds as well. */
  readonly statementTimeoutMs: number
  /** Undefined outside an explicit transaction. */
  readonly transaction: TransactionScope | undefined
  readonly abort: AbortScope
}

/** What comes back: a whole result that is ready to send (a hit), or rows that flow from the warehouse. */
export type Answer =
  | {
      readonly kind: "stored"
      readonly result: StoredResult
      readonly report: StatementReport
      /** What the warehouse was asked, as a digest: the canonical form after policy. */
      readonly canonical: string
      readonly remarks: readonly Remark[]
    }
  | {
      readonly kind: "rows"
      readonly canonical: string
      readonly rows: RowStream
      readonly report: StatementReport
      /** Filled until the rows have ended: what the client must be told, such as a cut by the row limit. */
      readonly remarks: readonly Remark[]
    }
