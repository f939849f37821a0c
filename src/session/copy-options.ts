import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import type { CopyOption } from "../core/statement.ts"

/** Options of COPY TO STDOUT, checked and with their defaults (ProcessCopyOptions, copy.c). */
export type CopyOptions = {
  readonly format: "text" | "csv" | "binary"
  readonly delimiter: string
  readonly null: string
  readonly hasHeader: boolean
  readonly quote: string
  readonly escape: string
  readonly forceQuote: readonly string[] | "*"
}

type Written = ReadonlyMap<string, CopyOption>

/** Options that only COPY FROM takes. */
const copyFromOnly: readonly string[] = [
  "freeze",
  "default",
  "force_not_null",
  "force_null",
  "on_error",
  "reject_limit",
]

const known: ReadonlySet<string> = new Set([
  ...copyFromOnly,
  "format",
  "delimiter",
  "null",
  "header",
  "quote",
  "escape",
  "force_quote",
  "encoding",
  "log_verbosity",
])

export function copyOptions(options: readonly CopyOption[]): CopyOptions {
  const written = byName(options)
  const format = formatOf(written)
  const isCsv = format === "csv"
  checkEncoding(written)
  if (format === "binary") checkBinary(written)
  const delimiter = text(written, "delimiter") ?? (isCsv ? "," : "\t")
  const nullText = text(written, "null") ?? (isCsv ? "" : "\\N")
  const quote = text(written, "quote") ?? '"'
  const escape = text(written, "escape") ?? quote
  const hasHeader = headerOf(written)
  if (format !== "binary") checkDelimiter(delimiter, nullText, isCsv)
  if (format === "binary" && hasHeader) throw unsupported("cannot specify HEADER in BINARY mode")
  checkCsv(written, isCsv, { delimiter, quote, escape, nullText })
  return {
    format,
    delimiter,
    null: nullText,
    hasHeader,
    quote,
    escape,
    forceQuote: forcedColumns(written),
  }
}

function byName(options: readonly CopyOption[]): Written {
  const written = new Map<string, CopyOption>()
  for (const option of options) {
    if (!known.has(option.name)) throw syntax(`option "${option.name}" not recognized`, option)
    if (written.has(option.name)) throw syntax("conflicting or redundant options", option)
    written.set(option.name, option)
  }
  return written
}

function forcedColumns(written: Written): readonly string[] | "*" {
  const option = written.get("force_quote")
  if (option === undefined) return []
  const { value } = option
  if (value === "*" || typeof value === "object") return value
  throw invalid('argument to option "force_quote" must be a list of column names', option)
}

function text(written: Written, name: string): string | undefined {
  const option = written.get(name)
  if (option === undefined) return undefined
  if (typeof option.value === "string") return option.value
  throw syntax(`${name} requires a parameter`)
}

function formatOf(written: Written): CopyOptions["format"] {
  const format = text(written, "format") ?? "text"
  if (format === "text" || format === "csv" || format === "binary") return format
  throw invalid(`COPY format "${format}" not recognized`, written.get("format"))
}

/** Clients here speak UTF8 only. */
function checkEncoding(written: Written): void {
  const encoding = text(written, "encoding")
  if (encoding === undefined || /^(utf-?8|unicode)$/i.test(encoding)) return
  throw new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "unsupported_encoding",
    message: `COPY in encoding "${encoding}" is not supported by this gateway`,
    hint: "Copy as UTF8 and convert the file.",
  })
}

function checkBinary(written: Written): void {
  if (written.has("delimiter")) throw notInBinary("DELIMITER")
  if (written.has("null")) throw notInBinary("NULL")
}

function headerOf(written: Written): boolean {
  const option = written.get("header")
  if (option === undefined) return false
  const { value } = option
  if (value === undefined || value === "1" || value === "0") return value !== "0"
  if (typeof value === "string") {
    const folded = value.toLowerCase()
    if (folded === "true" || folded === "on") return true
    if (folded === "false" || folded === "off") return false
    if (folded === "match")
      throw new GatewayError({
        sqlState: SqlState.FeatureNotSupported,
        reason: "invalid_parameter",
        message: 'cannot use "match" with HEADER in COPY TO',
      })
  }
  throw syntax('header requires a Boolean value or "match"')
}

function checkDelimiter(delimiter: string, nullText: string, isCsv: boolean): void {
  if (Buffer.byteLength(delimiter) !== 1)
    throw unsupported("COPY delimiter must be a single one-byte character")
  if (/[\r\n]/.test(delimiter)) throw invalid("COPY delimiter cannot be newline or carriage return")
  if (/[\r\n]/.test(nullText))
    throw invalid("COPY null representation cannot use newline or carriage return")
  if (!isCsv && /[\\.a-z0-9]/.test(delimiter))
    throw invalid(`COPY delimiter cannot be "${delimiter}"`)
}

function checkCsv(
  written: Written,
  isCsv: boolean,
  chosen: Pick<CopyOptions, "delimiter" | "quote" | "escape"> & { readonly nullText: string },
): void {
  const { delimiter, quote, escape, nullText } = chosen
  for (const name of ["quote", "escape", "force_quote", "force_not_null", "force_null"])
    if (!isCsv && written.has(name))
      throw unsupported(`COPY ${name.toUpperCase()} requires CSV mode`)
  if (isCsv) {
    if (Buffer.byteLength(quote) !== 1)
      throw unsupported("COPY quote must be a single one-byte character")
    if (delimiter === quote) throw invalid("COPY delimiter and quote must be different")
    if (Buffer.byteLength(escape) !== 1)
      throw unsupported("COPY escape must be a single one-byte character")
  }
  checkDirection(written)
  if (nullText.includes(delimiter))
    throw invalid("COPY delimiter character must not appear in the NULL specification")
  if (isCsv && nullText.includes(quote))
    throw invalid("CSV quote character must not appear in the NULL specification")
}

function checkDirection(written: Written): void {
  for (const name of copyFromOnly) {
    const option = written.get(name)
    if (option === undefined) continue
    const message = `COPY ${name.toUpperCase()} cannot be used with COPY TO`
    if (name === "default") throw unsupported(message)
    throw invalid(message, name === "on_error" ? option : undefined)
  }
}

function notInBinary(option: string): GatewayError {
  return syntax(`cannot specify ${option} in BINARY mode`)
}

function at(option: CopyOption | undefined): { position?: number } {
  return option === undefined ? {} : { position: option.position }
}

function syntax(message: string, option?: CopyOption): GatewayError {
  const { SyntaxError: sqlState } = SqlState
  return new GatewayError({ sqlState, reason: "syntax_error", message, ...at(option) })
}

function invalid(message: string, option?: CopyOption): GatewayError {
  const { InvalidParameterValue: sqlState } = SqlState
  return new GatewayError({ sqlState, reason: "invalid_parameter", message, ...at(option) })
}

function unsupported(message: string): GatewayError {
  const { FeatureNotSupported: sqlState } = SqlState
  return new GatewayError({ sqlState, reason: "invalid_parameter", message })
}
