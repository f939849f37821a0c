import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"

export type KeyPath = readonly (string | number)[]

/** One thing wrong with the file. Messages never quote a value: it may be a secret. */
export type Problem = {
  readonly path: KeyPath
  readonly message: string
  /** Set where no path leads to the place. */
  readonly at?: Position
}

/** Line and column from 1, as editors count. */
export type Position = { readonly line: number; readonly column: number }

const plainKey = /^[A-Za-z_][\w-]*$/

/** `warehouses.mart.pool`, `control.tokens[0].scopes`. */
export function pathText(path: KeyPath): string {
  let out = ""
  for (const step of path) {
    if (typeof step === "number") out += `[${step}]`
    else if (!plainKey.test(step)) out += `[${JSON.stringify(step)}]`
    else out += out === "" ? step : `.${step}`
  }
  return out
}

/** Problems beyond this many are counted only. */
const problemsShownMax = 50

/** All problems of one file as one error: the number in `message`, one line for each in `detail`. */
export function invalidConfiguration(
  fileName: string,
  problems: readonly Problem[],
  positionOf: (path: KeyPath) => Position | undefined,
): GatewayError {
  const located = problems.map((problem) => ({
    problem,
    at: problem.at ?? positionOf(problem.path),
  }))
  located.sort(
    (a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0) || (a.at?.column ?? 0) - (b.at?.column ?? 0),
  )
  const lines = located.slice(0, problemsShownMax).map(({ problem, at }) => {
    const place = at === undefined ? fileName : `${fileName}:${at.line}:${at.column}`
    const path = pathText(problem.path)
    return path === "" ? `${place}: ${problem.message}` : `${place}: ${path}: ${problem.message}`
  })
  if (problems.length > problemsShownMax)
    lines.push(`and ${problems.length - problemsShownMax} more`)
  return configurationError(
    `invalid configuration in ${fileName}: ${problems.length === 1 ? "1 problem" : `${problems.length} problems`}`,
    lines.join("\n"),
  )
}

export function configurationError(
  message: string,
  detail?: string,
  cause?: unknown,
): GatewayError {
  return new GatewayError({
    sqlState: SqlState.ConfigFileError,
    reason: "invalid_configuration",
    severity: "FATAL",
    message,
    ...(detail === undefined ? {} : { detail }),
    ...(cause === undefined ? {} : { cause }),
  })
}
