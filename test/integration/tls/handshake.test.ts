import { deepEqual, equal, match } from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createConnection, type Socket } from "node:net"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { type ConnectionOptions, connect } from "node:tls"
import { gssEncRequest, sslRequest, startup } from "../../support/frontend-encoder.ts"
import { reader } from "../../support/postgres-template.ts"
import { type Certificates, makeCertificates } from "./certificates.ts"
import { startTlsServers, type TlsServers } from "./servers.ts"

const host = "127.0.0.1"
/** Longest time that either server takes for an answer, which is waited for because silence is one as well. */
const quietMs = 300

let certificates: Certificates
let servers: TlsServers

before(async () => {
  certificates = makeCertificates()
  const names = "DNS:localhost,IP:127.0.0.1"
  const server = certificates.sign("server", { subject: "/CN=localhost", names })
  const access = ["host all all 127.0.0.1/32 scram-sha-256"]
  servers = await startTlsServers({ certificates, server, access })
})

after(async () => {
  await servers.stop()
  certificates.remove()
})

/** What comes until the stream ends or is silent, and whether it has ended. */
async function listen(socket: Socket): Promise<string> {
  let text = ""
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1")
  })
  socket.on("error", () => {})
  let length = -1
  while (length < text.length && !socket.closed) {
    length = text.length
    await sleep(quietMs)
  }
  const ended = socket.closed ? ", closed" : ""
  socket.destroy()
  // Of an error its code and text: the source place is the server's own.
  const [, code, message] = /SFATAL\0.*?\0C(.{5})\0M(.*?)\0/s.exec(text) ?? []
  const shown = code === undefined ? text : `${text.slice(0, text.indexOf("E"))}${code} ${message}`
  return shown + ended
}

async function inClear(port: number, parts: readonly Buffer[]): Promise<string> {
  const socket = createConnection({ port, host, noDelay: true })
  await once(socket, "connect")
  const heard = listen(socket)
  for (const part of parts) {
    socket.write(part)
    await sleep(60)
  }
  return heard
}

async function secured(port: number, options: ConnectionOptions, isDirect: boolean) {
  const socket = createConnection({ port, host, noDelay: true })
  await once(socket, "connect")
  if (!isDirect) {
    socket.write(sslRequest)
    await once(socket, "data")
  }
  const secure = connect({ socket, rejectUnauthorized: false, ...options })
  const outcome = await new Promise<string>((resolve) => {
    secure.once("secureConnect", () => resolve(""))
    secure.once("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)))
    secure.once("close", () => resolve("closed"))
  })
  return { secure, outcome }
}

async function inTls(
  port: number,
  options: ConnectionOptions,
  isDirect: boolean,
  parts: readonly Buffer[],
) {
  const { secure, outcome } = await secured(port, options, isDirect)
  if (outcome !== "") return outcome
  const heard = listen(secure)
  for (const part of parts) {
    secure.write(part)
    await sleep(60)
  }
  const protocol = secure.alpnProtocol
  return `${await heard} alpn=${protocol}`
}

const hello = startup({ user: reader.name, database: "warehouse" })
const ours: ConnectionOptions = { ALPNProtocols: ["postgresql"] }
const foreign: ConnectionOptions = { ALPNProtocols: ["http/1.1"] }
const both: ConnectionOptions = { ALPNProtocols: ["h2", "postgresql"] }

const clear: readonly (readonly [title: string, parts: readonly Buffer[]])[] = [
  ["GSSENCRequest, then SSLRequest", [gssEncRequest, sslRequest]],
  ["GSSENCRequest, then the startup packet", [gssEncRequest, hello]],
  ["GSSENCRequest twice", [gssEncRequest, gssEncRequest]],
]

const encrypted: readonly (readonly [
  title: string,
  options: ConnectionOptions,
  isDirect: boolean,
  parts: readonly Buffer[],
])[] = [
  ["SSLRequest without ALPN", {}, false, [hello]],
  ["SSLRequest with ALPN", ours, false, [hello]],
  ["SSLRequest with another protocol", foreign, false, [hello]],
  ["SSLRequest with several protocols", both, false, [hello]],
  ["direct TLS with ALPN", ours, true, [hello]],
  ["direct TLS without ALPN", {}, true, [hello]],
  ["direct TLS with another protocol", foreign, true, [hello]],
  ["direct TLS with several protocols", both, true, [hello]],
  ["TLS 1.2", { ...ours, maxVersion: "TLSv1.2" }, true, [hello]],
  ["SSLRequest inside negotiated TLS", ours, false, [sslRequest]],
  ["GSSENCRequest inside negotiated TLS", ours, false, [gssEncRequest]],
  ["SSLRequest inside direct TLS", ours, true, [sslRequest, hello]],
  ["GSSENCRequest inside direct TLS", ours, true, [gssEncRequest, sslRequest, hello]],
  ["SSLRequest twice inside direct TLS", ours, true, [sslRequest, sslRequest]],
]

describe("encryption is begun as with PostgreSQL", () => {
  for (const [title, parts] of clear)
    it(title, async () => {
      const direct = await inClear(servers.postgres.port, parts)
      equal(await inClear(servers.gateway.port, parts), direct)
    })
  for (const [title, options, isDirect, parts] of encrypted)
    it(title, async () => {
      const direct = await inTls(servers.postgres.port, options, isDirect, parts)
      const through = await inTls(servers.gateway.port, options, isDirect, parts)
      equal(through, direct)
    })

  it("a startup packet in the same segment as SSLRequest never becomes part of the session", async () => {
    const parts = [Buffer.concat([sslRequest, hello])]
    // PostgreSQL 18 hands those bytes to its TLS library, which ends the connection; the gateway says why.
    match(await inClear(servers.postgres.port, parts), /^S.*, closed$/s)
    equal(
      await inClear(servers.gateway.port, parts),
      "08P01 received unencrypted data after SSL request, closed",
    )
  })

  it("clear bytes behind the S end the handshake", async () => {
    for (const { port } of [servers.postgres, servers.gateway])
      match(await inClear(port, [sslRequest, hello]), /^S.*, closed$/s)
  })
})

/** One run of `openssl s_client` with its report. */
function sClient(args: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn("openssl", ["s_client", ...args], { stdio: ["pipe", "pipe", "pipe"] })
    let text = ""
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk
        if (/Verify return code/.test(text)) child.stdin.end()
      })
    child.once("close", (code) => {
      const [verified] = /Verify return code: \d+/.exec(text) ?? []
      const [protocol] = /(ALPN protocol: \S+|No ALPN negotiated)/.exec(text) ?? []
      const [alert] = /alert [a-z ]+/.exec(text) ?? []
      resolve([code, verified, protocol, alert].join(", "))
    })
  })
}

describe("openssl s_client reports the same as with PostgreSQL", () => {
  const runs: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [["-starttls", "postgres"], /return code: 0, No ALPN/],
    [["-starttls", "postgres", "-alpn", "postgresql"], /return code: 0, ALPN protocol: postgresql/],
    [["-starttls", "postgres", "-alpn", "h2"], /alert no application protocol/],
    [["-alpn", "postgresql"], /return code: 0, ALPN protocol: postgresql/],
    [["-alpn", "h2"], /alert no application protocol/],
    [["-alpn", "postgresql", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], /alert protocol version/],
  ]
  for (const [args, expected] of runs)
    it(args.join(" "), async () => {
      const [direct, through] = await Promise.all(
        [servers.postgres, servers.gateway].map(({ port }) =>
          sClient(["-connect", `${host}:${port}`, "-CAfile", certificates.caFile, ...args]),
        ),
      )
      match(direct ?? "", expected)
      deepEqual(through, direct)
    })
})
