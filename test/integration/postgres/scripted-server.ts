import { createServer, type Server, type Socket } from "node:net"
import { message, parameterStatus, readyForQuery } from "../../../src/wire/backend-messages.ts"

/**
 * A server that speaks just enough to let anybody in, answers `version()`, and then sends what the test says, right or
 * wrong. It stands for what no real PostgreSQL would do.
 */
export type ScriptedServer = {
  readonly uri: string
  /** What the next statement is answered with. */
  answer: Buffer | ((socket: Socket) => void)
  /** CancelRequests that came. */
  cancelCount: number
  stop(): Promise<void>
}

const cancelRequestCode = 80_877_102

const welcome = Buffer.concat([
  message("R", Buffer.alloc(4)),
  parameterStatus("server_version", "1.0"),
  message("K", Buffer.from([0, 0, 0, 1, 0, 0, 0, 2])),
  readyForQuery("I"),
])

export const oneColumn = message(
  "T",
  Buffer.concat([Buffer.from([0, 1]), Buffer.from("c\0"), Buffer.alloc(18)]),
)
export const oneRow = message("D", Buffer.from([0, 1, 0, 0, 0, 1, 0x31]))
export const oneDone = message("C", Buffer.from("SELECT 1\0"))
export const goodAnswer = Buffer.concat([oneColumn, oneRow, oneDone, readyForQuery("I")])

const terminateByte = 0x58

function letIn(socket: Socket, bytes: Buffer, scripted: ScriptedServer): boolean {
  const code = bytes.readInt32BE(4)
  if (code === cancelRequestCode) {
    scripted.cancelCount += 1
    socket.end()
    return false
  }
  socket.write(welcome)
  return true
}

export async function startScriptedServer(): Promise<ScriptedServer> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on("error", () => {})
    let isIn = false
    socket.on("data", (bytes) => {
      if (!isIn) {
        isIn = letIn(socket, bytes, scripted)
      } else if (bytes.includes("version()")) {
        socket.write(goodAnswer)
      } else if (bytes[0] === terminateByte) {
        socket.end()
      } else if (Buffer.isBuffer(scripted.answer)) {
        socket.write(scripted.answer)
      } else {
        scripted.answer(socket)
      }
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve)
  })
  const address = server.address()
  const port = typeof address === "object" ? address?.port : 0
  const scripted: ScriptedServer = {
    uri: `postgresql://anybody@127.0.0.1:${port}/any`,
    answer: goodAnswer,
    cancelCount: 0,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
  return scripted
}
