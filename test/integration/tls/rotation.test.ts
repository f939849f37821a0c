import { deepEqual, equal, match, ok } from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { once } from "node:events"
import { copyFileSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, it } from "node:test"
import { connect } from "node:tls"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { WireClient } from "../../support/wire-client.ts"
import { ask, until } from "../session/support.ts"
import { type Certificates, type KeyPair, makeCertificates } from "./certificates.ts"
import { Libpq } from "./libpq.ts"

let certificates: Certificates
let gateway: RunningGateway
let libpq: Libpq
let inUse: KeyPair
const made = new Map<string, KeyPair>()

const names = "DNS:localhost,IP:127.0.0.1"

/** Into place by rename, as tools that renew certificates do. */
function put(pair: KeyPair): void {
  for (const kind of ["keyFile", "certFile"] as const) {
    copyFileSync(pair[kind], `${inUse[kind]}.new`)
    renameSync(`${inUse[kind]}.new`, inUse[kind])
  }
}

function pairOf(name: string): KeyPair {
  const pair = made.get(name) ?? certificates.sign(name, { subject: `/CN=${name}`, names })
  made.set(name, pair)
  return pair
}

before(async () => {
  certificates = makeCertificates()
  inUse = {
    certFile: join(certificates.folder, "in-use.crt"),
    keyFile: join(certificates.folder, "in-use.key"),
  }
  put(pairOf("first"))
  gateway = await startGateway({
    config: `
listen: { host: 127.0.0.1, port: 0, tls: { certFile: "${inUse.certFile}", keyFile: "${inUse.keyFile}", reloadPollMs: 200, minVersion: TLSv1.3 } }
warehouses: { mart: { engine: duckdb, path: ":memory:", mode: owned } }`,
  })
  libpq = await Libpq.start()
})

after(async () => {
  await libpq.close()
  await gateway.stop()
  certificates.remove()
})

async function direct(): Promise<WireClient> {
  const socket = connect({
    port: gateway.port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: ["postgresql"],
  })
  await once(socket, "secureConnect")
  const client = WireClient.over(socket)
  const { user, password } = gateway
  await client.login({ user, password, database: "mart" })
  return client
}

async function shownName(): Promise<string> {
  const socket = connect({ port: gateway.port, host: "127.0.0.1", rejectUnauthorized: false })
  await once(socket, "secureConnect")
  const name = String(socket.getPeerCertificate().subject.CN)
  socket.destroy()
  return name
}

async function metric(name: string): Promise<number> {
  const response = await fetch(new URL("/metrics", gateway.controlUrl), {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  const line = (await response.text()).split("\n").find((text) => text.startsWith(`${name} `))
  return Number(line?.split(" ").at(-1))
}

/** channel_binding=require fails unless the gateway hashes the very certificate that it shows. */
async function bindsTo(): Promise<string> {
  const { port, user, password } = gateway
  const { ok: isIn, error } = await libpq.connect(
    `host=localhost hostaddr=127.0.0.1 port=${port} user=${user} password=${password} dbname=mart sslmode=verify-full sslrootcert=${certificates.caFile} channel_binding=require`,
  )
  return isIn ? "in" : error
}

it("takes a new certificate into use, and leaves sessions alone", async () => {
  equal(await shownName(), "first")
  equal(await bindsTo(), "in")
  const session = await direct()
  put(pairOf("second"))
  await until("the new one is shown", async () => (await shownName()) === "second")
  deepEqual(await ask(session, "SELECT 1"), [["1"]])
  equal(await bindsTo(), "in")
  session.destroy()
  ok((await metric('sluice_tls_reloads_total{result="ok"}')) >= 1)
  equal(
    await metric("sluice_tls_certificate_not_after_timestamp_seconds"),
    Date.parse(new X509Certificate(readFileSync(inUse.certFile)).validTo) / 1000,
  )
})

const failed = (): Promise<number> => metric('sluice_tls_reloads_total{result="failed"}')

it("keeps the old one while the files do not fit, says so, and takes the next good pair", async () => {
  const bad: readonly (readonly [title: string, spoil: () => void])[] = [
    ["another key", () => copyFileSync(pairOf("first").keyFile, inUse.keyFile)],
    ["no certificate", () => writeFileSync(inUse.certFile, "nothing of the kind\n")],
    ["an empty key", () => writeFileSync(inUse.keyFile, "")],
  ]
  for (const [title, spoil] of bad) {
    const earlier = await failed()
    spoil()
    await until(`${title} is noticed`, async () => (await failed()) > earlier)
    equal(await shownName(), "second")
    equal(await bindsTo(), "in")
  }
  match(gateway.output(), /the old one stays in force/)
  ok(!gateway.output().includes("PRIVATE KEY"))
  put(pairOf("third"))
  await until("the good pair is shown", async () => (await shownName()) === "third")
  equal(await bindsTo(), "in")
})

it("reads the files again at SIGHUP, and follows links that are turned over", async () => {
  const earlier = await metric('sluice_tls_reloads_total{result="ok"}')
  gateway.signal("SIGHUP")
  await until(
    "it has read them",
    async () => (await metric('sluice_tls_reloads_total{result="ok"}')) > earlier,
  )
  equal(await shownName(), "third")
  for (const kind of ["keyFile", "certFile"] as const) {
    symlinkSync(pairOf("fourth")[kind], `${inUse[kind]}.link`)
    renameSync(`${inUse[kind]}.link`, inUse[kind])
  }
  await until("the linked one is shown", async () => (await shownName()) === "fourth")
})

it("refuses an older TLS than listen.tls.minVersion", async () => {
  const socket = connect({
    port: gateway.port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ALPNProtocols: ["postgresql"],
    maxVersion: "TLSv1.2",
  })
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException]
  equal(error.code, "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION")
  ok((await metric('sluice_tls_handshake_failures_total{reason="handshake"}')) >= 1)
})
