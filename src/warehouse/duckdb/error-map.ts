import { type ErrorReason, GatewayError } from "../../core/errors.ts"
import { SqlState } from "../../core/sql-state.ts"

type Translation = {
  readonly sqlState: string
  readonly message: string
  readonly reason?: ErrorReason
  readonly hint?: string
}

type Rule = {
  /** Matched against DuckDB's text without its `Kind Error: ` prefix and without the `LINE n:` part. */
  readonly pattern: RegExp
  readonly kind?: RegExp
  readonly to: (match: RegExpExecArray, text: string) => Translation
}

function fixed(sqlState: string, message: string): Rule["to"] {
  return () => ({ sqlState, message })
}

/** DuckDB's type names as PostgreSQL spells them in messages. */
const typeNames: ReadonlyMap<string, string> = new Map([
  ["INT8", "smallint"],
  ["INT16", "smallint"],
  ["INT32", "integer"],
  ["INT64", "bigint"],
  ["INT128", "numeric"],
  ["BOOL", "boolean"],
  ["FLOAT", "real"],
  ["DOUBLE", "double precision"],
  ["INTEGER", "integer"],
  ["BIGINT", "bigint"],
  ["DATE", "date"],
  ["UUID", "uuid"],
  ["INTERVAL", "interval"],
])

function typeName(name: string): string {
  if (name.startsWith("DECIMAL")) return "numeric"
  return typeNames.get(name) ?? name.toLowerCase()
}

/** First match wins. PostgreSQL's wording where PostgreSQL has the same error: Superset reads its texts by regular expressions. */
const rules: readonly Rule[] = [
  { pattern: /^division by zero/i, to: fixed(SqlState.DivisionByZero, "division by zero") },
  {
    pattern: /^(?:Table|View) with name "?(.+?)"? does not exist/,
    to: ([, name]) => ({
      sqlState: SqlState.UndefinedTable,
      message: `relation "${name}" does not exist`,
    }),
  },
  {
    pattern: /^Type with name "?(.+?)"? does not exist/,
    to: ([, name]) => ({
      sqlState: SqlState.UndefinedObject,
      message: `type "${name}" does not exist`,
    }),
  },
  {
    pattern: /^Referenced table "(.+?)" not found/,
    to: ([, name]) => ({
      sqlState: SqlState.UndefinedTable,
      message: `missing FROM-clause entry for table "${name}"`,
    }),
  },
  {
    pattern: /^(?:Referenced c|C)olumn "(.+?)" (?:was )?(?:not found|referenced that exists)/,
    to: ([, name]) => ({
      sqlState: SqlState.UndefinedColumn,
      message: `column "${name}" does not exist`,
    }),
  },
  {
    pattern: /^(?:Table|Values list|Subquery) "(.+?)" does not have a column named "(.+?)"/,
    to: ([, table, name]) => ({
      sqlState: SqlState.UndefinedColumn,
      message: `column ${table}.${name} does not exist`,
    }),
  },
  {
    pattern: /^Ambiguous reference to column name "(.+?)"/,
    to: ([, name]) => ({
      sqlState: SqlState.AmbiguousColumn,
      message: `column reference "${name}" is ambiguous`,
    }),
  },
  {
    pattern: /^column "?(.+?)"? must appear in the GROUP BY clause/,
    to: ([, name]) => ({
      sqlState: SqlState.GroupingError,
      message: `column "${name}" must appear in the GROUP BY clause or be used in an aggregate function`,
    }),
  },
  {
    pattern:
      /(?:cannot contain aggregates|aggregate functions? (?:calls )?(?:is|are) not allowed|cannot be nested)/i,
    to: (_, text) => ({ sqlState: SqlState.GroupingError, message: text }),
  },
  {
    pattern:
      /^(?:Scalar|Aggregate|Table|Window|Macro|Table Macro)?\s*Function with name "?(.+?)"? (?:does not exist|is not in the catalog)/i,
    to: ([, name]) => ({
      sqlState: SqlState.UndefinedFunction,
      message: `function ${name} does not exist`,
    }),
  },
  {
    pattern: /^No function matches the given name and argument types '(.+?)\((.*?)\)'/,
    to: ([, name, types]) => ({
      sqlState: SqlState.UndefinedFunction,
      message: `function ${name}(${(types ?? "").toLowerCase()}) does not exist`,
      hint: "No function matches the given name and argument types. You might need to add explicit type casts.",
    }),
  },
  {
    pattern: /^Cannot compare values of type (\S+)(?: and|.*?with)(?: values of)? type (\S+)/,
    to: ([, left = "", right = ""]) => ({
      sqlState: SqlState.UndefinedFunction,
      message: `operator does not exist: ${typeName(left)} = ${typeName(right)}`,
      hint: "No operator matches the given name and argument types. You might need to add explicit type casts.",
    }),
  },
  {
    pattern: /^Could not convert string ['"](.*?)['"] to (?:DECIMAL|'?)(\w+)/s,
    to: ([, value, type = ""]) => ({
      sqlState: SqlState.InvalidTextRepresentation,
      message: `invalid input syntax for type ${typeName(type)}: "${value}"`,
    }),
  },
  {
    pattern: /^(?:invalid )?(date|time|timestamp|interval) field value out of range: "(.*?)"/i,
    to: ([, type, value]) => ({
      sqlState: SqlState.DatetimeFieldOverflow,
      message: `date/time field value out of range: "${value ?? type}"`,
    }),
  },
  {
    pattern:
      /^invalid (date|time|timestamp|interval|uuid) (?:field format|string format)?:? ?"?(.*?)"?(?:,| expected|$)/i,
    to: ([, type = "", value]) => ({
      sqlState: "22007",
      message: `invalid input syntax for type ${type.toLowerCase()}: "${value}"`,
    }),
  },
  {
    pattern: /^Type (\w+)(?: with value '?(.*?)'?)? can't be cast/,
    to: ([, type = "", value]) => ({
      sqlState: SqlState.NumericValueOutOfRange,
      message: `value "${value ?? ""}" is out of range for the target of a cast from ${typeName(type)}`,
    }),
  },
  {
    pattern: /Overflow|out of range|Casting value .* failed|Could not cast value/i,
    kind: /^(?:Out of Range|Conversion)/,
    to: (_, text) => {
      const type = /\b(INT16|INT32|INT64|INTEGER|BIGINT)\b/.exec(text)?.[1]
      return {
        sqlState: SqlState.NumericValueOutOfRange,
        message: type === undefined ? "value out of range" : `${typeName(type)} out of range`,
      }
    },
  },
  {
    pattern: /^More than one row returned by a subquery/i,
    to: fixed("21000", "more than one row returned by a subquery used as an expression"),
  },
  {
    pattern: /^syntax error at or near "(.+?)"/,
    to: ([, token]) => ({
      sqlState: SqlState.SyntaxError,
      message: `syntax error at or near "${token}"`,
    }),
  },
]

type KindRule = { readonly sqlState: string; readonly message?: string; readonly hint?: string }

/** What is left: by DuckDB's kind of error. A message here hides a text that may name files or machines. */
const kinds: ReadonlyMap<string, KindRule> = new Map<string, KindRule>([
  ["Parser", { sqlState: SqlState.SyntaxError }],
  ["Syntax", { sqlState: SqlState.SyntaxError }],
  ["Binder", { sqlState: SqlState.SyntaxErrorOrAccessRuleViolation }],
  ["Catalog", { sqlState: SqlState.UndefinedObject }],
  ["Conversion", { sqlState: SqlState.InvalidTextRepresentation }],
  ["Mismatch Type", { sqlState: SqlState.DatatypeMismatch }],
  ["Out of Range", { sqlState: SqlState.NumericValueOutOfRange }],
  ["Invalid Input", { sqlState: SqlState.InvalidParameterValue }],
  ["Not implemented", { sqlState: SqlState.FeatureNotSupported }],
  ["Out of Memory", { sqlState: SqlState.OutOfMemory, message: "out of memory" }],
  ["Permission", { sqlState: SqlState.InsufficientPrivilege, message: "permission denied" }],
  ["TransactionContext", { sqlState: SqlState.InFailedSqlTransaction }],
  ["IO", { sqlState: SqlState.IoError, message: "the warehouse could not read its file" }],
  [
    "Interrupt",
    { sqlState: SqlState.QueryCanceled, message: "canceling statement due to user request" },
  ],
])

/** Offset in `sql`, from 1, that DuckDB's `LINE n: ... ^` points to. The excerpt may be cut on both sides. */
export function errorPosition(text: string, sql: string): number | undefined {
  const match = /\nLINE (\d+): (.*)\n( *)\^/.exec(text)
  if (match === null) return undefined
  const [, lineText = "1", excerpt = "", indent = ""] = match
  const lines = sql.split("\n")
  const line = Number(lineText)
  const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0)
  const caret = indent.length - `LINE ${lineText}: `.length
  const isCutLeft = excerpt.startsWith("...")
  const shown = excerpt.replace(/^\.\.\./, "").replace(/\.\.\.$/, "")
  const found = lines[line - 1]?.indexOf(isCutLeft ? shown : shown.trimEnd()) ?? -1
  const offset = before + found + caret - (isCutLeft ? 3 : 0)
  if (found === -1 || caret < 0 || offset >= sql.length) return undefined
  return Array.from(sql.slice(0, offset)).length + 1
}

/** Absolute paths; a slash inside of a word (`IN/ANY/ALL`) starts none. */
const path = /(?<![\w/])(?:[A-Za-z]:)?(?:[\\/][\w.@-]+){2,}/g

/** DuckDB's own text, cut before its suggestions (which may name what the reader may not see) and without paths. */
function plainText(text: string): string {
  const [first = ""] = text.split(/\n(?:\n|LINE \d|Did you mean|Candidate)/)
  return first.replaceAll(path, "(file)").trim()
}

/** What DuckDB finds out when it prepares a statement, as PostgreSQL does at Parse. */
const analysisKinds: ReadonlySet<string> = new Set(["Parser", "Binder", "Catalog"])

/** An error that DuckDB raised while it prepared or ran `sql`. The original stays as `cause`, for logs only. */
export function duckdbError(thrown: unknown, sql: string): GatewayError {
  if (thrown instanceof GatewayError) return thrown
  const whole = thrown instanceof Error ? thrown.message : String(thrown)
  const [, kind = "", rest = whole] = /^([A-Za-z ]+?) Error: (.*)$/s.exec(whole) ?? []
  const text = plainText(rest)
  const position = errorPosition(whole, sql)
  const translated = asWritten(translate(kind, text), sql, position)
  return new GatewayError({
    reason: "warehouse_error",
    stage: analysisKinds.has(kind) ? "parse" : undefined,
    ...translated,
    ...(position === undefined ? {} : { position }),
    cause: thrown,
  })
}

const qualifiedName = /^(?:(?:[\w$]+|"(?:[^"]|"")+")\.)+(?:[\w$]+|"(?:[^"]|"")+")/
const namePart = /"((?:[^"]|"")+)"/g

/** PostgreSQL names a missing relation as the statement does, with its schema; DuckDB leaves the schema out. */
function asWritten(found: Translation, sql: string, position: number | undefined): Translation {
  if (position === undefined || found.sqlState !== SqlState.UndefinedTable) return found
  if (!found.message.startsWith("relation ")) return found
  const written = qualifiedName.exec(
    Array.from(sql)
      .slice(position - 1)
      .join(""),
  )?.[0]
  if (written === undefined) return found
  const name = written.replaceAll(namePart, (_, inner: string) => inner.replaceAll('""', '"'))
  return { ...found, message: `relation "${name}" does not exist` }
}

function translate(kind: string, text: string): Translation {
  for (const rule of rules) {
    if (rule.kind !== undefined && !rule.kind.test(kind)) continue
    const match = rule.pattern.exec(text)
    if (match !== null) return rule.to(match, text)
  }
  const byKind = kinds.get(kind === "INTERRUPT" ? "Interrupt" : kind)
  if (byKind === undefined) return { sqlState: SqlState.InternalError, message: text }
  return { ...byKind, message: byKind.message ?? text }
}

/** The file is locked by another process: DuckDB lets no one in while somebody may write. */
export function isLockConflict(thrown: unknown): boolean {
  return (
    thrown instanceof Error && /Could not set lock on file|Conflicting lock/i.test(thrown.message)
  )
}

/** Why the file could not be opened, without its path. */
export function openFailure(thrown: unknown): GatewayError {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  let why = "the file could not be opened"
  if (/does not exist|No such file/i.test(text)) why = "the file does not exist"
  else if (/not a valid DuckDB database|corrupt|checksum/i.test(text)) {
    why = "the file is not a valid DuckDB database"
  } else if (/Permission denied/i.test(text)) why = "permission to read the file was denied"
  else if (/version/i.test(text)) why = "the file was written by an incompatible version of DuckDB"
  return new GatewayError({
    sqlState: SqlState.ConnectionFailure,
    reason: "warehouse_unreachable",
    message: `could not open the warehouse's database: ${why}`,
    safeToRetry: true,
    cause: thrown,
  })
}

export function warehouseBusy(waitedMs: number, cause: unknown): GatewayError {
  return new GatewayError({
    sqlState: SqlState.LockNotAvailable,
    reason: "warehouse_busy",
    message: "the warehouse's database is locked by another process",
    detail: `It stayed locked for ${Math.round(waitedMs)} ms.`,
    hint: "A job is writing to the file. Try again when it has finished.",
    safeToRetry: true,
    cause,
  })
}
