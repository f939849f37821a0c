import { deepEqual, equal, notEqual } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import type { PostgresAdapter } from "../../../src/warehouse/postgres/adapter.ts"
import { message, readyForQuery } from "../../../src/wire/backend-messages.ts"
import {
  goodAnswer,
  oneColumn,
  oneDone,
  oneRow,
  type ScriptedServer,
  startScriptedServer,
} from "./scripted-server.ts"
import { adapterOf, errorOf, never, rowsOf, until } from "./support.ts"

let server: ScriptedServer
let adapter: PostgresAdapter

before(async () => {
  server = await startScriptedServer()
  adapter = adapterOf(`${server.uri}?sslmode=disable`)
})

after(async () => {
  await adapter.close()
  await server.stop()
})

const ready = readyForQuery("I")
const header = (type: string, length: number): Buffer => {
  const out = Buffer.alloc(5)
  out.write(type, "latin1")
  out.writeInt32BE(length, 1)
  return out
}

const violations: readonly (readonly [title: string, answer: Buffer])[] = [
  ["a row before its description", Buffer.concat([oneRow, oneDone, ready])],
  ["a second description", Buffer.concat([oneColumn, oneColumn, oneDone, ready])],
  ["a second result", Buffer.concat([oneColumn, oneDone, oneColumn, oneDone, ready])],
  ["an end without completion", Buffer.concat([oneColumn, oneRow, ready])],
  ["nothing but an end", ready],
  ["an unknown message", Buffer.concat([message("~", Buffer.from("?")), ready])],
  ["a COPY nobody asked for", message("H", Buffer.from([0, 0, 0]))],
  ["a length below four", Buffer.concat([oneColumn, header("D", 3), ready])],
  ["a negative length", Buffer.concat([oneColumn, header("D", -1), ready])],
  ["a length beyond all limits", header("T", 0x7f_ff_ff_ff)],
  [
    "a row with a length beyond all limits",
    Buffer.concat([oneColumn, oneRow, header("D", 0x7f_ff_ff_ff)]),
  ],
  [
    "an unknown transaction status",
    Buffer.concat([oneColumn, oneDone, message("Z", Buffer.from("?"))]),
  ],
  ["an error without an end", message("E", Buffer.from("Mbroken"))],
  ["a log-in in the middle", Buffer.concat([oneColumn, message("R", Buffer.alloc(4))])],
]

describe("a warehouse that breaks the protocol", () => {
  for (const [title, answer] of violations) {
    it(`by ${title} costs the statement and the connection, nothing else`, async () => {
      const connection = await adapter.connect(never)
      server.answer = answer
      const error = await errorOf(rowsOf(connection, "SELECT 1"))
      deepEqual([error.sqlState, error.reason], ["08P01", "warehouse_protocol"])
      equal(connection.state, "dirty")
      equal(await connection.settle(100), "dirty")
    })
  }

  it("by bytes after the end makes the connection dirty without harm to the finished result", async () => {
    const connection = await adapter.connect(never)
    server.answer = Buffer.concat([goodAnswer, oneRow])
    deepEqual(await rowsOf(connection, "SELECT 1"), [["1"]])
    await until(() => connection.state === "dirty")
  })

  it("by closing in the middle of a row gives no short result", async () => {
    const connection = await adapter.connect(never)
    server.answer = (socket) =>
      socket.end(Buffer.concat([oneColumn, oneRow, oneRow.subarray(0, 9)]))
    const error = await errorOf(rowsOf(connection, "SELECT 1"))
    deepEqual([error.sqlState, error.reason], ["08006", "warehouse_unreachable"])
  })

  it("by closing between completion and end gives no result either", async () => {
    const connection = await adapter.connect(never)
    server.answer = (socket) => socket.end(Buffer.concat([oneColumn, oneRow, oneDone]))
    equal((await errorOf(rowsOf(connection, "SELECT 1"))).sqlState, "08006")
  })

  it("by failing after completion gives the error, not the rows as a whole", async () => {
    const connection = await adapter.connect(never)
    const failure = message("E", Buffer.from("SERROR\0VERROR\0C40001\0Mcommit failed\0\0"))
    server.answer = Buffer.concat([oneColumn, oneRow, oneDone, failure, ready])
    equal((await errorOf(rowsOf(connection, "SELECT 1"))).sqlState, "40001")
    equal(connection.state, "clean")
  })

  it("by a farewell while idle makes the connection dirty", async () => {
    const connection = await adapter.connect(never)
    const farewell = message("E", Buffer.from("SFATAL\0VFATAL\0C57P05\0Midle\0\0"))
    server.answer = (socket) => {
      socket.write(goodAnswer)
      setImmediate(() => socket.end(farewell))
    }
    await rowsOf(connection, "SELECT 1")
    await until(() => connection.state === "dirty")
  })
})

describe("any cut of the bytes into chunks", () => {
  it("gives the same rows", async () => {
    const connection = await adapter.connect(never)
    const notice = message("N", Buffer.from("SNOTICE\0Mhi\0\0"))
    const whole = Buffer.concat([notice, oneColumn, oneRow, oneRow, notice, oneRow, oneDone, ready])
    for (let at = 1; at < whole.length; at += 1) {
      server.answer = (socket) => {
        socket.write(whole.subarray(0, at))
        setImmediate(() => socket.write(whole.subarray(at)))
      }
      deepEqual(await rowsOf(connection, "SELECT 1"), [["1"], ["1"], ["1"]])
      equal(connection.state, "clean")
    }
  })
})

describe("a cancel that the warehouse ignores", () => {
  it("is repeated, and ends in a closed connection when the time is over", async () => {
    const stubborn = adapterOf(`${server.uri}?sslmode=disable`, { recoverTimeoutMs: 700 })
    const connection = await stubborn.connect(never)
    server.cancelCount = 0
    server.answer = oneColumn
    const controller = new AbortController()
    const running = rowsOf(connection, "SELECT 1", { signal: controller.signal }).then(
      () => undefined,
      (error: unknown) => error,
    )
    controller.abort(new Error("enough"))
    equal(await running, controller.signal.reason)
    await until(() => connection.state === "dirty")
    notEqual(server.cancelCount, 0)
    notEqual(server.cancelCount, 1)
  })
})
