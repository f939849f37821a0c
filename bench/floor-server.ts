import { readFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"

/**
 * The floor: the least a server in Node can do on this protocol. It trusts every login and answers every Query, and every
 * Sync after an extended batch, with bytes laid out beforehand, in one write. Whatever the gateway's hits cost beyond it is
 * the gateway's own work.
 *
 *   node bench/floor-server.ts ANSWER.json       prints its port
 */

export type FloorAnswer = {
  /** RowDescription; DataRow* and CommandComplete: whole messages in base64. */
  readonly description: string
  readonly rows: string
}

function message(type: string, body: string | Buffer): Buffer {
  const bytes = Buffer.from(body)
  const head = Buffer.alloc(5, type)
  head.writeInt32BE(4 + bytes.length, 1)
  return Buffer.concat([head, bytes])
}

const ready = message("Z", "I")
const login = Buffer.concat([
  message("R", Buffer.alloc(4)),
  ...[
    ["server_version", "18.0"],
    ["server_encoding", "UTF8"],
    ["client_encoding", "UTF8"],
    ["DateStyle", "ISO, MDY"],
    ["TimeZone", "UTC"],
    ["integer_datetimes", "on"],
    ["standard_conforming_strings", "on"],
  ].map(([name, value]) => message("S", `${name}\0${value}\0`)),
  message("K", Buffer.alloc(8, 1)),
  ready,
])

/** Answers to whole batches by the type bytes of their messages, such as `PBDES` for pgbench's extended protocol. */
class Answers {
  readonly #parts: ReadonlyMap<string, Buffer>
  readonly #byBatch = new Map<string, Buffer>()

  constructor(answer: FloorAnswer) {
    const description = Buffer.from(answer.description, "base64")
    const rows = Buffer.from(answer.rows, "base64")
    this.#parts = new Map([
      ["Q", Buffer.concat([description, rows, ready])],
      ["P", message("1", "")],
      ["B", message("2", "")],
      ["D", description],
      ["E", rows],
      ["C", message("3", "")],
      ["S", ready],
    ])
  }

  to(batch: string): Buffer {
    let bytes = this.#byBatch.get(batch)
    if (bytes === undefined) {
      bytes = Buffer.concat(Array.from(batch, (type) => this.#parts.get(type) ?? Buffer.alloc(0)))
      this.#byBatch.set(batch, bytes)
    }
    return bytes
  }
}

/** The login half of one connection. Returns how many bytes it took and whether the client is in. */
function logIn(socket: Socket, bytes: Buffer): { readonly used: number; readonly isIn: boolean } {
  let used = 0
  while (bytes.length - used >= 8) {
    const length = bytes.readInt32BE(used)
    if (bytes.length - used < length) break
    // SSLRequest and GSSENCRequest (PostgreSQL manual, 54.7) are answered with "no".
    const code = bytes.readInt32BE(used + 4)
    used += length
    if (code !== 80877103 && code !== 80877104) {
      socket.write(login)
      return { used, isIn: true }
    }
    socket.write("N")
  }
  return { used, isIn: false }
}

function serve(socket: Socket, answers: Answers): void {
  let isLoggedIn = false
  let held: Buffer = Buffer.alloc(0)
  let batch = ""

  const take = (bytes: Buffer): number => {
    let offset = 0
    while (bytes.length - offset >= 5) {
      const end = offset + 1 + bytes.readInt32BE(offset + 1)
      if (end > bytes.length) break
      const type = String.fromCharCode(bytes[offset] ?? 0)
      offset = end
      if (type === "X") socket.end()
      batch += type
      if (type === "Q" || type === "S") {
        socket.write(answers.to(batch))
        batch = ""
      }
    }
    return offset
  }

  socket.setNoDelay(true)
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk) => {
    let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    if (!isLoggedIn) {
      const { used, isIn } = logIn(socket, bytes)
      bytes = bytes.subarray(used)
      isLoggedIn = isIn
    }
    held = isLoggedIn ? bytes.subarray(take(bytes)) : bytes
  })
}

const answerFile = process.argv[2]
if (import.meta.main && answerFile !== undefined) {
  const answers = new Answers(JSON.parse(readFileSync(answerFile, "utf8")) as FloorAnswer)
  const server = createServer((socket) => serve(socket, answers))
  server.listen(0, "127.0.0.1", 1024, () => {
    const address = server.address()
    if (address !== null && typeof address === "object")
      process.stdout.write(`${JSON.stringify({ port: address.port })}\n`)
  })
  process.once("SIGTERM", () => process.exit(0))
}
