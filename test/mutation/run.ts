import { spawnSync } from "node:child_process"
import {
  cpSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Mutant, mutantsOf } from "./mutants.ts"

/**
 * `npm run test:mutation`: each mutant of policy/ and of the rewrite against the unit tests of policies, one after the other, in a
 * copy of the sources. Prints who survived. `--every 5 --offset 2` takes a part, `--file govern` the files that match.
 */
const { values } = parseArgs({
  options: {
    file: { type: "string", default: "" },
    every: { type: "string", default: "1" },
    offset: { type: "string", default: "0" },
    minutes: { type: "string", default: "60" },
  },
})

const root = fileURLToPath(new URL("../../", import.meta.url))
const sources = ["src/policy/*.ts", "src/sql/rewrite-relations.ts", "src/sql/edits.ts"]
const tests = ["test/unit/policy/*.test.ts", "test/unit/sql/rewrite-relations.test.ts"]
/** A mutant that runs longer than this loops; the tests take about 1.5 s. */
const mutantMsMax = 30_000

const copy = mkdtempSync(join(tmpdir(), "sluice-mutants-"))
for (const part of ["src", "test/unit", "test/support", "test/corpora", "package.json"])
  cpSync(join(root, part), join(copy, part), { recursive: true })
symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
const testFiles = tests.flatMap((pattern) => globSync(join(copy, pattern)))

function passes(): boolean {
  const run = spawnSync(process.execPath, ["--test", "--test-isolation=none", ...testFiles], {
    cwd: copy,
    timeout: mutantMsMax,
    stdio: "ignore",
  })
  return run.status === 0
}

const survivors = new Map<string, Mutant[]>()
let tried = 0
try {
  if (!passes()) throw new Error("the tests fail without a mutant")
  const all = sources
    .flatMap((pattern) => globSync(join(root, pattern)))
    .map((path) => relative(root, path))
    .filter((path) => path.includes(values.file))
    .toSorted()
    .flatMap((path) =>
      mutantsOf(path, readFileSync(join(root, path), "utf8")).map((mutant) => ({ path, mutant })),
    )
  const chosen = all.filter((_, index) => index % Number(values.every) === Number(values.offset))
  const endMs = performance.now() + Number(values.minutes) * 60_000
  for (const { path, mutant } of chosen) {
    if (performance.now() > endMs) break
    writeFileSync(join(copy, path), mutant.text)
    tried += 1
    if (passes()) survivors.set(path, [...(survivors.get(path) ?? []), mutant])
    cpSync(join(root, path), join(copy, path))
  }
  const count = [...survivors.values()].reduce((sum, list) => sum + list.length, 0)
  for (const [path, list] of survivors)
    for (const { kind, line, from, to } of list)
      process.stdout.write(`${path}:${line} ${kind}: ${oneLine(from)} -> ${oneLine(to)}\n`)
  process.stdout.write(
    `${all.length} mutants, ${tried} tried, ${tried - count} killed, ${count} survived\n`,
  )
} finally {
  rmSync(copy, { recursive: true, force: true })
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, 100)
}
