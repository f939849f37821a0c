/** `scheme://user:password@` up to the last @ before a slash or blank, so that an unescaped @ in a password is covered too. */
const uriPassword = /\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@]{0,256}):[^\s/]{0,1024}@/gi
const verifier = /SCRAM-SHA-256\$[^\s"']{1,512}/g
const bearer = /\b(Bearer|Basic)\s+[\w.~+/=-]{8,}/gi

/** A JWT: base64url of `{"`, a dot, and what follows. */
const token = /\beyJ[\w-]{4,}\.[\w.-]{4,}/g

/** Takes passwords in URIs, stored verifiers, bearer and identity tokens out of a text that others wrote. */
export function scrub(text: string): string
export function scrub(text: string | undefined): string | undefined
export function scrub(text: string | undefined): string | undefined {
  return text
    ?.replaceAll(uriPassword, "$1:***@")
    .replaceAll(verifier, "SCRAM-SHA-256$***")
    .replaceAll(bearer, "$1 ***")
    .replaceAll(token, "***")
}
