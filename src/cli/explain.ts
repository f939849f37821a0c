import { loadConfiguration } from "../config/load.ts"
import { GatewayError } from "../core/errors.ts"
import { noParameters } from "../core/parameters.ts"
import { SqlState } from "../core/sql-state.ts"
import { createLog } from "../observe/log.ts"
import { AbortScope } from "../pipeline/abort-scope.ts"
import { statementsOf } from "../pipeline/answer.ts"
import { type Explanation, explain, onlyOne } from "../pipeline/explain.ts"
import { settingRule, valuesOfText } from "../session/setting-table.ts"
import { SessionSettings } from "../session/settings.ts"
import { buildRooms } from "./build-rooms.ts"
import type { Terminal } from "./terminal.ts"

export type ExplainOptions = {
  readonly config: string
  readonly user?: string
  readonly database?: string
  readonly searchPath?: string
  /** JSON object in place of the user's own claims. */
  readonly claims?: string
  readonly json: boolean
}

/**
 * `sluice explain`: what the gateway would do with one statement of one user: relations, limits, cacheable or why not, key,
 * and the SQL that would run. Connects to the warehouse for its catalogue; runs nothing. Gives the exit code: 0 allowed, 1
 * refused.
 */
export async function explainCommand(
  sql: string,
  options: ExplainOptions,
  terminal: Terminal,
): Promise<number> {
  const configuration = loadConfiguration(options.config, process.env)
  const user = options.user ?? Object.keys(configuration.users)[0] ?? ""
  const record = configuration.users[user]
  if (record === undefined) throw notConfigured("user", user)
  const built = await buildRooms(configuration, createLog({ level: "error", format: "pretty" }))
  try {
    const database = options.database ?? [...built.routes.keys()][0] ?? ""
    const route = built.routes.get(database)
    if (route === undefined) throw notConfigured("database", database)
    const { rooms } = route
    await rooms.catalog.refreshNow()
    const settings = new SessionSettings(route.defaults(), user, route.rooms.mayHaveSchema)
    const searchPath = settingRule("search_path")
    if (options.searchPath !== undefined && searchPath !== undefined) {
      const values = valuesOfText(searchPath, options.searchPath)
      settings.set(searchPath, searchPath.canonical(values, settings.view), false)
    }
    const explanation = await explain(
      {
        statement: onlyOne(await statementsOf(sql, rooms)),
        parseMs: 0,
        parameters: noParameters,
        resultFormats: [],
        protocol: "simple",
        identity: { user, roles: record.roles, claims: claimsOf(options.claims) ?? record.claims },
        database,
        settings: settings.view,
        caching: "on",
        statementTimeoutMs: 0,
        transaction: undefined,
        abort: new AbortScope(),
      },
      rooms,
    )
    terminal.output.write(
      options.json ? `${JSON.stringify(explanation, null, 2)}\n` : asText(explanation),
    )
    return explanation.verdict === "allowed" ? 0 : 1
  } finally {
    await built.close()
  }
}

function notConfigured(what: string, name: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidParameterValue,
    reason: "invalid_configuration",
    message: `${what} "${name}" is not in the configuration`,
  })
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

function asText(explanation: Explanation): string {
  const { rowLimit, statementTimeoutMs, ttlMs, reason, cacheable } = explanation
  const rows: readonly (readonly [string, string])[] = [
    ["statement", explanation.statement],
    ["verdict", explanation.refusal ?? explanation.verdict],
    ["relations", explanation.relations.join(", ") || "none"],
    ["policies", explanation.policies.join("; ") || "none"],
    ["row limit", rowLimit === undefined ? "none" : String(rowLimit)],
    ["time-out", statementTimeoutMs === 0 ? "none" : `${statementTimeoutMs} ms`],
    ["cacheable", cacheable ? `yes, for ${ttlMs} ms at most` : `no: ${reason ?? "refused"}`],
    ["key", explanation.key ?? "none"],
    ["SQL that would run", explanation.sql ?? "none"],
  ]
  return rows.map(([name, value]) => `${name.padEnd(20)}${value}\n`).join("")
}
