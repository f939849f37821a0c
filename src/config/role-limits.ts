import type { RoleConfiguration, RoleLimits } from "./configuration.ts"
import { limitDefaults } from "./limits-schema.ts"
import type { ParsedConfiguration } from "./schema.ts"

/** Roles with every limit filled in: the role's own word, else its class's, else the default. */
export function rolesWithLimits({
  roles,
  classes,
}: ParsedConfiguration): Readonly<Record<string, RoleConfiguration>> {
  const out: Record<string, RoleConfiguration> = Object.create(null)
  for (const [name, role] of Object.entries(roles)) {
    const shared =
      role.class !== undefined && Object.hasOwn(classes, role.class) ? classes[role.class] : {}
    const { relations, write, explain, class: className } = role
    out[name] = { relations, write, explain, class: className, ...limitsOf(role, shared ?? {}) }
  }
  return out
}

/** What a role or a class says. */
type Said = { readonly [Key in keyof RoleLimits]?: RoleLimits[Key] | undefined }

function limitsOf(role: Said, shared: Said): RoleLimits {
  return {
    rowLimit: role.rowLimit ?? shared.rowLimit ?? limitDefaults.rowLimit,
    onExceed: role.onExceed ?? shared.onExceed ?? limitDefaults.onExceed,
    resultBytesMax: role.resultBytesMax ?? shared.resultBytesMax ?? limitDefaults.resultBytesMax,
    statementTimeoutMs:
      role.statementTimeoutMs ?? shared.statementTimeoutMs ?? limitDefaults.statementTimeoutMs,
    queueTimeoutMs: role.queueTimeoutMs ?? shared.queueTimeoutMs ?? limitDefaults.queueTimeoutMs,
    costMax: role.costMax ?? shared.costMax ?? limitDefaults.costMax,
    rowsEstimatedMax:
      role.rowsEstimatedMax ?? shared.rowsEstimatedMax ?? limitDefaults.rowsEstimatedMax,
    cache: role.cache ?? shared.cache ?? limitDefaults.cache,
    cacheHints: role.cacheHints ?? shared.cacheHints ?? limitDefaults.cacheHints,
    cacheAgeMsMax: role.cacheAgeMsMax ?? shared.cacheAgeMsMax ?? limitDefaults.cacheAgeMsMax,
    timeBucketMs: role.timeBucketMs ?? shared.timeBucketMs ?? limitDefaults.timeBucketMs,
    forbid: role.forbid ?? shared.forbid ?? limitDefaults.forbid,
  }
}
