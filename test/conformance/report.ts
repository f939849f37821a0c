import type { Verdict } from "./compare.ts"

export type Score = {
  readonly total: number
  readonly equal: number
  readonly differing: number
  readonly failed: number
}

export function scoreOf(verdicts: readonly Verdict[]): Score {
  const failed = verdicts.filter((verdict) => verdict.problems.length > 0).length
  const differing = verdicts.filter(
    (verdict) => verdict.problems.length === 0 && verdict.reasons.length > 0,
  ).length
  return {
    total: verdicts.length,
    equal: verdicts.length - failed - differing,
    differing,
    failed,
  }
}

export function scoreLine(name: string, score: Score): string {
  const failed = score.failed === 0 ? "" : `, ${score.failed} FAILED`
  return `${name}: ${score.equal} of ${score.total} equal, ${score.differing} differ with a reason${failed}`
}

const begin = "<!-- conformance: begin -->"
const end = "<!-- conformance: end -->"

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`
}

/** Aligned, as the formatter wants tables. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widthOf = (column: number): number =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0), 3)
  const padded = rows.map((row) => line(row.map((cell, column) => cell.padEnd(widthOf(column)))))
  const [head = "", ...body] = padded
  const rule = line((rows[0] ?? []).map((_, column) => "-".repeat(widthOf(column))))
  return [head, rule, ...body]
}

function tableOf(verdicts: readonly Verdict[]): string[] {
  const rows = [["topic", "conversations", "equal", "differ"]]
  for (const [file, group] of Map.groupBy(verdicts, ({ script }) => script.file)) {
    const score = scoreOf(group)
    rows.push([file, String(score.total), String(score.equal), String(score.differing)])
  }
  return aligned(rows)
}

function differencesOf(verdicts: readonly Verdict[]): string[] {
  const byReason = Map.groupBy(
    verdicts.flatMap(({ script, reasons }) => reasons.map((reason) => ({ reason, script }))),
    ({ reason }) => reason,
  )
  return [...byReason]
    .toSorted((a, b) => b[1].length - a[1].length || a[0].localeCompare(b[0]))
    .map(([reason, cases]) => `- ${reason} (${cases.length})`)
}

/** The section that docs/compatibility.md must hold between its markers. */
export function sectionOf(compared: readonly Verdict[], directOnly: readonly Verdict[]): string {
  const lines = [
    begin,
    "",
    `**${scoreLine("conformance", scoreOf(compared))}**`,
    "",
    ...tableOf(compared),
  ]
  lines.push(
    "",
    "Differences, with the number of conversations that show each:",
    "",
    ...differencesOf(compared),
  )
  if (directOnly.length > 0)
    lines.push("", `${directOnly.length} conversations of a writer are held with PostgreSQL alone.`)
  return [...lines, "", end].join("\n")
}

/** The document with its section replaced; undefined when it has no markers. */
export function withSection(text: string, section: string): string | undefined {
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from === -1 || to < from) return undefined
  return text.slice(0, from) + section + text.slice(to + end.length)
}
