import { deepEqual, equal, notDeepEqual, ok } from "node:assert/strict"
import { createConnection } from "node:net"
import { after, before, describe, it } from "node:test"
import { startup } from "../../support/frontend-encoder.ts"
import { Watch } from "../../support/watch.ts"
import { type BackendMessage, WireClient } from "../../support/wire-client.ts"
import { Pair } from "../session/support.ts"
import { loginCases, type Who } from "./login-cases.ts"
import { summary } from "./summary.ts"

/** Bytes in front of the first message: `N` for each refused request, which are no messages. */
function withoutRefusals(raw: Buffer): { readonly refusals: number; readonly rest: Buffer } {
  let refusals = 0
  while (raw[refusals] === 0x4e && raw[refusals + 1] !== 0) refusals += 1
  return { refusals, rest: raw.subarray(refusals) }
}

function messagesIn(bytes: Buffer): BackendMessage[] {
  const messages: BackendMessage[] = []
  let offset = 0
  while (bytes.length - offset >= 5) {
    const end = offset + 1 + bytes.readInt32BE(offset + 1)
    messages.push({
      type: String.fromCharCode(bytes[offset] ?? 0),
      body: bytes.subarray(offset + 5, end),
    })
    offset = end
  }
  return messages
}

type Ending = { readonly refusals: number; readonly lines: readonly string[] }

/** What comes back until the end. Nonce, salt and mechanisms are the server's own: of an authentication request only its code counts. */
async function ending(port: number, bytes: readonly Buffer[]): Promise<Ending> {
  const socket = createConnection({ port, host: "127.0.0.1" })
  const received: Buffer[] = []
  socket.on("data", (chunk: Buffer) => received.push(chunk))
  socket.on("error", () => {})
  const closed = new Promise((resolve) => {
    socket.on("close", resolve)
  })
  socket.end(Buffer.concat([...bytes]))
  await closed
  const { refusals, rest } = withoutRefusals(Buffer.concat(received))
  const messages = messagesIn(rest)
  const lines = messages.map((message) =>
    message.type === "R" ? `R ${message.body.readInt32BE(0)}` : (summary([message])[0] ?? "S"),
  )
  return { refusals, lines }
}

describe("a hostile client before its login", () => {
  let pair: Pair
  let watch: Watch
  let ours: Who
  let theirs: Who
  before(async () => {
    pair = await Pair.start({
      config: "listen: { host: 127.0.0.1, port: 0, preLoginMax: 20, loginTimeoutMs: 600 }",
    })
    watch = new Watch(pair.gateway, "warehouse", pair.postgres)
    ours = { user: pair.gateway.user, database: "warehouse" }
    theirs = { user: new URL(pair.postgres.uri).username, database: pair.postgres.database }
    await watch.begin()
  })
  after(() => pair.stop())

  for (const { title, bytes, differs } of loginCases)
    it(`that sends ${title} is told what PostgreSQL says and leaves nothing behind`, async () => {
      const direct = await ending(pair.postgres.port, bytes(theirs))
      const got = await ending(pair.gateway.port, bytes(ours))
      const rename = (line: string): string => line.replace(theirs.user, ours.user)
      const expected = { ...direct, lines: direct.lines.map(rename) }
      if (differs === undefined) deepEqual(got, expected)
      else {
        deepEqual(
          got.lines.filter((line) => line.startsWith("E")),
          differs.errors,
        )
        notDeepEqual(got, expected, "it does not differ any more")
      }
      await watch.isUnharmed()
    })

  it("that is refused and never closes its side is closed all the same", async () => {
    const sockets = Array.from({ length: 40 }, () => {
      const socket = createConnection({ port: pair.gateway.port, allowHalfOpen: true })
      socket.on("error", () => {})
      // The end may come as a reset: the server closes with bytes of ours unread.
      const closed = new Promise((resolve) => socket.once("end", resolve).once("close", resolve))
      socket.write(Buffer.alloc(64))
      socket.resume()
      return { socket, closed }
    })
    await Promise.all(sockets.map(({ closed }) => closed))
    await watch.isUnharmed()
    for (const { socket } of sockets) socket.destroy()
  })

  it("that sends a byte now and then keeps its place no longer than the login may last", async () => {
    const bytes = startup(ours)
    const slow = await Promise.all(
      Array.from({ length: 20 }, () => WireClient.open({ port: pair.gateway.port })),
    )
    const sending = slow.map(async (client) => {
      for (const byte of bytes) {
        if (client.socket.destroyed) return
        client.socket.write(Buffer.from([byte]))
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    })
    const ends = await Promise.all(slow.map((client) => client.readUntilClosed()))
    for (const messages of ends)
      ok(
        summary(messages).every(
          (each) => each === "E FATAL 28000 canceling authentication due to timeout",
        ),
        summary(messages).join("\n"),
      )
    equal(ends.flat().length, 20)
    await Promise.all(sending)
    await watch.isUnharmed()
  })

  it("of whom there are more than may wait is refused, and the others log in", async () => {
    const waiting = await Promise.all(
      Array.from({ length: 60 }, () => WireClient.open({ port: pair.gateway.port })),
    )
    const ends = await Promise.all(waiting.map((client) => client.readUntilClosed()))
    const lines = ends.flatMap((messages) => summary(messages))
    equal(lines.length, 60)
    ok(lines.includes("E FATAL 53300 sorry, too many clients already"))
    await watch.isUnharmed()
  })

  it("that resets the connection at any step leaves nothing behind", async () => {
    for (const bytes of [Buffer.alloc(0), startup(ours).subarray(0, 7), startup(ours)])
      for (let round = 0; round < 10; round += 1) {
        const client = await WireClient.open({ port: pair.gateway.port })
        client.send(bytes)
        client.socket.resetAndDestroy()
      }
    await watch.isUnharmed()
  })
})
