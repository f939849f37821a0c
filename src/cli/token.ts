import { hash, randomBytes } from "node:crypto"
import type { Terminal } from "./terminal.ts"

/** 256 random bits: nothing that could be guessed, so that an unsalted digest is enough at rest. */
const tokenBytes = 32

export type NewToken = { readonly token: string; readonly sha256: string }

export function makeToken(): NewToken {
  const token = `sluice_${randomBytes(tokenBytes).toString("base64url")}`
  return { token, sha256: hash("sha256", token, "hex") }
}

/** `sluice token`: a new bearer token for the caller and its digest for `control.tokens`. Gives the exit code. */
export function tokenCommand(terminal: Terminal): number {
  const { token, sha256 } = makeToken()
  terminal.output.write(`token:  ${token}\nsha256: ${sha256}\n`)
  return 0
}
