import type { CapturedStatement } from "./captured-sessions.ts"
import type { Verdict } from "./judge.ts"

/** What an outcome of `judge.ts` is to somebody who pays for warehouse queries. */
function kindOf(outcome: string): "hit" | "session" | "error" | "warehouse" {
  if (outcome.startsWith("hit") || outcome === "coalesced") return "hit"
  if (outcome === "local") return "session"
  return /^[0-9A-Z]{5}$/.test(outcome) ? "error" : "warehouse"
}

const areas: Readonly<Record<string, string>> = {
  db: "connection tests, lists of schemas and tables, table metadata",
  dataset: "datasets: columns, virtual datasets, filter values, expression checks",
  chart: "charts",
  filter: "charts with filters",
  metric: "charts with metrics",
  samples: "samples, drill to detail",
  export: "CSV export, streamed by a cursor",
  sqllab: "SQL Lab",
  dashboard: "dashboards",
  embedded: "embedded dashboards, guests' row rules",
  rls: "row rules of roles",
  impersonate: "impersonation",
  options: "connection options",
}

type Counts = { statements: number; hit: number; session: number; error: number; warehouse: number }

function counted(
  list: readonly CapturedStatement[],
  outcomes: ReadonlyMap<number, string>,
  weight: (statement: CapturedStatement) => number,
): Counts {
  const counts: Counts = { statements: 0, hit: 0, session: 0, error: 0, warehouse: 0 }
  for (const statement of list) {
    const outcome = outcomes.get(statement.index)
    if (outcome === undefined || outcome === "unreported") continue
    counts.statements += weight(statement)
    counts[kindOf(outcome)] += weight(statement)
  }
  return counts
}

function row(title: string, counts: Counts): string {
  return `| ${title} | ${counts.statements} | ${counts.hit} | ${counts.session} | ${counts.error} | ${counts.warehouse} |`
}

const percent = (part: number, whole: number): string => ((100 * part) / whole).toFixed(1)

function shareLine({ hit, statements, session }: Counts, what: string): string {
  return `- ${what}: ${percent(hit, statements - session)} % of those that ask for data are hits; ${percent(hit + session, statements)} % of all need no warehouse.`
}

/** Statements of the second pass that went to the warehouse, by the typed reason (docs/ERRORS.md). */
function reasonsOf(outcomes: ReadonlyMap<number, string>): readonly string[] {
  const counts = new Map<string, number>()
  for (const outcome of outcomes.values())
    if (kindOf(outcome) === "warehouse" && outcome !== "unreported")
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
  return [...counts]
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([outcome, count]) => `| ${outcome.replace(/ (\w+)$/, " `$1`")} | ${count} |`)
}

/** The section of docs/compatibility.md: where the second asking of each recorded statement was answered. */
export function sharesText(
  recording: readonly CapturedStatement[],
  verdicts: readonly Verdict[],
): string {
  const outcomes = new Map<number, string>()
  for (const { ids, outcome } of verdicts) for (const id of ids) outcomes.set(Number(id), outcome)
  const groups = Map.groupBy(recording, ({ origin }) => origin.split("/")[0] ?? "")
  const once = counted(recording, outcomes, () => 1)
  const asRecorded = counted(recording, outcomes, ({ times }) => times)
  return [
    "| asked a second time | statements | hit | the session itself | error | warehouse |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...[...groups].map(([area, list]) =>
      row(
        areas[area] ?? area,
        counted(list, outcomes, () => 1),
      ),
    ),
    row("all", once),
    row("all, as often as they were recorded", asRecorded),
    "",
    shareLine(once, "Each statement once"),
    shareLine(asRecorded, "As often as recorded"),
    "",
    "| went to the warehouse | statements |",
    "| --- | ---: |",
    ...reasonsOf(outcomes),
  ].join("\n")
}
