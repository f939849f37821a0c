import { randomBytes } from "node:crypto"
import { BlockList, isIPv6 } from "node:net"
import type { Identity } from "../core/identity.ts"
import { mockVerifier, parseVerifier, type ScramVerifier } from "../wire/scram.ts"

/** What is known of a connection before anybody has logged in on it. */
export type ConnectionFacts = {
  readonly isEncrypted: boolean
  /** The peer's IP address; undefined when the socket has closed meanwhile. */
  readonly address: string | undefined
  /** Subject of the client certificate that TLS has verified; undefined without one. */
  readonly certificateSubject: string | undefined
}

/** A user of the configuration, ready for login. */
export type UserEntry = {
  readonly identity: Identity
  readonly verifier: ScramVerifier
  /** Databases the user may name; undefined = all. */
  readonly databases: readonly string[] | undefined
  /** `own`: an end user; `optional`, `required`: a service account that brings tokens; undefined: not said. */
  readonly identityMode: IdentityMode | undefined
}

export type IdentityMode = "own" | "optional" | "required"

export type UserRecord = {
  readonly name: string
  /** `SCRAM-SHA-256$...`. */
  readonly verifier: string
  readonly roles: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  readonly databases: readonly string[] | undefined
  readonly identity?: IdentityMode | undefined
  /** Set for a service account that may name any user, where the connection fits. */
  readonly trustUserFrom?: "startup_user" | undefined
  /** Networks in CIDR form. */
  readonly trustedAddresses?: readonly string[] | undefined
  readonly trustedCertificate?: string | undefined
  readonly userRoles?: Readonly<Record<string, readonly string[]>> | undefined
}

/** Who may log in with a token in place of a password. */
export type PasswordLogin = {
  readonly databases: readonly string[]
  /** undefined = everybody who is not a configured user. */
  readonly users?: readonly string[] | undefined
}

type TrustingAccount = {
  readonly entry: UserEntry
  readonly addresses: BlockList | undefined
  readonly certificate: string | undefined
  readonly rolesOf: ReadonlyMap<string, readonly string[]>
}

/** How a startup packet's user is to prove that he is who he says. */
export type Account =
  /** By SCRAM with a verifier of the configuration. `identity` holds once the proof was right. */
  | { readonly kind: "password"; readonly entry: UserEntry; readonly identity: Identity }
  /** By a signed token as password, in clear inside TLS. */
  | { readonly kind: "token" }
  /** Not at all: the exchange goes on with a verifier that no password fits. */
  | { readonly kind: "nobody"; readonly verifier: ScramVerifier }

/** Names beyond this, or with control characters, are nobody's. */
const nameCharsMax = 255

/**
 * Who may log in. A configured user is always itself, with its own password: an account that may name others cannot name
 * one that has roles of its own. An unknown name gets a verifier that no password fits, so that it cannot be told from a
 * wrong password.
 */
export class Users {
  readonly #entries = new Map<string, UserEntry>()
  readonly #trusting: TrustingAccount[] = []
  readonly #passwordLogin: PasswordLogin | undefined
  readonly #mockSecret = randomBytes(32)
  readonly #mockIterations: number

  constructor(records: readonly UserRecord[], passwordLogin?: PasswordLogin) {
    for (const record of records) {
      const verifier = parseVerifier(record.verifier)
      if (verifier === undefined) continue
      const { name, roles, claims, databases } = record
      const identity: Identity = Object.freeze({ user: name, roles, claims })
      const entry = { identity, verifier, databases, identityMode: record.identity }
      this.#entries.set(name, entry)
      if (record.trustUserFrom === "startup_user")
        this.#trusting.push(trustingAccount(entry, record))
    }
    this.#passwordLogin = passwordLogin
    const [first] = this.#entries.values()
    this.#mockIterations = first?.verifier.iterations ?? 4096
  }

  /** Configured users first, then accounts that may name the user from here, then tokens; the rest is nobody. */
  accountOf(user: string, database: string, facts: ConnectionFacts): Account {
    const own = this.#entries.get(user)
    if (own !== undefined) return { kind: "password", entry: own, identity: own.identity }
    if (isSoundName(user)) {
      const trusting = this.#trusting.find((account) => isTrusted(account, database, facts))
      if (trusting !== undefined)
        return {
          kind: "password",
          entry: trusting.entry,
          identity: namedBy(trusting, user),
        }
      if (this.#takesToken(user, database)) return { kind: "token" }
    }
    return {
      kind: "nobody",
      verifier: mockVerifier(user, this.#mockSecret, this.#mockIterations),
    }
  }

  #takesToken(user: string, database: string): boolean {
    const rule = this.#passwordLogin
    if (rule === undefined || !rule.databases.includes(database)) return false
    return rule.users === undefined || rule.users.includes(user)
  }
}

function isSoundName(name: string): boolean {
  return name.length <= nameCharsMax && !/\p{Cc}/u.test(name)
}

function trustingAccount(entry: UserEntry, record: UserRecord): TrustingAccount {
  let addresses: BlockList | undefined
  for (const network of record.trustedAddresses ?? []) {
    addresses ??= new BlockList()
    const [address = "", prefix = ""] = network.split("/")
    addresses.addSubnet(address, Number(prefix), isIPv6(address) ? "ipv6" : "ipv4")
  }
  return {
    entry,
    addresses,
    certificate: record.trustedCertificate,
    rolesOf: new Map(Object.entries(record.userRoles ?? {})),
  }
}

/** TLS, and every condition that is configured; at least one is. */
function isTrusted(account: TrustingAccount, database: string, facts: ConnectionFacts): boolean {
  const { addresses, certificate, entry } = account
  if (!facts.isEncrypted || (addresses === undefined && certificate === undefined)) return false
  if (entry.databases !== undefined && !entry.databases.includes(database)) return false
  if (certificate !== undefined && certificate !== facts.certificateSubject) return false
  return addresses === undefined || isWithin(addresses, facts.address)
}

function isWithin(addresses: BlockList, address: string | undefined): boolean {
  if (address === undefined) return false
  // A listener on :: sees IPv4 peers as ::ffff:a.b.c.d.
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address
  return addresses.check(plain, isIPv6(plain) ? "ipv6" : "ipv4")
}

function namedBy(account: TrustingAccount, user: string): Identity {
  const { roles, claims, user: name } = account.entry.identity
  return Object.freeze({
    user,
    roles: account.rolesOf.get(user) ?? roles,
    claims,
    source: "startup_user" as const,
    account: name,
  })
}
