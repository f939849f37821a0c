import { loadConfiguration } from "../config/load.ts"
import type { Environment } from "../config/substitute.ts"
import { GatewayError } from "../core/errors.ts"
import { createLog } from "../observe/log.ts"
import { buildIdentity } from "./build-identity.ts"
import type { Terminal } from "./terminal.ts"

/** More than any configuration lets a token have. */
const inputBytesMax = 64 * 1024

async function readAll(terminal: Terminal): Promise<string> {
  const chunks: Buffer[] = []
  let byteCount = 0
  for await (const chunk of terminal.input) {
    const bytes = Buffer.from(chunk as string | Uint8Array)
    byteCount += bytes.length
    if (byteCount > inputBytesMax) break
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString("utf8").trim()
}

/**
 * `sluice identity-check`: reads a token from standard input and tells what the gateway would make of it: user, roles, claims
 * and its end as JSON, or why it is refused. Asks nobody. Gives the exit code: 0 accepted, 1 refused.
 */
export async function identityCheckCommand(
  options: { readonly config: string; readonly environment: Environment },
  terminal: Terminal,
): Promise<number> {
  const configuration = loadConfiguration(options.config, options.environment)
  const tokens = buildIdentity(configuration, createLog({ level: "error", format: "pretty" }))
  if (tokens === undefined) {
    terminal.messages.write(`${options.config} has no section identity\n`)
    return 1
  }
  try {
    const { user, roles, claims, validUntilMs } = await tokens.verifier.verify(
      await readAll(terminal),
    )
    const validUntil = validUntilMs === undefined ? null : new Date(validUntilMs).toISOString()
    terminal.output.write(`${JSON.stringify({ user, roles, validUntil, claims }, null, 2)}\n`)
    return 0
  } catch (error) {
    if (!(error instanceof GatewayError) || error.reason !== "identity_refused") throw error
    const cause = error.cause instanceof Error ? error.cause.message : error.message
    terminal.messages.write(`refused: ${cause}\n`)
    return 1
  }
}
