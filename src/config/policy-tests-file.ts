import { readFileSync } from "node:fs"
import type { Configuration } from "./configuration.ts"
import { problemsOf } from "./issues.ts"
import { nearestName } from "./nearest-name.ts"
import {
  type ParsedPolicyTests,
  type PolicyTestCase,
  policyTestsSchema,
} from "./policy-tests-schema.ts"
import { configurationError, invalidConfiguration, type KeyPath, type Problem } from "./problems.ts"
import { readSource } from "./source.ts"

/** A case with the line it starts at. */
export type LocatedCase = { readonly line: number; readonly case: PolicyTestCase }

export type PolicyTestsFile = {
  readonly path: string
  readonly database: string | undefined
  readonly cases: readonly LocatedCase[]
}

/**
 * Reads a file of expectations. Throws `invalid_configuration` with one line for each problem; users, roles and databases that the
 * configuration does not have are among them.
 */
export function readPolicyTests(path: string, configuration: Configuration): PolicyTestsFile {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable"
    throw configurationError(`cannot read ${path}: ${code}`, undefined, cause)
  }
  const source = readSource(path, text, { environment: {}, readSecret: () => "" })
  const parsed = policyTestsSchema.safeParse(source.data ?? {})
  const problems = [...source.problems]
  if (parsed.success) problems.push(...problemsIn(parsed.data, configuration))
  else problems.push(...problemsOf(parsed.error.issues, source.data, "policy-tests"))
  if (!parsed.success || problems.length > 0)
    throw invalidConfiguration(path, problems, source.positionOf)
  const cases = parsed.data.cases.map((testCase, index) => ({
    line: source.positionOf(["cases", index, "name"])?.line ?? 1,
    case: testCase,
  }))
  return { path, database: parsed.data.database, cases }
}

function problemsIn(tests: ParsedPolicyTests, configuration: Configuration): readonly Problem[] {
  const problems: Problem[] = []
  const report = (path: KeyPath, message: string): unknown => problems.push({ path, message })
  const databases = Object.values(configuration.warehouses).flatMap((one) => one.databases)
  const checkName = (path: KeyPath, kind: string, name: string, known: readonly string[]): void => {
    if (known.includes(name)) return
    const near = nearestName(name, known)
    const hint = near === undefined ? "" : `; did you mean "${near}"?`
    report(path, `names no ${kind} of the configuration${hint}`)
  }
  if (tests.database !== undefined) checkName(["database"], "database", tests.database, databases)
  for (const [index, testCase] of tests.cases.entries()) {
    const path = ["cases", index] as const
    const { user, roles, database } = testCase
    // With roles of its own a case may invent its user, as a token does.
    if (user !== undefined && roles === undefined)
      checkName([...path, "user"], "user", user, Object.keys(configuration.users))
    for (const [at, role] of (roles ?? []).entries())
      checkName([...path, "roles", at], "role", role, Object.keys(configuration.roles))
    if (database !== undefined) checkName([...path, "database"], "database", database, databases)
    if (user === undefined && roles === undefined) report(path, "needs a user, or roles")
    const fault = expectationFault(testCase)
    if (fault !== undefined) report([...path, "expect"], fault)
  }
  return problems
}

/** Expectations that contradict each other, or that nothing could fail. */
function expectationFault({ sql, expect }: PolicyTestCase): string | undefined {
  const names = Object.keys(expect)
  if (names.length === 0) return "expects nothing"
  const others = names.filter((name) => name !== "refused")
  if (expect.refused !== undefined && others.length > 0)
    return `expects a refusal and ${others.join(", ")}`
  if (expect.sees !== undefined && names.length > 1) return "has more than sees, which stands alone"
  if (expect.sees !== undefined && sql !== undefined) return "has sees, which takes no sql"
  if (expect.sees === undefined && sql === undefined) return "needs the sql of the case"
  if (expect.rows !== undefined && expect.values !== undefined) return "has both rows and values"
  if (expect.rewritten !== undefined && Object.keys(expect.rewritten).length === 0)
    return "has a rewritten without contains or lacks"
  return undefined
}
