import { deepEqual, equal, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import {
  bind,
  cancel,
  execute,
  parse,
  query,
  sync,
  terminate,
} from "../../support/frontend-encoder.ts"
import {
  type BackendMessage,
  errors,
  tags,
  textRows,
  types,
  WireClient,
} from "../../support/wire-client.ts"
import { activity, ask, lastOutcome, line, Pair, until } from "./support.ts"

/** About two seconds of work on lab.items that the cache may keep. */
const busy =
  "SELECT count(*) FROM lab.items a, lab.items b, lab.items c WHERE a.id + b.id + c.id < 0 AND a.id < 30"
/** A thousand million rows. */
const endless = "SELECT a.id, b.name, c.id FROM lab.items a, lab.items b, lab.items c"
const cancelled = "E S=ERROR | V=ERROR | C=57014 | M=canceling statement due to user request"

describe("cancelling", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({ warehouse: "pool: { connectionsMax: 10 }" })
  })
  after(() => pair.stop())

  const isRunning = async (count = 1): Promise<void> =>
    until("the statement runs", async () => (await activity(pair.postgres, "^active$")) === count)
  const isIdle = async (): Promise<void> =>
    until("nothing runs", async () => (await activity(pair.postgres, "active|transaction")) === 0)

  const slow: readonly (readonly [title: string, bytes: readonly Buffer[], expected: string])[] = [
    ["a simple query", [query("SELECT * FROM lab.slow")], "EZ"],
    [
      "the second statement of a string",
      [query("SELECT 1; SELECT pg_sleep(30); SELECT 3")],
      "TDCEZ",
    ],
    ["an Execute", [parse("SELECT pg_sleep(30)"), bind(), execute(), sync], "12EZ"],
  ]
  for (const [title, bytes, expected] of slow)
    it(`ends ${title} with PostgreSQL's text, and the session goes on`, async () => {
      const client = await pair.through()
      client.send(...bytes)
      await isRunning()
      await client.cancel()
      const messages = await client.readUntilReady()
      equal(types(messages), expected)
      equal(messages.filter(({ type }) => type === "E").map(line)[0], cancelled)
      deepEqual(await ask(client, "SELECT 2"), [["2"]])
      await isIdle()
      client.destroy()
    })

  it("fails a transaction, as any error does", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    client.send(query("SELECT * FROM lab.slow"))
    await isRunning()
    await client.cancel()
    deepEqual((await client.readUntilReady()).map(line).slice(-2), [cancelled, 'Z "E"'])
    equal(tags(await client.query(query("COMMIT"))).join(), "ROLLBACK")
    await isIdle()
    client.destroy()
  })

  it("ends a result that is flowing", async () => {
    const client = await pair.through()
    client.send(query(endless))
    await client.readUntil("D")
    client.socket.pause()
    await client.cancel()
    client.socket.resume()
    let last: BackendMessage
    let error: BackendMessage | undefined
    do {
      last = await client.read()
      if (last.type === "E") error = last
    } while (last.type !== "Z")
    ok(error !== undefined)
    equal(line(error), cancelled)
    await isIdle()
    client.destroy()
  })

  it("needs the right key", async () => {
    const client = await pair.through()
    client.send(query("SELECT * FROM lab.nap"))
    await isRunning()
    for (const [pid, key] of [
      [client.processId, Buffer.from([1, 2, 3, 4])],
      [client.processId, Buffer.alloc(32)],
      [client.processId + 1, client.secretKey],
      [0, client.secretKey],
    ] as const) {
      const other = await WireClient.open({ port: pair.gateway.port })
      other.send(cancel(pid, key))
      deepEqual(await other.readUntilClosed(), [])
    }
    equal(types(await client.readUntilReady()), "TDCZ")
    client.destroy()
  })

  it("of an idle session never hits the next statement", async () => {
    const client = await pair.through()
    for (let round = 0; round < 200; round += 1) {
      await client.cancel()
      deepEqual(await ask(client, `SELECT ${round} + n FROM lab.counter`), [[String(round + 1)]])
    }
    client.destroy()
  })

  it("in a race hits the running statement or none, and what follows is sound", async () => {
    const client = await pair.through()
    let hits = 0
    for (let round = 0; round < 200; round += 1) {
      client.send(query(`SELECT ${round} + n FROM lab.counter`))
      const [messages] = await Promise.all([client.readUntilReady(), client.cancel()])
      const [error] = errors(messages)
      if (error === undefined) deepEqual(textRows(messages), [[String(round + 1)]])
      else equal(error["C"], "57014")
      if (error !== undefined) hits += 1
      deepEqual(await ask(client, `SELECT n + ${round} + 1 FROM lab.counter`), [
        [String(round + 2)],
      ])
    }
    ok(hits <= 200)
    await isIdle()
    client.destroy()
  })

  it("happens by itself when the client's socket closes", async () => {
    for (const leave of [
      (client: WireClient) => client.destroy(),
      (client: WireClient) => client.socket.resetAndDestroy(),
    ]) {
      const client = await pair.through()
      client.send(query("SELECT * FROM lab.slow"))
      await isRunning()
      const leftMs = performance.now()
      leave(client)
      await isIdle()
      ok(performance.now() - leftMs < 5_000)
    }
  })

  it("happens by itself when the socket closes while rows flow", async () => {
    const client = await pair.through()
    client.send(query(endless))
    await client.readUntil("D")
    client.destroy()
    await isIdle()
  })

  it("spares the answers owed to a client that has closed its side only", async () => {
    const client = await pair.through()
    client.send(query("SELECT 'kept' FROM lab.nap"), query("SELECT 2"))
    client.socket.end()
    const messages = await client.readUntilClosed()
    deepEqual(textRows(messages), [["kept"], ["2"]])
  })

  it("spares the answers owed to a client that sent Terminate behind them", async () => {
    const client = await pair.through()
    client.send(query("SELECT 'kept' FROM lab.nap"), query("SELECT 2"), terminate)
    deepEqual(textRows(await client.readUntilClosed()), [["kept"], ["2"]])
  })

  it("of a leader leaves its followers their answer", async () => {
    const [leader, ...followers] = await Promise.all(
      Array.from({ length: 4 }, () => pair.through()),
    )
    ok(leader !== undefined)
    leader.send(query(busy))
    await isRunning()
    for (const follower of followers) follower.send(query(busy))
    await new Promise((resolve) => setTimeout(resolve, 100))
    equal(await activity(pair.postgres, "^active$"), 1)
    await leader.cancel()
    equal(errors(await leader.readUntilReady())[0]?.["C"], "57014")
    for (const follower of followers) deepEqual(textRows(await follower.readUntilReady()), [["0"]])
    const outcomes = await Promise.all(followers.map(lastOutcome))
    ok(outcomes.includes("coalesced"), outcomes.join())
    for (const client of [leader, ...followers]) client.destroy()
  })

  it("of a follower leaves the leader its answer", async () => {
    const sql = busy.replace("< 0", "< 1")
    const [leader, follower] = [await pair.through(), await pair.through()]
    leader.send(query(sql))
    await isRunning()
    follower.send(query(sql))
    await new Promise((resolve) => setTimeout(resolve, 100))
    await follower.cancel()
    equal(errors(await follower.readUntilReady())[0]?.["C"], "57014")
    deepEqual(textRows(await leader.readUntilReady()), [["0"]])
    equal(await lastOutcome(leader), "miss")
    for (const client of [leader, follower]) client.destroy()
  })

  it("by statement_timeout reaches a follower in its own time", async () => {
    const sql = busy.replace("< 0", "< 2")
    const [leader, follower] = [await pair.through(), await pair.through()]
    await ask(follower, "SET statement_timeout = 150")
    leader.send(query(sql))
    await isRunning()
    const messages = await follower.query(query(sql))
    deepEqual(messages.map(line), [
      "E S=ERROR | V=ERROR | C=57014 | M=canceling statement due to statement timeout",
      'Z "I"',
    ])
    equal(await activity(pair.postgres, "^active$"), 1)
    deepEqual(textRows(await leader.readUntilReady()), [["0"]])
    for (const client of [leader, follower]) client.destroy()
  })

  it("of a statement that waits for a connection ends the wait", async () => {
    const holders = await Promise.all(Array.from({ length: 10 }, () => pair.through()))
    for (const holder of holders) holder.send(query("SELECT pg_sleep(20)"))
    await isRunning(10)
    const client = await pair.through()
    client.send(query("SELECT n FROM lab.counter WHERE n > -77"))
    await new Promise((resolve) => setTimeout(resolve, 50))
    await client.cancel()
    equal(errors(await client.readUntilReady())[0]?.["C"], "57014")
    for (const holder of holders) holder.destroy()
    await isIdle()
    deepEqual(await ask(client, "SELECT n FROM lab.counter WHERE n > -77"), [["1"]])
    client.destroy()
  })
})
