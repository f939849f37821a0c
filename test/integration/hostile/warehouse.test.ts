import { deepEqual, equal, ok } from "node:assert/strict"
import { once } from "node:events"
import { createConnection, createServer, type Server, type Socket } from "node:net"
import { after, before, describe, it } from "node:test"
import {
  message,
  noticeResponse,
  parameterStatus,
  readyForQuery,
} from "../../../src/wire/backend-messages.ts"
import { query } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import { startPostgres, type TestPostgres } from "../../support/postgres-server.ts"
import { Watch } from "../../support/watch.ts"
import { errors, textRows, WireClient } from "../../support/wire-client.ts"
import { oneColumn, oneDone, oneRow } from "../postgres/scripted-server.ts"

const ready = readyForQuery("I")
const header = (type: string, length: number): Buffer => {
  const out = Buffer.alloc(5)
  out.write(type, "latin1")
  out.writeInt32BE(length, 1)
  return out
}
const many = (part: Buffer, count: number): Buffer =>
  Buffer.concat(Array.from({ length: count }, () => part))
const error = message("E", Buffer.from("SERROR\0C22012\0Mdivision by zero\0\0"))
const notice = noticeResponse([
  ["S", "NOTICE"],
  ["C", "00000"],
  ["M", "again and again"],
])

/** What the warehouse answers, whether it closes behind it, and the SQLSTATE that the client gets. */
type Break = {
  readonly title: string
  readonly answer: Buffer
  readonly closes?: boolean
  readonly sqlState: string
}

const breaks: readonly Break[] = [
  ["a row before its description", oneRow, oneDone, ready],
  ["a second description", oneColumn, oneColumn, oneDone, ready],
  ["no completion", oneColumn, oneRow, ready],
  ["ReadyForQuery alone", ready],
  ["an unknown message", message("~", Buffer.from("?")), ready],
  ["CopyData without CopyOut", oneColumn, message("d", Buffer.from("x")), oneDone, ready],
  ["CopyOutResponse", message("H", Buffer.from([0, 0, 0]))],
  ["a length of 3", oneColumn, header("D", 3), ready],
  ["a length of -1", oneColumn, header("D", -1), ready],
  ["a length of 2 GiB", oneColumn, oneRow, header("D", 0x7f_ff_ff_ff)],
  [
    "a row of two columns for one",
    oneColumn,
    message("D", Buffer.from([0, 2, 0, 0, 0, 0, 0, 0, 0, 0])),
    oneDone,
    ready,
  ],
  [
    "a second row of no columns",
    oneColumn,
    oneRow,
    message("D", Buffer.from([0, 0])),
    oneDone,
    ready,
  ],
  ["a row without a count", oneColumn, message("D", Buffer.alloc(0)), oneDone, ready],
  ["an unknown transaction status", oneColumn, oneDone, message("Z", Buffer.from("?"))],
  ["an authentication request", oneColumn, message("R", Buffer.alloc(4))],
  [
    "a flood of parameters",
    ...Array.from({ length: 2_000 }, (_, index) => parameterStatus(`p${index}`, "x")),
    oneColumn,
    oneRow,
    oneDone,
    ready,
  ],
].map(([title, ...parts]) => ({
  title: String(title),
  answer: Buffer.concat(parts as Buffer[]),
  sqlState: "08P01",
}))

const endings: readonly Break[] = [
  {
    title: "a close within a message",
    answer: Buffer.concat([oneColumn, oneRow.subarray(0, 6)]),
    closes: true,
    sqlState: "08006",
  },
  {
    title: "a close behind rows",
    answer: Buffer.concat([oneColumn, oneRow]),
    closes: true,
    sqlState: "08006",
  },
  {
    title: "a close instead of an answer",
    answer: Buffer.alloc(0),
    closes: true,
    sqlState: "08006",
  },
  {
    title: "an error behind rows",
    answer: Buffer.concat([oneColumn, oneRow, error, ready]),
    sqlState: "22012",
  },
  {
    title: "rows behind an error",
    answer: Buffer.concat([oneColumn, error, oneRow, ready]),
    sqlState: "22012",
  },
  { title: "silence", answer: Buffer.alloc(0), sqlState: "57014" },
  {
    title: "a message that never ends",
    answer: Buffer.concat([oneColumn, header("D", 1_000_000)]),
    sqlState: "57014",
  },
]

/** Stands between gateway and PostgreSQL, and answers in its place what is asked with the mark. */
class Meddler {
  readonly mark = "meddle with this"
  break: Break | undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  constructor(portBehind: number) {
    this.#server = createServer((near) => {
      const far = createConnection({ port: portBehind, host: "127.0.0.1" })
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(from)
        from.on("error", () => {})
        from.on("close", () => {
          this.#sockets.delete(from)
          to.destroy()
        })
      }
      near.on("data", (bytes) => {
        if (this.break === undefined || !bytes.includes(this.mark)) far.write(bytes)
        else if (this.break.closes === true) near.end(this.break.answer)
        else near.write(this.break.answer)
      })
      far.pipe(near)
    })
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1")
    await once(this.#server, "listening")
    const address = this.#server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

describe("a hostile warehouse", { timeout: 120_000 }, () => {
  let postgres: TestPostgres
  let meddler: Meddler
  let gateway: RunningGateway
  let watch: Watch
  before(async () => {
    postgres = await startPostgres()
    meddler = new Meddler(postgres.port)
    const uri = new URL(postgres.uri)
    uri.port = String(await meddler.listen())
    gateway = await startGateway({
      config: `
warehouses: { warehouse: { engine: postgres, uri: "${uri.href}" } }
roles: { everything: { relations: { allow: ["*"] }, statementTimeoutMs: 500 } }`,
    })
    watch = new Watch(gateway, "warehouse", postgres)
    await watch.begin()
  })
  after(async () => {
    await gateway.stop()
    meddler.stop()
    await postgres.stop()
  })

  for (const [index, each] of [...breaks, ...endings].entries())
    it(`that answers with ${each.title} costs the statement and the connection; nothing of it is kept`, async () => {
      const { port, user, password } = gateway
      const client = await WireClient.connect({ port, user, password, database: "warehouse" })
      const sql = `SELECT '${meddler.mark} ${index}'`
      meddler.break = each
      const answer = await client.query(query(sql))
      meddler.break = undefined
      deepEqual(
        errors(answer).map(({ S, C }) => [S, C]),
        [["ERROR", each.sqlState]],
      )
      deepEqual(textRows(await client.query(query(sql))), [[`${meddler.mark} ${index}`]])
      equal(textRows(await client.query(query("SHOW sluice.last")))[0]?.[0], "miss")
      await client.end()
      await watch.isUnharmed()
    })

  it("that sends endless notices is listened to, and no more of them are kept than fit", async () => {
    const { port, user, password } = gateway
    const client = await WireClient.connect({ port, user, password, database: "warehouse" })
    meddler.break = {
      title: "",
      answer: Buffer.concat([many(notice, 100_000), oneColumn, oneRow, oneDone, ready]),
      sqlState: "",
    }
    const answer = await client.query(query(`SELECT '${meddler.mark}'`))
    meddler.break = undefined
    deepEqual(textRows(answer), [["1"]])
    ok(client.notices.length <= 200, String(client.notices.length))
    await client.end()
    await watch.isUnharmed()
  })
})
