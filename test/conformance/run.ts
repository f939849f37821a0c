import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { judge, recordedOf, type Told, type Verdict, withGoldens, withOwnOids } from "./compare.ts"
import { converse } from "./conversation.ts"
import { scoreLine, scoreOf, sectionOf, withSection } from "./report.ts"
import { parseScripts, type Recorded, type Script, withRecorded } from "./script.ts"
import { type Servers, type Suite, startServers, suites } from "./sides.ts"

const { values: flags } = parseArgs({
  options: {
    /** Writes what the servers say into the scripts, and the score into the document. */
    record: { type: "boolean", default: false },
    /** Only scripts whose file or title contains this. */
    only: { type: "string" },
  },
})

const here = fileURLToPath(new URL(".", import.meta.url))
const documentFile = fileURLToPath(new URL("../../docs/compatibility.md", import.meta.url))
/** The first answer usually comes from the warehouse, the second from the cache. */
const askings = 2

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

async function tell(script: Script, suite: Suite, servers: Servers): Promise<Told> {
  const reset = async (): Promise<void> => {
    if (suite.folder === "write") await servers.reset()
  }
  await reset()
  const direct = await converse(script, servers.direct(suite))
  const gateway: string[][][] = []
  for (let asking = 0; suite.isThroughGateway && asking < askings; asking += 1) {
    await reset()
    gateway.push(await converse(script, servers.gateway(suite)))
  }
  if (suite.folder === "read") return { direct, gateway }
  return { direct: withOwnOids(direct), gateway: gateway.map(withOwnOids) }
}

function isWanted(script: Script): boolean {
  const { only } = flags
  return only === undefined || script.file.includes(only) || script.title.includes(only)
}

async function runFile(file: string, suite: Suite, servers: Servers): Promise<Verdict[]> {
  const path = `${here}scripts/${suite.folder}/${file}`
  const text = readFileSync(path, "utf8")
  const verdicts: Verdict[] = []
  const recorded = new Map<number, Recorded>()
  for (const script of parseScripts(file.replace(".script", ""), text)) {
    if (!isWanted(script)) {
      for (const { lastLine, golden, gatewayGolden } of script.steps)
        recorded.set(lastLine, { golden, gateway: gatewayGolden })
      continue
    }
    const told = await tell(script, suite, servers)
    const lines = recordedOf(script, told)
    for (const [line, one] of lines) recorded.set(line, one)
    verdicts.push(judge(flags.record ? withGoldens(script, lines) : script, told))
  }
  if (flags.record) writeFileSync(path, withRecorded(text, recorded))
  for (const verdict of verdicts)
    if (verdict.problems.length > 0)
      print(
        `\nFAILED ${path}:${verdict.script.line} ${verdict.script.title}\n${verdict.problems.join("\n")}`,
      )
  return verdicts
}

async function runSuite(suite: Suite, servers: Servers): Promise<Verdict[]> {
  const files = readdirSync(`${here}scripts/${suite.folder}`).filter((file) =>
    file.endsWith(".script"),
  )
  const run = (file: string): Promise<Verdict[]> => runFile(file, suite, servers)
  // Readers change nothing and do not meet: their files run side by side. A writer's conversations share their tables.
  if (suite.folder === "read") return (await Promise.all(files.toSorted().map(run))).flat()
  const verdicts: Verdict[] = []
  for (const file of files.toSorted()) verdicts.push(...(await run(file)))
  return verdicts
}

/** True when the document says what was run; a recording run makes it so. */
function isDocumented(section: string): boolean {
  const text = readFileSync(documentFile, "utf8")
  const wanted = withSection(text, section)
  if (wanted === text) return true
  if (wanted !== undefined && flags.record) {
    writeFileSync(documentFile, wanted)
    return true
  }
  print("docs/compatibility.md does not show this score: npm run test:conformance -- --record")
  return false
}

async function main(): Promise<boolean> {
  const started = performance.now()
  const servers = await startServers()
  const compared: Verdict[] = []
  const directOnly: Verdict[] = []
  try {
    for (const suite of suites) {
      const verdicts = await runSuite(suite, servers)
      ;(suite.isThroughGateway ? compared : directOnly).push(...verdicts)
    }
  } finally {
    await servers.stop()
  }
  const score = scoreOf(compared)
  print(scoreLine("conformance", score))
  if (directOnly.length > 0) print(scoreLine("PostgreSQL alone", scoreOf(directOnly)))
  print(`${((performance.now() - started) / 1000).toFixed(1)} s`)
  const failed = score.failed + scoreOf(directOnly).failed
  if (flags.only !== undefined) return failed === 0
  // A score with failures is no score: it never gets into the document.
  return failed === 0 && isDocumented(sectionOf(compared, directOnly))
}

process.exitCode = (await main()) ? 0 : 1
