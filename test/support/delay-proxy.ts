import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"

/** Passes bytes on to a port of 127.0.0.1, answers `delayMs` late. For both directions in order. */
export class DelayProxy {
  delayMs = 0
  readonly port: number
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
  }

  static async start(targetPort: number): Promise<DelayProxy> {
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("no port was assigned")
    const proxy = new DelayProxy(server, address.port)
    server.on("connection", (client) => proxy.#pass(client, targetPort))
    return proxy
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, "close")
  }

  #pass(client: Socket, targetPort: number): void {
    const target = connect(targetPort, "127.0.0.1")
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      this.#sockets.add(from)
      let tail = Promise.resolve()
      from.on("data", (chunk: Buffer) => {
        const dueMs = performance.now() + (from === target ? this.delayMs : 0)
        tail = passOn(tail, { to, chunk, dueMs })
      })
      from.on("error", () => to.destroy())
      from.on("close", () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }
}

async function passOn(
  before: Promise<void>,
  part: { readonly to: Socket; readonly chunk: Buffer; readonly dueMs: number },
): Promise<void> {
  await before
  const leftMs = part.dueMs - performance.now()
  if (leftMs > 0) await sleep(leftMs)
  if (!part.to.destroyed) part.to.write(part.chunk)
}
