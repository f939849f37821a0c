import type { TLSSocket } from "node:tls"

/** What a client's certificate says, once its chain, its dates and the revocation list have been checked. */
export type ClientCertificate = {
  /** The first common name of the subject. */
  readonly commonName: string | undefined
  /** The subject in the form of RFC 2253, as PostgreSQL's `clientname=DN` has it: `CN=etl,O=Example`. */
  readonly distinguishedName: string
  /** `DNS:etl.example.com`, `email:...`, `URI:...`, `IP Address:...`. */
  readonly alternativeNames: readonly string[]
}

export type CertificateState =
  | { readonly kind: "none" }
  | { readonly kind: "valid"; readonly certificate: ClientCertificate }
  /** `problem`: what is wrong, in words: `cert has expired`, `cert revoked`, `unable to verify leaf signature`. */
  | { readonly kind: "invalid"; readonly problem: string }

/** What a user's certificate has to say; every part that is given must hold, and an empty rule takes any valid one. */
export type CertificateRule = {
  readonly cn?: string | undefined
  readonly dn?: string | undefined
  readonly san?: string | undefined
}

export const noCertificate: CertificateState = { kind: "none" }

/** Reads a socket after its handshake. Without a certificate `authorized` says nothing: a resumed session has none. */
export function readCertificate(socket: TLSSocket): CertificateState {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return noCertificate
  // OpenSSL's name of the error, such as CERT_HAS_EXPIRED; Node has no text for it.
  const name = String(socket.authorizationError)
  if (!socket.authorized)
    return { kind: "invalid", problem: name.toLowerCase().replaceAll("_", " ") }
  const { CN } = socket.getPeerCertificate().subject
  const commonName = Array.isArray(CN) ? CN[0] : CN
  return {
    kind: "valid",
    certificate: {
      // A NUL would end the name early for whoever compares it as a C string.
      commonName: commonName?.includes("\0") === true ? undefined : commonName,
      distinguishedName: distinguishedName(certificate.subject),
      alternativeNames: alternativeNames(certificate.subjectAltName),
    },
  }
}

export function certificateFits(rule: CertificateRule, state: CertificateState): boolean {
  if (state.kind !== "valid") return false
  const { commonName, distinguishedName: name, alternativeNames: names } = state.certificate
  return (
    (rule.cn === undefined || rule.cn === commonName) &&
    (rule.dn === undefined || rule.dn === name) &&
    (rule.san === undefined || names.includes(rule.san))
  )
}

/**
 * Node gives a subject as OpenSSL prints it on several lines, the most significant part first, escaped after RFC 2253; the
 * one-line form has the last part first. A part of several attributes joins them by ` + ` there, by `+` here; a plus sign
 * inside a value is escaped and so cannot be taken for one.
 */
export function distinguishedName(subject: string | undefined): string {
  return (subject ?? "")
    .split("\n")
    .toReversed()
    .map((part) => part.replaceAll(/(?<!\\) \+ /g, "+"))
    .join(",")
}

/** Node separates names by `, ` and quotes those that could be mistaken for two (CVE-2021-44532). */
const alternativeName = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y

/** Empty when any part of the list cannot be read: no name of a list that is not understood may let anybody in. */
export function alternativeNames(list: string | undefined): readonly string[] {
  if (list === undefined) return []
  const names: string[] = []
  alternativeName.lastIndex = 0
  while (alternativeName.lastIndex < list.length) {
    const found = alternativeName.exec(list)
    if (found === null) return []
    const [, type = "", value = ""] = found
    if (value.startsWith('"')) continue
    names.push(`${type}:${value}`)
  }
  return names
}
