import { deepEqual } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { bind, execute, flush, parse } from "../../support/frontend-encoder.ts"
import { ask, line, Pair } from "./support.ts"

const statement = "SELECT 1"

/** What is sent before the client falls silent, and how the session ends. */
const cases: readonly (readonly [title: string, exchanges: readonly string[]])[] = [
  ["idle_session_timeout", ["SET idle_session_timeout = 300"]],
  [
    "idle_in_transaction_session_timeout",
    ["SET idle_in_transaction_session_timeout = 300", "BEGIN", statement],
  ],
  [
    "a timeout of a transaction that was SET LOCAL",
    ["BEGIN", "SET LOCAL idle_in_transaction_session_timeout = 300", statement],
  ],
  [
    "the timeout of idle sessions behind a transaction",
    ["SET idle_session_timeout = 300", "BEGIN", statement, "COMMIT"],
  ],
]

describe("a client that sets how long it may be silent", () => {
  let pair: Pair
  before(async () => {
    pair = await Pair.start({
      // Longer than a client waits: what ends a session here is what it asked for.
      config:
        "listen: { host: 127.0.0.1, port: 0, idleSessionTimeoutMs: 60000, idleInTransactionTimeoutMs: 60000 }",
    })
  })
  after(async () => pair.stop())

  for (const [title, exchanges] of cases)
    it(`is ended as by PostgreSQL: ${title}`, async () => {
      const [direct, gateway] = [await pair.direct(), await pair.through()]
      const told: string[][] = []
      for (const client of [direct, gateway]) {
        for (const exchange of exchanges) await ask(client, exchange)
        told.push((await client.readUntilClosed()).map(line))
      }
      deepEqual(told[1], told[0])
    })

  it("has the gateway's own limit when it asks for a longer one, or for none", async () => {
    const short = await Pair.start({
      config: "listen: { host: 127.0.0.1, port: 0, idleSessionTimeoutMs: 500 }",
    })
    try {
      for (const wanted of ["1h", "0"]) {
        const client = await short.through()
        await ask(client, `SET idle_session_timeout = '${wanted}'`)
        deepEqual((await client.readUntilClosed()).map(line), [
          "E S=FATAL | V=FATAL | C=57P05 | M=terminating connection due to idle-session timeout",
        ])
      }
    } finally {
      await short.stop()
    }
  })

  it("is counted as in a transaction while a batch waits for its Sync", async () => {
    const client = await pair.through()
    await ask(client, "SET idle_in_transaction_session_timeout = 300")
    client.send(parse(statement), bind(), execute(), flush)
    const messages = (await client.readUntilClosed()).map(line)
    deepEqual(messages.slice(-1), [
      "E S=FATAL | V=FATAL | C=25P03 | M=terminating connection due to idle-in-transaction timeout",
    ])
  })
})
