import { deepEqual, equal, ok } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { after, before, describe, it } from "node:test"
import {
  bind,
  execute,
  flush,
  parse,
  query,
  sync,
  terminate,
} from "../../support/frontend-encoder.ts"
import { tags, transactionStatus, WireClient } from "../../support/wire-client.ts"
import { activity, ask, Pair, until } from "./support.ts"

const mebibyte = 1024 ** 2
/** 200,000 rows of a kilobyte. */
const twoHundredMegabytes =
  "SELECT a.id, repeat('x', 1000) FROM lab.items a, lab.items b WHERE b.id <= 200"

describe("a client that does not read", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start()
    // The first statements of a process cost memory of their own (the parser is compiled then), which is not measured here.
    const client = await pair.through()
    await ask(client, "SELECT count(*) FROM lab.items")
    await growthOver(1_500, 0)
    client.destroy()
  })
  after(() => pair.stop())

  const residentBytes = (): number => {
    const status = readFileSync(`/proc/${pair.gateway.pid}/status`, "utf8")
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }
  /** Largest growth seen over some time. */
  const growthOver = async (ms: number, startBytes: number): Promise<number> => {
    let most = 0
    const endMs = performance.now() + ms
    while (performance.now() < endMs) {
      most = Math.max(most, residentBytes() - startBytes)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return most
  }

  it("stops the warehouse instead of filling the gateway's memory", async () => {
    const clients = await Promise.all(Array.from({ length: 3 }, () => pair.through()))
    const startBytes = residentBytes()
    for (const [index, client] of clients.entries()) {
      client.socket.pause()
      client.send(query(twoHundredMegabytes.replace("200", String(200 - index))))
    }
    const growth = await growthOver(2_000, startBytes)
    ok(
      growth < 150 * mebibyte,
      `${Math.round(growth / mebibyte)} MiB for three clients that do not read 200 MB each`,
    )
    equal(await activity(pair.postgres, "active"), 3)
    const other = await pair.through()
    deepEqual(await ask(other, "SELECT n FROM lab.counter"), [["1"]])
    for (const client of clients) client.destroy()
    await until(
      "the warehouse is free",
      async () => (await activity(pair.postgres, "active")) === 0,
    )
    other.destroy()
  })

  it("gets every row once it does", async () => {
    const client = await WireClient.connect({
      port: pair.gateway.port,
      user: pair.gateway.user,
      password: pair.gateway.password,
      database: "warehouse",
      waitMsMax: 30_000,
    })
    client.socket.removeAllListeners("data")
    let bytes = 0
    let tail = Buffer.alloc(0)
    client.socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      tail = Buffer.concat([tail.subarray(-64), chunk]).subarray(-64)
    })
    client.socket.pause()
    client.send(query(twoHundredMegabytes.replace("200", "100")))
    await new Promise((resolve) => setTimeout(resolve, 300))
    client.socket.resume()
    await until("the result is whole", async () => tail.includes("SELECT 100000\0"))
    ok(bytes > 100_000_000)
    client.destroy()
  })

  for (const [title, batch] of [
    ["hits by simple queries", [query("SELECT count(*) FROM lab.items")]],
    ["hits by batches", [parse("SELECT * FROM lab.items WHERE id < 3"), bind(), execute(), sync]],
    ["commands of the session", [query("SHOW TimeZone")]],
    ["Flush and nothing else", [flush]],
    ["errors", [query("SELEC")]],
  ] as const)
    it(`may pipeline 100,000 messages: ${title}`, async () => {
      const client = await pair.through()
      for (const part of batch.length === 1 ? [batch] : [batch, batch]) client.send(...part)
      client.socket.pause()
      const startBytes = residentBytes()
      const block = Buffer.concat(Array.from({ length: 1_000 }, () => Buffer.concat([...batch])))
      for (let index = 0; index < 100; index += 1) client.socket.write(block)
      const growth = await growthOver(600, startBytes)
      ok(growth < 120 * mebibyte, `${Math.round(growth / mebibyte)} MiB`)
      const other = await pair.through()
      deepEqual(await ask(other, "SELECT n FROM lab.counter"), [["1"]])
      other.destroy()
      client.destroy()
    })

  it("gets every answer of a long pipeline in order", async () => {
    const client = await pair.through()
    const count = 3_000
    const sent = Array.from({ length: count }, (_, index) =>
      query(`SELECT ${index % 50} + n FROM lab.counter`),
    )
    client.send(...sent, terminate)
    const messages = await client.readUntilClosed()
    equal(tags(messages).length, count)
    const values = messages
      .filter(({ type }) => type === "D")
      .map(({ body }) => body.subarray(6).toString())
    deepEqual(
      values,
      sent.map((_, index) => String((index % 50) + 1)),
    )
    equal(transactionStatus(messages), "I")
  })

  it("costs little as one of 300 idle sessions", async () => {
    const startBytes = residentBytes()
    const sessions: WireClient[] = []
    for (let index = 0; index < 10; index += 1)
      sessions.push(...(await Promise.all(Array.from({ length: 30 }, () => pair.through()))))
    const growth = residentBytes() - startBytes
    ok(growth < 100 * mebibyte, `${Math.round(growth / mebibyte)} MiB for 300 sessions`)
    equal(await activity(pair.postgres, "active|transaction"), 0)
    for (const session of sessions)
      deepEqual(await ask(session, "SELECT n FROM lab.counter"), [["1"]])
    for (const session of sessions) session.destroy()
  })
})
