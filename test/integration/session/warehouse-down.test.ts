import { deepEqual, equal, match, ok } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import { type BackendMessage, errors, transactionStatus } from "../../support/wire-client.ts"
import { ask, lastOutcome, Pair, until } from "./support.ts"

const endless = "SELECT a.id, b.name FROM lab.items a, lab.items b"

describe("a warehouse that goes down", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      warehouse: "pool: { connectionsMax: 4, connectTimeoutMs: 1000, waitMsMax: 2000 }",
    })
  })
  after(() => pair.stop())

  it("leaves the session alive with 08006 in bounded time, serves hits meanwhile, and is used again by itself", async () => {
    const client = await pair.through()
    const hit = "SELECT count(*) FROM lab.items"
    deepEqual(await ask(client, hit), [["1000"]])
    await pair.postgres.kill()
    for (let round = 0; round < 3; round += 1) {
      const startMs = performance.now()
      const messages = await client.query(query(`SELECT ${round}, max(id) FROM lab.items`))
      const [error] = errors(messages)
      ok(performance.now() - startMs < 8_000)
      match(error?.["C"] ?? "", /^(08006|57P0[123])$/)
      deepEqual([error?.["S"], transactionStatus(messages)], ["ERROR", "I"])
    }
    deepEqual(await ask(client, hit), [["1000"]])
    equal(await lastOutcome(client), "hit_l1")
    deepEqual(await ask(client, "SHOW DateStyle"), [["ISO, MDY"]])
    const late = await pair.through()
    deepEqual(await ask(late, hit), [["1000"]])
    late.destroy()

    await pair.postgres.restart()
    await until("the warehouse answers again", async () => {
      const messages = await client.query(query("SELECT max(id) FROM lab.items WHERE id < 900"))
      return errors(messages).length === 0
    })
    deepEqual(await ask(client, "SELECT max(id) FROM lab.items WHERE id < 900"), [["899"]])
    client.destroy()
  })

  it("in the middle of a result is an error, and no part of it is kept", async () => {
    const client = await pair.through()
    client.send(query(endless))
    await client.readUntil("D")
    client.socket.pause()
    await pair.postgres.kill()
    client.socket.resume()
    let message: BackendMessage
    let error: BackendMessage | undefined
    do {
      message = await client.read()
      if (message.type === "E") error = message
      ok(message.type !== "C")
    } while (message.type !== "Z")
    ok(error !== undefined)
    match(errors([error])[0]?.["C"] ?? "", /^(08006|57P0[123])$/)
    await pair.postgres.restart()
    const short = `${endless} WHERE a.id < 3 AND b.id < 3 ORDER BY 1, 2`
    await until(
      "the warehouse answers again",
      async () => errors(await client.query(query(short))).length === 0,
    )
    equal((await ask(client, short)).length, 4)
    client.destroy()
  })

  it("in the middle of a result that the cache would keep leaves nothing in it", async () => {
    // A row fills the server's send buffer, and each takes it some time.
    const slowly =
      "SELECT id, repeat('x', 9000), (SELECT count(*) FROM lab.items x, lab.items y WHERE x.id + y.id < i.id) FROM lab.items i LIMIT 30"
    const client = await pair.through()
    client.send(query(slowly))
    await client.readUntil("D")
    await pair.postgres.kill()
    const messages = await client.readUntilReady()
    ok(messages.filter(({ type }) => type === "D").length < 29)
    equal(errors(messages).length, 1)
    await pair.postgres.restart()
    await until("the warehouse answers again", async () => {
      const answer = await client.query(query("SELECT n + 3 FROM lab.counter"))
      return errors(answer).length === 0
    })
    equal((await ask(client, slowly)).length, 30)
    equal(await lastOutcome(client), "miss")
    client.destroy()
  })

  it("fails a transaction that was pinned to it, and ROLLBACK heals the session", async () => {
    const client = await pair.through()
    await ask(client, "BEGIN ISOLATION LEVEL REPEATABLE READ")
    deepEqual(await ask(client, "SELECT n FROM lab.counter"), [["1"]])
    await pair.postgres.kill()
    const failed = await client.query(query("SELECT n + 1 FROM lab.counter"))
    match(errors(failed)[0]?.["C"] ?? "", /^(08006|57P0[123])$/)
    equal(transactionStatus(failed), "E")
    deepEqual((await client.query(query("ROLLBACK"))).map(({ type }) => type).join(""), "CZ")
    await pair.postgres.restart()
    await until("the warehouse answers again", async () => {
      const messages = await client.query(query("SELECT n + 2 FROM lab.counter"))
      return errors(messages).length === 0
    })
    client.destroy()
  })

  it("that only falls silent is given up on by statement_timeout, and cancel", async () => {
    const client = await pair.through()
    await ask(client, "SELECT n FROM lab.counter")
    pair.postgres.pause()
    try {
      await ask(client, "SET statement_timeout = 300")
      const startMs = performance.now()
      const timedOut = errors(await client.query(query("SELECT n + 10 FROM lab.counter")))
      equal(timedOut[0]?.["C"], "57014")
      await ask(client, "RESET statement_timeout")
      client.send(query("SELECT n + 11 FROM lab.counter"))
      await new Promise((resolve) => setTimeout(resolve, 100))
      await client.cancel()
      const [error] = errors(await client.readUntilReady())
      match(error?.["C"] ?? "", /^(57014|08006)$/)
      ok(performance.now() - startMs < 10_000)
    } finally {
      pair.postgres.resume()
    }
    await until(
      "the warehouse answers again",
      async () => errors(await client.query(query("SELECT n + 12 FROM lab.counter"))).length === 0,
    )
    client.destroy()
  })
})
