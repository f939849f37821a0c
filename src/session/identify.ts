import { GatewayError } from "../core/errors.ts"
import type { Identity, IdentityVerifier, VerifiedToken } from "../core/identity.ts"
import { SqlState } from "../core/sql-state.ts"
import type { ConnectionFacts, IdentityMode, Users } from "./users.ts"

/** How this gateway takes signed tokens; undefined in its place: not at all. */
export type TokenLogin = {
  readonly verifier: IdentityVerifier
  /** Refuse tokens over unencrypted connections. */
  readonly requiresTls: boolean
}

export type IdentifyRequest = {
  /** What the login alone says, after the password was right. */
  readonly identity: Identity
  readonly mode: IdentityMode | undefined
  readonly token: string | undefined
  /** The database asked for takes end users only. */
  readonly isRequired: boolean
  readonly facts: ConnectionFacts
  readonly tokens: TokenLogin | undefined
}

/**
 * Who a session is, once its password was right: the user of its token, the user that a trusted account named, or the
 * account itself. Fails with 28000 when the database or the account wants an end user and there is none. A promise comes
 * back only for a token that was not seen before.
 */
export function identify(request: IdentifyRequest): Identity | Promise<Identity> {
  const { identity, mode, token } = request
  if (token !== undefined) {
    const verified = checkToken(token, request)
    return verified instanceof Promise
      ? verified.then((ready) => ofToken(ready, identity))
      : ofToken(verified, identity)
  }
  if (identity.source === "startup_user") return identity
  if (mode === "required") throw identityRequired(`account "${identity.user}" must bring a token`)
  if (request.isRequired && mode !== "own")
    throw identityRequired(
      `the database takes end users only, and "${identity.user}" is not marked as one`,
    )
  return identity
}

function checkToken(
  token: string,
  request: IdentifyRequest,
): VerifiedToken | Promise<VerifiedToken> {
  const { identity, mode, tokens, facts } = request
  const account = identity.account ?? identity.user
  if (tokens === undefined) throw identityRefused("the configuration has no section identity")
  if (mode !== "optional" && mode !== "required")
    throw identityRefused(`account "${account}" may not bring tokens (users.*.identity)`)
  if (tokens.requiresTls && !facts.isEncrypted)
    throw identityRefused("the token came over an unencrypted connection")
  return tokens.verifier.verify(token)
}

function ofToken(token: VerifiedToken, identity: Identity): Identity {
  if (identity.source === "startup_user" && identity.user !== token.user)
    throw identityRefused("the token's user is not the startup packet's")
  const { user, roles, claims, validUntilMs } = token
  const account = identity.account ?? identity.user
  return Object.freeze({ user, roles, claims, source: "token" as const, account, validUntilMs })
}

/** A login whose password is the token: it must be the startup packet's user's own. */
export function ofPassword(token: VerifiedToken, user: string): Identity {
  if (token.user !== user) throw identityRefused("the token's user is not the startup packet's")
  const { roles, claims, validUntilMs } = token
  return Object.freeze({
    user,
    roles,
    claims,
    source: "token" as const,
    account: user,
    validUntilMs,
  })
}

/** What the operator is told; the log shows it, the client does not get it. */
class IdentityProblem extends Error {
  override readonly name = "IdentityProblem"
}

export function identityRefused(cause: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "identity_refused",
    severity: "FATAL",
    message: "the identity token was not accepted",
    hint: "The gateway's log says why.",
    cause: new IdentityProblem(cause),
  })
}

function identityRequired(cause: string): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "identity_required",
    severity: "FATAL",
    message: "this connection needs an identity token",
    hint: "Let the client name its end user; see docs/operations/identity.md.",
    cause: new IdentityProblem(cause),
  })
}

/** What says whether a session's login still stands. */
export type Standing = {
  readonly identity: Identity
  readonly database: string
  readonly users: Pick<Users, "stillGives">
}

/**
 * A session may not ask anything new once its token has expired (setting `identity.afterExpiry`), or once the configuration
 * gives its login something else, or nothing.
 */
export function checkStillValid(standing: Standing, nowMs: () => number): void {
  const { validUntilMs } = standing.identity
  if (validUntilMs !== undefined && nowMs() >= validUntilMs)
    throw new GatewayError({
      sqlState: SqlState.InvalidAuthorizationSpecification,
      reason: "identity_expired",
      severity: "FATAL",
      message: "terminating connection because its identity token has expired",
      hint: "Connect again with a new token.",
    })
  checkNotRevoked(standing)
}

/** The configuration may give its login something else by now, or nothing. */
export function checkNotRevoked({ identity, database, users }: Standing): void {
  if (users.stillGives(identity, database)) return
  throw new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "identity_revoked",
    severity: "FATAL",
    message: "terminating connection because its login was changed or removed",
    hint: "Connect again.",
  })
}
