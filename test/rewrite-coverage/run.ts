import { writeFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import { coverage, type Share } from "./suites.ts"

/** `npm run test:rewrite-coverage`: writes docs/coverage-policies.md. Exit 1 when an answer was wrong. */
const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    "per-feature": { type: "string", default: "18" },
  },
})

const shares = await coverage({
  seed: Number(values.seed),
  statementsPerFeature: Number(values["per-feature"]),
  schemas: 6,
  withCorpora: true,
})
for (const { name, wrong } of shares)
  for (const statement of wrong) process.stdout.write(`${name}: ${statement}\n`)
await writeFile(new URL("../../docs/coverage-policies.md", import.meta.url), report(shares))
const wrongCount = shares.reduce((sum, { wrong }) => sum + wrong.length, 0)
process.stdout.write(
  `${shares.reduce((sum, share) => sum + total(share), 0)} statements, ${wrongCount} wrong\n`,
)
process.exitCode = wrongCount === 0 ? 0 : 1

function total({ rewritten, sameError, refused, wrong }: Share): number {
  return rewritten + sameError + refusedCount(refused) + wrong.length
}

function refusedCount(refused: Share["refused"]): number {
  return [...refused.values()].reduce((sum, count) => sum + count, 0)
}

function report(all: readonly Share[]): string {
  const generated = all.filter(({ name }) => !/Superset|TPC-H/.test(name))
  const tpch = all.filter(({ name }) => name.startsWith("TPC-H"))
  const summary: Share[] = [
    ...all.filter(({ name }) => name.includes("Superset")),
    joined("TPC-H's 22 shapes", tpch),
    joined(`generated, ${generated.length} features of SELECT`, generated),
  ]
  return `# Which statements policies can be applied to

Made by \`npm run test:rewrite-coverage\` (seed ${values.seed}); do not edit. Every statement is asked by a reader under row filters, masks and
denied columns, and by somebody without any in a database that holds only what the reader may see. Both have to get the same rows.

- **rewritten**: rewritten, proven, run, and the same rows by hand; **with rows**: at least one.
- **same error**: PostgreSQL refuses it by hand as well, with the same SQLSTATE (a column that is not there).
- **refused**: not run. The reasons stand below.

| statements | count | rewritten | with rows | same error | refused | wrong |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
${summary.map(row).join("\n")}

## Refusals

| feature | reason | count |
| --- | --- | ---: |
${all.flatMap(({ name, refused }) => [...refused].map(([why, count]) => `| ${name} | ${why} | ${count} |`)).join("\n")}

## Features

| feature | count | rewritten | with rows | same error | refused | wrong |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
${[...tpch, ...generated].map(row).join("\n")}
`
}

function joined(name: string, shares_: readonly Share[]): Share {
  const sum = (count: (share: Share) => number): number =>
    shares_.reduce((whole, share) => whole + count(share), 0)
  return {
    name,
    rewritten: sum(({ rewritten }) => rewritten),
    withRows: sum(({ withRows }) => withRows),
    sameError: sum(({ sameError }) => sameError),
    refused: new Map([["all", sum(({ refused }) => refusedCount(refused))]]),
    wrong: shares_.flatMap(({ wrong }) => wrong),
  }
}

function row(share: Share): string {
  const { name, rewritten, withRows, sameError, refused, wrong } = share
  return `| ${[name, total(share), rewritten, withRows, sameError, refusedCount(refused), wrong.length].join(" | ")} |`
}
