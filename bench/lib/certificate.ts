import { execFileSync } from "node:child_process"
import { chmodSync, chownSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serverIds } from "../../test/support/postgres-template.ts"

export type CertificateFiles = {
  readonly certFile: string
  readonly keyFile: string
  /** Deletes both. */
  remove(): Promise<void>
}

/** One self-signed P-256 certificate for 127.0.0.1 that all targets show, so that a handshake costs everybody the same. */
export async function makeCertificate(): Promise<CertificateFiles> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-bench-tls-"))
  const certFile = join(folder, "server.crt")
  const keyFile = join(folder, "server.key")
  const words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
  words.push("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", keyFile, "-out", certFile)
  execFileSync("openssl", words, { stdio: "ignore" })
  const { uid, gid } = { uid: undefined, gid: undefined, ...serverIds }
  for (const path of [folder, certFile, keyFile])
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid)
  // PostgreSQL refuses a key that others may read.
  chmodSync(keyFile, 0o600)
  return { certFile, keyFile, remove: () => rm(folder, { recursive: true, force: true }) }
}
