import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict"
import { once } from "node:events"
import { createConnection, type Socket } from "node:net"
import { after, before, describe, it } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { saslInitialResponse, sslRequest, startup } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { ScramClient } from "../../support/scram-client.ts"
import { LoginRefused, WireClient } from "../../support/wire-client.ts"
import { ask, until } from "../session/support.ts"
import { type Certificates, makeCertificates } from "./certificates.ts"

const warehouses = 'warehouses: { mart: { engine: duckdb, path: ":memory:", mode: owned } }'

async function open(port: number, host = "127.0.0.1", localAddress?: string): Promise<Socket> {
  const socket = createConnection({
    port,
    host,
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  })
  socket.on("error", () => {})
  await once(socket, "connect")
  return socket
}

async function metrics(gateway: RunningGateway): Promise<(name: string) => number> {
  const response = await fetch(new URL("/metrics", gateway.controlUrl), {
    headers: { authorization: `Bearer ${gateway.token}` },
  })
  const lines = (await response.text()).split("\n")
  return (name) =>
    Number(
      lines
        .find((line) => line.startsWith(`${name} `))
        ?.split(" ")
        .at(-1),
    )
}

describe("connections before login", () => {
  const loginTimeoutMs = 900
  let certificates: Certificates
  let gateway: RunningGateway

  before(async () => {
    certificates = makeCertificates()
    const { certFile, keyFile } = certificates.sign("server", { subject: "/CN=localhost" })
    gateway = await startGateway({
      config: `
listen:
  { host: 127.0.0.1, port: 0, loginTimeoutMs: ${loginTimeoutMs}, preLoginMax: 30, preLoginPerAddressMax: 10,
    tls: { certFile: "${certFile}", keyFile: "${keyFile}" } }
${warehouses}`,
    })
  })

  after(async () => {
    await gateway.stop()
    certificates.remove()
  })

  async function login(localAddress?: string): Promise<WireClient> {
    const client = WireClient.over(await open(gateway.port, "127.0.0.1", localAddress))
    const { user, password } = gateway
    await client.login({ user, password, database: "mart" })
    return client
  }

  /** Both figures: nothing may be left of a connection that is gone. */
  async function untilEmpty(): Promise<void> {
    await until("no login is under way", async () => {
      const value = await metrics(gateway)
      return value('sluice_client_connections{state="login"}') === 0
    })
  }

  it("are few for one address, and leave room for another", async () => {
    const waiting = await Promise.all(Array.from({ length: 10 }, () => open(gateway.port)))
    const refused = await login().catch((error: unknown) => error)
    ok(refused instanceof LoginRefused)
    deepEqual(
      [refused.fields["C"], refused.fields["M"]],
      ["53300", "sorry, too many clients already"],
    )
    const elsewhere = await login("127.0.0.2")
    deepEqual(await ask(elsewhere, "SELECT 1"), [["1"]])
    elsewhere.destroy()
    const value = await metrics(gateway)
    ok(value('sluice_connections_refused_total{limit="pre_login_per_address"}') >= 1)
    for (const socket of waiting) socket.destroy()
    await untilEmpty()
    ;(await login()).destroy()
  })

  it("are few in all", async () => {
    const addresses = ["127.0.0.3", "127.0.0.4", "127.0.0.5"]
    const waiting = await Promise.all(
      addresses.flatMap((address) =>
        Array.from({ length: 10 }, () => open(gateway.port, "127.0.0.1", address)),
      ),
    )
    const refused = await login("127.0.0.6").catch((error: unknown) => error)
    ok(refused instanceof LoginRefused)
    equal(refused.fields["C"], "53300")
    const value = await metrics(gateway)
    ok(value('sluice_connections_refused_total{limit="pre_login"}') >= 1)
    for (const socket of waiting) socket.destroy()
    await untilEmpty()
  })

  const hello = startup({ user: "reader", database: "mart" })

  /** Ways to hold on to a place; each must be over soon after the one deadline, whatever the client does. */
  const stalls: readonly (readonly [title: string, hold: (socket: Socket) => Promise<void>])[] = [
    ["says nothing", async () => {}],
    [
      "asks for TLS and stalls",
      async (socket) => {
        socket.write(sslRequest)
      },
    ],
    [
      "sends half a ClientHello",
      async (socket) => {
        socket.write(sslRequest)
        await once(socket, "data")
        socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0]))
      },
    ],
    [
      "begins direct TLS and stalls",
      async (socket) => {
        socket.write(Buffer.from([0x16]))
      },
    ],
    [
      "sends its startup packet one byte at a time",
      async (socket) => {
        for (const byte of hello) {
          if (socket.destroyed) return
          socket.write(Buffer.from([byte]))
          await sleep(120)
        }
      },
    ],
    [
      "never answers the challenge",
      async (socket) => {
        socket.write(hello)
      },
    ],
    [
      "closes its own direction only",
      async (socket) => {
        socket.write(hello)
        await once(socket, "data")
        socket.end()
      },
    ],
  ]

  for (const [title, hold] of stalls)
    it(`end at the deadline when the client ${title}`, async () => {
      const socket = createConnection({
        port: gateway.port,
        host: "127.0.0.1",
        allowHalfOpen: true,
      })
      socket.on("error", () => {})
      socket.resume()
      await once(socket, "connect")
      const started = performance.now()
      const closed = once(socket, "end").then(
        () => "ended",
        () => "reset",
      )
      void hold(socket)
      await Promise.race([closed, once(socket, "close"), sleep(10 * loginTimeoutMs)])
      const tookMs = performance.now() - started
      ok(tookMs < 5 * loginTimeoutMs, `${tookMs} ms`)
      await untilEmpty()
      socket.destroy()
    })

  it("that were refused do not stay open for a client that never closes", async () => {
    const waiting = await Promise.all(Array.from({ length: 10 }, () => open(gateway.port)))
    const lingering = createConnection({
      port: gateway.port,
      host: "127.0.0.1",
      allowHalfOpen: true,
    })
    lingering.on("error", () => {})
    const answer: Buffer[] = []
    lingering.on("data", (chunk) => answer.push(chunk))
    await once(lingering, "end")
    match(Buffer.concat(answer).toString(), /53300/)
    for (const socket of waiting) socket.destroy()
    // The gateway lets go of it within its second; then what is written meets a reset.
    await until("it is reset", async () => {
      lingering.write("x")
      return lingering.destroyed
    })
    await untilEmpty()
  })

  it("survive a flood that never speaks", async () => {
    for (let round = 0; round < 20; round += 1) {
      const flood = await Promise.all(Array.from({ length: 25 }, () => open(gateway.port)))
      for (const socket of flood) socket.destroy()
    }
    await untilEmpty()
    const client = await login()
    deepEqual(await ask(client, "SELECT 1"), [["1"]])
    client.destroy()
  })
})

const shape = (parts: readonly string[]): string => parts.join(" ").replace(/s=[^,]*/, "s=?")
const salt = (parts: readonly string[]): string => /s=([^,]*)/.exec(parts[1] ?? "")?.[1] ?? ""

describe("failed logins", () => {
  let gateway: RunningGateway

  before(async () => {
    const verifier = await makeVerifier("right", 8192)
    gateway = await startGateway({
      config: `
listen: { host: 127.0.0.1, port: 0, loginFailuresMax: 3, loginDelayMsMax: 400 }
users:
  reader: { verifier: "${verifier}", roles: [everything] }
  other: { verifier: "${verifier}", roles: [everything] }
${warehouses}`,
      login: { user: "reader", password: "right" },
    })
  })

  after(() => gateway.stop())

  type Try = { readonly user?: string; readonly password?: string; readonly from?: string }

  async function attempt({ user = "reader", password = "right", from = "127.0.0.1" }: Try) {
    const client = WireClient.over(await open(gateway.port, "127.0.0.1", from))
    const started = performance.now()
    const outcome = await client.login({ user, password, database: "mart" }).then(
      () => "in",
      (error: unknown) => (error instanceof LoginRefused ? `${error.fields["C"]}` : String(error)),
    )
    client.destroy()
    return { outcome, tookMs: performance.now() - started }
  }

  async function conversation(user: string): Promise<readonly string[]> {
    const client = WireClient.over(await open(gateway.port, "127.0.0.1", "127.0.0.9"))
    client.send(startup({ user, database: "mart" }))
    const offer = await client.read()
    const scram = new ScramClient("guess")
    client.send(saslInitialResponse("SCRAM-SHA-256", scram.first()))
    const { body } = await client.read()
    const challenge = body.subarray(4).toString()
    client.destroy()
    return [offer.body.toString("hex"), challenge.replace(/^r=[^,]*,/, "")]
  }

  const refusal = async (user: string): Promise<unknown> => {
    const client = WireClient.over(await open(gateway.port, "127.0.0.1", "127.0.0.10"))
    const error = await client.login({ user, password: "guess", database: "mart" }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    ok(error instanceof LoginRefused)
    client.destroy()
    return JSON.parse(JSON.stringify(error.fields).replaceAll(user, "USER"))
  }

  it("slow the next one of that user at that address, and nobody else", async () => {
    for (let index = 0; index < 8; index += 1)
      equal((await attempt({ password: "wrong" })).outcome, "28P01")
    const value = await metrics(gateway)
    ok(value("sluice_logins_delayed_total") >= 4)
    const delayed = value("sluice_logins_delayed_total")
    // The right password is slowed there as well, since an answer that came at once would tell it; it is not refused.
    const slowed = await attempt({})
    equal(slowed.outcome, "in")
    ok(slowed.tookMs >= 300, `${slowed.tookMs} ms`)
    equal((await attempt({ from: "127.0.0.2" })).outcome, "in")
    equal((await attempt({ user: "other" })).outcome, "in")
    equal((await metrics(gateway))("sluice_logins_delayed_total"), delayed + 1)
  })

  it("of one user at one address wait only a few at a time; the rest is refused with 53300", async () => {
    const tries = await Promise.all(
      Array.from({ length: 12 }, () => attempt({ password: "wrong" })),
    )
    const outcomes = new Map<string, number>()
    for (const { outcome } of tries) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    equal(outcomes.get("28P01"), 4)
    equal(outcomes.get("53300"), 8)
    const value = await metrics(gateway)
    equal(value('sluice_connections_refused_total{limit="login_rate"}'), 8)
    equal((await attempt({ from: "127.0.0.2" })).outcome, "in")
  })

  it("are not undone by leaving early: the place stays taken until the wait is over", async () => {
    const limit = 'sluice_connections_refused_total{limit="login_rate"}'
    const earlier = (await metrics(gateway))(limit)
    for (let index = 0; index < 8; index += 1) {
      const socket = await open(gateway.port)
      socket.write(startup({ user: "reader", database: "mart" }))
      await sleep(10)
      socket.destroy()
    }
    equal((await metrics(gateway))(limit), earlier + 4)
  })

  it("of made-up users look like those of real ones, byte for byte", async () => {
    const real = await conversation("reader")
    const made = await conversation("nobody")
    equal(shape(made), shape(real))
    match(shape(real), /s=\?,i=8192$/)
    equal(salt(made).length, salt(real).length)
    // The same name shows the same salt at every try, another name another one.
    deepEqual(await conversation("nobody"), made)
    notEqual(salt(await conversation("nobody2")), salt(made))

    deepEqual(await refusal("nobody"), await refusal("reader"))
  })
})
