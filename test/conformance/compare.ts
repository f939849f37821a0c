import { createHash } from "node:crypto"
import { silence } from "./conversation.ts"
import type { Recorded, Script, Step } from "./script.ts"

/** Longer runs of rows are shown by their first ones and a hash of them all. */
const rowsShownMax = 6
/** Lines of one answer in a report of a problem. */
const linesShownMax = 12

/**
 * Where the server's own source raised an error (PostgreSQL manual, 54.8). Errors that the gateway raises itself have no such
 * place and carry none of the three; an error that passes through must carry all of them unchanged.
 */
const sourcePlace = / [FLR]="(?:[^"\\]|\\.)*"/g

function isFieldList(line: string): boolean {
  return line.startsWith("ErrorResponse ") || line.startsWith("NoticeResponse ")
}

function withoutSource(line: string): string {
  return isFieldList(line) ? line.replaceAll(sourcePlace, "") : line
}

/** The direct answer as it has to be compared with the gateway's. */
function expectedOf(direct: readonly string[], gateway: readonly string[]): string[] {
  return direct.map((line, index) =>
    / R="/.test(gateway[index] ?? "") ? line : withoutSource(line),
  )
}

/** Numbers that the next server need not give out again: OIDs of what the seed made, by order of appearance. */
function withoutOids(line: string, oids: Map<string, string>): string {
  if (!/^(RowDescription|ParameterDescription) /.test(line)) return line
  return line.replaceAll(/\b(?:1638[4-9]|1639\d|16[4-9]\d\d|1[7-9]\d{3}|[2-9]\d{4})\b/g, (oid) => {
    const known = oids.get(oid) ?? `oid-${oids.size + 1}`
    oids.set(oid, known)
    return known
  })
}

function withoutLongRuns(lines: readonly string[]): string[] {
  const out: string[] = []
  for (let index = 0; index < lines.length; ) {
    let end = index
    const [kind = ""] = lines[index]?.split(" ", 1) ?? []
    // No line holds a line feed: nothing begins with one.
    const prefix = kind === "DataRow" || kind === "CopyData" ? `${kind} ` : "\n"
    while (lines[end]?.startsWith(prefix) === true) end += 1
    if (end - index <= rowsShownMax) {
      out.push(...lines.slice(index, Math.max(end, index + 1)))
      index = Math.max(end, index + 1)
      continue
    }
    const run = lines.slice(index, end)
    const hash = createHash("sha256").update(run.join("\n")).digest("hex").slice(0, 16)
    out.push(...run.slice(0, 2), `(${run.length} ${kind} in all, sha256 ${hash})`)
    index = end
  }
  return out
}

/** For conversations that make relations of their own: every telling has its own OIDs, alike in their order of appearance. */
export function withOwnOids(answers: readonly (readonly string[])[]): string[][] {
  const oids = new Map<string, string>()
  return answers.map((lines) => lines.map((line) => withoutOids(line, oids)))
}

/** Answers as a file holds them: nothing in them that another server, or the next release of this one, would say otherwise. */
export function forFile(answers: readonly (readonly string[])[]): string[][] {
  const oids = new Map<string, string>()
  return answers.map((lines) =>
    withoutLongRuns(lines.map((line) => withoutOids(withoutSource(line), oids))),
  )
}

/** Three tellings of one script: PostgreSQL now, and the gateway as often as it was asked. */
export type Told = {
  readonly direct: readonly (readonly string[])[]
  readonly gateway: readonly (readonly (readonly string[])[])[]
}

export type Verdict = {
  readonly script: Script
  /** Reasons of the differences that the script allows, each once. */
  readonly reasons: readonly string[]
  /** What is wrong, ready to be printed; empty = as it should be. */
  readonly problems: readonly string[]
}

function show(lines: readonly string[] | undefined): string {
  const shown = lines ?? ["(not reached)"]
  const left = shown.length - linesShownMax
  return [...shown.slice(0, linesShownMax), ...(left > 0 ? [`(${left} more)`] : [])]
    .map((line) => `      ${line}`)
    .join("\n")
}

type Telling = readonly [who: string, lines: readonly string[] | undefined]

function problem(step: Step, what: string, ...tellings: readonly Telling[]): string {
  const first = tellings[0]?.[1] ?? []
  const second = tellings[1]?.[1] ?? []
  let same = 0
  while (tellings.length > 1 && same < first.length && first[same] === second[same]) same += 1
  const parts = tellings.map(([who, lines]) => `    ${who}:\n${show(lines?.slice(same))}`)
  const where = same === 0 ? "" : `, from message ${same + 1} on`
  return [`  line ${step.line}: ${what}${where}`, ...parts].join("\n")
}

function isSame(one: readonly string[] | undefined, other: readonly string[]): boolean {
  return (
    one !== undefined && one.length === other.length && one.every((line, i) => line === other[i])
  )
}

function judgeStep(step: Step, index: number, told: Told, files: Told): string[] {
  const direct = told.direct[index]
  if (direct === undefined || direct.includes(silence))
    return [problem(step, "PostgreSQL itself says nothing more", ["PostgreSQL", direct])]
  const problems: string[] = []
  if (!isSame(files.direct[index], step.golden))
    problems.push(
      problem(
        step,
        "PostgreSQL does not say what was recorded",
        ["recorded", step.golden],
        ["PostgreSQL", files.direct[index]],
      ),
    )
  for (const [asking, answers] of told.gateway.entries()) {
    if (problems.length > 0) break
    const gateway = answers[index]
    const expected = expectedOf(direct, gateway ?? [])
    const isEqual = isSame(gateway, expected)
    const shown = files.gateway[asking]?.[index]
    const when = asking === 0 ? "first time" : "second time"
    if (step.differs === undefined) {
      if (!isEqual)
        problems.push(
          problem(
            step,
            `the gateway differs (${when})`,
            ["PostgreSQL", expected],
            ["gateway", gateway],
          ),
        )
    } else if (isEqual)
      problems.push(problem(step, `the gateway agrees (${when}): "differs" is not needed any more`))
    else if (!isSame(shown, step.gatewayGolden))
      problems.push(
        problem(
          step,
          `the gateway does not say what was recorded (${when})`,
          ["recorded", step.gatewayGolden],
          ["gateway", shown],
        ),
      )
  }
  return problems
}

/** Three ways: what was recorded, what PostgreSQL says now, what the gateway says. */
export function judge(script: Script, told: Told): Verdict {
  const files: Told = { direct: forFile(told.direct), gateway: told.gateway.map(forFile) }
  const reasons = new Set<string>()
  const problems: string[] = []
  for (const [index, step] of script.steps.entries()) {
    problems.push(...judgeStep(step, index, told, files))
    if (step.differs !== undefined) reasons.add(step.differs)
  }
  return { script, reasons: [...reasons], problems }
}

/** The script as it will be read after recording. */
export function withGoldens(script: Script, recorded: ReadonlyMap<number, Recorded>): Script {
  const steps = script.steps.map((step) => {
    const lines = recorded.get(step.lastLine)
    return { ...step, golden: lines?.golden ?? [], gatewayGolden: lines?.gateway ?? [] }
  })
  return { ...script, steps }
}

/** What a recording run writes into the file, by the line that it belongs behind. */
export function recordedOf(script: Script, told: Told): Map<number, Recorded> {
  const direct = forFile(told.direct)
  const gateway = forFile(told.gateway[0] ?? [])
  const recorded = new Map<number, Recorded>()
  for (const [index, step] of script.steps.entries()) {
    const golden = direct[index] ?? []
    const isFlagged = step.differs !== undefined
    const ours = told.gateway.length > 0 ? (gateway[index] ?? []) : step.gatewayGolden
    if (golden.length > 0 || isFlagged)
      recorded.set(step.lastLine, { golden, gateway: isFlagged ? ours : [] })
  }
  return recorded
}
