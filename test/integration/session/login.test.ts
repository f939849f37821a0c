import { deepEqual, equal, ok, rejects } from "node:assert/strict"
import { once } from "node:events"
import { after, before, describe, it } from "node:test"
import { connect, type TLSSocket } from "node:tls"
import { fileURLToPath } from "node:url"
import {
  frame,
  gssEncRequest,
  int32,
  packet,
  query,
  sslRequest,
  startup,
  text,
} from "../../support/frontend-encoder.ts"
import { startGateway } from "../../support/gateway.ts"
import { type ConnectOptions, errors, LoginRefused, WireClient } from "../../support/wire-client.ts"
import { ask, line, Pair, until } from "./support.ts"

/** Code and text of the FATAL error that a login ends with. */
async function refusal(
  connecting: Promise<WireClient>,
): Promise<Readonly<Record<string, string | undefined>>> {
  try {
    const client = await connecting
    client.destroy()
  } catch (error) {
    if (!(error instanceof LoginRefused)) throw error
    const { S, V, C, M, D } = error.fields
    return { S, V, C, M, D }
  }
  throw new Error("the login was accepted")
}

const refused: readonly (readonly [title: string, options: Partial<ConnectOptions>])[] = [
  ["a wrong password", { password: "wrong" }],
  ["an empty password", { password: "" }],
  ["an unknown user", { user: "nobody_at_all", password: "x" }],
  ["an unknown user with an odd name", { user: 'o"dd é', password: "x" }],
  ["an unknown database", { database: "nowhere" }],
  ["an unknown database with an odd name", { database: "no where\"'" }],
  ["a wrong password for an unknown database", { database: "nowhere", password: "wrong" }],
  ["a bad value in the startup packet", { parameters: { DateStyle: "nonsense" } }],
  ["a bad value in the startup options", { parameters: { options: "-c extra_float_digits=99" } }],
]

/** Bytes of a client that does not speak the protocol, before any login; the answer must be an error or silence, then the end. */
const garbage: readonly (readonly [title: string, bytes: Buffer])[] = [
  ["an HTTP request", Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")],
  ["zeros", Buffer.alloc(64)],
  ["ones", Buffer.alloc(64, 0xff)],
  ["a negative length", int32(-1, 196608)],
  ["a length of three", int32(3, 196608)],
  ["a length beyond the limit", int32(0x7fffffff, 196608)],
  ["protocol 2", packet(int32(131072))],
  ["protocol 4", startup({ user: "reader" }, { major: 4 })],
  ["no user", startup({ database: "warehouse" })],
  ["no terminator", packet(Buffer.concat([int32(196608), text("user")]))],
  [
    "a user that is not UTF-8",
    packet(
      Buffer.concat([
        int32(196608),
        text("user"),
        text(Buffer.from([0xff, 0xfe])),
        Buffer.alloc(1),
      ]),
    ),
  ],
  ["a query instead of the startup packet", query("SELECT 1")],
]

describe("login", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      config:
        "listen: { host: 127.0.0.1, port: 0, loginTimeoutMs: 700, preLoginMax: 8, sessionsMax: 6, messageBytesMax: 1048576 }",
    })
  })
  after(() => pair.stop())

  for (const [title, options] of refused)
    it(`refuses ${title} in PostgreSQL's words`, async () => {
      deepEqual(await refusal(pair.through(options)), await refusal(pair.direct(options)))
    })

  for (const [title, bytes] of garbage)
    it(`ends a connection that sends ${title}, and serves the next one`, async () => {
      const client = await WireClient.open({ port: pair.gateway.port })
      client.socket.end(bytes)
      const answer = await client.readUntilClosed()
      ok(
        answer.every((message) => message.type === "E"),
        answer.map(line).join("\n"),
      )
      const next = await pair.through()
      deepEqual(await ask(next, "SELECT 1"), [["1"]])
      next.destroy()
    })

  it("reports what drivers wait for", async () => {
    const [client, direct] = [await pair.through(), await pair.direct()]
    for (const [name, value] of direct.parameters)
      if (name !== "default_transaction_read_only") equal(client.parameters.get(name), value, name)
    equal(client.parameters.get("default_transaction_read_only"), "on")
    ok(client.processId > 0)
    equal(client.secretKey.length, 4)
    client.destroy()
  })

  it("gives a longer cancel key to protocol 3.2, and negotiates 3.9 down", async () => {
    const newer = await pair.through({ protocolMinor: 2 })
    equal(newer.secretKey.length, 32)
    newer.destroy()
    const newest = await pair.through({ protocolMinor: 9 })
    equal(newest.loginMessages[0]?.type, "v")
    equal(newest.loginMessages[0]?.body.readInt32BE(0), 0x30002)
    newest.destroy()
  })

  it("takes a startup packet that comes byte by byte", async () => {
    const client = await WireClient.open({ port: pair.gateway.port })
    for (const byte of startup({ user: "reader", database: "warehouse" }))
      client.socket.write(Buffer.from([byte]))
    const { type, body } = await client.read()
    deepEqual([type, body.readInt32BE(0)], ["R", 10])
    client.destroy()
  })

  it("answers N to SSLRequest and GSSENCRequest without TLS, each once", async () => {
    const client = await WireClient.open({ port: pair.gateway.port })
    for (const request of [gssEncRequest, sslRequest]) {
      client.send(request)
      await until("the answer is there", async () => client.unparsed.length > 0)
      equal(client.unparsed.toString().at(-1), "N")
    }
    client.send(sslRequest)
    await once(client.socket, "close")
    const left = client.unparsed.toString("latin1")
    ok(left.includes("unsupported frontend protocol 1234.5679"), left)
  })

  for (const [name, value] of [
    ["work_mem", "1GB"],
    ["role", "postgres"],
    ["replication", "database"],
  ] as const)
    it(`refuses the startup setting ${name} by its name`, async () => {
      const fields = await refusal(pair.through({ parameters: { [name]: value } }))
      ok(fields["M"]?.includes(name), fields["M"])
      equal(fields["S"], "FATAL")
    })

  it("refuses an option that is no setting", async () => {
    const fields = await refusal(pair.through({ parameters: { options: "-c work_mem=1GB" } }))
    ok(fields["M"]?.includes("work_mem"))
    const other = await refusal(pair.through({ parameters: { options: "-d 5" } }))
    ok(other["M"]?.includes("-d"))
  })

  it("reads escaped blanks in options", async () => {
    const client = await pair.through({
      parameters: { options: "-c search_path=lab,\\ public -c TimeZone=Asia/Tokyo" },
    })
    deepEqual(await ask(client, "SHOW search_path"), [["lab, public"]])
    deepEqual(await ask(client, "SHOW timezone"), [["Asia/Tokyo"]])
    client.destroy()
  })

  it("ends a login that takes too long", async () => {
    const silent = await WireClient.open({ port: pair.gateway.port })
    const half = await WireClient.open({ port: pair.gateway.port })
    half.send(startup({ user: "reader" }))
    for (const client of [silent, half]) {
      const fields = errors(await client.readUntilClosed()).at(-1)
      equal(fields?.["S"], "FATAL")
      equal(fields?.["M"], "canceling authentication due to timeout")
    }
  })

  it("lets only so many connections wait before login", async () => {
    const waiting = await Promise.all(
      Array.from({ length: 8 }, () => WireClient.open({ port: pair.gateway.port })),
    )
    const fields = await refusal(pair.through())
    deepEqual([fields["C"], fields["M"]], ["53300", "sorry, too many clients already"])
    for (const client of waiting) client.destroy()
    await until("there is room again", async () => {
      const client = await pair.through().catch(() => undefined)
      client?.destroy()
      return client !== undefined
    })
  })

  it("lets only so many sessions in", async () => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const open = await Promise.all(Array.from({ length: 6 }, () => pair.through()))
    const fields = await refusal(pair.through())
    deepEqual([fields["C"], fields["M"]], ["53300", "sorry, too many clients already"])
    open[0]?.destroy()
    await until("a seat is free", async () => {
      const client = await pair.through().catch(() => undefined)
      client?.destroy()
      return client !== undefined
    })
    for (const client of open) client.destroy()
  })

  const broken: readonly (readonly [title: string, bytes: Buffer])[] = [
    ["the header of a 1 GB query", Buffer.concat([Buffer.from("Q"), int32(1024 ** 3)])],
    ["the header of a 2 GB Parse", Buffer.concat([Buffer.from("P"), int32(0x7fffffff)])],
    ["a message just above the limit", Buffer.concat([Buffer.from("Q"), int32(1048577)])],
    ["a negative length", Buffer.concat([Buffer.from("Q"), int32(-5)])],
    ["a length of three", Buffer.concat([Buffer.from("Q"), int32(3)])],
    ["a Sync of a megabyte", Buffer.concat([Buffer.from("S"), int32(1048576)])],
    ["an unknown type", frame("!", Buffer.alloc(0))],
    ["a PasswordMessage after the login", frame("p", text("secret"))],
  ]
  for (const [title, bytes] of broken)
    it(`ends a session with 08P01 that sends ${title}`, async () => {
      const client = await pair.through()
      client.send(bytes)
      const answer = errors(await client.readUntilClosed())
      deepEqual(
        answer.map(({ S, C }) => [S, C]),
        [["FATAL", "08P01"]],
      )
    })

  it("refuses an encoding it does not speak by its name", async () => {
    const fields = await refusal(pair.through({ parameters: { client_encoding: "LATIN1" } }))
    ok(fields["M"]?.includes("client_encoding"))
    const client = await pair.through({ parameters: { client_encoding: "'utf-8'" } })
    client.destroy()
  })
})

async function encrypted(port: number): Promise<TLSSocket> {
  const client = await WireClient.open({ port })
  client.send(sslRequest)
  await until("the answer is there", async () => client.unparsed.length > 0)
  equal(client.unparsed.toString(), "S")
  client.socket.removeAllListeners("data")
  const secure = connect({
    socket: client.socket,
    rejectUnauthorized: false,
    ALPNProtocols: ["postgresql"],
  })
  await once(secure, "secureConnect")
  return secure
}

describe("login with TLS", () => {
  const [keyFile, certFile] = ["server.key", "server.crt"].map((name) =>
    fileURLToPath(new URL(`../postgres/tls/${name}`, import.meta.url)),
  )
  const config = (required: boolean): string => `
listen: { host: 127.0.0.1, port: 0, loginTimeoutMs: 1500, tls: { certFile: "${certFile}", keyFile: "${keyFile}", required: ${required} } }
warehouses: { mart: { engine: duckdb, path: ":memory:", mode: owned } }`
  it("logs in and answers inside TLS, and in clear where TLS is optional", async () => {
    const gateway = await startGateway({ config: config(false) })
    try {
      const { port, user, password } = gateway
      const secure = await encrypted(port)
      equal(secure.alpnProtocol, "postgresql")
      const client = WireClient.over(secure)
      await client.login({ user, password, database: "mart" })
      deepEqual(await ask(client, "SELECT 41 + 1"), [["42"]])
      deepEqual((await ask(client, "SELECT repeat('x', 3000000)"))[0]?.[0]?.length, 3_000_000)
      client.destroy()
      const plain = await WireClient.connect({ port, user, password, database: "mart" })
      deepEqual(await ask(plain, "SELECT 41 + 1"), [["42"]])
      plain.destroy()
    } finally {
      await gateway.stop()
    }
  })

  it("refuses clear text where TLS is required, and bytes sent behind SSLRequest", async () => {
    const gateway = await startGateway({ config: config(true) })
    try {
      const { port, user, password } = gateway
      const connecting = WireClient.connect({ port, user, password, database: "mart" })
      await rejects(connecting, /28000 this gateway accepts encrypted connections only/)
      const injected = await WireClient.open({ port })
      injected.send(sslRequest, startup({ user }))
      const [fields] = errors(await injected.readUntilClosed())
      equal(fields?.["M"], "received unencrypted data after SSL request")
      const stalled = await WireClient.open({ port })
      stalled.send(sslRequest)
      await stalled.readUntilClosed()
      const secure = await encrypted(port)
      const client = WireClient.over(secure)
      await client.login({ user, password, database: "mart" })
      deepEqual(await ask(client, "SELECT 1"), [["1"]])
      client.destroy()
    } finally {
      await gateway.stop()
    }
  })
})
