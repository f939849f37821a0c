import { hash, timingSafeEqual } from "node:crypto"

export type Scope = "invalidate" | "read" | "metrics" | "admin"

/** A bearer token as configured: only its digest is kept. */
export type Token = {
  readonly name: string
  /** SHA-256, hexadecimal. */
  readonly sha256: string
  readonly scopes: readonly Scope[]
  readonly callsPerMinuteMax: number
}

export type Caller = {
  readonly name: string
  readonly scopes: ReadonlySet<Scope>
  readonly callsPerMinuteMax: number
}

/** token68 of RFC 9110; 512 characters are far more than any token of ours has. */
const bearer = /^Bearer +([A-Za-z0-9\-._~+/]{1,512}={0,2})$/i

export class Authenticator {
  readonly #tokens: readonly { readonly digest: Buffer; readonly caller: Caller }[]

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens.map(({ name, sha256, scopes, callsPerMinuteMax }) => ({
      digest: Buffer.from(sha256, "hex"),
      caller: { name, scopes: new Set(scopes), callsPerMinuteMax },
    }))
  }

  /**
   * Who calls, by the Authorization header; undefined without a valid token. Digests are compared in constant time and
   * against every token, so that the time tells neither how much of one matched nor which.
   */
  callerOf(authorization: string | undefined): Caller | undefined {
    const [, presented] = bearer.exec(authorization ?? "") ?? []
    if (presented === undefined) return undefined
    const digest = hash("sha256", presented, "buffer")
    let caller: Caller | undefined
    for (const token of this.#tokens)
      if (token.digest.length === digest.length && timingSafeEqual(token.digest, digest))
        caller = token.caller
    return caller
  }
}

/** `admin` includes every other scope. */
export function mayUse(caller: Caller, scope: Scope): boolean {
  return caller.scopes.has(scope) || caller.scopes.has("admin")
}
