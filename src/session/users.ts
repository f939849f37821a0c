import { randomBytes } from "node:crypto"
import type { Identity } from "../core/identity.ts"
import { mockVerifier, parseVerifier, type ScramVerifier } from "../wire/scram.ts"

/** A user of the configuration, ready for login. */
export type UserEntry = {
  readonly identity: Identity
  readonly verifier: ScramVerifier
  /** Databases the user may name; undefined = all. */
  readonly databases: readonly string[] | undefined
}

export type UserRecord = {
  readonly name: string
  /** `SCRAM-SHA-256$...`. */
  readonly verifier: string
  readonly roles: readonly string[]
  readonly claims: Readonly<Record<string, unknown>>
  readonly databases: readonly string[] | undefined
}

/** Who may log in. An unknown name gets a verifier that no password fits, so that it cannot be told from a wrong password. */
export class Users {
  readonly #entries: ReadonlyMap<string, UserEntry>
  readonly #mockSecret = randomBytes(32)
  readonly #mockIterations: number

  constructor(records: readonly UserRecord[]) {
    const entries = records.flatMap((record): (readonly [string, UserEntry])[] => {
      const verifier = parseVerifier(record.verifier)
      const { name, roles, claims, databases } = record
      return verifier === undefined
        ? []
        : [[name, { identity: { user: name, roles, claims }, verifier, databases }]]
    })
    this.#entries = new Map(entries)
    this.#mockIterations = entries[0]?.[1].verifier.iterations ?? 4096
  }

  find(name: string): UserEntry | undefined {
    return this.#entries.get(name)
  }

  verifierOf(name: string): ScramVerifier {
    return (
      this.#entries.get(name)?.verifier ??
      mockVerifier(name, this.#mockSecret, this.#mockIterations)
    )
  }
}
