import { type Stats, statSync } from "node:fs"
import type { Configuration } from "../config/configuration.ts"
import { invalidPolicies, readPoliciesFile } from "../config/policies-file.ts"
import { GatewayError } from "../core/errors.ts"
import type { Log } from "../observe/log.ts"
import { compilePolicies } from "../policy/compile.ts"
import { Policy } from "../policy/policy.ts"
import type { RelationPolicies } from "../policy/relation-policy.ts"

/** How often the policies file is looked at. A changed file holds within this and the time one reading of the catalogue takes. */
const pollMs = 2_000

/**
 * Reads and compiles the policies file of a configuration; undefined when it names none. Throws `invalid_configuration` with
 * path and line for each problem. The parser must be loaded.
 */
export function loadPolicies(configuration: Configuration): RelationPolicies | undefined {
  const { policiesFile, roles } = configuration
  if (policiesFile === undefined) return undefined
  const file = readPoliciesFile(policiesFile)
  const { policies, problems } = compilePolicies(file.policies, Object.keys(roles))
  if (problems.length > 0) throw invalidPolicies(file, problems)
  return policies
}

/** The policy in force. A file that has a fault leaves the one before it in force. */
export class PolicySource {
  readonly counts = { ok: 0, failed: 0 }
  readonly #configuration: Configuration
  readonly #log: Log
  readonly #timer: NodeJS.Timeout | undefined
  #current: Policy
  #seen: string
  #onChanged: () => void = () => {}

  /** Throws as {@link loadPolicies} does. */
  constructor(configuration: Configuration, log: Log) {
    this.#configuration = configuration
    this.#log = log
    // Before the file is read: a change that comes between is then seen by the first look.
    this.#seen = this.#signature()
    this.#current = policyOf(configuration, loadPolicies(configuration))
    if (configuration.policiesFile !== undefined)
      this.#timer = setInterval(() => this.#poll(), pollMs).unref()
  }

  get current(): Policy {
    return this.#current
  }

  /** Called after another policy has come into force, in the same turn of the event loop. */
  onChanged(listener: () => void): void {
    this.#onChanged = listener
  }

  /** Reads the file now, changed or not. */
  reload(): void {
    if (this.#configuration.policiesFile === undefined) return
    let policies: RelationPolicies | undefined
    try {
      policies = loadPolicies(this.#configuration)
    } catch (error) {
      this.counts.failed += 1
      const problems = error instanceof GatewayError ? error.detail : undefined
      this.#log.error("cannot use the new policies; the old ones stay in force", {
        error,
        problems,
      })
      return
    }
    this.counts.ok += 1
    if (policies?.version === this.#current.relations?.version) return
    this.#current = policyOf(this.#configuration, policies)
    this.#onChanged()
    this.#log.info("read the policies again", { version: policies?.version.slice(0, 12) })
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #poll(): void {
    const signature = this.#signature()
    if (signature === this.#seen) return
    this.#seen = signature
    this.reload()
  }

  #signature(): string {
    const { policiesFile } = this.#configuration
    return policiesFile === undefined
      ? ""
      : shown(statSync(policiesFile, { throwIfNoEntry: false }))
  }
}

function shown(found: Stats | undefined): string {
  return found === undefined ? "" : `${found.ino}:${found.mtimeMs}:${found.size}`
}

function policyOf(configuration: Configuration, relations: RelationPolicies | undefined): Policy {
  return new Policy(
    Object.entries(configuration.roles).map(([name, role]) => ({
      name,
      relations: role.relations,
      rowLimit: role.rowLimit === 0 ? undefined : role.rowLimit,
      onExceed: role.onExceed,
      statementTimeoutMs: role.statementTimeoutMs,
      mayCache: role.cache === "on",
      mayWrite: role.write,
    })),
    relations,
  )
}
