import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { AbortScope } from "../pipeline/abort-scope.ts"
import { canonicalValue } from "./session-commands.ts"
import type { SessionOrigin } from "./session-state.ts"
import { settingRule, valuesOfText } from "./setting-table.ts"
import type { SessionSettings } from "./settings.ts"

/** Startup parameters that are no settings (PostgreSQL manual, 54.2.1). */
const notSettings: ReadonlySet<string> = new Set(["user", "database", "options", "replication"])

/**
 * Carries a signed assertion: a startup parameter or an option, never a setting. No SQL can set it or show it, nothing
 * forwards it, and the session forgets it once the login is over.
 */
const identityParameter = "sluice.identity"

/** The token of a startup packet, or undefined. Two are refused: which of them counts must not depend on their order. */
export function identityTokenOf(parameters: ReadonlyMap<string, string>): string | undefined {
  const options = parameters.get("options")
  const own = parameters.get(identityParameter)
  if (options === undefined) return own
  const { settings, problem } = optionSettings(options)
  // The whole packet is refused for them once it is known who asks (applyStartupSettings), and no session comes of it.
  if (problem !== undefined) return own
  const tokens = settings.flatMap(([name, value]) => (name === identityParameter ? [value] : []))
  if (own !== undefined) tokens.push(own)
  if (tokens.length > 1) throw givenTwice()
  return tokens[0]
}

/**
 * Applies the startup packet's settings: its own pairs, and `-c name=value` inside `options`. What is not on the allow-list is
 * refused by name, because a client that asked for it must not believe it has it.
 */
export async function applyStartupSettings(
  parameters: ReadonlyMap<string, string>,
  settings: SessionSettings,
  origin: SessionOrigin,
): Promise<void> {
  if (parameters.has("replication") && !isOff(parameters.get("replication")))
    throw refused("replication")
  const options = optionSettings(parameters.get("options") ?? "")
  if (options.problem !== undefined) throw options.problem
  const asked = [...options.settings, ...[...parameters].filter(([name]) => !notSettings.has(name))]
  for (const [name, value] of asked) {
    if (name === identityParameter) continue
    const entry = settingRule(name)
    if (entry === undefined) throw refused(name)
    const state = { settings, origin, abort: new AbortScope() }
    settings.set(entry, await canonicalValue(entry, valuesOfText(entry, value), state), false)
  }
  settings.keepAsStartup()
}

function isOff(value: string | undefined): boolean {
  return value === undefined || /^(false|off|no|0)$/i.test(value)
}

type Options = {
  readonly settings: readonly (readonly [string, string])[]
  /** What is wrong with the first word that is none of them: told once it is known who asks. */
  readonly problem: GatewayError | undefined
}

/** `-c name=value`, `-cname=value` and `--name=value`, split at blanks; a backslash escapes a blank (PostgreSQL manual, 32.1.2). */
function optionSettings(options: string): Options {
  const words = [...options.matchAll(/(?:\\.|[^\s\\])+/gs)].map(([word]) =>
    word.replaceAll(/\\(.)/gs, "$1"),
  )
  const settings: (readonly [string, string])[] = []
  let problem: GatewayError | undefined
  for (let index = 0; index < words.length; index += 1) {
    let word = words[index] ?? ""
    const isLong = word.startsWith("--")
    if (word === "-c") {
      index += 1
      word = words[index] ?? ""
    } else if (isLong || word.startsWith("-c")) word = word.slice(2)
    else problem ??= refused(word)
    const at = word.indexOf("=")
    if (index === words.length) problem ??= optionWithoutName()
    else if (at > 0) settings.push([word.slice(0, at).replaceAll("-", "_"), word.slice(at + 1)])
    else if (at === 0) problem ??= refused(word)
    else problem ??= optionWithoutValue(`${isLong ? "--" : "-c "}${masked(word)}`)
  }
  return { settings, problem }
}

function givenTwice(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "identity_refused",
    severity: "FATAL",
    message: `"${identityParameter}" is given more than once`,
  })
}

/** A word that could be a token, which a blank in place of `=` leaves on its own, is not repeated. */
const tokenLike = /eyJ[\w-]*\.[\w-]+/

function masked(word: string): string {
  return tokenLike.test(word) ? "***" : word
}

/** process_postgres_switches (postgres.c) on `-c name`, on `--name` and on `-c` alone. */
function optionWithoutValue(option: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.SyntaxError,
    reason: "startup_setting_refused",
    severity: "FATAL",
    message: `${option} requires a value`,
  })
}

function optionWithoutName(): GatewayError {
  return new GatewayError({
    sqlState: SqlState.SyntaxError,
    reason: "startup_setting_refused",
    severity: "FATAL",
    message: "invalid command-line argument for server process: -c",
    hint: 'Try "postgres --help" for more information.',
  })
}

function refused(word: string): GatewayError {
  const name = masked(word)
  return new GatewayError({
    sqlState: SqlState.FeatureNotSupported,
    reason: "startup_setting_refused",
    severity: "FATAL",
    message: `startup setting "${name}" is not supported by this gateway`,
    hint: "docs/ERRORS.md lists the settings that a session may change.",
  })
}
