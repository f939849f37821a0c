import { createPublicKey, createSecretKey, type JsonWebKey, type KeyObject } from "node:crypto"

/** Signature algorithms that are accepted (RFC 7518, RFC 8037). `none` and everything else is not. */
export const tokenAlgorithms = ["EdDSA", "RS256", "HS256"] as const
export type TokenAlgorithm = (typeof tokenAlgorithms)[number]

/** A key with the one algorithm it may be used for: what a token's header says never chooses how a key is used. */
export type VerificationKey = {
  /** Undefined for a key without an id: it serves tokens without one, as long as it is the only key. */
  readonly kid: string | undefined
  readonly algorithm: TokenAlgorithm
  readonly key: KeyObject
}

/** Where keys come from. A file is read again when it changes, a text is not. */
export type KeySource = {
  readonly kid: string | undefined
  /** `JWKS`: a JWK set (RFC 7517), whose keys say themselves what they are. */
  readonly algorithm: TokenAlgorithm | "JWKS"
  readonly from:
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "file"; readonly path: string }
}

/** RFC 7518, 3.2: a key at least as long as the digest. */
const secretBytesMin = 32
/** RFC 7518, 3.3. */
const rsaBitsMin = 2048
export const keyTextBytesMax = 64 * 1024
const keysOfSetMax = 64

/** Why a text is no usable key. Never shows a part of it. */
export class KeyProblem extends Error {
  override readonly name = "KeyProblem"
}

/** The keys in one source's text. Throws a {@link KeyProblem}. */
export function readKeys(source: KeySource, text: string): readonly VerificationKey[] {
  if (Buffer.byteLength(text) > keyTextBytesMax)
    throw new KeyProblem(`is larger than ${keyTextBytesMax} bytes`)
  const { algorithm, kid } = source
  if (algorithm === "JWKS") return readSet(text)
  if (algorithm === "HS256") return [{ kid, algorithm, key: secretKey(Buffer.from(text)) }]
  if (/PRIVATE KEY/.test(text))
    throw new KeyProblem("holds a private key; the gateway needs the public one only")
  return [{ kid, algorithm, key: checked(algorithm, publicKey({ key: text, format: "pem" })) }]
}

function secretKey(bytes: Buffer): KeyObject {
  if (bytes.length < secretBytesMin)
    throw new KeyProblem(`is shorter than the ${secretBytesMin} bytes that HS256 asks for`)
  return createSecretKey(bytes)
}

function publicKey(input: Parameters<typeof createPublicKey>[0]): KeyObject {
  try {
    return createPublicKey(input)
  } catch {
    // The library's text may quote what it was given.
    throw new KeyProblem("is no public key in PEM (SPKI or certificate) or JWK form")
  }
}

function checked(algorithm: "EdDSA" | "RS256", key: KeyObject): KeyObject {
  const expected = algorithm === "EdDSA" ? "ed25519" : "rsa"
  if (key.asymmetricKeyType !== expected)
    throw new KeyProblem(`is no ${expected} key, which ${algorithm} needs`)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? rsaBitsMin
  if (bits < rsaBitsMin) throw new KeyProblem(`has ${bits} bits; RS256 needs ${rsaBitsMin}`)
  return key
}

const algorithmOfType: Readonly<Record<string, TokenAlgorithm>> = {
  OKP: "EdDSA",
  RSA: "RS256",
  oct: "HS256",
}

/** Keys of a set that are for something else (encryption, other algorithms) are passed over, as RFC 7517, 5 asks. */
function readSet(text: string): readonly VerificationKey[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw new KeyProblem("is no JSON")
  }
  const list = (parsed as { keys?: unknown } | null)?.keys
  if (!Array.isArray(list)) throw new KeyProblem('is no JWK set: it has no list "keys"')
  if (list.length > keysOfSetMax) throw new KeyProblem(`has more than ${keysOfSetMax} keys`)
  const keys = list.flatMap((item: unknown) => keyOfSet(item))
  if (keys.length === 0)
    throw new KeyProblem(`has no key for ${tokenAlgorithms.join(", ")} that is for signatures`)
  return keys
}

function keyOfSet(item: unknown): VerificationKey[] {
  if (typeof item !== "object" || item === null) throw new KeyProblem("has a key that is no object")
  const jwk = item as JsonWebKey & { alg?: unknown; use?: unknown; kid?: unknown; crv?: unknown }
  const algorithm = algorithmOfType[String(jwk.kty)]
  const isForSignatures = jwk.use === undefined || jwk.use === "sig"
  const isOther = jwk.alg !== undefined && jwk.alg !== algorithm && jwk.alg !== "Ed25519"
  if (algorithm === undefined || !isForSignatures || isOther) return []
  if (algorithm === "EdDSA" && jwk.crv !== "Ed25519") return []
  const kid = typeof jwk.kid === "string" ? jwk.kid : undefined
  const secret: unknown = jwk.k
  if (algorithm === "HS256")
    return [
      {
        kid,
        algorithm,
        key: secretKey(Buffer.from(typeof secret === "string" ? secret : "", "base64url")),
      },
    ]
  if (jwk.d !== undefined)
    throw new KeyProblem("holds a private key; the gateway needs the public one only")
  return [{ kid, algorithm, key: checked(algorithm, publicKey({ key: jwk, format: "jwk" })) }]
}

/** What is wrong with several keys together; undefined when nothing is. */
export function keySetProblem(keys: readonly VerificationKey[]): string | undefined {
  const seen = new Set<string>()
  for (const { kid } of keys) {
    if (kid === undefined && keys.length > 1) return "several keys, and one of them has no kid"
    if (kid !== undefined && seen.has(kid)) return `two keys have the kid "${kid}"`
    if (kid !== undefined) seen.add(kid)
  }
  return undefined
}
