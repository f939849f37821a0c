import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, it } from "node:test"
import { type Certificates, type KeyPair, makeCertificates } from "./certificates.ts"
import { Libpq, type Outcome, psql, psqlVersion } from "./libpq.ts"
import { credentials, startTlsServers, type TlsServers } from "./servers.ts"

const modes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const
const bindings = ["disable", "prefer", "require"] as const
const clientCertificates = ["none", "good", "wrong"] as const

/** What the client is shown, and what it trusts. */
const serverSides = ["good", "wrong host", "expired", "unknown authority"] as const

type Case = {
  readonly mode: (typeof modes)[number]
  readonly binding: (typeof bindings)[number]
  readonly certificate: (typeof clientCertificates)[number]
}

const cases: readonly Case[] = modes.flatMap((mode) =>
  bindings.flatMap((binding) =>
    clientCertificates.map((certificate) => ({ mode, binding, certificate })),
  ),
)

let certificates: Certificates
let pairs: ReadonlyMap<string, KeyPair>
let clients: Readonly<Record<Case["certificate"], string>>
let libpq: Libpq

const asked = ({ certFile, keyFile }: KeyPair): string => `sslcert=${certFile} sslkey=${keyFile}`

before(async () => {
  certificates = makeCertificates()
  const names = "DNS:localhost,IP:127.0.0.1"
  const good = certificates.sign("good", { subject: "/CN=localhost", names })
  const expired = { subject: "/CN=localhost", names, endDate: "20210101000000Z" }
  const elsewhere = { subject: "/CN=warehouse.example.com", names: "DNS:warehouse.example.com" }
  pairs = new Map([
    ["good", good],
    ["unknown authority", good],
    ["expired", certificates.sign("expired", expired)],
    ["wrong host", certificates.sign("elsewhere", elsewhere)],
  ])
  const wrong = { subject: "/CN=reader", authority: "strange" } as const
  clients = {
    none: "sslcert=/nonexistent/client.crt",
    good: asked(certificates.sign("reader", { subject: "/CN=reader" })),
    wrong: asked(certificates.sign("stranger", wrong)),
  }
  libpq = await Libpq.start()
})

after(async () => {
  await libpq.close()
  certificates.remove()
})

function conninfo(item: Case, side: (typeof serverSides)[number], port: number): string {
  const root = side === "unknown authority" ? certificates.strangeCaFile : certificates.caFile
  return [
    `host=localhost hostaddr=127.0.0.1 port=${port} ${credentials} connect_timeout=10`,
    `sslmode=${item.mode} channel_binding=${item.binding} sslrootcert=${root}`,
    clients[item.certificate],
  ].join(" ")
}

function shown({ ok: isIn, tls, error }: Outcome): string {
  if (isIn) return tls ? "in, TLS" : "in, clear"
  return `refused: ${error}`
}

/**
 * The two places where the gateway says something else. PostgreSQL ends the handshake with an alert when a client shows a
 * certificate that it does not take; Node's TLS cannot, so that the gateway refuses it in the login, with a message. libpq
 * then sees an answer of the server, and with sslmode=prefer it tries again in clear, which here is allowed.
 */
function isKnownDifference(item: Case, direct: string, through: string): boolean {
  if (item.certificate !== "wrong" || !/alert unknown ca/.test(direct)) return false
  if (/connection requires a valid client certificate/.test(through)) return true
  return item.mode === "prefer" && through === "in, clear"
}

/** One letter a connection: T in TLS, C in clear, - refused, ~ the known difference. By `sslmode certificate`. */
type Matrix = ReadonlyMap<string, string>

async function compare(
  servers: TlsServers,
  side: (typeof serverSides)[number],
  connect: (conninfo: string) => Promise<Outcome>,
): Promise<Matrix> {
  const matrix = new Map<string, string>()
  for (const item of cases) {
    const [direct, through] = await Promise.all([
      connect(conninfo(item, side, servers.postgres.port)),
      connect(conninfo(item, side, servers.gateway.port)),
    ])
    const [expected, got] = [shown(direct), shown(through)]
    const isKnown = isKnownDifference(item, expected, got)
    if (!isKnown) deepEqual({ side, item, got }, { side, item, got: expected })
    const plain = direct.ok ? (direct.tls ? "T" : "C") : "-"
    const key = `${item.mode} ${item.certificate}`
    matrix.set(key, (matrix.get(key) ?? "") + (isKnown ? "~" : plain))
  }
  return matrix
}

function printed(name: string, matrix: Matrix): string {
  const rows = modes.map((mode) => {
    const cells = clientCertificates.map((kind) => `${kind} ${matrix.get(`${mode} ${kind}`)}`)
    return `${mode}: ${cells.join(" ")}`
  })
  return `${name}: ${rows.join(" | ")}`
}

for (const side of serverSides)
  it(`a server certificate that is ${side}: every client ends as with PostgreSQL`, async (test) => {
    const server = pairs.get(side)
    ok(server !== undefined)
    const access = ["host all all 127.0.0.1/32 scram-sha-256"]
    const servers = await startTlsServers({
      certificates,
      server,
      access,
      asksForCertificate: true,
    })
    try {
      const byPsql = await compare(servers, side, psql)
      test.diagnostic(printed(psqlVersion(), byPsql))
      const byLibpq = await compare(servers, side, (text) => libpq.connect(text))
      test.diagnostic(printed(`libpq ${libpq.version}`, byLibpq))
      const byDirect = await compare(servers, side, (text) =>
        libpq.connect(
          /sslmode=(require|verify)/.test(text) ? `${text} sslnegotiation=direct` : text,
        ),
      )
      test.diagnostic(printed("direct TLS", byDirect))
      const letters = [...byPsql.values(), ...byLibpq.values(), ...byDirect.values()].join("")
      equal(letters.length, 3 * cases.length)
      // A matrix in which everything ends alike would show nothing.
      ok(letters.includes("C") && letters.includes("-"))
      equal(letters.includes("T"), side === "good" || side === "wrong host")
    } finally {
      await servers.stop()
    }
  })
