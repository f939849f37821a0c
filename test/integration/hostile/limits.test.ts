import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  cancel,
  close,
  execute,
  flush,
  int32,
  parse,
  query,
  sync,
  terminate,
} from "../../support/frontend-encoder.ts"
import { Watch } from "../../support/watch.ts"
import { errors, types, WireClient } from "../../support/wire-client.ts"
import { activity, ask, Pair, until } from "../session/support.ts"
import { summary } from "./summary.ts"

const mebibyte = 1024 ** 2
const memoryFull = "E ERROR 53200 out of memory"

describe("a greedy client", { timeout: 120_000 }, () => {
  let pair: Pair
  let watch: Watch
  before(async () => {
    pair = await Pair.start({
      warehouse: "pool: { connectionsMax: 2 }",
      config: `
listen:
  { host: 127.0.0.1, port: 0, sessionBytesMax: 4MiB, sessionsBytesMax: 16MiB, portalSpoolBytesMax: 2MiB,
    closeTimeoutMs: 500ms, idleInTransactionTimeoutMs: 700ms, messageBytesMax: 12MiB }`,
    })
    watch = new Watch(pair.gateway, "warehouse", pair.postgres)
    await watch.begin()
  })
  after(() => pair.stop())

  it("may keep so many bytes of parameters and no more, and has them back when it closes portals", async () => {
    const client = await pair.through()
    const values = ["x".repeat(mebibyte)]
    const portals = [1, 2, 3, 4].map((index) =>
      bind({ portal: `p${index}`, statement: "s", values }),
    )
    const statement = parse("SELECT length($1::text)", { name: "s", types: [25] })
    client.send(statement, ...portals, sync)
    deepEqual(types(await client.readUntilReady()), "1222EZ")
    ok(client.notices.length === 0)
    // The transaction has ended, and its portals with it.
    for (const round of [1, 2, 3]) {
      client.send(...portals.slice(0, 3), close("portal", "p1"), portals[0] ?? sync, sync)
      deepEqual([round, types(await client.readUntilReady())], [round, "22232Z"])
    }
    client.send(...portals, sync)
    deepEqual(summary(await client.readUntilReady()).at(-2), memoryFull)
    await client.end()
    await watch.isUnharmed()
  })

  it("may keep so many bytes of statements, whichever protocol gives them back", async () => {
    const client = await pair.through()
    const text = `SELECT 1 /* ${"x".repeat(500_000)} */`
    const statements = Array.from({ length: 6 }, (_, index) => parse(text, { name: `s${index}` }))
    client.send(...statements, sync)
    deepEqual(summary(await client.readUntilReady()).at(-2), memoryFull)
    await client.query(query("DEALLOCATE ALL"))
    client.send(...statements.slice(0, 3), sync)
    deepEqual(types(await client.readUntilReady()), "111Z")
    client.destroy()
    await watch.isUnharmed()
  })

  it("cannot take the memory of all: what others keep counts, and small statements go on", async () => {
    const greedy = await Promise.all(Array.from({ length: 6 }, () => pair.through()))
    const answers: string[] = []
    for (const client of greedy) {
      const statement = parse("SELECT length($1::text)", { name: "s", types: [25] })
      const values = ["x".repeat(3 * mebibyte)]
      client.send(statement, bind({ statement: "s", values }), flush)
      const [, second] = [await client.read(), await client.read()]
      answers.push(second.type)
    }
    // Five would fit; while a message is read, its bytes count, too.
    match(answers.join(""), /^2{4,5}E{1,2}$/)
    const other = await pair.through()
    deepEqual(await ask(other, "SELECT n FROM lab.counter"), [["1"]])
    other.destroy()
    for (const client of greedy) client.destroy()
    await watch.isUnharmed()
  })

  it("that begins long messages and never ends them is ended when they are too much together", async () => {
    const greedy = await Promise.all(Array.from({ length: 4 }, () => pair.through()))
    const half = Buffer.concat([Buffer.from("Q"), int32(10 * mebibyte), Buffer.alloc(7 * mebibyte)])
    for (const client of greedy) client.send(half)
    await until("one of them is ended", async () =>
      greedy.some((client) => client.socket.readableEnded || client.socket.destroyed),
    )
    const other = await pair.through()
    deepEqual(await ask(other, "SELECT n FROM lab.counter"), [["1"]])
    other.destroy()
    for (const client of greedy) client.destroy()
    await watch.isUnharmed()
  })

  it("may set aside rows of all its cursors together up to the limit", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    const outcomes: string[] = []
    for (let index = 0; index < 4; index += 1) {
      const sql = `DECLARE c${index} CURSOR FOR SELECT repeat('x', 900000) FROM lab.items WHERE id = 1 + ${index}`
      outcomes.push(types(await client.query(query(sql))))
    }
    // Each new cursor makes room for itself on the one connection: the third would keep more than two MiB.
    ok(outcomes.includes("EZ"), outcomes.join())
    client.destroy()
    await watch.isUnharmed()
  })

  it("that sends single bytes while its statement runs costs no memory for each", async () => {
    const client = await pair.through()
    client.send(query("SELECT pg_sleep(2)"))
    const startBytes = watch.residentBytes
    for (let index = 0; index < 20_000; index += 1) {
      client.socket.write(Buffer.from([0]))
      if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const growth = watch.residentBytes - startBytes
    ok(growth < 24 * mebibyte, `${Math.round(growth / mebibyte)} MiB`)
    client.destroy()
    await watch.isUnharmed()
  })

  it("that goes on sending after its session has ended is not listened to", async () => {
    const client = await pair.through()
    client.send(Buffer.from("!!!!!"))
    await client.read()
    const startBytes = watch.residentBytes
    const block = Buffer.alloc(mebibyte)
    for (let index = 0; index < 100 && !client.socket.destroyed; index += 1) {
      client.socket.write(block)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const growth = watch.residentBytes - startBytes
    ok(growth < 64 * mebibyte, `${Math.round(growth / mebibyte)} MiB`)
    client.destroy()
    await watch.isUnharmed()
  })

  it("that never reads what it is owed at the end is closed after a time", async () => {
    const client = await pair.through()
    client.socket.pause()
    for (let index = 0; index < 50; index += 1) client.send(query("SELECT repeat('x', 100000)"))
    client.send(terminate)
    await watch.isUnharmed()
    client.destroy()
  })

  it("that reads nothing is waited for, and gets what it is owed once it does", async () => {
    const client = await pair.through()
    client.socket.pause()
    for (let index = 0; index < 50; index += 1) client.send(query("SELECT repeat('x', 100000)"))
    client.send(terminate)
    await new Promise((resolve) => setTimeout(resolve, 250))
    client.socket.resume()
    const messages = await client.readUntilClosed()
    equal(messages.filter(({ type }) => type === "D").length, 50)
    await watch.isUnharmed()
  })

  for (const [title, bytes] of [
    [
      "a transaction that has run a statement",
      [query("BEGIN ISOLATION LEVEL REPEATABLE READ"), query("SELECT count(*) FROM lab.items")],
    ],
    [
      "a batch whose portal is suspended",
      [parse("SELECT id FROM lab.items"), bind(), execute("", 1), flush],
    ],
    ["a batch of which nothing was executed", [parse("SELECT 1"), flush]],
  ] as const)
    it(`that leaves ${title} open is ended after the time for it`, async () => {
      const client = await pair.through()
      client.send(...bytes)
      const [error] = errors(await client.readUntilClosed())
      deepEqual([error?.["S"], error?.["C"]], ["FATAL", "25P03"])
      await watch.isUnharmed()
    })

  it("that goes while it waits for a connection leaves the queue", async () => {
    const holding = await Promise.all([pair.through(), pair.through()])
    for (const client of holding) client.send(query("SELECT pg_sleep(3)"))
    await until("both run", async () => (await activity(pair.postgres, "^active$")) === 2)
    const waiting = await Promise.all(Array.from({ length: 10 }, () => pair.through()))
    for (const [index, client] of waiting.entries())
      client.send(query(`SELECT pg_sleep(0.${index}1)`))
    await until("they wait", async () =>
      /^sluice_pool_waiters\{.*\} 10$/m.test(await watch.metrics()),
    )
    for (const [index, client] of waiting.entries())
      if (index % 2 === 0) client.socket.resetAndDestroy()
      else client.destroy()
    await until("nobody waits", async () =>
      /^sluice_pool_waiters\{.*\} 0$/m.test(await watch.metrics()),
    )
    for (const client of holding) client.destroy()
    await watch.isUnharmed()
  })

  it("that resets the connection in any phase leaves nothing behind", async () => {
    const phases: readonly (readonly Buffer[])[] = [
      [],
      [query("SELECT pg_sleep(5)")],
      [query("SELECT a.id, b.id FROM lab.items a, lab.items b")],
      [query("BEGIN ISOLATION LEVEL REPEATABLE READ"), query("SELECT 1 FROM lab.items LIMIT 1")],
      [parse("SELECT id FROM lab.items"), bind(), execute("", 1), flush],
      [
        query("BEGIN"),
        query("DECLARE c CURSOR FOR SELECT a.id FROM lab.items a, lab.items b"),
        query("FETCH 5 FROM c"),
      ],
    ]
    for (const bytes of phases) {
      const client = await pair.through()
      client.send(...bytes, Buffer.alloc(0))
      await new Promise((resolve) => setTimeout(resolve, 60))
      client.socket.resetAndDestroy()
      await watch.isUnharmed()
    }
  })

  it("cannot keep another from being answered, whatever it pipelines", async () => {
    const [hog, other] = [await pair.through(), await pair.through()]
    const cheap = query("SELECT n FROM lab.counter")
    const answerBytes = (await hog.query(cheap)).reduce((sum, { body }) => sum + 5 + body.length, 0)
    const block = Buffer.concat(Array.from({ length: 100_000 }, () => cheap))
    let received = 0
    hog.socket.removeAllListeners("data")
    hog.socket.on("data", (chunk: Buffer) => {
      received += chunk.length
    })
    hog.socket.write(block)
    const waitsMs: number[] = []
    for (let index = 0; index < 200; index += 1) {
      const startMs = performance.now()
      await ask(other, "SELECT n FROM lab.counter")
      waitsMs.push(performance.now() - startMs)
    }
    waitsMs.sort((left, right) => left - right)
    const p99Ms = waitsMs[197] ?? Infinity
    ok(p99Ms < 250, `p99 was ${p99Ms.toFixed(1)} ms`)
    await until("the hog has all of its answers", async () => received === 100_000 * answerBytes)
    hog.destroy()
    other.destroy()
    await watch.isUnharmed()
  })

  it("cannot cancel what is not its own, however many requests it sends", async () => {
    const victim = await pair.through({ protocolMinor: 2 })
    const ended = await pair.through()
    const { processId, secretKey } = ended
    await ended.end()
    const wrong = Buffer.from(victim.secretKey)
    wrong[31] = (wrong[31] ?? 0) ^ 1
    const requests = [
      cancel(victim.processId, wrong),
      cancel(victim.processId, victim.secretKey.subarray(0, 4)),
      cancel(victim.processId, Buffer.concat([victim.secretKey, Buffer.alloc(4)])),
      cancel(processId, secretKey),
      cancel(victim.processId + 1, victim.secretKey),
    ]
    victim.send(query("SELECT 7, pg_sleep(1)"))
    await until("it runs", async () => (await activity(pair.postgres, "^active$")) === 1)
    for (let index = 0; index < 150; index += 1) {
      const client = await WireClient.open({ port: pair.gateway.port })
      client.send(requests[index % requests.length] ?? sync)
      await client.readUntilClosed()
    }
    equal(types(await victim.readUntilReady()), "TDCZ")
    victim.destroy()
    await watch.isUnharmed()
  })

  it("that cancels as its statement ends hits that statement or none", async () => {
    const client = await pair.through()
    const outcomes: string[] = []
    for (let index = 0; index < 60; index += 1) {
      client.send(query(`SELECT pg_sleep(0.00${index % 10}) /* ${index} */`))
      const answer = client.readUntilReady()
      await Promise.all([client.cancel(), answer])
      outcomes.push(types(await answer))
      // The next statement is a hit or a run of its own, and never the cancel's victim.
      deepEqual(await ask(client, `SELECT ${index} + n FROM lab.counter`), [[String(index + 1)]])
    }
    ok(
      outcomes.every((outcome) => outcome === "EZ" || outcome === "TDCZ"),
      outcomes.join(),
    )
    client.destroy()
    await watch.isUnharmed()
  })
})
