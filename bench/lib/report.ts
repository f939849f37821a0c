import { execFileSync } from "node:child_process"
import { appendFile } from "node:fs/promises"
import { cpus, totalmem } from "node:os"
import { fileURLToPath } from "node:url"

const resultsFile = fileURLToPath(new URL("../RESULTS.md", import.meta.url))
const recordsFile = fileURLToPath(new URL("../results.jsonl", import.meta.url))

export type Table = {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

export type Report = {
  readonly bench: string
  readonly tables: readonly Table[]
  /** Everything measured, for tools; one line in results.jsonl. */
  readonly measurements: readonly unknown[]
  readonly notes: readonly string[]
}

function git(...args: string[]): string {
  return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()
}

function commit(): string {
  try {
    const isChanged = git("status", "--porcelain", "--", "src") !== ""
    return `${git("rev-parse", "--short", "HEAD")}${isChanged ? " with changes" : ""}`
  } catch {
    return "unknown"
  }
}

function machine(): string {
  const all = cpus()
  const gibibytes = Math.round(totalmem() / 1024 ** 3)
  return `${all.length} x ${all[0]?.model.trim() ?? "unknown CPU"}, ${gibibytes} GiB, Node ${process.version}`
}

export function markdown(table: Table): string {
  const widths = table.head.map((name, column) =>
    Math.max(name.length, ...table.rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, i) =>
      i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0),
    )
    return `| ${padded.join(" | ")} |`
  }
  const rule = `|${widths.map((width, i) => (i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`
  return [`**${table.title}**`, "", line(table.head), rule, ...table.rows.map(line), ""].join("\n")
}

/** Prints the tables; with `isSaved` also appends them to RESULTS.md and the record to results.jsonl. */
export async function publish(report: Report, isSaved: boolean): Promise<void> {
  const date = new Date().toISOString().slice(0, 16).replace("T", " ")
  const parts = [
    `## ${report.bench}, ${date} UTC, commit ${commit()}`,
    "",
    machine(),
    "",
    ...report.tables.map(markdown),
    ...report.notes.map((note) => `- ${note}`),
  ]
  const text = `${parts.join("\n").trimEnd()}\n`
  process.stdout.write(`\n${text}`)
  if (!isSaved) return
  await appendFile(resultsFile, `\n${text}`)
  const { bench, measurements, notes } = report
  const record = { bench, date, commit: commit(), machine: machine(), notes, measurements }
  await appendFile(recordsFile, `${JSON.stringify(record)}\n`)
}

/** Three significant digits, with thousands apart: `52,500`, `349`, `0.087`. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return "-"
  return new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 }).format(value)
}

export function ratio(value: number, base: number): string {
  const share = value / base
  return Number.isFinite(share) ? `${share.toFixed(2)}x` : "-"
}
