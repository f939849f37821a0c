import { checkIdentity } from "./check-identity.ts"
import { checkTimeBuckets } from "./check-time-buckets.ts"
import type { Configuration } from "./configuration.ts"
import { nearestName } from "./nearest-name.ts"
import type { KeyPath, Problem } from "./problems.ts"

type Report = (path: KeyPath, message: string) => void

function unknownName(kind: string, name: string, known: readonly string[]): string {
  const near = nearestName(name, known)
  return `names no ${kind} of this file${near === undefined ? "" : `; did you mean "${near}"?`}`
}

function checkDatabases(configuration: Configuration, report: Report): ReadonlySet<string> {
  const ownerOf = new Map<string, string>()
  if (Object.keys(configuration.warehouses).length === 0)
    report(["warehouses"], "must name at least one warehouse")
  for (const [name, { databases }] of Object.entries(configuration.warehouses)) {
    for (const database of databases) {
      const owner = ownerOf.get(database)
      if (owner !== undefined)
        report(
          ["warehouses", name, "databases"],
          `database "${database}" already belongs to ${owner === name ? "it" : `warehouse ${owner}`}`,
        )
      ownerOf.set(database, name)
    }
  }
  return new Set(ownerOf.keys())
}

function checkUsers(configuration: Configuration, databases: ReadonlySet<string>, report: Report) {
  const roles = Object.keys(configuration.roles)
  if (Object.keys(configuration.users).length === 0)
    report(["users"], "must name at least one user")
  for (const [name, user] of Object.entries(configuration.users)) {
    for (const [index, role] of user.roles.entries())
      if (!roles.includes(role))
        report(["users", name, "roles", index], unknownName("role", role, roles))
    for (const [index, database] of (user.databases ?? []).entries())
      if (!databases.has(database))
        report(
          ["users", name, "databases", index],
          unknownName("database", database, [...databases]),
        )
  }
}

const anyHosts = new Set(["0.0.0.0", "::", "[::]"])

function checkListeners({ listen, control }: Configuration, report: Report): void {
  const sameHost =
    listen.host === control.host || anyHosts.has(listen.host) || anyHosts.has(control.host)
  if (listen.port === control.port && listen.port !== 0 && sameHost)
    report(["control", "port"], "is the same as listen.port")
  const names = new Set<string>()
  const digests = new Set<string>()
  for (const [index, token] of control.tokens.entries()) {
    if (names.has(token.name)) report(["control", "tokens", index, "name"], "is used twice")
    if (token.sha256 !== "" && digests.has(token.sha256))
      report(["control", "tokens", index, "sha256"], "is the token of another entry")
    names.add(token.name)
    digests.add(token.sha256)
  }
}

const askForCertificates = "listen.tls.clientCertificate: optional or require"

/** A rule about certificates that nobody asks for would let nobody in, or everybody who ignores it. */
function checkCertificates({ listen, users }: Configuration, report: Report): void {
  const { tls } = listen
  const isAsked = tls !== undefined && tls.clientCertificate !== "off"
  if (isAsked && tls.clientCaFile === undefined)
    report(["listen", "tls", "clientCaFile"], "is required with clientCertificate")
  if (!isAsked && (tls?.clientCaFile !== undefined || tls?.clientCrlFile !== undefined))
    report(["listen", "tls", "clientCertificate"], "is off, so that no certificate is asked for")
  for (const [name, { auth, trustUserFrom }] of Object.entries(users))
    if (auth === "certificate" && trustUserFrom !== undefined)
      report(["users", name, "trustUserFrom"], "needs a password, and auth: certificate has none")
  if (isAsked) return
  for (const [name, { auth, requireClientCertificate, trustedCertificate }] of Object.entries(
    users,
  )) {
    if (trustedCertificate !== undefined)
      report(["users", name, "trustedCertificate"], `needs ${askForCertificates}`)
    const key = auth === "certificate" ? "auth" : "requireClientCertificate"
    if (auth === "certificate" || requireClientCertificate !== undefined)
      report(["users", name, key], `needs ${askForCertificates}`)
  }
}

function checkSizes({ listen, cache, sql }: Configuration, report: Report): void {
  if (cache.entryBytesMax > cache.memoryBytesMax)
    report(["cache", "entryBytesMax"], "is larger than cache.memoryBytesMax")
  if (sql.statementBytesMax > listen.messageBytesMax)
    report(["sql", "statementBytesMax"], "is larger than listen.messageBytesMax")
}

/** A session that writes gets the warehouse's bytes as they are, so that nothing counts its rows or looks at its queries. */
const limitsOfReads = ["rowLimit", "resultBytesMax", "costMax", "rowsEstimatedMax"] as const

function checkRoles({ roles, classes }: Configuration, report: Report): void {
  const classNames = Object.keys(classes)
  for (const [name, role] of Object.entries(roles)) {
    if (role.class !== undefined && !classNames.includes(role.class))
      report(["roles", name, "class"], unknownName("class", role.class, classNames))
    if (!role.write) continue
    const limit = limitsOfReads.find((key) => role[key] > 0)
    const key = role.forbid.length > 0 ? "forbid" : limit
    if (key !== undefined) report(["roles", name, "write"], `does not go together with ${key}`)
  }
}

/** What no key can say alone: names that refer to each other, and limits that only make sense together. */
export function checkConfiguration(configuration: Configuration): readonly Problem[] {
  const problems: Problem[] = []
  const report: Report = (path, message) => problems.push({ path, message })
  const databases = checkDatabases(configuration, report)
  checkUsers(configuration, databases, report)
  checkIdentity(configuration, databases, report)
  checkListeners(configuration, report)
  checkCertificates(configuration, report)
  checkSizes(configuration, report)
  checkRoles(configuration, report)
  checkTimeBuckets(configuration, report)
  return problems
}
