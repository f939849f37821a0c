import { deepEqual, equal, match, ok } from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { after, before, describe, it } from "node:test"
import { connect, type TLSSocket } from "node:tls"
import { serverEndPointHash } from "../../../src/wire/certificate-hash.ts"
import { saslInitialResponse, saslResponse, startup } from "../../support/frontend-encoder.ts"
import { reader } from "../../support/postgres-template.ts"
import { ScramClient } from "../../support/scram-client.ts"
import { readFields, WireClient } from "../../support/wire-client.ts"
import { type Certificates, makeCertificates } from "./certificates.ts"
import { Libpq, psql } from "./libpq.ts"
import { credentials, startTlsServers, type TlsServers } from "./servers.ts"

const access = ["host all all 127.0.0.1/32 scram-sha-256"]

const p384 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]
const pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1"]

/** Keys and signatures by openssl's arguments. `hash`: what the signature names. */
const kinds: readonly {
  readonly name: string
  readonly args: readonly string[]
  readonly hash: string | undefined
}[] = [
  { name: "rsa-sha256", args: ["-newkey", "rsa:2048", "-sha256"], hash: "sha256" },
  { name: "rsa-sha512", args: ["-newkey", "rsa:2048", "-sha512"], hash: "sha512" },
  { name: "ecdsa-sha384", args: [...p384, "-sha384"], hash: "sha384" },
  { name: "rsa-pss-sha384", args: ["-newkey", "rsa:2048", "-sha384", ...pss], hash: "sha384" },
  { name: "ed25519", args: ["-newkey", "ed25519"], hash: undefined },
]

let certificates: Certificates
let libpq: Libpq

before(async () => {
  certificates = makeCertificates()
  libpq = await Libpq.start()
})

after(async () => {
  await libpq.close()
  certificates.remove()
})

const hex = (text: string): string => text.replaceAll(":", "").toLowerCase()

for (const { name, args, hash } of kinds)
  it(`binds the channel of a ${name} certificate as PostgreSQL does`, async () => {
    const server = certificates.selfSigned(name, args)
    const { raw, fingerprint256, fingerprint512 } = new X509Certificate(
      readFileSync(server.certFile),
    )
    const bytes = serverEndPointHash(raw)
    if (hash === "sha256") equal(bytes?.toString("hex"), hex(fingerprint256))
    if (hash === "sha512") equal(bytes?.toString("hex"), hex(fingerprint512))
    equal(bytes === undefined, hash === undefined)
    const servers = await startTlsServers({ certificates, server, access })
    try {
      for (const binding of ["disable", "prefer", "require"]) {
        const info = (port: number): string =>
          `host=localhost hostaddr=127.0.0.1 port=${port} ${credentials} sslmode=verify-full channel_binding=${binding} sslrootcert=${server.certFile}`
        for (const client of [psql, (text: string) => libpq.connect(text)]) {
          const direct = await client(info(servers.postgres.port))
          const through = await client(info(servers.gateway.port))
          if (hash !== undefined || binding === "disable") {
            deepEqual(through, direct)
            ok(through.ok && through.tls)
            continue
          }
          // PostgreSQL offers a binding that neither it nor libpq can compute; the gateway does not offer it.
          equal(direct.ok, false)
          match(direct.error, /could not find digest for NID UNDEF/)
          equal(through.ok, binding === "prefer")
          if (binding === "require")
            match(through.error, /channel binding is required, but server did not offer/)
        }
      }
    } finally {
      await servers.stop()
    }
  })

describe("a downgrade of channel binding", () => {
  let servers: TlsServers
  let binding: Buffer
  before(async () => {
    const server = certificates.selfSigned("downgrade", ["-newkey", "rsa:2048", "-sha256"])
    binding = serverEndPointHash(new X509Certificate(readFileSync(server.certFile)).raw) ?? binding
    servers = await startTlsServers({ certificates, server, access })
  })
  after(() => servers.stop())

  type Try = {
    readonly title: string
    readonly tls: boolean
    readonly mechanism: string
    readonly header: string
    /** Data behind the header; `right` is the certificate's hash. */
    readonly binding?: "right" | "wrong"
    readonly ends: string
  }
  const plus = "SCRAM-SHA-256-PLUS"
  const plain = "SCRAM-SHA-256"
  const bound = "p=tls-server-end-point,,"
  const tries: readonly Try[] = [
    {
      title: "PLUS with the right hash",
      tls: true,
      mechanism: plus,
      header: bound,
      binding: "right",
      ends: "R",
    },
    {
      title: "PLUS with another hash",
      tls: true,
      mechanism: plus,
      header: bound,
      binding: "wrong",
      ends: "E",
    },
    { title: "PLUS without data", tls: true, mechanism: plus, header: bound, ends: "E" },
    { title: "PLUS with an unbound header", tls: true, mechanism: plus, header: "n,,", ends: "E" },
    {
      title: "a client that says we cannot bind",
      tls: true,
      mechanism: plain,
      header: "y,,",
      ends: "E",
    },
    { title: "a client that cannot bind", tls: true, mechanism: plain, header: "n,,", ends: "R" },
    {
      title: "bound data without PLUS",
      tls: true,
      mechanism: plain,
      header: bound,
      binding: "right",
      ends: "E",
    },
    {
      title: "PLUS in clear",
      tls: false,
      mechanism: plus,
      header: bound,
      binding: "right",
      ends: "E",
    },
    { title: "y in clear", tls: false, mechanism: plain, header: "y,,", ends: "R" },
    {
      title: "another type of binding",
      tls: true,
      mechanism: plus,
      header: "p=tls-unique,,",
      binding: "right",
      ends: "E",
    },
  ]

  async function attempt(port: number, item: Try): Promise<readonly string[]> {
    const client = item.tls
      ? WireClient.over(await directTls(port))
      : await WireClient.open({ port })
    client.send(startup({ user: reader.name, database: "warehouse" }))
    const offer = (await client.read()).body.subarray(4).toString()
    const data = item.binding === "wrong" ? Buffer.alloc(32, 7) : binding
    const scram = new ScramClient(reader.password, {
      gs2Header: item.header,
      ...(item.binding === undefined ? {} : { channelBinding: data }),
    })
    client.send(saslInitialResponse(item.mechanism, scram.first()))
    let answer = await client.read()
    if (answer.type === "R") {
      client.send(saslResponse(await scram.final(answer.body.subarray(4))))
      answer = await client.read()
    }
    client.destroy()
    const { C, M, D } = answer.type === "E" ? readFields(answer.body) : {}
    return [offer, answer.type, C ?? "", M ?? "", D ?? ""]
  }

  for (const item of tries)
    it(`${item.title}: ends with ${item.ends}, as in PostgreSQL`, async () => {
      const got = await attempt(servers.gateway.port, item)
      deepEqual(got, await attempt(servers.postgres.port, item))
      equal(got[1], item.ends)
    })
})

async function directTls(port: number): Promise<TLSSocket> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: ["postgresql"],
  })
  await once(socket, "secureConnect")
  return socket
}
