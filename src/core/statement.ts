import type { CacheHints } from "./cache-hints.ts"
import type { RelationRef } from "./relation.ts"

/** A parse tree as libpg-query gives it; only sql/, policy/ and engine dialects look inside. */
export type Ast = Readonly<Record<string, unknown>>

/** A function call as written. `pg_catalog.lower(x)` has a schema; grammar-level calls (`EXTRACT`, `COALESCE`) appear under their pg_catalog names. */
export type FunctionRef = {
  readonly schema: string | undefined
  readonly name: string
  readonly argumentCount: number
}

export type IsolationLevel =
  | "read uncommitted"
  | "read committed"
  | "repeatable read"
  | "serializable"

export type TransactionMode = {
  readonly isolation: IsolationLevel | undefined
  readonly readOnly: boolean | undefined
  readonly deferrable: boolean | undefined
}

export type TransactionCommand =
  | {
      readonly kind: "begin"
      readonly tag: "BEGIN" | "START TRANSACTION"
      readonly mode: TransactionMode
    }
  | { readonly kind: "commit"; readonly chain: boolean }
  | { readonly kind: "rollback"; readonly chain: boolean }
  | { readonly kind: "savepoint"; readonly name: string }
  | { readonly kind: "release"; readonly name: string }
  | { readonly kind: "rollback_to"; readonly name: string }

/** What the session answers by itself, without a warehouse. */
export type SessionCommand =
  | {
      readonly kind: "set"
      readonly name: string
      /** Values as PostgreSQL's VariableSetStmt has them, in order; undefined = DEFAULT. */
      readonly values: readonly string[] | undefined
      /** Which of them are numbers: what quotes names leaves those as they are. */
      readonly numbers: readonly number[]
      readonly isLocal: boolean
    }
  | {
      readonly kind: "set_transaction"
      readonly mode: TransactionMode
      readonly isSession: boolean
    }
  | { readonly kind: "reset"; readonly name: string }
  | { readonly kind: "reset_all" }
  | { readonly kind: "show"; readonly name: string }
  | { readonly kind: "discard"; readonly target: "all" | "plans" | "sequences" | "temp" }
  | { readonly kind: "deallocate"; readonly name: string | undefined }
  | { readonly kind: "close_cursor"; readonly name: string | undefined }
  | {
      readonly kind: "fetch"
      readonly cursor: string
      readonly direction: "forward" | "backward" | "absolute" | "relative"
      /** Row count; `Infinity` for ALL. */
      readonly count: number
      readonly isMove: boolean
    }
  | { readonly kind: "unlisten" }
  | { readonly kind: "facts"; readonly columns: readonly FactColumn[] }
  | ({ readonly kind: "signal_backend" } & BackendSignal)

/** A value that a signal's arguments or conditions name. A constant without text is NULL. */
export type SignalOperand =
  | { readonly kind: "constant"; readonly text: string | undefined }
  | { readonly kind: "parameter"; readonly number: number }
  | { readonly kind: "own_pid" | "current_user" | "current_database" }

/** Columns of pg_stat_activity by which sessions can be picked. */
export type ActivityColumn = "pid" | "usename" | "datname" | "application_name" | "state"

/** `column = any of values`, or with `isNegated` `column <> all of them`. */
export type ActivityCondition = {
  readonly column: ActivityColumn
  readonly isNegated: boolean
  readonly values: readonly SignalOperand[]
}

/** pg_cancel_backend and pg_terminate_backend (PostgreSQL manual, 9.28.2) as the one column of a SELECT. */
export type BackendSignal = {
  readonly signal: "cancel" | "terminate"
  readonly label: string
  readonly timeout: SignalOperand | undefined
  readonly target:
    | { readonly kind: "pid"; readonly pid: SignalOperand }
    /** `FROM pg_stat_activity WHERE ...`: each session that meets all conditions. */
    | { readonly kind: "activity"; readonly conditions: readonly ActivityCondition[] }
}

/** EXECUTE as written: argument trees in order, whose locations are characters from 1 in the client's whole text. */
export type ExecuteCall = {
  readonly name: string
  readonly arguments: readonly Ast[]
  /** Where a sub-select stands among them, which may be none: characters from 1, in the client's whole text. */
  readonly subquery: number | undefined
}

export type CopySource =
  /** `COPY (query)`: the query as a statement of its own; its offset points into the same client text. */
  | { readonly kind: "query"; readonly query: Statement }
  /** `COPY table [(columns)]`: rows of that table alone, without its children. */
  | {
      readonly kind: "table"
      readonly relation: RelationRef
      readonly columns: readonly string[] | undefined
    }

/** One option of COPY as written. A list is that of FORCE_QUOTE; its `*` is a text. */
export type CopyOption = {
  readonly name: string
  readonly value: string | readonly string[] | undefined
  /** Characters from 1, in the client's whole text. */
  readonly position: number
}

/** One column of a SELECT that only asks about the session (`select current_schema()`): the session answers it itself. */
export type FactColumn = {
  /** Output column name by PostgreSQL's rules (FigureColname). */
  readonly label: string
  readonly fact:
    | { readonly kind: "version" }
    | { readonly kind: "current_schema" }
    | { readonly kind: "current_database" }
    | { readonly kind: "current_user" }
    | { readonly kind: "session_user" }
    | { readonly kind: "backend_pid" }
    | { readonly kind: "current_setting"; readonly name: string; readonly missingOk: boolean }
    | {
        readonly kind: "set_config"
        readonly name: string
        /** The text itself, or the number of the parameter that holds it, counted from 1; null = its default. */
        readonly value: string | number | null
        readonly isLocal: boolean
      }
    /** pg_advisory_unlock_all(): a session here never holds a lock, so that there is nothing to do. */
    | { readonly kind: "no_locks" }
}

/** What a read does, as far as the text alone can tell. */
export type ReadTraits = {
  readonly relations: readonly RelationRef[]
  readonly functions: readonly FunctionRef[]
  /** Operator names used (`=`, `~*`), for the check against user-defined ones. */
  readonly operators: readonly string[]
  /** Type names as written (`pg_catalog.int4`, `my_type`), for the check against user-defined casts and input functions. */
  readonly types: readonly string[]
  /** Names behind a dot (`t.f`, `(x).f`): columns, unless the row has none of that name and a function has (manual, 8.16.5). */
  readonly attributes: readonly string[]
  /** SQLValueFunction kinds and time literals: what makes the answer depend on the clock. */
  readonly usesCurrentDate: boolean
  /** now(), CURRENT_TIMESTAMP, LOCALTIME and their kin. */
  readonly usesCurrentTime: boolean
  /** A string constant that date input reads as relative to now: 'today', 'now', 'yesterday', 'tomorrow'. */
  readonly usesTimeLiteral: boolean
  /** CURRENT_USER and its kin, functions that tell about the session, pg_stat_activity: what session/ binds to its own values. */
  readonly usesSessionFact: boolean
  readonly usesSystemColumn: boolean
  readonly usesTableSample: boolean
  /** Greatest $n; 0 without parameters. */
  readonly parameterCount: number
  /** Least number below parameterCount that the text does not use: nothing tells its type; 0 when all are used. */
  readonly parameterGap: number
  /** `$0`: parameters are counted from 1. */
  readonly usesParameterZero: boolean
}

/**
 * What a statement is. `read` runs on the warehouse and may be cached; `explain` runs there and may not; `cursor` opens a
 * read under a name, `prepare` keeps a statement under one, `execute` runs it, `copy` sends a read's rows as COPY does; `session` and `transaction` are answered by the session; `write` and `refused` end in an error.
 */
export type StatementClass =
  | { readonly kind: "empty" }
  | { readonly kind: "read"; readonly traits: ReadTraits }
  | { readonly kind: "explain"; readonly traits: ReadTraits; readonly inner: Ast }
  | {
      readonly kind: "cursor"
      readonly name: string
      readonly isHeld: boolean
      readonly isScroll: boolean
      readonly isNoScroll: boolean
      readonly isBinary: boolean
      /** The cursor's query as a statement of its own; its offset points into the same client text. */
      readonly query: Statement
    }
  | {
      readonly kind: "prepare"
      readonly name: string
      /** Trees of the type names declared, in order; locations as those of an {@link ExecuteCall}. */
      readonly types: readonly Ast[]
      readonly query: Statement
    }
  | { readonly kind: "execute"; readonly call: ExecuteCall }
  /** `prefix` is the text in front of EXECUTE: with the prepared statement's text behind it, it is the EXPLAIN that is meant. */
  | { readonly kind: "explain_execute"; readonly prefix: string; readonly call: ExecuteCall }
  | {
      readonly kind: "copy"
      readonly source: CopySource
      readonly options: readonly CopyOption[]
    }
  | { readonly kind: "session"; readonly command: SessionCommand }
  | { readonly kind: "transaction"; readonly command: TransactionCommand }
  | { readonly kind: "write" }
  | { readonly kind: "refused"; readonly construct: string; readonly hint: string | undefined }

/** One parsed and classified SQL statement. Immutable and shared by all sessions that send the same text. */
export type Statement = {
  /** The statement's own slice of the client's text, without the semicolon. */
  readonly text: string
  /** Where the slice starts in the client's text, in characters. */
  readonly offset: number
  readonly class: StatementClass
  /** Command tag word(s), as PostgreSQL names them: `SELECT`, `CREATE TABLE`, `SET`. */
  readonly command: string
  readonly ast: Ast
  /** SHA-256 (hex) of the canonical form: the AST without locations. Equal digests mean equal questions. */
  readonly canonical: string
  /** What its comments ask of the cache; no part of `canonical`. */
  readonly hints?: CacheHints
  /** Where the text is the client's own but for some places: a position in it as one of the client's slice, or undefined. */
  readonly sourcePosition?: (position: number) => number | undefined
  /** The text is the gateway's own, made from the client's: positions in it mean nothing to the client. */
  readonly isRewritten?: true
}

/** SQL that will really be sent to a warehouse, proven to parse to `ast`. */
export type Emitted = {
  readonly text: string
  readonly ast: Ast
  /** True when `text` starts with the client's own text, so that error positions need only the offset added. */
  readonly keepsPositions: boolean
  /** Where `keepsPositions` is false and parts are still the client's: a position of `text` as one of the client's, or undefined. */
  readonly clientPosition?: (position: number) => number | undefined
}
