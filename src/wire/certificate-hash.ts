import { hash } from "node:crypto"

/**
 * The channel binding of a server certificate: tls-server-end-point (RFC 5929, 4.1). A certificate is hashed with the hash
 * of its own signature, and with SHA-256 where that is MD5 or SHA-1.
 */

/** Signature algorithms by their object identifier in hexadecimal (RFC 8017, RFC 5758), and the hash that each signs with. */
const hashBySignature: ReadonlyMap<string, string> = new Map([
  ["2a864886f70d010104", "sha256"], // md5WithRSAEncryption
  ["2a864886f70d010105", "sha256"], // sha1WithRSAEncryption
  ["2a864886f70d01010b", "sha256"],
  ["2a864886f70d01010c", "sha384"],
  ["2a864886f70d01010d", "sha512"],
  ["2a864886f70d01010e", "sha224"],
  ["2a8648ce3d0401", "sha256"], // ecdsa-with-SHA1
  ["2a8648ce3d040301", "sha224"],
  ["2a8648ce3d040302", "sha256"],
  ["2a8648ce3d040303", "sha384"],
  ["2a8648ce3d040304", "sha512"],
])

const rsaPss = "2a864886f70d01010a"

/** Hashes that RSASSA-PSS names in its parameters. */
const hashByIdentifier: ReadonlyMap<string, string> = new Map([
  ["2b0e03021a", "sha256"], // SHA-1
  ["608648016503040201", "sha256"],
  ["608648016503040202", "sha384"],
  ["608648016503040203", "sha512"],
  ["608648016503040204", "sha224"],
])

const sequenceTag = 0x30
const identifierTag = 0x06
/** [0] EXPLICIT of RSASSA-PSS-params: the hash. */
const pssHashTag = 0xa0

/**
 * Hash of a certificate in DER, or undefined when its signature has no hash of its own (Ed25519, Ed448), an unknown one, or
 * when the bytes are no certificate. PostgreSQL offers SCRAM-SHA-256-PLUS then too and fails the client that takes it
 * (`could not find digest for NID UNDEF`); with undefined it is not offered.
 */
export function serverEndPointHash(certificate: Buffer): Buffer | undefined {
  const algorithm = signatureHash(certificate)
  return algorithm === undefined ? undefined : hash(algorithm, certificate, "buffer")
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, parameters }, signature } (RFC 5280, 4.1). */
function signatureHash(certificate: Buffer): string | undefined {
  const whole = readElement(certificate, 0)
  if (whole?.tag !== sequenceTag) return undefined
  const signed = readElement(whole.body, 0)
  if (signed === undefined) return undefined
  const algorithm = readElement(whole.body, signed.next)
  if (algorithm?.tag !== sequenceTag) return undefined
  const identifier = readElement(algorithm.body, 0)
  if (identifier?.tag !== identifierTag) return undefined
  const name = identifier.body.toString("hex")
  return name === rsaPss
    ? pssHash(readElement(algorithm.body, identifier.next))
    : hashBySignature.get(name)
}

/** RSASSA-PSS-params ::= SEQUENCE { [0] hashAlgorithm DEFAULT sha1, ... } (RFC 8017, A.2.3). */
function pssHash(parameters: Element | undefined): string | undefined {
  if (parameters === undefined) return undefined
  const explicit = readElement(parameters.body, 0)
  if (explicit?.tag !== pssHashTag) return "sha256"
  const algorithm = readElement(explicit.body, 0)
  const identifier = algorithm === undefined ? undefined : readElement(algorithm.body, 0)
  return identifier?.tag === identifierTag
    ? hashByIdentifier.get(identifier.body.toString("hex"))
    : undefined
}

type Element = { readonly tag: number; readonly body: Buffer; readonly next: number }

/** One DER element at `offset` (X.690, 8.1): tags of one byte, lengths of at most four. */
function readElement(bytes: Buffer, offset: number): Element | undefined {
  const tag = bytes[offset]
  const first = bytes[offset + 1]
  if (tag === undefined || first === undefined) return undefined
  let start = offset + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count < 1 || count > 4 || start + count > bytes.length) return undefined
    length = bytes.readUIntBE(start, count)
    start += count
  }
  const next = start + length
  return next > bytes.length ? undefined : { tag, body: bytes.subarray(start, next), next }
}
