import { once } from "node:events"
import { createConnection, type Socket } from "node:net"
import {
  cancel,
  password,
  saslInitialResponse,
  saslResponse,
  startup,
  terminate,
} from "./frontend-encoder.ts"
import { ScramClient } from "./scram-client.ts"

/** One backend message: its type byte as a letter, and what stands behind the length. */
export type BackendMessage = { readonly type: string; readonly body: Buffer }

/** Fields of an ErrorResponse or NoticeResponse by their letters. */
export type Fields = Readonly<Record<string, string>>

export type ConnectOptions = {
  readonly port: number
  readonly host?: string
  readonly user?: string
  readonly database?: string
  readonly password?: string
  /** Further startup parameters. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly protocolMinor?: number
  /** Longest wait for a message; a test that hangs should say where. */
  readonly waitMsMax?: number
}

/** The server closed the stream. */
export class ConnectionClosed extends Error {
  override readonly name = "ConnectionClosed"
}

/** The server answered the login with an ErrorResponse. */
export class LoginRefused extends Error {
  override readonly name = "LoginRefused"
  readonly fields: Fields

  constructor(fields: Fields) {
    super(`${fields["C"] ?? ""} ${fields["M"] ?? ""}`)
    this.fields = fields
  }
}

const waitMsDefault = 10_000

/**
 * A client that shows the protocol as it is: it sends the bytes it is told to send and returns the messages that come, one
 * after the other. For tests of what a driver would hide.
 */
export class WireClient {
  readonly socket: Socket
  /** From BackendKeyData. */
  processId = 0
  secretKey: Buffer = Buffer.alloc(0)
  /** ParameterStatus as received so far. */
  readonly parameters = new Map<string, string>()
  /** Every NoticeResponse so far. */
  readonly notices: Fields[] = []
  /** Messages of the login, up to and with ReadyForQuery. */
  loginMessages: readonly BackendMessage[] = []

  readonly #waitMsMax: number
  readonly #messages: BackendMessage[] = []
  #pending: Buffer[] = []
  #pendingBytes = 0
  #wake: (() => void) | undefined
  #isClosed = false
  #failure: Error | undefined

  private constructor(socket: Socket, waitMsMax: number) {
    this.socket = socket
    this.#waitMsMax = waitMsMax
    socket.on("data", (chunk: Buffer) => this.#receive(chunk))
    socket.on("error", (error) => {
      this.#failure = error
    })
    socket.on("close", () => {
      this.#isClosed = true
      this.#wake?.()
    })
  }

  /** A TCP connection without a login: for tests of the login itself. */
  static async open(options: Pick<ConnectOptions, "port" | "host" | "waitMsMax">) {
    const socket = createConnection({ port: options.port, host: options.host ?? "127.0.0.1" })
    socket.setNoDelay(true)
    await once(socket, "connect")
    return new WireClient(socket, options.waitMsMax ?? waitMsDefault)
  }

  /** Over a stream that is connected already, such as one inside TLS. */
  static over(socket: Socket, waitMsMax: number = waitMsDefault): WireClient {
    return new WireClient(socket, waitMsMax)
  }

  /** Connects and logs in with SCRAM-SHA-256. Rejects with {@link LoginRefused} when the server says no. */
  static async connect(options: ConnectOptions): Promise<WireClient> {
    const client = await WireClient.open(options)
    try {
      await client.login(options)
      return client
    } catch (error) {
      client.destroy()
      throw error
    }
  }

  async login(options: Omit<ConnectOptions, "port" | "host">): Promise<void> {
    const user = options.user ?? "postgres"
    const parameters = { user, database: options.database ?? user, ...options.parameters }
    this.send(startup(parameters, { minor: options.protocolMinor ?? 0 }))
    const scram = new ScramClient(options.password ?? "")
    const seen: BackendMessage[] = []
    for (;;) {
      const message = await this.read()
      seen.push(message)
      if (message.type === "E") throw new LoginRefused(readFields(message.body))
      if (message.type === "R")
        await this.#authenticate(message.body, scram, options.password ?? "")
      if (message.type === "K") {
        this.processId = message.body.readInt32BE(0)
        this.secretKey = message.body.subarray(4)
      }
      if (message.type === "Z") break
    }
    this.loginMessages = seen
  }

  async #authenticate(body: Buffer, scram: ScramClient, secret: string): Promise<void> {
    const code = body.readInt32BE(0)
    const data = body.subarray(4)
    if (code === 3) this.send(password(secret))
    else if (code === 10) this.send(saslInitialResponse("SCRAM-SHA-256", scram.first()))
    else if (code === 11) this.send(saslResponse(await scram.final(data)))
    else if (code === 12) scram.verify(data)
    else if (code !== 0) throw new Error(`authentication request ${code} is unknown to this client`)
  }

  /** Writes the parts in one call, so that they leave in one segment where they fit. */
  send(...parts: readonly Buffer[]): void {
    this.socket.write(
      parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts),
    )
  }

  /** The next message, of whatever kind. Rejects with {@link ConnectionClosed} when there will be none. */
  async read(): Promise<BackendMessage> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) return message
      if (this.#isClosed)
        throw new ConnectionClosed(this.#failure?.message ?? "closed by the server")
      await this.#wait()
    }
  }

  /** Everything up to and with the next ReadyForQuery. */
  async readUntilReady(): Promise<BackendMessage[]> {
    return this.readUntil("Z")
  }

  /** Everything up to and with the next message of this type. */
  async readUntil(type: string): Promise<BackendMessage[]> {
    const messages: BackendMessage[] = []
    for (;;) {
      const message = await this.read()
      messages.push(message)
      if (message.type === type) return messages
    }
  }

  /** Everything until the server closes the stream. */
  async readUntilClosed(): Promise<BackendMessage[]> {
    while (!this.#isClosed) await this.#wait()
    return this.#messages.splice(0)
  }

  /** A simple query and all of its answer. */
  async query(...parts: readonly Buffer[]): Promise<BackendMessage[]> {
    this.send(...parts)
    return this.readUntilReady()
  }

  /** Sends CancelRequest for this session over a connection of its own and waits until the server has closed that. */
  async cancel(): Promise<void> {
    const { remotePort, remoteAddress } = this.socket
    const other = await WireClient.open({
      port: remotePort ?? 0,
      host: remoteAddress ?? "127.0.0.1",
    })
    other.send(cancel(this.processId, this.secretKey))
    await other.readUntilClosed()
    other.destroy()
  }

  /** Sends Terminate and waits for the server's close. */
  async end(): Promise<void> {
    if (this.#isClosed) return
    this.send(terminate)
    this.socket.end()
    await this.readUntilClosed()
  }

  /** Bytes received that make no whole message yet. */
  get unparsed(): Buffer {
    return Buffer.concat(this.#pending)
  }

  /** Leaves without a word. */
  destroy(): void {
    this.socket.destroy()
  }

  async #wait(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(
      () => reject(new Error(`no message within ${this.#waitMsMax} ms`)),
      this.#waitMsMax,
    )
    this.#wake = resolve
    try {
      await promise
    } finally {
      clearTimeout(timer)
    }
  }

  #receive(chunk: Buffer): void {
    this.#pending.push(chunk)
    this.#pendingBytes += chunk.length
    if (this.#pendingBytes < this.#neededBytes()) return
    const bytes = Buffer.concat(this.#pending)
    let offset = 0
    while (bytes.length - offset >= 5) {
      const end = offset + 1 + bytes.readInt32BE(offset + 1)
      if (end > bytes.length) break
      this.#take({
        type: String.fromCharCode(bytes[offset] ?? 0),
        body: bytes.subarray(offset + 5, end),
      })
      offset = end
    }
    this.#pending = offset === bytes.length ? [] : [bytes.subarray(offset)]
    this.#pendingBytes = bytes.length - offset
    this.#wake?.()
  }

  /** Size of the message at the front, so that a large one is not joined anew for each chunk. */
  #neededBytes(): number {
    const [first] = this.#pending
    return first !== undefined && first.length >= 5 ? 1 + first.readInt32BE(1) : 5
  }

  #take(message: BackendMessage): void {
    this.#messages.push(message)
    if (message.type === "N") this.notices.push(readFields(message.body))
    if (message.type === "S") {
      const [name = "", value = ""] = message.body.toString().split("\0")
      this.parameters.set(name, value)
    }
  }
}

/** The type letters in order: `TDDCZ`. */
export function types(messages: readonly BackendMessage[]): string {
  return messages.map((message) => message.type).join("")
}

/** All DataRows as raw values. */
export function rows(messages: readonly BackendMessage[]): (Buffer | null)[][] {
  return messages.filter((message) => message.type === "D").map((message) => readRow(message.body))
}

/** All DataRows as text. */
export function textRows(messages: readonly BackendMessage[]): (string | null)[][] {
  return rows(messages).map((row) => row.map((value) => value?.toString() ?? null))
}

/** Fields of every ErrorResponse, in order. */
export function errors(messages: readonly BackendMessage[]): Fields[] {
  return messages
    .filter((message) => message.type === "E")
    .map((message) => readFields(message.body))
}

/** Every command tag, in order. */
export function tags(messages: readonly BackendMessage[]): string[] {
  return messages
    .filter((message) => message.type === "C")
    .map((message) => message.body.subarray(0, -1).toString())
}

/** Names of the columns of the first RowDescription. */
export function columnNames(messages: readonly BackendMessage[]): string[] {
  const description = messages.find((message) => message.type === "T")
  if (description === undefined) return []
  const { body } = description
  const names: string[] = []
  let offset = 2
  for (let column = body.readInt16BE(0); column > 0; column -= 1) {
    const end = body.indexOf(0, offset)
    names.push(body.toString("utf8", offset, end))
    offset = end + 19
  }
  return names
}

/** `I`, `T` or `E` of the last ReadyForQuery; empty when there is none. */
export function transactionStatus(messages: readonly BackendMessage[]): string {
  return messages.findLast((message) => message.type === "Z")?.body.toString() ?? ""
}

export function readFields(body: Buffer): Fields {
  const fields: Record<string, string> = {}
  for (const field of body.toString().split("\0")) {
    const [code] = field
    if (code !== undefined) fields[code] = field.slice(1)
  }
  return fields
}

function readRow(body: Buffer): (Buffer | null)[] {
  const values: (Buffer | null)[] = []
  let offset = 2
  for (let column = body.readInt16BE(0); column > 0; column -= 1) {
    const length = body.readInt32BE(offset)
    offset += 4
    values.push(length < 0 ? null : body.subarray(offset, offset + length))
    offset += Math.max(0, length)
  }
  return values
}
