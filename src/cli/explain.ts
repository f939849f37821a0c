import { loadConfiguration } from "../config/load.ts"
import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { type Explanation, explain } from "../pipeline/explain.ts"
import type { Terminal } from "./terminal.ts"
import { Workbench } from "./workbench.ts"

export type ExplainOptions = {
  readonly config: string
  readonly user?: string
  /** Names of roles in place of the user's own, separated by commas. */
  readonly roles?: string
  readonly database?: string
  readonly searchPath?: string
  /** JSON object in place of the user's own claims. */
  readonly claims?: string
  readonly json: boolean
}

/**
 * `sluice explain`: what the gateway would do with one statement of one user: relations, policies, limits, cacheable or why not,
 * key, and the SQL that would run. Connects to the warehouse for its catalogue; runs nothing. Gives the exit code: 0 allowed, 1
 * refused.
 */
export async function explainCommand(
  sql: string,
  options: ExplainOptions,
  terminal: Terminal,
): Promise<number> {
  const configuration = loadConfiguration(options.config, process.env)
  const claims = claimsOf(options.claims)
  const roles = options.roles?.split(",").map((role) => role.trim())
  const isNobody = options.user === undefined && roles === undefined
  const user = isNobody ? Object.keys(configuration.users)[0] : options.user
  const workbench = await Workbench.open(configuration)
  try {
    const { database, searchPath } = options
    const question = await workbench.question(
      sql,
      { user, roles, claims },
      { database, searchPath },
    )
    const explanation = await explain(question, await workbench.rooms(database))
    terminal.output.write(
      options.json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation),
    )
    return explanation.verdict === "allowed" ? 0 : 1
  } finally {
    await workbench.close()
  }
}

function claimsOf(text: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (text === undefined) return undefined
  let claims: unknown
  try {
    claims = JSON.parse(text)
  } catch {
    claims = undefined
  }
  if (typeof claims === "object" && claims !== null && !Array.isArray(claims))
    return claims as Readonly<Record<string, unknown>>
  throw new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_parameter",
    message: "--claims takes a JSON object",
  })
}

const labelChars = 20

function explanationText(explanation: Explanation): string {
  const { identity, refusal } = explanation
  const claims =
    Object.keys(identity.claims).length === 0 ? "none" : JSON.stringify(identity.claims)
  const rows: readonly (readonly [string, string])[] = [
    ["user", identity.user],
    ["roles", identity.roles.join(", ") || "none"],
    ["claims", claims],
    ["statement", explanation.statement],
    ["verdict", explanation.verdict],
    ...(refusal === undefined
      ? []
      : ([
          ["refusal", `${refusal.sqlState} ${refusal.reason}: ${refusal.message}`],
          ["hint", refusal.hint ?? "none"],
        ] as const)),
    ["relations", explanation.relations.join(", ") || "none"],
    ["policies", explanation.policies.join("; ") || "none"],
    ["guards", explanation.guards.join("; ") || "none"],
    ["class", explanation.workloadClass ?? "none"],
    ...(refusal === undefined ? whenAllowed(explanation) : []),
  ]
  return rows.map(([name, value]) => `${name.padEnd(labelChars)}${value}\n`).join("")
}

function whenAllowed(explanation: Explanation): readonly (readonly [string, string])[] {
  const { rowLimit, resultBytesMax, statementTimeoutMs } = explanation
  const { ttlMs, ttlClass, reason, cacheable } = explanation
  return [
    ["row limit", rowLimit === undefined ? "none" : String(rowLimit)],
    ["byte limit", resultBytesMax === undefined ? "none" : String(resultBytesMax)],
    ["time-out", statementTimeoutMs === 0 ? "none" : `${statementTimeoutMs} ms`],
    ["cacheable", cacheable ? "yes" : `no: ${reason ?? "refused"}`],
    ["TTL class", `${ttlClass}, ${ttlMs} ms at most`],
    ...(explanation.timeBucket === undefined
      ? []
      : [["time bucket", `now() is ${explanation.timeBucket}`] as const]),
    ["key", explanation.key ?? "none"],
    ["key scope", explanation.keyScope ?? "none"],
    ["route", explanation.route ?? "none"],
    ["SQL that would run", explanation.sql ?? "none"],
  ]
}
