import type { Socket } from "node:net"
import { WireClient } from "./wire-client.ts"

/**
 * A raw PostgreSQL client that pipelines: many exchanges in one write, answers kept as the bytes they came in. For oracles,
 * which compare bytes and ask hundreds of thousands of questions; it decodes nothing but message headers.
 */
export type SessionOptions = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** Startup parameters beside user and database. */
  readonly startup?: Readonly<Record<string, string>>
  readonly answerMsMax?: number
}

type Waiting = {
  readonly count: number
  readonly answers: Buffer[]
  readonly resolve: (answers: Buffer[]) => void
  readonly reject: (error: Error) => void
  readonly timer: NodeJS.Timeout
}

const answerMsMaxDefault = 60_000
const readyForQuery = 0x5a

export function splitUri(uri: string): SessionOptions {
  const parsed = new URL(uri)
  return {
    host: parsed.hostname,
    port: Number(parsed.port),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database: decodeURIComponent(parsed.pathname.slice(1)),
  }
}

export class RawSession {
  readonly #socket: Socket
  readonly #answerMsMax: number
  readonly #waiting: Waiting[] = []
  /** Chunks of the answer that is still coming in; joined once, when its ReadyForQuery is there. */
  #chunks: Buffer[] = []
  #held: Buffer = Buffer.alloc(0)
  #failure: Error | undefined

  private constructor(socket: Socket, answerMsMax: number) {
    this.#socket = socket
    this.#answerMsMax = answerMsMax
  }

  /** Connects and logs in. Rejects with what the server said. */
  static async open(options: SessionOptions): Promise<RawSession> {
    const client = await WireClient.connect({
      ...options,
      ...(options.startup === undefined ? {} : { parameters: options.startup }),
    })
    const { socket } = client
    // The login's client keeps messages one by one; from here on only bytes are wanted.
    socket.removeAllListeners()
    const session = new RawSession(socket, options.answerMsMax ?? answerMsMaxDefault)
    socket.on("data", (chunk) => session.#take(chunk))
    socket.on("error", (error) => session.#fail(error))
    socket.on("close", () => session.#fail(new Error("the server closed the connection")))
    return session
  }

  get isOpen(): boolean {
    return this.#failure === undefined
  }

  /** Sends exchanges in one write; resolves with the answer to each, its ReadyForQuery included. */
  run(exchanges: readonly Buffer[]): Promise<Buffer[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#socket.destroy()
        this.#fail(new Error(`no answer within ${this.#answerMsMax} ms`))
      }, this.#answerMsMax)
      this.#waiting.push({ count: exchanges.length, answers: [], resolve, reject, timer })
      this.#socket.write(Buffer.concat(exchanges))
    })
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    for (const waiting of this.#waiting) {
      clearTimeout(waiting.timer)
      waiting.reject(error)
    }
    this.#waiting.length = 0
  }

  #take(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    let start = 0
    let at = 0
    while (bytes.length - at >= 5) {
      const end = at + 1 + bytes.readInt32BE(at + 1)
      if (end > bytes.length) break
      const isReady = bytes[at] === readyForQuery
      at = end
      if (isReady) {
        this.#chunks.push(bytes.subarray(start, at))
        start = at
        this.#answered()
      }
    }
    if (at > start) this.#chunks.push(bytes.subarray(start, at))
    this.#held = at === bytes.length ? Buffer.alloc(0) : bytes.subarray(at)
  }

  #answered(): void {
    const answer = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = []
    const waiting = this.#waiting[0]
    if (waiting === undefined || answer === undefined) return
    waiting.answers.push(answer)
    if (waiting.answers.length < waiting.count) return
    this.#waiting.shift()
    clearTimeout(waiting.timer)
    waiting.resolve(waiting.answers)
  }

  close(): void {
    this.#fail(new Error("closed by the test"))
    this.#socket.destroy()
  }
}
