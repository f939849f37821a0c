import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { count, lostTests, type Outcomes } from "./outcomes.ts"
import { type Side, startSide } from "./servers.ts"
import { cacheFolder, root } from "./sources.ts"
import { type DriverSuite, driverSuites } from "./suites.ts"

/**
 * Drivers' own test suites against PostgreSQL and through the gateway; README.md beside this file has the options.
 * Ends with 1 when a test is lost that docs/compatibility.md does not name, unless `--write` renews that page.
 */

type Result = {
  readonly suite: DriverSuite
  readonly direct: number
  readonly through: number
  readonly lost: readonly string[]
}

const { values: options } = parseArgs({
  options: {
    suite: { type: "string", multiple: true },
    write: { type: "boolean", default: false },
    "read-only-role": { type: "boolean", default: false },
  },
})
const page = join(root, "docs/compatibility.md")
const begin = "<!-- driver-suites: begin, written by npm run test:driver-suites -- --write -->"
const end = "<!-- driver-suites: end -->"

async function outcomes(suite: DriverSuite, side: Side): Promise<Outcomes> {
  const run = suite.prepare()
  const folder = join(cacheFolder, `report-${suite.name.replaceAll(" ", "-")}-${side}`)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const mayWrite = !options["read-only-role"]
  const server = await startSide(side, { setupSql: suite.setupSql, mayWrite })
  try {
    return await run(server, folder)
  } finally {
    await server.stop()
  }
}

async function result(suite: DriverSuite): Promise<Result> {
  const direct = await outcomes(suite, "direct")
  const through = await outcomes(suite, "through")
  if (count(direct, "passed") === 0)
    throw new Error(
      `${suite.name}: no test passes against PostgreSQL itself, so nothing is compared`,
    )
  const lost = lostTests(direct, through)
  const kept = count(direct, "passed") - lost.length
  process.stdout.write(
    `${suite.name} ${suite.version}: ${kept} of ${count(direct, "passed")} pass through the gateway too\n`,
  )
  for (const name of lost) process.stdout.write(`  lost: ${name}\n`)
  return { suite, direct: count(direct, "passed"), through: kept, lost }
}

function section(results: readonly Result[]): string {
  const rows = results.map(
    ({ suite, direct, through, lost }) =>
      `| ${suite.name} | ${suite.version} | ${direct} | ${through} | ${lost.length} |`,
  )
  const lists = results
    .filter(({ lost }) => lost.length > 0)
    .map(
      ({ suite, lost }) =>
        `<details><summary>${suite.name}: what passes directly only</summary>\n\n${lost.map((name) => `- \`${name}\``).join("\n")}\n\n</details>`,
    )
  return [
    begin,
    "",
    "| suite | version | passed directly | of these through the gateway | lost |",
    "| --- | --- | --- | --- | --- |",
    ...rows,
    "",
    ...lists.flatMap((list) => [list, ""]),
    end,
  ].join("\n")
}

const chosen = driverSuites.filter((suite) => options.suite?.includes(suite.name) ?? true)
if (chosen.length === 0)
  throw new Error(`--suite takes one of: ${driverSuites.map((suite) => suite.name).join(", ")}`)

const results: Result[] = []
for (const suite of chosen) results.push(await result(suite))

const text = readFileSync(page, "utf8")
if (options.write && chosen.length === driverSuites.length) {
  const [before = "", rest = ""] = text.split(begin)
  writeFileSync(page, before + section(results) + (rest.split(end)[1] ?? ""))
} else {
  const unlisted = results.flatMap(({ lost }) =>
    lost.filter((name) => !text.includes(`\`${name}\``)),
  )
  if (unlisted.length > 0) {
    process.stdout.write(`${unlisted.length} lost tests are not listed in docs/compatibility.md\n`)
    process.exitCode = 1
  }
}
