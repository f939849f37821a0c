import type { DirectConnection } from "../../core/direct.ts"
import { terminateMessage } from "../../wire/frontend-encoder.ts"
import { type CancelTarget, sendCancel } from "./cancel.ts"
import type { Dialled } from "./dial.ts"
import { Relay } from "./relay.ts"

const dataRow = 0x44
const copyData = 0x64
const readyForQuery = 0x5a

/** A dialled socket whose frames belong to one session. */
export class PostgresDirect implements DirectConnection {
  readonly #socket: Dialled["socket"]
  readonly #relay: Relay
  readonly #cancelTarget: CancelTarget
  readonly #cancelTimeoutMs: number
  readonly #onClosed: (connection: PostgresDirect) => void
  /** True between something sent and the next ReadyForQuery: what a cancel on closing is for. */
  #isBusy = false
  #isClosed = false
  #hasEnded = false

  constructor(init: {
    readonly dialled: Dialled
    readonly host: string
    readonly port: number
    readonly cancelTimeoutMs: number
    readonly onClosed: (connection: PostgresDirect) => void
  }) {
    const { socket, processId, secretKey, tls } = init.dialled
    this.#socket = socket
    this.#cancelTimeoutMs = init.cancelTimeoutMs
    this.#onClosed = init.onClosed
    this.#cancelTarget = { host: init.host, port: init.port, tls, processId, secretKey }
    socket.once("end", () => {
      this.#hasEnded = true
    })
    this.#relay = new Relay(socket, () => this.#forget())
    this.#relay.busy()
  }

  get processId(): number {
    return this.#cancelTarget.processId
  }

  send(bytes: Buffer): undefined | Promise<void> {
    this.#isBusy = true
    if (this.#socket.write(bytes) || this.#socket.destroyed) return undefined
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off("drain", done)
        this.#socket.off("close", done)
        resolve()
      }
      this.#socket.on("drain", done)
      this.#socket.on("close", done)
    })
  }

  next(): Buffer | Promise<Buffer | undefined> | undefined {
    return this.#take() ?? this.#wait()
  }

  #take(): Buffer | undefined {
    const type = this.#relay.peek()
    if (type === 0) return undefined
    if (type === dataRow || type === copyData) return this.#relay.takeRun(type).bytes
    if (type === readyForQuery) this.#isBusy = false
    return this.#relay.take()
  }

  async #wait(): Promise<Buffer | undefined> {
    for (;;) {
      try {
        await this.#relay.more()
      } catch (error) {
        // A server that ended the connection has said why before.
        if (this.#hasEnded || this.#isClosed) return undefined
        throw error
      }
      const frame = this.#take()
      if (frame !== undefined) return frame
    }
  }

  async cancel(): Promise<void> {
    await sendCancel(this.#cancelTarget, this.#cancelTimeoutMs)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // Otherwise the server would notice only at its next write.
    if (this.#isBusy) void sendCancel(this.#cancelTarget, this.#cancelTimeoutMs)
    if (this.#socket.writable) this.#socket.end(terminateMessage)
    // The server closes its side; one that does not gets no more than this.
    this.#socket.setTimeout(this.#cancelTimeoutMs, () => this.#socket.destroy())
    this.#socket.resume()
    this.#forget()
  }

  #forget(): void {
    this.#onClosed(this)
  }
}
