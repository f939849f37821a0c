import { createHash, randomBytes } from "node:crypto"
import { BlockList, isIPv6 } from "node:net"
import { isDeepStrictEqual } from "node:util"
import type { Identity } from "../core/identity.ts"
import { mockVerifier, parseVerifier, type ScramVerifier } from "../wire/scram.ts"
import type { CertificateRule } from "./client-certificate.ts"

/** What is known of a connection before anybody has logged in on it. */
export type ConnectionFacts = {
  readonly isEncrypted: boolean
  /** The peer's IP address; undefined when the socket has closed meanwhile. */
  readonly address: string | undefined
  /** Subject of the client certificate that TLS has verified; undefined without one. */
  readonly certificateSubject: string | undefined
}

/** `scram`: by password. `certificate`: by the client's certificate alone. */
export type UserAuth = "scram" | "certificate"

/** A user of the configuration, ready for login. */
export type UserEntry = {
  readonly identity: Identity
  /** undefined for `certificate`. */
  readonly verifier: ScramVerifier | undefined
  /** What the client's certificate has to say; undefined = none is needed. */
  readonly certificate: CertificateRule | undefined
  /** Databases the user may name; undefined = all. */
  readonly databases: readonly string[] | undefined
  /** `own`: an end user; `optional`, `required`: a service account that brings tokens; undefined: not said. */
  readonly identityMode: IdentityMode | undefined
}

export type IdentityMode = "own" | "optional" | "required"

export type UserRecord = {
  readonly name: string
  /** `SCRAM-SHA-256$...`; empty for `certificate`. */
  readonly verifier: string
  /** Default: `scram`. */
  readonly auth?: UserAuth | undefined
  readonly certificate?: CertificateRule | undefined
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
  readonly entry: UserEntry & { readonly verifier: ScramVerifier }
  readonly addresses: BlockList | undefined
  readonly certificate: string | undefined
  readonly rolesOf: ReadonlyMap<string, readonly string[]>
}

/** How a startup packet's user is to prove that he is who he says. */
export type Account =
  /** By SCRAM with a verifier of the configuration. `identity` holds once the proof was right. */
  | {
      readonly kind: "password"
      readonly entry: UserEntry
      readonly verifier: ScramVerifier
      readonly identity: Identity
    }
  /** By a certificate that fits the entry's rule; with another one or none he is treated as nobody. */
  | {
      readonly kind: "certificate"
      readonly entry: UserEntry
      readonly rule: CertificateRule
      readonly verifier: ScramVerifier
      readonly identity: Identity
    }
  /** By a signed token as password, in clear inside TLS. */
  | { readonly kind: "token" }
  /** Not at all: the exchange goes on with a verifier that no password fits. */
  | { readonly kind: "nobody"; readonly verifier: ScramVerifier }

/** Names beyond this, or with control characters, are nobody's. */
const nameCharsMax = 255

/**
 * Who may log in. A configured user is always itself, with its own password: an account that may name others cannot name
 * one that has roles of its own. An unknown name gets a verifier that no password fits and that looks like those of others,
 * so that it cannot be told from a wrong password.
 */
export class Users {
  readonly #entries = new Map<string, UserEntry>()
  readonly #trusting: TrustingAccount[] = []
  readonly #passwordLogin: PasswordLogin | undefined
  readonly #verifiers: ScramVerifier[] = []
  readonly #mockSecret: Buffer
  /** Raised with every {@link replace}; 0 = what every session logged in with still stands. */
  #generation = 0
  readonly #standing = new WeakMap<Identity, number>()

  /** `secret`: keeps the looks of unknown names the same over restarts and instances; undefined = a random one. */
  constructor(records: readonly UserRecord[], passwordLogin?: PasswordLogin, secret?: string) {
    for (const record of records) this.#add(record)
    this.#passwordLogin = passwordLogin
    this.#mockSecret =
      secret === undefined ? randomBytes(32) : createHash("sha256").update(secret).digest()
  }

  /** Takes other users in place of those before, in one turn of the event loop. */
  replace(records: readonly UserRecord[]): void {
    this.#entries.clear()
    this.#trusting.length = 0
    this.#verifiers.length = 0
    for (const record of records) this.#add(record)
    this.#generation += 1
  }

  /**
   * True while a login by the same account would give this identity on this database. A changed password alone takes nothing away from
   * a session that is open, as in PostgreSQL; that the account is gone, or has other roles, claims or databases, does.
   */
  stillGives(identity: Identity, database: string): boolean {
    if (this.#generation === 0 || this.#standing.get(identity) === this.#generation) return true
    if (!this.#gives(identity, database)) return false
    this.#standing.set(identity, this.#generation)
    return true
  }

  #gives(identity: Identity, database: string): boolean {
    const { source, user } = identity
    const entry = this.#entries.get(identity.account ?? user)
    // A token that came as password has no account behind it but its user's own name.
    const isPassword = source === "token" && identity.account === user
    if (entry === undefined) return isPassword && this.#takesToken(user, database)
    if (entry.databases !== undefined && !entry.databases.includes(database)) return false
    if (source === "token")
      return entry.identityMode === "optional" || entry.identityMode === "required"
    if (source !== "startup_user") return isSameGrant(entry.identity, identity)
    if (this.#entries.has(user)) return false
    const trusting = this.#trusting.find((account) => account.entry.identity === entry.identity)
    return trusting !== undefined && isSameGrant(namedBy(trusting, user), identity)
  }

  #add(record: UserRecord): void {
    const { name, roles, claims, databases, certificate } = record
    const isByCertificate = record.auth === "certificate"
    const verifier = isByCertificate ? undefined : parseVerifier(record.verifier)
    // Neither a password nor a rule: nobody could say who that is.
    if (isByCertificate ? certificate === undefined : verifier === undefined) return
    const identity: Identity = Object.freeze({ user: name, roles, claims })
    const entry = { identity, verifier, certificate, databases, identityMode: record.identity }
    this.#entries.set(name, entry)
    if (verifier === undefined) return
    this.#verifiers.push(verifier)
    if (record.trustUserFrom === "startup_user")
      this.#trusting.push(trustingAccount({ ...entry, verifier }, record))
  }

  /** Configured users first, then accounts that may name the user from here, then tokens; the rest is nobody. */
  accountOf(user: string, database: string, facts: ConnectionFacts): Account {
    const own = this.#entries.get(user)
    if (own !== undefined) return this.#accountOfEntry(own)
    if (isSoundName(user)) {
      const trusting = this.#trusting.find((account) => isTrusted(account, database, facts))
      if (trusting !== undefined) {
        const { entry } = trusting
        const identity = namedBy(trusting, user)
        return { kind: "password", entry, verifier: entry.verifier, identity }
      }
      if (this.#takesToken(user, database)) return { kind: "token" }
    }
    return { kind: "nobody", verifier: this.#mockOf(user) }
  }

  #accountOfEntry(entry: UserEntry): Account {
    const { verifier, certificate, identity } = entry
    if (verifier !== undefined) return { kind: "password", entry, verifier, identity }
    const mock = this.#mockOf(identity.user)
    return certificate === undefined
      ? { kind: "nobody", verifier: mock }
      : { kind: "certificate", entry, rule: certificate, verifier: mock, identity }
  }

  /** Real verifiers may differ in iterations: made-up ones are spread over the same values, the same name always on one. */
  #mockOf(name: string): ScramVerifier {
    const mock = mockVerifier(name, this.#mockSecret)
    const like = this.#verifiers[(mock.salt[0] ?? 0) % this.#verifiers.length]
    return like === undefined ? mock : mockVerifier(name, this.#mockSecret, like)
  }

  #takesToken(user: string, database: string): boolean {
    const rule = this.#passwordLogin
    if (rule === undefined || !rule.databases.includes(database)) return false
    return rule.users === undefined || rule.users.includes(user)
  }
}

function isSameGrant(now: Identity, then: Identity): boolean {
  return isDeepStrictEqual(now.roles, then.roles) && isDeepStrictEqual(now.claims, then.claims)
}

function isSoundName(name: string): boolean {
  return name.length <= nameCharsMax && !/\p{Cc}/u.test(name)
}

function trustingAccount(entry: TrustingAccount["entry"], record: UserRecord): TrustingAccount {
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
