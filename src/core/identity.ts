/**
 * How the gateway knows who asks: `login` = the user's own password, `token` = a signed assertion, `startup_user` = a
 * service account that is trusted to name its users.
 */
export type IdentitySource = "login" | "token" | "startup_user"

/** Who asks: the user's name and the verified attributes that policy may read. Immutable for a session. */
export type Identity = {
  readonly user: string
  /** Names of roles in configuration, in order; the first one that sets a limit decides it. */
  readonly roles: readonly string[]
  /** Verified attributes. Nothing a client can set by SQL ever enters here. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Left out: `login`. */
  readonly source?: IdentitySource | undefined
  /** The configured user that authenticated the connection; left out: the user itself. */
  readonly account?: string | undefined
  /** Wall-clock time in ms after which no new statement is answered; left out: no end. */
  readonly validUntilMs?: number | undefined
}

/** What a signed assertion says, after everything about it was checked. Frozen, and shared by all sessions that bring it. */
export type VerifiedToken = {
  readonly user: string
  /** Configured roles only, at least one. */
  readonly roles: readonly string[]
  /** The whole payload. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Expiry plus the clock skew allowed; undefined when sessions may outlive their token. */
  readonly validUntilMs: number | undefined
}

/** Checks signed assertions (JWT, RFC 7519). The session knows this port only; src/identity/ stands behind it. */
export interface IdentityVerifier {
  /**
   * Fails with a GatewayError `identity_refused` (28000, FATAL), whose message is for the client and whose `cause` says to
   * the operator what exactly was wrong. A token seen before is answered at once, without a promise.
   */
  verify(token: string): VerifiedToken | Promise<VerifiedToken>
}
