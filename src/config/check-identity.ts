import { isIP } from "node:net"
import type { Configuration, UserConfiguration } from "./configuration.ts"
import type { KeyPath } from "./problems.ts"

type Report = (path: KeyPath, message: string) => void

/** An address with a prefix length that fits its family; a length of 0 would trust everybody. */
function isNetwork(text: string): boolean {
  const [address = "", prefix = ""] = text.split("/")
  const family = isIP(address)
  return family !== 0 && Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128)
}

/** Whoever may name any user must come over TLS, and from a place or with a certificate that others do not have. */
function checkTrust(
  configuration: Configuration,
  name: string,
  user: UserConfiguration,
  report: Report,
): void {
  const path = ["users", name]
  const { trustedAddresses, trustedCertificate, userRoles } = user
  if (user.trustUserFrom === undefined) {
    for (const key of ["trustedAddresses", "trustedCertificate", "userRoles"] as const)
      if (user[key] !== undefined) report([...path, key], "has no meaning without trustUserFrom")
    return
  }
  if (configuration.listen.tls === undefined)
    report([...path, "trustUserFrom"], "needs TLS: configure listen.tls")
  if (trustedAddresses === undefined && trustedCertificate === undefined)
    report([...path, "trustUserFrom"], "needs trustedAddresses or trustedCertificate")
  if (user.identity === "own")
    report([...path, "identity"], "is own, but trustUserFrom makes this a service account")
  for (const [index, network] of (trustedAddresses ?? []).entries())
    if (!isNetwork(network))
      report([...path, "trustedAddresses", index], "is no network such as 10.0.0.0/8")
  for (const [person, roles] of Object.entries(userRoles ?? {}))
    for (const [index, role] of roles.entries())
      if (!Object.hasOwn(configuration.roles, role))
        report([...path, "userRoles", person, index], "names no role of this file")
}

function checkTokens(
  configuration: Configuration,
  databases: ReadonlySet<string>,
  report: Report,
): void {
  const { identity, listen } = configuration
  if (identity === undefined) return
  if (identity.keys.length === 0) report(["identity"], "needs keys or jwksFile")
  for (const [index, role] of identity.rolesDefault.entries())
    if (!Object.hasOwn(configuration.roles, role))
      report(["identity", "rolesDefault", index], "names no role of this file")
  for (const [value, roles] of Object.entries(identity.roleMap ?? {}))
    for (const [index, role] of roles.entries())
      if (!Object.hasOwn(configuration.roles, role))
        report(["identity", "roleMap", value, index], "names no role of this file")
  if (identity.requireTls && listen.tls === undefined)
    report(
      ["identity", "requireTls"],
      "needs listen.tls; false lets tokens pass in clear, for tests on one machine",
    )
  const { passwordLogin } = identity
  if (passwordLogin === undefined) return
  if (listen.tls === undefined)
    report(["identity", "passwordLogin"], "needs TLS: configure listen.tls")
  for (const [index, database] of passwordLogin.databases.entries())
    if (!databases.has(database))
      report(["identity", "passwordLogin", "databases", index], "names no database of this file")
  for (const [index, user] of (passwordLogin.users ?? []).entries())
    if (Object.hasOwn(configuration.users, user))
      report(
        ["identity", "passwordLogin", "users", index],
        "is under users as well, whose password holds",
      )
}

/** What has to hold between tokens, service accounts, TLS and roles before anybody may speak for others. */
export function checkIdentity(
  configuration: Configuration,
  databases: ReadonlySet<string>,
  report: Report,
): void {
  checkTokens(configuration, databases, report)
  for (const [name, user] of Object.entries(configuration.users)) {
    checkTrust(configuration, name, user, report)
    const wantsToken = user.identity === "optional" || user.identity === "required"
    const isTrusting = user.trustUserFrom !== undefined
    if (wantsToken && configuration.identity === undefined && !isTrusting)
      report(["users", name, "identity"], "needs the section identity with keys")
  }
}
