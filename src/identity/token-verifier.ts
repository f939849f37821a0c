import { hash } from "node:crypto"
import { errors, type JWTHeaderParameters, type JWTPayload, jwtVerify } from "jose"
import { GatewayError } from "../core/errors.ts"
import type { IdentityVerifier, VerifiedToken } from "../core/identity.ts"
import { SqlState } from "../core/sql-state.ts"
import { ClaimProblem, type ClaimRules, readClaims } from "./claims.ts"
import type { KeyRing } from "./key-ring.ts"
import { tokenAlgorithms, type VerificationKey } from "./keys.ts"

export type TokenRules = ClaimRules & {
  /** A token must name one of these in `aud`. */
  readonly audiences: readonly string[]
  /** When set, `iss` must be this. */
  readonly issuer: string | undefined
  readonly clockSkewMs: number
  readonly tokenBytesMax: number
  /** `continue`: a session may go on after its token has expired. */
  readonly afterExpiry: "refuse" | "continue"
}

/** Tokens remembered: a dashboard of 20 charts logs in 23 times with the same one. */
const rememberedMax = 10_000
/** Role lists kept as one object each, so that plans made for one session serve the next one. */
const roleListsMax = 1_000

type Remembered = {
  readonly token: VerifiedToken
  readonly generation: number
  readonly notBeforeMs: number
  readonly expiresAtMs: number
}

/** Why a token was refused, for the operator. */
class TokenProblem extends Error {
  override readonly name = "TokenProblem"
}

/** Checks tokens with jose, which never sees a key under another algorithm than its own. */
export class TokenVerifier implements IdentityVerifier {
  readonly #ring: KeyRing
  readonly #rules: TokenRules
  readonly #wallMs: () => number
  readonly #remembered = new Map<string, Remembered>()
  readonly #roleLists = new Map<string, readonly string[]>()

  constructor(ring: KeyRing, rules: TokenRules, wallMs: () => number) {
    this.#ring = ring
    this.#rules = rules
    this.#wallMs = wallMs
  }

  verify(token: string): VerifiedToken | Promise<VerifiedToken> {
    if (Buffer.byteLength(token) > this.#rules.tokenBytesMax)
      throw refused(new TokenProblem(`the token is longer than ${this.#rules.tokenBytesMax} bytes`))
    if (this.#ring.isDue) return this.#ring.refresh().then(() => this.#verify(token))
    return this.#verify(token)
  }

  #verify(token: string): VerifiedToken | Promise<VerifiedToken> {
    const digest = hash("sha256", token)
    const known = this.#remembered.get(digest)
    const isKnown = known !== undefined && known.generation === this.#ring.generation
    return isKnown && this.#isInTime(known) ? known.token : this.#check(token, digest)
  }

  #isInTime({ notBeforeMs, expiresAtMs }: Remembered): boolean {
    const nowMs = this.#wallMs()
    const { clockSkewMs } = this.#rules
    return nowMs + clockSkewMs >= notBeforeMs && nowMs - clockSkewMs < expiresAtMs
  }

  async #check(token: string, digest: string): Promise<VerifiedToken> {
    const { generation } = this.#ring
    const payload = await this.#payload(token)
    const expiresAtMs = (payload.exp ?? 0) * 1000
    try {
      const { user, roles, claims } = readClaims(payload, this.#rules)
      const verified: VerifiedToken = Object.freeze({
        user,
        roles: this.#rolesOnce(roles),
        claims,
        validUntilMs:
          this.#rules.afterExpiry === "continue"
            ? undefined
            : expiresAtMs + this.#rules.clockSkewMs,
      })
      this.#remember(digest, {
        token: verified,
        generation,
        notBeforeMs: (payload.nbf ?? 0) * 1000,
        expiresAtMs,
      })
      return verified
    } catch (thrown) {
      if (thrown instanceof ClaimProblem) throw refused(thrown)
      throw thrown
    }
  }

  async #payload(token: string): Promise<JWTPayload> {
    const { audiences, issuer, clockSkewMs } = this.#rules
    const nowMs = this.#wallMs()
    try {
      const { payload } = await jwtVerify(token, (header) => this.#keyFor(header).key, {
        algorithms: [...tokenAlgorithms],
        audience: [...audiences],
        ...(issuer === undefined ? {} : { issuer }),
        clockTolerance: clockSkewMs / 1000,
        currentDate: new Date(nowMs),
        requiredClaims: ["exp"],
      })
      return payload
    } catch (thrown) {
      const isExpired = thrown instanceof errors.JWTExpired
      throw refused(new TokenProblem(causeOf(thrown, nowMs)), isExpired)
    }
  }

  /** The key that the header's `kid` names, if the header also says that key's own algorithm. */
  #keyFor(header: JWTHeaderParameters): VerificationKey {
    const { keys } = this.#ring
    const { kid, alg } = header
    const [only] = keys
    const key = kid === undefined ? undefined : keys.find((one) => one.kid === kid)
    const chosen = key ?? (keys.length === 1 && only?.kid === undefined ? only : undefined)
    if (chosen === undefined)
      throw new TokenProblem(
        kid === undefined ? "the token has no kid" : `unknown kid ${JSON.stringify(clipped(kid))}`,
      )
    const asked = alg === "Ed25519" ? "EdDSA" : alg
    if (asked !== chosen.algorithm)
      throw new TokenProblem(
        `the token says ${clipped(alg)}, but key ${JSON.stringify(chosen.kid ?? "")} is for ${chosen.algorithm}`,
      )
    return chosen
  }

  #remember(digest: string, remembered: Remembered): void {
    if (this.#remembered.size >= rememberedMax) {
      const [oldest] = this.#remembered.keys()
      if (oldest !== undefined) this.#remembered.delete(oldest)
    }
    this.#remembered.set(digest, remembered)
  }

  #rolesOnce(roles: readonly string[]): readonly string[] {
    const text = JSON.stringify(roles)
    const known = this.#roleLists.get(text)
    if (known !== undefined) return known
    if (this.#roleLists.size >= roleListsMax) this.#roleLists.clear()
    const kept = Object.freeze([...roles])
    this.#roleLists.set(text, kept)
    return kept
  }
}

/** What a client wrote, short enough for a line of a log. */
function clipped(text: string): string {
  return text.length > 64 ? `${text.slice(0, 64)}...` : text
}

const seconds = (ms: number): string => `${Math.max(0, Math.round(ms / 1000))} s`

/** jose's errors in words that say what to look at; no part of the token but names of claims and kids is in them. */
function causeOf(thrown: unknown, nowMs: number): string {
  if (thrown instanceof TokenProblem) return thrown.message
  if (thrown instanceof errors.JWTExpired) {
    const { exp } = thrown.payload
    return typeof exp === "number"
      ? `expired ${seconds(nowMs - exp * 1000)} ago`
      : "exp is no number"
  }
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    const { nbf } = thrown.payload
    if (thrown.claim === "nbf" && typeof nbf === "number")
      return `not valid before ${seconds(nbf * 1000 - nowMs)} from now`
    return thrown.reason === "missing"
      ? `the token has no claim "${thrown.claim}"`
      : `claim "${thrown.claim}" has another value than the configuration asks for`
  }
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return "the signature is wrong"
  if (thrown instanceof errors.JOSEAlgNotAllowed)
    return `the algorithm is none of ${tokenAlgorithms.join(", ")}`
  return thrown instanceof errors.JOSEError ? `malformed: ${thrown.code}` : "malformed"
}

/** To the client only whether a new token would help. That it has expired is said of genuine tokens only. */
function refused(cause: Error, isExpired = false): GatewayError {
  return new GatewayError({
    sqlState: SqlState.InvalidAuthorizationSpecification,
    reason: "identity_refused",
    severity: "FATAL",
    message: isExpired ? "the identity token has expired" : "the identity token was not accepted",
    hint: "The gateway's log says why.",
    cause,
  })
}
