import { loadConfiguration } from "../config/load.ts"
import { redactConfiguration } from "../config/redact.ts"
import type { Environment } from "../config/substitute.ts"
import { GatewayError } from "../core/errors.ts"
import { createLog } from "../observe/log.ts"
import { loadParser } from "../sql/parser.ts"
import { buildIdentity } from "./build-identity.ts"
import { loadPolicies } from "./policies.ts"
import type { Terminal } from "./terminal.ts"

export type CheckConfigOptions = {
  readonly path: string
  readonly printsEffectiveConfig: boolean
  readonly environment: Environment
}

/**
 * `sluice check-config`: reads the file as `serve` would, keys of tokens and policies included, and lists every problem with its line. With
 * `--print-effective-config` the whole configuration, defaults included and secrets hidden, goes to standard output as
 * JSON, which is YAML too. Gives the exit code: 0 good, 1 not.
 */
export async function checkConfigCommand(
  terminal: Terminal,
  options: CheckConfigOptions,
): Promise<number> {
  try {
    const configuration = loadConfiguration(options.path, options.environment)
    await loadParser()
    const loaded = loadPolicies(configuration)
    if (loaded !== undefined)
      terminal.messages.write(`policies for ${loaded.policies.relations.length} relations\n`)
    const identity = buildIdentity(configuration, createLog({ level: "error", format: "pretty" }))
    for (const { kid, algorithm } of identity?.keys() ?? [])
      terminal.messages.write(`identity key ${kid ?? "without kid"}: ${algorithm}\n`)
    if (options.printsEffectiveConfig)
      terminal.output.write(`${JSON.stringify(redactConfiguration(configuration), null, 2)}\n`)
    else terminal.messages.write(`${options.path}: ok\n`)
    return 0
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    terminal.messages.write(`${describeConfigurationError(error)}\n`)
    return 1
  }
}

/** Message, then one line a problem; also what `serve` prints when it cannot start. */
export function describeConfigurationError(error: GatewayError): string {
  return error.detail === undefined ? error.message : `${error.message}\n${error.detail}`
}
