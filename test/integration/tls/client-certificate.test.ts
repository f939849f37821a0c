import { deepEqual, equal, match } from "node:assert/strict"
import { after, before, it } from "node:test"
import { type Certificates, type KeyPair, makeCertificates } from "./certificates.ts"
import { Libpq, type Outcome } from "./libpq.ts"
import { credentials, startTlsServers, type TlsServersOptions } from "./servers.ts"

let certificates: Certificates
let server: KeyPair
let clients: ReadonlyMap<string, KeyPair>
let libpq: Libpq

before(async () => {
  certificates = makeCertificates()
  server = certificates.sign("server", { subject: "/CN=localhost", names: "DNS:localhost" })
  const names = "DNS:etl.example.com,email:etl@example.com,URI:spiffe://example/etl"
  const made: readonly (readonly [string, Parameters<Certificates["sign"]>[1]])[] = [
    ["reader", { subject: "/O=Example/OU=Data, Inc./CN=reader", names }],
    ["other", { subject: "/CN=other" }],
    ["unnamed", { subject: "/O=Example", names }],
    ["expired", { subject: "/CN=reader", endDate: "20210101000000Z" }],
    ["future", { subject: "/CN=reader", startDate: "20980101000000Z" }],
    ["stranger", { subject: "/CN=reader", authority: "strange" }],
    ["revoked", { subject: "/CN=reader" }],
  ]
  clients = new Map(made.map(([name, options]) => [name, certificates.sign(name, options)]))
  const revoked = clients.get("revoked")
  if (revoked !== undefined) certificates.revoke(revoked)
  libpq = await Libpq.start()
})

after(async () => {
  await libpq.close()
  certificates.remove()
})

type Login = { readonly certificate?: string; readonly password?: string; readonly mode?: string }

function login(port: number, { certificate, password, mode = "require" }: Login): Promise<Outcome> {
  const pair = certificate === undefined ? undefined : clients.get(certificate)
  const shown =
    pair === undefined ? "sslcert=/nonexistent" : `sslcert=${pair.certFile} sslkey=${pair.keyFile}`
  const who = password === undefined ? credentials : `${credentials} password=${password}`
  return libpq.connect(
    `host=localhost hostaddr=127.0.0.1 port=${port} ${who} sslmode=${mode} ${shown}`,
  )
}

type Expected = "in" | RegExp
type Rules = {
  readonly title: string
  readonly options: Pick<TlsServersOptions, "access" | "identities" | "tls" | "user">
  /** `same`: PostgreSQL says exactly the same; otherwise it refuses as well, in other words. */
  readonly logins: readonly (readonly [login: Login, expected: Expected, same?: "same"])[]
}

const required = /connection requires a valid client certificate/
const password = /password authentication failed for user "reader"/

const rules: readonly Rules[] = [
  {
    title: "where everybody needs one",
    options: {
      access: ["hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca"],
      tls: "clientCertificate: require",
      user: "VERIFIER",
    },
    logins: [
      [{ certificate: "reader" }, "in", "same"],
      [{ certificate: "other" }, "in", "same"],
      [{}, required, "same"],
      [{ certificate: "reader", password: "wrong" }, password, "same"],
      [{ certificate: "expired" }, /cert has expired/],
      [{ certificate: "future" }, /cert not yet valid/],
      [{ certificate: "stranger" }, /unable to verify leaf signature/],
      [{ certificate: "revoked" }, /cert revoked/],
      [{ certificate: "reader", mode: "disable" }, /encrypted connections only/],
    ],
  },
  {
    title: "where the common name must be the user's",
    options: {
      access: ["hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-full"],
      tls: "clientCertificate: optional",
      user: "VERIFIER, requireClientCertificate: { cn: reader }",
    },
    logins: [
      [{ certificate: "reader" }, "in", "same"],
      [{}, required, "same"],
      [{ certificate: "other" }, password, "same"],
      [{ certificate: "unnamed" }, password, "same"],
      [{ certificate: "reader", password: "wrong" }, password, "same"],
      // Only who knows the password learns that a certificate is missing.
      [{ password: "wrong" }, password],
      [{ mode: "disable" }, required],
    ],
  },
  {
    title: "where it is the only proof",
    options: {
      access: ["hostssl all all 127.0.0.1/32 cert"],
      tls: "clientCertificate: optional",
      user: "auth: certificate",
    },
    logins: [
      [{ certificate: "reader" }, "in", "same"],
      [{ certificate: "reader", password: "wrong" }, "in", "same"],
      // PostgreSQL says what is missing; here such a user looks like one that does not exist.
      [{ certificate: "other" }, password],
      [{}, password],
      [{ certificate: "revoked" }, required],
      [{ certificate: "stranger" }, required],
      [{ mode: "disable" }, password],
    ],
  },
  {
    title: "where the whole subject counts",
    options: {
      access: ["hostssl all all 127.0.0.1/32 cert clientname=DN map=by_subject"],
      identities: [String.raw`by_subject "CN=reader,OU=Data\, Inc.,O=Example" reader`],
      tls: "clientCertificate: optional",
      user: String.raw`auth: certificate, requireClientCertificate: { dn: 'CN=reader,OU=Data\, Inc.,O=Example' }`,
    },
    logins: [
      [{ certificate: "reader" }, "in", "same"],
      [{ certificate: "other" }, password],
      [{ certificate: "unnamed" }, password],
    ],
  },
  {
    title: "where an alternative name counts",
    options: {
      access: ["host all all 127.0.0.1/32 scram-sha-256"],
      tls: "clientCertificate: optional",
      user: 'auth: certificate, requireClientCertificate: { san: "URI:spiffe://example/etl" }',
    },
    logins: [
      [{ certificate: "reader" }, "in"],
      [{ certificate: "unnamed" }, "in"],
      [{ certificate: "other" }, password],
      [{}, password],
    ],
  },
]

for (const { title, options, logins } of rules)
  it(`takes and refuses client certificates ${title}`, async () => {
    const servers = await startTlsServers({
      certificates,
      server,
      asksForCertificate: true,
      hasCrl: true,
      ...options,
    })
    try {
      for (const [item, expected, same] of logins) {
        const through = await login(servers.gateway.port, item)
        if (expected === "in")
          deepEqual({ item, ok: through.ok, through }, { item, ok: true, through })
        else match(`${through.ok ? "in " : ""}${through.error}`, expected, JSON.stringify(item))
        // PostgreSQL has no rule for alternative names.
        if (title.includes("alternative")) continue
        const direct = await login(servers.postgres.port, item)
        if (same === "same") deepEqual({ item, through }, { item, through: direct })
        else equal(direct.ok, through.ok, JSON.stringify({ item, direct }))
      }
    } finally {
      await servers.stop()
    }
  })
