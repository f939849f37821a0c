import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto"

/**
 * Makes JWTs for tests, from RFC 7515 and sharing no line with the code that checks them; it signs whatever it is told to,
 * because refusals are what most tests are about.
 */
export type SigningKey = {
  readonly algorithm: string
  readonly kid?: string
  readonly key: KeyObject | string
  /** PEM; empty for a secret. */
  readonly publicPem: string
}

export function edKey(kid?: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString()
  return { algorithm: "EdDSA", key: privateKey, publicPem, ...(kid === undefined ? {} : { kid }) }
}

export function rsaKey(kid?: string, modulusLength = 2048): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength })
  const publicPem = publicKey.export({ type: "spki", format: "pem" }).toString()
  return { algorithm: "RS256", key: privateKey, publicPem, ...(kid === undefined ? {} : { kid }) }
}

export function secretKey(secret: string, kid?: string): SigningKey {
  return { algorithm: "HS256", key: secret, publicPem: "", ...(kid === undefined ? {} : { kid }) }
}

const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")

export function makeToken(
  payload: unknown,
  signer: SigningKey,
  header: Readonly<Record<string, unknown>> = {},
): string {
  const { algorithm, kid, key } = signer
  const head = { alg: algorithm, ...(kid === undefined ? {} : { kid }), ...header }
  const text = `${encoded(head)}.${encoded(payload)}`
  const signature =
    typeof key === "string"
      ? createHmac("sha256", key).update(text).digest()
      : sign(algorithm === "EdDSA" ? null : "sha256", Buffer.from(text), key)
  return `${text}.${signature.toString("base64url")}`
}
