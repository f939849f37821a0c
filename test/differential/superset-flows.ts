import { readFileSync } from "node:fs"
import type { Exchange, Flow } from "../support/query-generator-messages.ts"

export type CorpusStatement = { readonly name: string; readonly sql: string }

function corpus(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../corpora/${file}`, import.meta.url), "utf8"))
}

/** SQL of the schema that the captured statements were recorded over. */
export function capturedSeed(): string {
  return readFileSync(new URL("../corpora/superset_real_seed.sql", import.meta.url), "utf8")
}

/** Statements recorded from a real Superset 6.1, in the order in which they first appeared. */
export function capturedStatements(): readonly CorpusStatement[] {
  const list = corpus("superset_real_captured.json") as { origin: string; sql: string }[]
  return list.map(({ origin, sql }) => ({ name: origin, sql }))
}

/** Statements in Superset's manner over tables of superset-seed.ts. */
export function styleStatements(): readonly CorpusStatement[] {
  return corpus("superset_style_queries.json") as CorpusStatement[]
}

export function madeStatements(): readonly CorpusStatement[] {
  return corpus("superset_statements.json") as CorpusStatement[]
}

function query(sql: string): Exchange {
  return [{ kind: "query", sql }]
}

function extended(sql: string, resultFormat: 0 | 1): Exchange {
  return [
    { kind: "parse", name: "", sql, types: [] },
    {
      kind: "bind",
      portal: "",
      statement: "",
      formats: [],
      values: [],
      resultFormats: [resultFormat],
    },
    { kind: "describe", target: "portal", name: "" },
    { kind: "execute", portal: "", rowsMax: 0 },
    { kind: "sync" },
  ]
}

/**
 * Statements that a person stopped in the recording: they run for hours. Both sides get a time-out in front instead, which
 * compares the error of a statement that is cancelled.
 */
const endless = /e2e_i?stop_RUN|MD5\(CAST\(a\.id AS TEXT\)\) </
const isTransaction = /^\s*(BEGIN|COMMIT|ROLLBACK|START)\b/i
const isCursorStep = /^\s*(FETCH|CLOSE|MOVE)\b/i
const isDeclare = /^\s*DECLARE\b/i
const isSetting = /^\s*SET\b/i

/** A cursor's statements stand one after another in the recording; they only mean something together. */
function cursorFlow(list: readonly CorpusStatement[], at: number): Flow {
  const steps: Exchange[] = [query("BEGIN"), query(list[at]?.sql ?? "")]
  for (let next = at + 1; next < list.length; next += 1) {
    const sql = list[next]?.sql ?? ""
    if (!isCursorStep.test(sql)) break
    steps.push(query(sql))
  }
  return { name: `cursor: ${list[at]?.name ?? ""}`, exchanges: [...steps, query("ROLLBACK")] }
}

/** `as superset`: inside a transaction that is rolled back. `every way`: by all other ways into the gateway too. */
export type Ways = "as superset" | "every way"

function flowsOf(statement: CorpusStatement, searchPath: string, ways: Ways): Flow[] {
  const { name, sql } = statement
  const path = query(`set search_path = "${searchPath}"`)
  if (endless.test(sql))
    return [
      {
        name: `endless: ${name}`,
        exchanges: [query("SET statement_timeout = 300"), path, query(sql), query("RESET ALL")],
      },
    ]
  const inTransaction: Flow = {
    name: `transaction: ${name}`,
    exchanges: [query("BEGIN"), path, query(sql), query("ROLLBACK")],
  }
  if (ways === "as superset") return [inTransaction]
  const alone: Flow = { name: `alone: ${name}`, exchanges: [query(sql), query("RESET ALL")] }
  if (isSetting.test(sql)) return [inTransaction, alone]
  return [
    inTransaction,
    alone,
    { name: `extended: ${name}`, exchanges: [path, extended(sql, 0), query("RESET ALL")] },
    { name: `binary: ${name}`, exchanges: [path, extended(sql, 1), query("RESET ALL")] },
  ]
}

export function flowsOver(
  list: readonly CorpusStatement[],
  searchPath: string,
  ways: Ways,
): Flow[] {
  const flows: Flow[] = []
  for (const [at, statement] of list.entries()) {
    const { sql, name } = statement
    if (isCursorStep.test(sql)) continue
    if (isDeclare.test(sql)) flows.push(cursorFlow(list, at))
    else if (isTransaction.test(sql))
      flows.push({ name, exchanges: [query("BEGIN"), query(sql), query("ROLLBACK")] })
    else flows.push(...flowsOf(statement, searchPath, ways))
  }
  return flows
}
