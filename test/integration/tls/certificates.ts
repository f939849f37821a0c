import { spawnSync } from "node:child_process"
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serverIds } from "../../support/postgres-template.ts"

/** PEM files of one key pair. */
export type KeyPair = { readonly certFile: string; readonly keyFile: string }

/** Certificates of one test run, made by openssl in a folder of their own. */
export type Certificates = {
  readonly folder: string
  /** Certificates of the two authorities: of servers and clients here, and of strangers. */
  readonly caFile: string
  readonly strangeCaFile: string
  /** Lists `revoked`. */
  readonly crlFile: string
  /** A pair signed by an authority; dates in the form of ASN.1, such as 20200101000000Z. */
  sign(name: string, options: SignOptions): KeyPair
  /** A pair that signs itself, with openssl's arguments for key and signature. */
  selfSigned(name: string, args: readonly string[]): KeyPair
  revoke(pair: KeyPair): void
  remove(): void
}

export type SignOptions = {
  readonly subject: string
  /** As in openssl's subjectAltName. */
  readonly names?: string
  readonly authority?: "ca" | "strange"
  readonly startDate?: string
  readonly endDate?: string
}

const startDate = "20200101000000Z"
const endDate = "20991231000000Z"

function openssl(args: readonly string[], cwd: string): void {
  const done = spawnSync("openssl", args, { cwd, encoding: "utf8" })
  if (done.status !== 0)
    throw new Error(`openssl ${args.join(" ")}: ${done.error ?? ""}${done.stderr}`)
}

function authorityConfig(name: string): string {
  return `
[ ca ]
default_ca = authority
[ authority ]
database = ${name}.index
serial = ${name}.serial
crlnumber = ${name}.crlnumber
new_certs_dir = .
certificate = ${name}.crt
private_key = ${name}.key
default_md = sha256
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = copy
[ any ]
commonName = optional
organizationName = optional
organizationalUnitName = optional
`
}

/** PostgreSQL takes a key only from its owner, and no other user may read it. */
function handOver(file: string): void {
  chmodSync(file, 0o600)
  if (serverIds.uid !== undefined) chownSync(file, serverIds.uid, serverIds.gid)
}

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "sluice-certificates-"))
  chmodSync(folder, 0o755)
  const at = (name: string): string => join(folder, name)
  const pairOf = (name: string): KeyPair => ({
    certFile: at(`${name}.crt`),
    keyFile: at(`${name}.key`),
  })
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  for (const name of ["ca", "strange"]) {
    writeFileSync(at(`${name}.cnf`), authorityConfig(name))
    writeFileSync(at(`${name}.index`), "")
    writeFileSync(at(`${name}.serial`), "1000\n")
    writeFileSync(at(`${name}.crlnumber`), "01\n")
    const subject = ["-subj", `/CN=${name} of a test`, "-days", "3650", "-sha256"]
    const files = ["-keyout", `${name}.key`, "-out", `${name}.crt`]
    openssl(["req", "-x509", ...newKey, ...subject, ...files], folder)
  }
  const renewCrl = (): void =>
    openssl(["ca", "-config", "ca.cnf", "-gencrl", "-out", "ca.crl"], folder)
  renewCrl()
  return {
    folder,
    caFile: at("ca.crt"),
    strangeCaFile: at("strange.crt"),
    crlFile: at("ca.crl"),
    sign(name, options) {
      const names =
        options.names === undefined ? [] : ["-addext", `subjectAltName=${options.names}`]
      const files = ["-keyout", `${name}.key`, "-out", `${name}.csr`]
      openssl(["req", "-utf8", ...newKey, "-subj", options.subject, ...names, ...files], folder)
      const { authority = "ca" } = options
      const dates = ["-startdate", options.startDate ?? startDate]
      dates.push("-enddate", options.endDate ?? endDate)
      const target = ["-in", `${name}.csr`, "-out", `${name}.crt`, "-notext"]
      openssl(
        ["ca", "-batch", "-preserveDN", "-config", `${authority}.cnf`, ...dates, ...target],
        folder,
      )
      handOver(at(`${name}.key`))
      return pairOf(name)
    },
    selfSigned(name, args) {
      const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
      const files = ["-keyout", `${name}.key`, "-out", `${name}.crt`]
      openssl(["req", "-x509", "-nodes", "-days", "3650", ...args, ...names, ...files], folder)
      handOver(at(`${name}.key`))
      return pairOf(name)
    },
    revoke({ certFile }) {
      openssl(["ca", "-config", "ca.cnf", "-revoke", certFile], folder)
      renewCrl()
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A file of access rules in a folder that PostgreSQL can read; its path. */
export function accessFile(
  certificates: Certificates,
  name: string,
  lines: readonly string[],
): string {
  const folder = join(certificates.folder, "access")
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o755)
  const file = join(folder, name)
  writeFileSync(file, `${lines.join("\n")}\n`)
  return file
}
