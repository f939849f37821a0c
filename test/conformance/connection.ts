import { once } from "node:events"
import { createConnection, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { cancel, saslInitialResponse, saslResponse, startup } from "../support/frontend-encoder.ts"
import { ScramClient } from "../support/scram-client.ts"
import type { BackendMessage } from "../support/wire-client.ts"

/** Longest silence before a step fails. */
const silenceMsMax = 5_000
/** Time that a statement has to begin, before it is cancelled. */
const beginMs = 250
/** Time that a statement has to notice one CancelRequest, before the next one is sent. */
const cancelPeriodMs = 100

export type Address = { readonly port: number }

/** What a read gave: a message, the end of the stream, or nothing for {@link silenceMsMax}. */
export type Received =
  | { readonly kind: "message"; readonly message: BackendMessage }
  | { readonly kind: "byte"; readonly value: string }
  /** `rest`: bytes that make no whole message. */
  | { readonly kind: "closed" | "silence"; readonly rest: Buffer }

/** A raw connection: bytes in, messages out, nothing hidden. */
export class Connection {
  readonly #socket: Socket
  readonly #port: number
  #bytes: Buffer = Buffer.alloc(0)
  #isClosed = false
  #wake: (() => void) | undefined
  processId = 0
  secretKey: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket, port: number) {
    this.#socket = socket
    this.#port = port
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk])
      this.#wake?.()
    })
    socket.on("error", () => {})
    socket.on("close", () => this.#close())
    socket.on("end", () => this.#close())
  }

  static async open({ port }: Address): Promise<Connection> {
    const socket = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true })
    socket.setNoDelay(true)
    await once(socket, "connect")
    return new Connection(socket, port)
  }

  #close(): void {
    this.#isClosed = true
    this.#wake?.()
  }

  /** Bytes that go nowhere, because the server has closed, are as lost as they would be for any client. */
  send(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes)
  }

  halfClose(): void {
    this.#socket.end()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** True when something came, or the end, within the time. */
  async #somethingWithin(waitMs: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => resolve(false), waitMs)
    this.#wake = () => resolve(true)
    const result = await promise
    clearTimeout(timer)
    this.#wake = undefined
    return result
  }

  #take(): BackendMessage | undefined {
    const bytes = this.#bytes
    if (bytes.length < 5) return undefined
    const end = 1 + bytes.readInt32BE(1)
    if (bytes.length < end) return undefined
    this.#bytes = bytes.subarray(end)
    const message = { type: String.fromCharCode(bytes[0] ?? 0), body: bytes.subarray(5, end) }
    if (message.type === "K") {
      this.processId = message.body.readInt32BE(0)
      this.secretKey = message.body.subarray(4)
    }
    return message
  }

  async read(): Promise<Received> {
    for (;;) {
      const message = this.#take()
      if (message !== undefined) return { kind: "message", message }
      if (this.#isClosed) return { kind: "closed", rest: this.#bytes }
      if (!(await this.#somethingWithin(silenceMsMax)))
        return { kind: "silence", rest: this.#bytes }
    }
  }

  /** The one byte that answers SSLRequest and GSSENCRequest. */
  async readByte(): Promise<Received> {
    while (this.#bytes.length === 0) {
      if (this.#isClosed) return { kind: "closed", rest: this.#bytes }
      if (!(await this.#somethingWithin(silenceMsMax)))
        return { kind: "silence", rest: this.#bytes }
    }
    const value = String.fromCharCode(this.#bytes[0] ?? 0)
    this.#bytes = this.#bytes.subarray(1)
    return { kind: "byte", value }
  }

  /** Startup and SCRAM-SHA-256, every message up to ReadyForQuery or the server's refusal. */
  async login(login: {
    readonly parameters: Readonly<Record<string, string>>
    readonly password: string
    readonly minor: number
  }): Promise<Received[]> {
    this.send(startup(login.parameters, { minor: login.minor }))
    const scram = new ScramClient(login.password)
    const seen: Received[] = []
    for (;;) {
      const received = await this.read()
      seen.push(received)
      if (received.kind !== "message") return seen
      const { type, body } = received.message
      if (type === "Z") return seen
      if (type === "R") await this.#authenticate(body, scram)
    }
  }

  async #authenticate(body: Buffer, scram: ScramClient): Promise<void> {
    const code = body.readInt32BE(0)
    if (code === 10) this.send(saslInitialResponse("SCRAM-SHA-256", scram.first()))
    else if (code === 11) this.send(saslResponse(await scram.final(body.subarray(4))))
    else if (code === 12) scram.verify(body.subarray(4))
  }

  /**
   * Cancels what runs. A request that arrives before its statement has begun hits nothing, so that it is sent until the
   * connection says something.
   */
  async cancel(): Promise<void> {
    const deadline = performance.now() + silenceMsMax
    await sleep(beginMs)
    const before = this.#bytes.length
    do {
      const other = await Connection.open({ port: this.#port })
      other.send(cancel(this.processId, this.secretKey))
      while (!other.#isClosed && (await other.#somethingWithin(cancelPeriodMs)));
      other.destroy()
      if (this.#bytes.length > before || this.#isClosed) return
      if (await this.#somethingWithin(cancelPeriodMs)) return
    } while (performance.now() < deadline)
  }
}
