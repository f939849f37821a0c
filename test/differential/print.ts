import { type Flow, showExchange } from "../support/query-generator-messages.ts"
import type { Divergence, Tally } from "./oracle.ts"

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function indent(text: string): string {
  return text
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n")
}

export function showFlow(flow: Flow): string {
  return flow.exchanges.map((exchange) => indent(showExchange(exchange))).join("\n    --\n")
}

/** Divergences that probably have one cause: same kind of flow, same kind of difference. */
export function signature(divergence: Divergence): string {
  const kind = divergence.flow.name.split(" ")[0] ?? ""
  const shape = divergence.difference
    .replace(/got .*/s, "")
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .replaceAll(/\d+/g, "#")
    .slice(0, 80)
  return `${kind} | ${shape}`
}

function table(counts: ReadonlyMap<string, number>): string {
  const total = [...counts.values()].reduce((sum, one) => sum + one, 0)
  return [...counts]
    .toSorted((a, b) => b[1] - a[1])
    .map(
      ([name, times]) =>
        `  ${String(times).padStart(7)}  ${((100 * times) / total).toFixed(1).padStart(5)} %  ${name}`,
    )
    .join("\n")
}

export function printTally(title: string, tally: Tally, seconds: number): void {
  print(
    `${title}: ${tally.conclusive} conclusive comparisons (and ${tally.commands} of commands), ${tally.divergences.length} divergences, ${tally.inconclusive} inconclusive, ${seconds.toFixed(1)} s`,
  )
  for (const [known, times] of tally.known)
    print(`  known difference, ${times} times: ${known.name}`)
  if (tally.deferred > 0)
    print(
      `  errors that came later in the same batch (Parse and Bind are answered here): ${tally.deferred}`,
    )
  print(`  answers of the origin:\n${table(tally.answers)}`)
  if (tally.outcomes.size > 0)
    print(`  cache outcome of the second asking (sample):\n${table(tally.outcomes)}`)
}

export function printDivergence(
  divergence: Divergence,
  times: number,
  smallest: Flow | undefined,
): void {
  print(
    `\nDIVERGENCE (${times} like it) in flow "${divergence.flow.name}", ${divergence.asking} asking`,
  )
  print(`  ${divergence.difference}`)
  print(`  at:\n${indent(showExchange(divergence.exchange))}`)
  if (smallest === undefined)
    print(
      `  did not come back on fresh sessions; the whole flow was:\n${showFlow(divergence.flow)}`,
    )
  else print(`  smallest flow that shows it:\n${showFlow(smallest)}`)
}
