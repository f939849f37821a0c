import { readFileSync } from "node:fs"
import { problemsOf } from "./issues.ts"
import { type ParsedPolicies, policiesSchema } from "./policies-schema.ts"
import {
  configurationError,
  invalidConfiguration,
  type KeyPath,
  type Position,
} from "./problems.ts"
import { readSource, type Source } from "./source.ts"
import { type Environment, trimSecret } from "./substitute.ts"

/** Policies as a file has them, and the way back from a key to its line for what is found later. */
export type PoliciesFile = {
  readonly path: string
  /** Where in the file they stand: `policies` of a configuration, or nothing for a file of their own. */
  readonly section: KeyPath
  readonly policies: ParsedPolicies
  /** Of a path from the file's top on. */
  readonly positionOf: (path: KeyPath) => Position | undefined
}

/** The key of a configuration under which policies may stand. */
export const inlineSection: KeyPath = ["policies"]

/** Throws `invalid_configuration` with one line for each problem: `file:line:column: path: what is wrong`. */
export function readPoliciesFile(path: string): PoliciesFile {
  // Policies hold rules, no secrets: nothing is put in from the environment.
  const source = readSource(path, textOf(path), { environment: {}, readSecret: () => "" })
  return parsedPolicies(path, source, source.data ?? {}, [])
}

/**
 * The section `policies` of a configuration file, as the file is now. What stands beside it is not looked at: it holds until
 * the next start. Throws as {@link readPoliciesFile} does, also when the section is not there any more.
 */
export function readInlinePolicies(path: string, environment: Environment): PoliciesFile {
  const readSecret = (file: string): string => trimSecret(textOf(file))
  const source = readSource(path, textOf(path), { environment, readSecret })
  const data = source.data
  const section: unknown =
    typeof data === "object" && data !== null && "policies" in data ? data.policies : undefined
  if (section === undefined || section === null)
    throw configurationError(`the section policies is gone from ${path}`)
  return parsedPolicies(path, source, section, inlineSection)
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable"
    throw configurationError(`cannot read ${path}: ${code}`, undefined, cause)
  }
}

function parsedPolicies(
  path: string,
  source: Source,
  data: unknown,
  section: KeyPath,
): PoliciesFile {
  const parsed = policiesSchema.safeParse(data)
  const problems = source.problems.filter((problem) =>
    section.every((step, index) => problem.path[index] === step),
  )
  if (!parsed.success)
    problems.push(...under(section, problemsOf(parsed.error.issues, data, "policies")))
  if (!parsed.success || problems.length > 0)
    throw invalidConfiguration(path, problems, source.positionOf)
  return { path, section, policies: parsed.data, positionOf: source.positionOf }
}

type Problems = Parameters<typeof invalidConfiguration>[1]

function under(section: KeyPath, problems: Problems): Problems {
  return problems.map((problem) => ({ ...problem, path: [...section, ...problem.path] }))
}

/** Problems that only the SQL parser or the roles of the configuration could show. */
export function invalidPolicies(
  { path, section, positionOf }: PoliciesFile,
  problems: Problems,
): ReturnType<typeof invalidConfiguration> {
  return invalidConfiguration(path, under(section, problems), positionOf)
}
