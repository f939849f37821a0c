import { globSync } from "node:fs"
import { dirname, join } from "node:path"
import type { Configuration } from "../config/configuration.ts"
import { loadConfiguration } from "../config/load.ts"
import {
  type LocatedCase,
  type PolicyTestsFile,
  readPolicyTests,
} from "../config/policy-tests-file.ts"
import { type ErrorReason, GatewayError, toGatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { answer } from "../pipeline/answer.ts"
import { explain } from "../pipeline/explain.ts"
import type { Question } from "../pipeline/question.ts"
import type { Rooms } from "../pipeline/rooms.ts"
import { type Judgement, judgeCase, type Outcome } from "./policy-test-check.ts"
import { Progress } from "./progress.ts"
import { readAnswer } from "./read-answer.ts"
import { shownPath } from "./shown-path.ts"
import { tableText } from "./table.ts"
import type { Terminal } from "./terminal.ts"
import { Workbench } from "./workbench.ts"

export type PolicyTestOptions = {
  readonly config: string
  /** None: every `*.tests.yaml` beside the policies. */
  readonly files: readonly string[]
  readonly json: boolean
}

type CaseResult = Judgement & {
  readonly file: string
  readonly line: number
  readonly name: string
}

/**
 * `sluice policy test`: asks the configured warehouses the statements of the files, each as the identity it names, by the way that a
 * client's statements go, and compares. Answers never come from a cache. Prints a table, or JSON; gives the exit code: 0 when every
 * expectation is met, 1 when not. Throws for files that cannot be read, and when there is no case.
 */
export async function policyTestCommand(
  options: PolicyTestOptions,
  terminal: Terminal,
): Promise<number> {
  const configuration = loadConfiguration(options.config, process.env)
  const paths = options.files.length > 0 ? options.files : filesBeside(configuration, options)
  const files = paths.map((path) => readPolicyTests(path, configuration))
  const total = files.reduce((sum, { cases }) => sum + cases.length, 0)
  if (total === 0) throw nothingToDo(paths)
  const progress = new Progress(terminal, "cases", total)
  const results: CaseResult[] = []
  const workbench = await Workbench.open(configuration)
  try {
    for (const file of files)
      for (const located of file.cases) {
        results.push(await runCase(workbench, file, located))
        progress.done(results.length)
      }
  } finally {
    progress.end()
    await workbench.close()
  }
  terminal.output.write(options.json ? resultsJson(results) : resultsText(results))
  return results.every(({ isMet }) => isMet) ? 0 : 1
}

/** Path patterns of files with expectations, beside the policies. */
const filePattern = "*.tests.{yaml,yml}"

function filesBeside(
  { policiesFile, inlinePolicies }: Configuration,
  { config }: PolicyTestOptions,
): readonly string[] {
  const folder = dirname(policiesFile ?? inlinePolicies?.path ?? config)
  const found = globSync(filePattern, { cwd: folder }).toSorted()
  return found.map((name) => shownPath(join(folder, name)))
}

function nothingToDo(paths: readonly string[]): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: paths.length === 0 ? "there is no file of tests" : "the files hold no case",
    hint: `Name files, or put ${filePattern} beside the policies.`,
  })
}

async function runCase(
  workbench: Workbench,
  file: PolicyTestsFile,
  { line, case: testCase }: LocatedCase,
): Promise<CaseResult> {
  const place = { file: file.path, line, name: testCase.name }
  const ask = (sql: string): Promise<Outcome> => outcomeOf(workbench, file, testCase, sql)
  const { sees } = testCase.expect
  if (sees === undefined)
    return { ...place, ...judgeCase(testCase.expect, await ask(testCase.sql ?? "")) }
  const judgements: Judgement[] = []
  for (const sentence of sees) judgements.push(await judgeSees(sentence, ask))
  return {
    ...place,
    isMet: judgements.every(({ isMet }) => isMet),
    expected: judgements.map(({ expected }) => expected).join("; "),
    got: judgements.map(({ got }) => got).join("; "),
  }
}

async function outcomeOf(
  workbench: Workbench,
  file: PolicyTestsFile,
  { name, user, roles, claims, database = file.database, searchPath, expect }: LocatedCase["case"],
  sql: string,
): Promise<Outcome> {
  try {
    const asked = await workbench.question(sql, { user, roles, claims }, { database, searchPath })
    const question = { ...asked, caching: "off" } as const
    const rooms = await workbench.rooms(database)
    if (!isProvable(question, rooms)) throw notProvable(`${file.path}: ${name}`)
    const result = await readAnswer(await answer(question, rooms))
    const sent = expect.rewritten === undefined ? undefined : await explain(question, rooms)
    return { kind: "result", result, sql: sent?.sql ?? "" }
  } catch (thrown) {
    const error = toGatewayError(thrown)
    if (tellsNothing.has(error.reason)) throw error
    return { kind: "error", error }
  }
}

/** Neither a bug of ours, nor a misnamed user, nor a warehouse that is away says anything about policies. */
const tellsNothing: ReadonlySet<ErrorReason> = new Set([
  "invariant_violation",
  "invalid_configuration",
  "warehouse_unreachable",
])

/** What a session answers by itself, or sends on a connection of its own to write, is not asked here. */
function isProvable({ statement, identity }: Question, rooms: Rooms): boolean {
  switch (statement.class.kind) {
    case "read":
    case "explain":
    case "refused":
      return true
    case "write":
      return !rooms.policy().effective(identity.roles).mayWrite
    default:
      return false
  }
}

function notProvable(what: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "invalid_configuration",
    message: `${what}: only queries, and writes of those who may not write, can be tested`,
  })
}

/** `3 rows of sales.orders`: counted by a query of the reader's own. */
async function judgeSees(
  sentence: string,
  ask: (sql: string) => Promise<Outcome>,
): Promise<Judgement> {
  const [, number = "", relation = ""] = /^(\d+|no) rows? of (.+)$/.exec(sentence) ?? []
  const outcome = await ask(`SELECT count(*) FROM ${relation}`)
  if (outcome.kind === "error") return { ...judgeCase({}, outcome), expected: sentence }
  const found = outcome.result.rows[0]?.[0] ?? ""
  const rows = found === "0" ? "no rows" : found === "1" ? "1 row" : `${found} rows`
  const isMet = Number(found) === (number === "no" ? 0 : Number(number))
  return { isMet, expected: sentence, got: `${rows} of ${relation}` }
}

function resultsJson(results: readonly CaseResult[]): string {
  const cases = results.map(({ isMet, ...rest }) => ({ ...rest, ok: isMet }))
  const failed = cases.filter(({ ok }) => !ok).length
  return `${JSON.stringify({ passed: cases.length - failed, failed, cases }, null, 2)}\n`
}

function resultsText(results: readonly CaseResult[]): string {
  const table = tableText(
    ["", "file", "case", "expected", "got"],
    results.map(({ isMet, file, name, expected, got }) => [
      isMet ? "ok" : "FAILED",
      file,
      name,
      expected,
      got,
    ]),
  )
  const failed = results.filter(({ isMet }) => !isMet)
  const details = failed.map(
    ({ file, line, name, expected, got }) =>
      `\n${file}:${line}: ${name}\n  expected: ${expected}\n  got:      ${got}\n`,
  )
  const passed = `${results.length - failed.length} of ${results.length} cases as expected`
  return `${table}${details.join("")}\n${passed}${failed.length === 0 ? "" : `, ${failed.length} not`}\n`
}
