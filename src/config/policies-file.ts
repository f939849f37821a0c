import { readFileSync } from "node:fs"
import { problemsOf } from "./issues.ts"
import { type ParsedPolicies, policiesSchema } from "./policies-schema.ts"
import {
  configurationError,
  invalidConfiguration,
  type KeyPath,
  type Position,
} from "./problems.ts"
import { readSource } from "./source.ts"

/** A policies file, and the way back from a key to its line for what is found later. */
export type PoliciesFile = {
  readonly path: string
  readonly policies: ParsedPolicies
  readonly positionOf: (path: KeyPath) => Position | undefined
}

/** Throws `invalid_configuration` with one line for each problem: `file:line:column: path: what is wrong`. */
export function readPoliciesFile(path: string): PoliciesFile {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable"
    throw configurationError(`cannot read ${path}: ${code}`, undefined, cause)
  }
  // Policies hold rules, no secrets: nothing is put in from the environment.
  const source = readSource(path, text, { environment: {}, readSecret: () => "" })
  const parsed = policiesSchema.safeParse(source.data ?? {})
  const problems = [...source.problems]
  if (!parsed.success) problems.push(...problemsOf(parsed.error.issues, source.data, "policies"))
  if (!parsed.success || problems.length > 0)
    throw invalidConfiguration(path, problems, source.positionOf)
  return { path, policies: parsed.data, positionOf: source.positionOf }
}

/** Problems that only the SQL parser or the roles of the configuration could show. */
export function invalidPolicies(
  { path, positionOf }: PoliciesFile,
  problems: Parameters<typeof invalidConfiguration>[1],
): ReturnType<typeof invalidConfiguration> {
  return invalidConfiguration(path, problems, positionOf)
}
