/** What became of one test of a driver's suite. */
export type Outcome = "passed" | "failed" | "skipped"

/** By the test's name, unique within its suite. */
export type Outcomes = ReadonlyMap<string, Outcome>

type GoEvent = { readonly Action: string; readonly Package: string; readonly Test?: string }
type PytestEvent = { readonly test: string; readonly outcome: Outcome | "started" }

const goOutcomes: Readonly<Record<string, Outcome>> = {
  run: "failed",
  pass: "passed",
  fail: "failed",
  skip: "skipped",
}

/**
 * Output of `go test -json`, one event a line; other lines are the tests' own. A test that was started and never ended
 * counts as failed.
 */
export function goOutcomesOf(output: string, module: string): Outcomes {
  const outcomes = new Map<string, Outcome>()
  for (const line of output.split("\n")) {
    if (!line.startsWith("{")) continue
    const event = JSON.parse(line) as GoEvent
    const outcome = goOutcomes[event.Action]
    if (event.Test === undefined || outcome === undefined) continue
    // Some names hold a temporary folder, another one in each run.
    const test = event.Test.replaceAll(/\/tmp\/[^/]+\/\d+/g, "TMP")
    outcomes.set(`${event.Package.replace(module, ".")} ${test}`, outcome)
  }
  return outcomes
}

/** Lines of pytest_outcomes.py. The last line of a test stands, and one without an end counts as failed. */
export function pytestOutcomesOf(lines: string): Outcomes {
  const outcomes = new Map<string, Outcome>()
  for (const line of lines.split("\n")) {
    if (line === "") continue
    const { test, outcome } = JSON.parse(line) as PytestEvent
    outcomes.set(test, outcome === "started" ? "failed" : outcome)
  }
  return outcomes
}

const testCase = /<testcase\s([^>]*?)(?:\/>|>([\s\S]*?)<\/testcase>)/g

function attribute(attributes: string, name: string): string {
  return new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1] ?? ""
}

/** A JUnit report as Maven's Surefire writes it. Of several runs with one name the worst stands. */
export function junitOutcomesOf(xml: string): Outcomes {
  const outcomes = new Map<string, Outcome>()
  for (const [, attributes = "", body = ""] of xml.matchAll(testCase)) {
    const name = `${attribute(attributes, "classname")} ${attribute(attributes, "name")}`
    const isFailed = body.includes("<failure") || body.includes("<error")
    const outcome: Outcome = isFailed ? "failed" : body.includes("<skipped") ? "skipped" : "passed"
    if (outcomes.get(name) !== "failed") outcomes.set(name, outcome)
  }
  return outcomes
}

export function count(outcomes: Outcomes, outcome: Outcome): number {
  let found = 0
  for (const one of outcomes.values()) if (one === outcome) found += 1
  return found
}

/** Tests that pass against PostgreSQL itself and not through the gateway: failed, skipped or never reached. */
export function lostTests(direct: Outcomes, through: Outcomes): string[] {
  return [...direct]
    .filter(([name, outcome]) => outcome === "passed" && through.get(name) !== "passed")
    .map(([name]) => name)
    .toSorted()
}
