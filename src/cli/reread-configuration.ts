import type { Configuration } from "../config/configuration.ts"
import { GatewayError } from "../core/errors.ts"
import type { Log } from "../observe/log.ts"

/** Sections that a running gateway takes over; all others are as they were at its start. */
const taken: ReadonlySet<string> = new Set(["roles", "users", "inlinePolicies"])

/**
 * The configuration as it was at the start, with the roles and users that its file has now. Undefined when the file has a fault:
 * it is logged, and everything stays as it is.
 */
export function rereadConfiguration(
  started: Configuration,
  reread: () => Configuration,
  log: Log,
): Configuration | undefined {
  let read: Configuration
  try {
    read = reread()
  } catch (error) {
    const problems = error instanceof GatewayError ? error.detail : undefined
    log.error("cannot use the new configuration; the old one stays in force", { error, problems })
    return undefined
  }
  const sections = Object.keys(read).filter(
    (name) => !taken.has(name) && sectionText(read, name) !== sectionText(started, name),
  )
  if (sections.length > 0)
    log.warn("changes of the configuration need a restart to hold", { sections })
  return { ...started, roles: read.roles, users: read.users }
}

function sectionText(configuration: Configuration, name: string): string | undefined {
  return JSON.stringify(configuration[name as keyof Configuration])
}
