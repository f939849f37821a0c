import { constants, X509Certificate } from "node:crypto"
import { readFileSync, type Stats, statSync } from "node:fs"
import { stat } from "node:fs/promises"
import { createSecureContext, type SecureContextOptions } from "node:tls"
import { GatewayError } from "../core/errors.ts"
import { SqlState } from "../core/sql-state.ts"
import { serverEndPointHash } from "../wire/certificate-hash.ts"

export type TlsFiles = {
  readonly certFile: string
  readonly keyFile: string
  /** Authorities whose client certificates are taken. */
  readonly clientCaFile?: string | undefined
  /** Revocation lists of all those authorities. */
  readonly clientCrlFile?: string | undefined
  readonly minVersion: "TLSv1.2" | "TLSv1.3"
}

/** What one handshake needs, read and proven to fit together. */
export type TlsMaterial = {
  readonly context: SecureContextOptions
  /** tls-server-end-point of the certificate; undefined when it has none, and then PLUS is not offered. */
  readonly channelBinding: Buffer | undefined
  readonly notAfterMs: number
}

export type TlsEvents = {
  reloaded(notAfterMs: number): void
  /** The files are there but do not fit; what was in force stays so. */
  reloadFailed(error: unknown): void
}

/**
 * Certificate and key as the files have them. They are looked at every `pollMs` (modification time, size and inode, so that
 * links turned over by a secret store are noticed) and at `reload`. A pair that does not fit leaves the old one in force,
 * and is read again when a file changes: a certificate is often replaced a moment before its key.
 */
export class TlsCredentials {
  readonly #files: TlsFiles
  readonly #paths: readonly string[]
  readonly #events: TlsEvents
  readonly #timer: NodeJS.Timeout | undefined
  #current: TlsMaterial
  #seen: string
  #isBusy = false
  readonly counts = { ok: 0, failed: 0 }

  /** Throws `invalid_configuration` when the files do not fit. `pollMs` 0: only `reload` looks. */
  constructor(files: TlsFiles, pollMs: number, events: TlsEvents) {
    this.#files = files
    this.#events = events
    const { certFile, keyFile, clientCaFile, clientCrlFile } = files
    this.#paths = [certFile, keyFile, clientCaFile, clientCrlFile].filter(
      (path) => path !== undefined,
    )
    // Before the files are read: a change that comes between is then seen by the first look.
    this.#seen = this.#paths.map((path) => shown(statSync(path, { throwIfNoEntry: false }))).join()
    this.#current = readMaterial(files)
    if (pollMs > 0) this.#timer = setInterval(() => void this.#poll(), pollMs).unref()
  }

  get current(): TlsMaterial {
    return this.#current
  }

  /** Reads the files now, changed or not. */
  reload(): void {
    try {
      this.#current = readMaterial(this.#files)
    } catch (error) {
      this.counts.failed += 1
      this.#events.reloadFailed(error)
      return
    }
    this.counts.ok += 1
    this.#events.reloaded(this.#current.notAfterMs)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #poll(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    const signature = await this.#signature()
    this.#isBusy = false
    if (signature === this.#seen) return
    this.#seen = signature
    this.reload()
  }

  async #signature(): Promise<string> {
    const found = await Promise.all(this.#paths.map((path) => stat(path).catch(() => undefined)))
    return found.map(shown).join()
  }
}

/** A file that is gone for the moment counts as another state, so that its return is noticed as well. */
function shown(found: Stats | undefined): string {
  return found === undefined ? "" : `${found.ino}:${found.mtimeMs}:${found.size}`
}

// As PostgreSQL sets its context up (be-secure-openssl.c): sessions are not resumed, which libpq never does and which would
// let a client in whose certificate was revoked since; and nothing is negotiated anew inside a connection.
const secureOptions = constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION

function readMaterial(files: TlsFiles): TlsMaterial {
  try {
    const cert = readFileSync(files.certFile)
    const { clientCaFile, clientCrlFile } = files
    const context: SecureContextOptions = {
      cert,
      key: readFileSync(files.keyFile),
      minVersion: files.minVersion,
      secureOptions,
      ...(clientCaFile === undefined ? {} : { ca: readFileSync(clientCaFile) }),
      ...(clientCrlFile === undefined ? {} : { crl: readFileSync(clientCrlFile) }),
    }
    createSecureContext(context)
    const leaf = new X509Certificate(cert)
    return {
      context,
      channelBinding: serverEndPointHash(leaf.raw),
      notAfterMs: Date.parse(leaf.validTo),
    }
  } catch (cause) {
    throw new GatewayError({
      sqlState: SqlState.ObjectNotInPrerequisiteState,
      reason: "invalid_configuration",
      message: `listen.tls: the certificate and key do not work together: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    })
  }
}
