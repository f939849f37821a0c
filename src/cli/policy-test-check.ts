import type { PolicyTestCase } from "../config/policy-tests-schema.ts"
import type { GatewayError } from "../core/errors.ts"
import type { ReadResult } from "./read-answer.ts"

/** What a statement came to. `sql`: what the warehouse was asked. */
export type Outcome =
  | { readonly kind: "result"; readonly result: ReadResult; readonly sql: string }
  | { readonly kind: "error"; readonly error: GatewayError }

/** `expected` and `got` are for people; `got` tells of the expectation that failed first. */
export type Judgement = {
  readonly isMet: boolean
  readonly expected: string
  readonly got: string
}

type Expectation = PolicyTestCase["expect"]
type Value = string | number | boolean | null

/** One expectation against one outcome; undefined: it is met. */
type Check = { readonly expected: string; readonly got: string | undefined }

export function judgeCase(expect: Expectation, outcome: Outcome): Judgement {
  if (expect.refused !== undefined) return judgeRefusal(expect.refused, outcome)
  if (outcome.kind === "error")
    return {
      isMet: false,
      expected: checksOf(expect, noResult, "")
        .map(({ expected }) => expected)
        .join("; "),
      got: errorText(outcome.error),
    }
  const checks = checksOf(expect, outcome.result, outcome.sql)
  const failed = checks.find(({ got }) => got !== undefined)
  return {
    isMet: failed === undefined,
    expected: checks.map(({ expected }) => expected).join("; "),
    got: failed?.got ?? rowsText(outcome.result.rowCount),
  }
}

const noResult: ReadResult = { columns: [], rows: [], rowCount: 0 }

/** What policies do to a statement: refuse it, or make a name unknown. A misspelt statement is no proof of them. */
const policySqlStates: ReadonlySet<string> = new Set(["42501", "0A000", "25006", "42703", "42P01"])

function judgeRefusal(refused: true | string, outcome: Outcome): Judgement {
  const expected = refused === true ? "refused" : `refused: ${refused}`
  if (outcome.kind === "result")
    return { isMet: false, expected, got: rowsText(outcome.result.rowCount) }
  const { error } = outcome
  const isMet =
    refused === true
      ? policySqlStates.has(error.sqlState)
      : refused === error.sqlState || refused === error.reason
  return { isMet, expected, got: errorText(error) }
}

function errorText({ sqlState, reason, message }: GatewayError): string {
  return `${sqlState} ${reason}: ${message}`
}

function rowsText(count: number): string {
  return count === 1 ? "1 row" : `${count} rows`
}

function checksOf(expect: Expectation, result: ReadResult, sql: string): readonly Check[] {
  const { allowed, rows, columns, values, masked, rewritten } = expect
  const checks: Check[] = []
  if (allowed !== undefined) checks.push({ expected: "allowed", got: undefined })
  if (columns !== undefined) checks.push(checkColumns(columns, result))
  if (typeof rows === "number") checks.push(checkCount(rows, result))
  else if (rows !== undefined) checks.push(checkRows(rows, result, false))
  if (values !== undefined) checks.push(checkRows(values, result, true))
  for (const [column, shown] of Object.entries(masked ?? {}))
    checks.push(checkMask(column, shown, result))
  const bare = plain(sql)
  for (const part of rewritten?.contains ?? [])
    checks.push({
      expected: `SQL has ${part}`,
      got: bare.includes(plain(part)) ? undefined : `SQL ${sql}`,
    })
  for (const part of rewritten?.lacks ?? [])
    checks.push({
      expected: `SQL lacks ${part}`,
      got: bare.includes(plain(part)) ? `SQL ${sql}` : undefined,
    })
  return checks
}

function plain(sql: string): string {
  return sql.replaceAll(/\s+/g, " ").trim()
}

function checkColumns(columns: readonly string[], result: ReadResult): Check {
  const wanted = columns.join(", ")
  const found = result.columns.join(", ")
  const isMet = JSON.stringify(columns) === JSON.stringify(result.columns)
  return { expected: `columns ${wanted}`, got: isMet ? undefined : `columns ${found}` }
}

function checkCount(count: number, { rowCount }: ReadResult): Check {
  return {
    expected: rowsText(count),
    got: count === rowCount ? undefined : rowsText(rowCount),
  }
}

function checkRows(
  wanted: readonly (readonly Value[])[],
  { rows, rowCount }: ReadResult,
  isOrdered: boolean,
): Check {
  const left = [...rows]
  const isMet =
    wanted.length === rowCount &&
    wanted.every((row) => {
      const at = isOrdered ? 0 : left.findIndex((other) => sameRow(row, other))
      const other = left[at]
      if (at === -1 || other === undefined || !sameRow(row, other)) return false
      left.splice(at, 1)
      return true
    })
  return {
    expected: JSON.stringify(wanted),
    got: isMet ? undefined : JSON.stringify(rows),
  }
}

function sameRow(wanted: readonly Value[], row: readonly (string | null)[]): boolean {
  return (
    wanted.length === row.length && wanted.every((value, index) => sameValue(value, row[index]))
  )
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ["t", true],
  ["true", true],
  ["f", false],
  ["false", false],
])

/** A YAML value against PostgreSQL's text: 10 is 10.00, true is t; text is itself. */
function sameValue(wanted: Value, found: string | null | undefined): boolean {
  if (wanted === null || found === null || found === undefined) return wanted === found
  if (typeof wanted === "number")
    return found.trim() !== "" && (String(wanted) === found || Number(found) === wanted)
  if (typeof wanted === "boolean") return truths.get(found) === wanted
  return wanted === found
}

/** Every row must show it, and there must be one: nothing else would prove that the mask holds. */
function checkMask(column: string, shown: string | null, { columns, rows }: ReadResult): Check {
  const expected = `${column} shows ${shown ?? "NULL"}`
  const at = columns.indexOf(column)
  if (at === -1) return { expected, got: `no column ${column} among ${columns.join(", ")}` }
  if (rows.length === 0) return { expected, got: "no rows" }
  const other = rows.find((row) => !looksLike(row[at] ?? null, shown))
  if (other === undefined) return { expected, got: undefined }
  return { expected, got: `${column} shows ${other[at] ?? "NULL"}` }
}

function looksLike(found: string | null, shown: string | null): boolean {
  if (found === null || shown === null) return found === shown
  const characters = Array.from(found)
  const pattern = Array.from(shown)
  return (
    characters.length === pattern.length &&
    pattern.every((character, index) => character === "?" || character === characters[index])
  )
}
