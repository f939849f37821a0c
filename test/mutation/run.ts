import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { globSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Mutant, mutantsOf } from "./mutants.ts"
import type { Trial } from "./worker.ts"

/**
 * `npm run test:mutation`: each mutant of policy/ and of the rewrite against the unit tests of policies, one after the other.
 * Prints who survived. `--every 5 --offset 2` takes a part, `--file govern --file reach` the files that match.
 */
const { values } = parseArgs({
  options: {
    file: { type: "string", multiple: true, default: [""] },
    every: { type: "string", default: "1" },
    offset: { type: "string", default: "0" },
    minutes: { type: "string", default: "60" },
  },
})

const root = fileURLToPath(new URL("../../", import.meta.url))
const sources = [
  "src/policy/*.ts",
  ...["edits", "group-by-key", "rewrite-relations", "scan-conditions", "verified"].map(
    (name) => `src/sql/${name}.ts`,
  ),
]
/** The tests that kill most are asked first, the others about whoever is left. */
const nearTests = ["test/unit/policy/*.test.ts", "test/unit/sql/{rewrite,scan}-*.test.ts"]
const farTests = [
  "test/unit/policy/scale.test.ts",
  "test/unit/config/policies-file.test.ts",
  "test/unit/pipeline/{claims,plan}.test.ts",
  "test/unit/sql/emit.test.ts",
  "test/unit/policy/catalogue.test.ts",
]
/** A mutant that runs longer than this loops; the tests take about 0.2 s. */
const mutantMsMax = 60_000
/** Modules that a worker has read stay in its memory. */
const mutantsPerWorkerMax = 200

const filesOf = (patterns: readonly string[]): readonly string[] =>
  patterns.flatMap((pattern) => globSync(join(root, pattern)))
const far = filesOf(farTests)
const near = filesOf(nearTests).filter((path) => !far.includes(path))
let worker: ChildProcess | undefined
let workersTrials = 0

async function passes(path: string | undefined, text: string): Promise<boolean> {
  if (workersTrials >= mutantsPerWorkerMax) endWorker()
  worker ??= fork(join(root, "test/mutation/worker.ts"), {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  })
  workersTrials += 1
  const trial: Trial = { path, text, tests: [...near, ...far] }
  worker.send(trial)
  try {
    const [answer] = await once(worker, "message", { signal: AbortSignal.timeout(mutantMsMax) })
    if (path === undefined && answer.failure !== undefined)
      process.stdout.write(`${answer.failure}\n`)
    return answer.failure === undefined
  } catch {
    endWorker()
    return false
  }
}

function endWorker(): void {
  worker?.kill("SIGKILL")
  worker = undefined
  workersTrials = 0
}

const counts = new Map<string, number>()
const survivors = new Map<string, number>()
try {
  if (!(await passes(undefined, ""))) throw new Error("the tests fail without a mutant")
  const all = sources
    .flatMap((pattern) => globSync(join(root, pattern)))
    .map((path) => relative(root, path))
    .filter((path) => values.file.some((part) => path.includes(part)))
    .toSorted()
    .flatMap((path) =>
      mutantsOf(path, readFileSync(join(root, path), "utf8")).map((mutant) => ({ path, mutant })),
    )
  const chosen = all.filter((_, index) => index % Number(values.every) === Number(values.offset))
  const endMs = performance.now() + Number(values.minutes) * 60_000
  for (const { path, mutant } of chosen) {
    if (performance.now() > endMs) break
    if (await passes(join(root, path), mutant.text)) {
      survivors.set(path, (survivors.get(path) ?? 0) + 1)
      process.stdout.write(`${path}:${mutant.line} ${shown(mutant)}\n`)
    }
    counts.set(path, (counts.get(path) ?? 0) + 1)
  }
  for (const [path, tried] of counts) {
    const survived = survivors.get(path) ?? 0
    process.stdout.write(`${path}: ${tried - survived} of ${tried} killed, ${survived} survived\n`)
  }
  const [tried, survived] = [sum(counts), sum(survivors)]
  process.stdout.write(
    `${all.length} mutants, ${tried} tried, ${tried - survived} killed, ${survived} survived\n`,
  )
} finally {
  endWorker()
}

function sum(counted: ReadonlyMap<string, number>): number {
  return [...counted.values()].reduce((total, count) => total + count, 0)
}

function shown({ kind, from, to }: Mutant): string {
  return `${kind}: ${oneLine(from)} -> ${oneLine(to)}`
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 100)
}
