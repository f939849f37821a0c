import { readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { z } from "zod"
import { checkConfiguration } from "./check.ts"
import type { Configuration } from "./configuration.ts"
import { pathStep, problemsOf, valueAt } from "./issues.ts"
import { inlineSection } from "./policies-file.ts"
import { configurationError, invalidConfiguration, type Problem } from "./problems.ts"
import { resolveConfiguration } from "./resolve.ts"
import { configurationSchema } from "./schema.ts"
import { readSource } from "./source.ts"
import { type Environment, trimSecret } from "./substitute.ts"

export type LoadOptions = {
  readonly environment: Environment
  /** Stands in messages and, by its folder, under relative paths. */
  readonly fileName: string
  /** UTF-8 text of a file by its absolute path; throws as fs does. */
  readonly readFile?: (path: string) => string
}

function readUtf8(path: string): string {
  return readFileSync(path, "utf8")
}

/**
 * A configuration from YAML text. Throws a GatewayError `invalid_configuration` whose `detail` has one line for every
 * problem found: `file:line:column: path: what is wrong`. No value of the file or the environment is ever quoted.
 */
export function parseConfiguration(text: string, options: LoadOptions): Configuration {
  const { fileName, environment, readFile = readUtf8 } = options
  const baseDirectory = dirname(resolve(fileName))
  const source = readSource(fileName, text, {
    environment,
    readSecret: (path) => trimSecret(readFile(resolve(baseDirectory, path))),
  })
  const data = withoutEmptySections(source.data)
  const problems = [...source.problems]
  let parsed = configurationSchema.safeParse(data)
  if (!parsed.success) {
    const { issues } = parsed.error
    problems.push(...problemsOf(issues, data))
    // Misspelt keys alone do not hide the problems that are found later.
    if (issues.every(({ code }) => code === "unrecognized_keys"))
      parsed = configurationSchema.safeParse(withoutUnknownKeys(data, issues))
  }
  let configuration: Configuration | undefined
  if (parsed.success) {
    const resolved = resolveConfiguration(parsed.data, {
      baseDirectory,
      readFile,
      inlinePolicies: (policies) => ({
        path: resolve(fileName),
        section: inlineSection,
        policies,
        positionOf: source.positionOf,
      }),
    })
    configuration = resolved.configuration
    problems.push(...resolved.problems, ...checkConfiguration(configuration))
  }
  if (configuration !== undefined && problems.length === 0) return configuration
  throw invalidConfiguration(fileName, firstOfEachPath(problems), source.positionOf)
}

/** A section whose keys are all commented out reads as null: it means its defaults. */
function withoutEmptySections(data: unknown): unknown {
  if (data === null || data === undefined) return {}
  if (typeof data !== "object" || Array.isArray(data)) return data
  return Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null))
}

function withoutUnknownKeys(data: unknown, issues: readonly z.core.$ZodIssue[]): unknown {
  const copy = structuredClone(data)
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue
    const holder = valueAt(copy, issue.path.map(pathStep))
    if (typeof holder !== "object" || holder === null) continue
    for (const key of issue.keys) Reflect.deleteProperty(holder, key)
  }
  return copy
}

/** One cause is told once: what is said of a value whose variable is missing would only repeat it. */
function firstOfEachPath(problems: readonly Problem[]): Problem[] {
  const seen = new Set<string>()
  return problems.filter(({ path }) => {
    const key = JSON.stringify(path)
    const isFirst = path.length === 0 || !seen.has(key)
    seen.add(key)
    return isFirst
  })
}

/** Reads and validates the file; at start and for `check-config`. Throws as {@link parseConfiguration} does. */
export function loadConfiguration(path: string, environment: Environment): Configuration {
  let text: string
  try {
    text = readUtf8(path)
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unreadable"
    throw configurationError(`cannot read ${path}: ${code}`, undefined, cause)
  }
  return parseConfiguration(text, { environment, fileName: path })
}
