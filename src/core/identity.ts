/** Who asks: the user name of the login and the verified attributes that policy may read. Immutable for a session. */
export type Identity = {
  readonly user: string
  /** Names of roles in configuration, in order; the first one that sets a limit decides it. */
  readonly roles: readonly string[]
  /** Verified attributes. Nothing a client can set by SQL ever enters here. */
  readonly claims: Readonly<Record<string, unknown>>
}
