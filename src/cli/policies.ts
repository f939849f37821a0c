import { type Stats, statSync } from "node:fs"
import type { Configuration } from "../config/configuration.ts"
import {
  invalidPolicies,
  type PoliciesFile,
  readInlinePolicies,
  readPoliciesFile,
} from "../config/policies-file.ts"
import { policiesSchema } from "../config/policies-schema.ts"
import { type GatewayError, toGatewayError } from "../core/errors.ts"
import type { Log } from "../observe/log.ts"
import { compilePolicies, type PolicyProblem } from "../policy/compile.ts"
import { Policy } from "../policy/policy.ts"
import type { RelationPolicies } from "../policy/relation-policy.ts"
import type { RolePolicy } from "../policy/rules.ts"

/** How often the policies are looked at. Changed ones hold within this and the time one reading of the catalogue takes. */
const pollMs = 2_000

/** Policies that may come into force, and the file that they stand in. */
export type LoadedPolicies = { readonly file: PoliciesFile; readonly policies: RelationPolicies }

/**
 * Reads and compiles the policies of a configuration, from their own file or the configuration's; undefined when it has none.
 * Throws `invalid_configuration` with path and line for each problem. The parser must be loaded.
 */
export function loadPolicies(configuration: Configuration): LoadedPolicies | undefined {
  const { policiesFile, inlinePolicies } = configuration
  const file = policiesFile === undefined ? inlinePolicies : readPoliciesFile(policiesFile)
  return file === undefined ? undefined : compiled(file, configuration)
}

/** As {@link loadPolicies}, with what stands in the configuration's file by now. */
function reloadPolicies(configuration: Configuration): LoadedPolicies | undefined {
  const { inlinePolicies } = configuration
  if (inlinePolicies === undefined) return loadPolicies(configuration)
  return compiled(readInlinePolicies(inlinePolicies.path, process.env), configuration)
}

function compiled(file: PoliciesFile, configuration: Configuration): LoadedPolicies {
  const { policies, problems } = compilePolicies(file.policies, Object.keys(configuration.roles))
  const all = [...problems, ...problemOfWarehouse(configuration, file.policies.claimsFrom)]
  if (all.length > 0) throw invalidPolicies(file, all)
  return { file, policies }
}

/** Where there are no policies, too, the row rules that a token brings hold. */
function inForce(
  loaded: LoadedPolicies | undefined,
  { identity }: Configuration,
): RelationPolicies | undefined {
  if (loaded !== undefined || identity === undefined) return loaded?.policies
  return compilePolicies(policiesSchema.parse({}), []).policies
}

function problemOfWarehouse(
  { warehouses }: Configuration,
  claimsFrom: { readonly warehouse?: string | undefined } | undefined,
): readonly PolicyProblem[] {
  if (claimsFrom === undefined) return []
  const { warehouse } = claimsFrom
  if (warehouse === undefined)
    return Object.keys(warehouses).length < 2
      ? []
      : [{ path: ["claimsFrom"], message: "must name a warehouse, because there are several" }]
  return Object.hasOwn(warehouses, warehouse)
    ? []
    : [{ path: ["claimsFrom", "warehouse"], message: "names no warehouse of the configuration" }]
}

/** What reading the policies again came to. `none`: the configuration has no policies. */
export type PolicyReload =
  | { readonly kind: "none" }
  | { readonly kind: "unchanged" | "changed"; readonly version: string; readonly relations: number }
  | { readonly kind: "failed"; readonly error: GatewayError }

/** The policy in force. Policies that have a fault leave those before them in force. */
export class PolicySource {
  readonly counts = { ok: 0, failed: 0 }
  #configuration: Configuration
  readonly #log: Log
  readonly #path: string | undefined
  readonly #timer: NodeJS.Timeout | undefined
  #current: Policy
  #seen: string
  #onChanged: () => void = () => {}

  /** Throws as {@link loadPolicies} does. */
  constructor(configuration: Configuration, log: Log) {
    this.#configuration = configuration
    this.#log = log
    this.#path = configuration.policiesFile ?? configuration.inlinePolicies?.path
    // Before the file is read: a change that comes between is then seen by the first look.
    this.#seen = this.#signature()
    this.#current = policyOf(configuration, inForce(loadPolicies(configuration), configuration))
    if (this.#path !== undefined) this.#timer = setInterval(() => this.#poll(), pollMs).unref()
  }

  get current(): Policy {
    return this.#current
  }

  /** Called after another policy has come into force, in the same turn of the event loop. */
  onChanged(listener: () => void): void {
    this.#onChanged = listener
  }

  /** Reads the policies now, changed or not, against the roles of this configuration. */
  reload(configuration: Configuration = this.#configuration): PolicyReload {
    let policies: RelationPolicies | undefined
    try {
      policies = inForce(reloadPolicies(configuration), configuration)
    } catch (thrown) {
      const error = toGatewayError(thrown)
      this.counts.failed += 1
      this.#log.error("cannot use the new policies; the old ones stay in force", {
        error,
        problems: error.detail,
      })
      return { kind: "failed", error }
    }
    this.#configuration = configuration
    const made = policyOf(configuration, policies)
    const isChanged = made.version !== this.#current.version
    if (isChanged) {
      this.#current = made
      this.#onChanged()
      this.#log.info("read the policies again", { version: made.version.slice(0, 12) })
    }
    if (this.#path === undefined) return { kind: "none" }
    this.counts.ok += 1
    const version = (policies?.version ?? "").slice(0, 12)
    const relations = policies?.relations.length ?? 0
    return { kind: isChanged ? "changed" : "unchanged", version, relations }
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
    return this.#path === undefined ? "" : shown(statSync(this.#path, { throwIfNoEntry: false }))
  }
}

function shown(found: Stats | undefined): string {
  return found === undefined ? "" : `${found.ino}:${found.mtimeMs}:${found.size}`
}

function policyOf(configuration: Configuration, relations: RelationPolicies | undefined): Policy {
  return new Policy(rolePolicies(configuration), relations)
}

export function rolePolicies({ roles }: Configuration): readonly RolePolicy[] {
  return Object.entries(roles).map(([name, role]) => ({
    name,
    relations: role.relations,
    rowLimit: role.rowLimit === 0 ? undefined : role.rowLimit,
    onExceed: role.onExceed,
    statementTimeoutMs: role.statementTimeoutMs,
    mayCache: role.cache === "on",
    caching: {
      hints: role.cacheHints,
      ageMsMax: role.cacheAgeMsMax === 0 ? undefined : role.cacheAgeMsMax,
      timeBucketMs: role.timeBucketMs,
    },
    mayWrite: role.write,
    guards: {
      workloadClass: role.class,
      resultBytesMax: role.resultBytesMax || undefined,
      queueTimeoutMs: role.queueTimeoutMs || undefined,
      costMax: role.costMax || undefined,
      rowsEstimatedMax: role.rowsEstimatedMax || undefined,
      forbid: role.forbid,
      explain: role.explain,
    },
  }))
}
