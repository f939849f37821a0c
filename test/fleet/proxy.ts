import { once } from "node:events"
import { createConnection, createServer, type Server, type Socket } from "node:net"

/** A TCP relay whose line can be cut: bytes stay away in both directions and nobody is told, as in a partitioned network. */
export class CuttableProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #isCut = false

  private constructor(target: { readonly host: string; readonly port: number }) {
    this.#server = createServer((near) => {
      const far = createConnection(target)
      this.#relay(near, far)
      this.#relay(far, near)
    })
  }

  static async open(target: {
    readonly host: string
    readonly port: number
  }): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(target)
    proxy.#server.listen(0, "127.0.0.1")
    await once(proxy.#server, "listening")
    return proxy
  }

  get port(): number {
    const address = this.#server.address()
    if (address === null || typeof address === "string") throw new Error("the proxy is closed")
    return address.port
  }

  cut(): void {
    this.#isCut = true
    for (const socket of this.#sockets) socket.pause()
  }

  /** What was held up goes on, as TCP sends it again. */
  mend(): void {
    this.#isCut = false
    for (const socket of this.#sockets) socket.resume()
  }

  /** Ends all connections that there are; new ones are taken. */
  reset(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.reset()
    this.#server.close()
    await once(this.#server, "close")
  }

  #relay(from: Socket, to: Socket): void {
    this.#sockets.add(from)
    if (this.#isCut) from.pause()
    from.on("data", (chunk: Buffer) => {
      if (!to.write(chunk)) {
        from.pause()
        to.once("drain", () => {
          if (!this.#isCut) from.resume()
        })
      }
    })
    const end = (): void => {
      this.#sockets.delete(from)
      to.destroy()
    }
    from.on("error", end).on("close", end)
  }
}
