import type { z } from "zod"
import type { PublishedFile } from "./json-schema.ts"
import { knownKeys } from "./known-keys.ts"
import { nearestName } from "./nearest-name.ts"
import type { KeyPath, Problem } from "./problems.ts"

type Issue = z.core.$ZodIssue

/** What people write from habit, and what there is in its place. */
const adviceByKey: ReadonlyMap<string, string> = new Map([
  ["users.password", "passwords are not kept here; make a verifier with `sluice verifier`"],
  ["control.tokens.token", "tokens are not kept here; keep the SHA-256 that `sluice token` prints"],
])

function adviceFor(path: KeyPath, key: string): string | undefined {
  const [room, second] = path
  if (room === "users") return adviceByKey.get(`users.${key}`)
  return adviceByKey.get(`${String(room)}.${String(second)}.${key}`)
}

function unknownKey(path: KeyPath, key: string, file: PublishedFile): Problem {
  const known = knownKeys(path, file)
  const where = [...path, key]
  const advice = adviceFor(path, key)
  if (advice !== undefined) return { path: where, message: `unknown key; ${advice}` }
  if (known.includes(key)) return { path: where, message: "does not belong to this engine" }
  const near = nearestName(key, known)
  const hint = near === undefined ? `known keys: ${known.join(", ")}` : `did you mean "${near}"?`
  return { path: where, message: `unknown key; ${hint}` }
}

const typeNames: ReadonlyMap<string, string> = new Map([
  ["object", "a map of keys"],
  ["record", "a map of names"],
  ["array", "a list"],
  ["string", "text"],
])

export function valueAt(data: unknown, path: KeyPath): unknown {
  let value = data
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

function messageFor(issue: Issue, value: unknown, file: PublishedFile): string {
  if (issue.code === "invalid_type") {
    if (value === undefined || value === null) return "is required"
    return issue.message.startsWith("Invalid input")
      ? `must be ${typeNames.get(issue.expected) ?? issue.expected}`
      : issue.message
  }
  if (issue.code === "invalid_value") {
    const values = issue.values.map(String)
    const near = typeof value === "string" ? nearestName(value, values) : undefined
    const expected = `must be ${values.length === 1 ? "" : "one of "}${values.join(", ")}`
    return near === undefined ? expected : `${expected}; did you mean "${near}"?`
  }
  if (issue.code === "invalid_key") return issue.issues[0]?.message ?? issue.message
  if (issue.code === "invalid_union") {
    const isOwn = !issue.message.startsWith("Invalid")
    if (isOwn) return issue.message
    return file === "configuration"
      ? "must be one of postgres, duckdb"
      : "is not of a form that fits here"
  }
  return issue.message
}

export function pathStep(step: PropertyKey): string | number {
  return typeof step === "number" ? step : String(step)
}

/** The schema's findings in the words of the file's author. */
export function problemsOf(
  issues: readonly Issue[],
  data: unknown,
  file: PublishedFile = "configuration",
): Problem[] {
  return issues.flatMap((issue): Problem[] => {
    const path = issue.path.map(pathStep)
    if (issue.code === "unrecognized_keys")
      return issue.keys.map((key) => unknownKey(path, key, file))
    return [{ path, message: messageFor(issue, valueAt(data, path), file) }]
  })
}
