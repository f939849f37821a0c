import { unreachable } from "../../src/core/errors.ts"
import { Connection, type Received } from "./connection.ts"
import { encodePart } from "./encode.ts"
import type { Action, Script, Step } from "./script.ts"
import { messageName, showMessage } from "./show.ts"
import type { Part, Piece } from "./tokens.ts"

/** One of the two servers, and who logs in there unless a script says otherwise. */
export type Side = {
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

/** What stands for a step at which the server said nothing for too long: never a recorded answer. */
export const silence = "(silence)"

/** Holds one conversation with one server. */
class Talk {
  readonly #side: Side
  readonly #script: Script
  readonly #connections = new Map<string, Connection>()

  constructor(side: Side, script: Script) {
    this.#side = side
    this.#script = script
  }

  async run(): Promise<string[][]> {
    const answers: string[][] = []
    try {
      for (const step of this.#script.steps) {
        const received = await this.#step(step)
        answers.push(this.#shown(received))
        if (received.at(-1)?.kind === "silence") break
      }
      return answers
    } finally {
      for (const connection of this.#connections.values()) connection.destroy()
    }
  }

  async #step({ connection: name, action }: Step): Promise<readonly Received[]> {
    if (action.kind === "connect") return this.#connect(name, action.part)
    if (action.kind === "open") {
      this.#keep(name, await Connection.open(this.#side))
      return []
    }
    const open = this.#connections.get(name)
    if (open === undefined) await this.#connect(name, undefined)
    const connection = this.#connections.get(name)
    if (connection === undefined) throw new Error(`no connection ${name}`)
    return this.#act(connection, action)
  }

  async #act(
    connection: Connection,
    action: Exclude<Action, { kind: "connect" | "open" }>,
  ): Promise<readonly Received[]> {
    switch (action.kind) {
      case "send":
        connection.send(this.#encode(action.parts))
        return []
      case "query":
        connection.send(this.#encode(action.parts))
        return readUntil(connection, "ReadyForQuery", 1)
      case "until":
        return readUntil(connection, action.type, action.times)
      case "cancel":
        await connection.cancel()
        return []
      case "half-close":
        connection.halfClose()
        return []
      case "close":
        connection.destroy()
        return []
      default:
        return unreachable(action)
    }
  }

  #keep(name: string, connection: Connection): void {
    this.#connections.get(name)?.destroy()
    this.#connections.set(name, connection)
  }

  async #connect(name: string, part: Part | undefined): Promise<Received[]> {
    const given = Object.fromEntries(
      [...(part?.options ?? [])].map(([key, pieces]) => [key, String(pieces[0] ?? "")]),
    )
    const { protocol = "3.0", password = this.#side.password, ...parameters } = given
    const connection = await Connection.open(this.#side)
    this.#keep(name, connection)
    return connection.login({
      parameters: { user: this.#side.user, database: this.#side.database, ...parameters },
      password,
      minor: Number(protocol.split(".")[1]),
    })
  }

  #encode(parts: readonly Part[]): Buffer {
    return Buffer.concat(parts.map((part) => encodePart(this.#filled(part))))
  }

  /** `{b.pid}` and `{b.key}` are what connection b was told at its login. */
  #filled(part: Part): Part {
    const fill = (text: string): string =>
      text.replaceAll(/\{([a-z])\.(pid|key)\}/g, (_, name: string, what: string) => {
        const connection = this.#connections.get(name)
        if (what === "key") return connection?.secretKey.toString("hex") ?? ""
        return String(connection?.processId ?? 0)
      })
    const piece = (one: Piece): Piece => (typeof one === "string" ? fill(one) : one)
    return {
      words: part.words.map(fill),
      strings: part.strings.map(fill),
      options: new Map([...part.options].map(([name, pieces]) => [name, pieces.map(piece)])),
    }
  }

  #shown(received: readonly Received[]): string[] {
    const lines = received.map((one) => {
      if (one.kind === "byte") return `byte ${one.value}`
      if (one.kind === "message") return showMessage(one.message)
      if (one.kind === "silence") return silence
      return one.rest.length === 0
        ? "(closed)"
        : `(closed) ${JSON.stringify(one.rest.toString("latin1"))}`
    })
    return lines.map((line) => this.#withoutProcesses(line))
  }

  /** Process ids differ by nature. They are hidden where the protocol has them, and elsewhere in scripts that speak of them. */
  #withoutProcesses(line: string): string {
    const isPlace = /^(BackendKeyData|NotificationResponse) /.test(line)
    if (!isPlace && !this.#script.namesProcesses) return line
    let shown = line
    for (const [name, { processId }] of this.#connections)
      if (processId !== 0)
        shown = shown.replaceAll(new RegExp(`\\b${processId}\\b`, "g"), `{${name}.pid}`)
    // A process that no connection of the script was told of.
    return shown.replace(/^NotificationResponse pid \d+/, "NotificationResponse pid {unknown}")
  }
}

/**
 * Everything up to and with the given message. Ends early where the stream does, and, for any message but ReadyForQuery, at an
 * ErrorResponse: nothing more need come then.
 */
async function readUntil(connection: Connection, type: string, times: number): Promise<Received[]> {
  if (type === "byte") return [await connection.readByte()]
  const seen: Received[] = []
  let left = times
  for (;;) {
    const received = await connection.read()
    seen.push(received)
    if (received.kind !== "message") return seen
    const name = messageName(received.message.type)
    if (name === type) left -= 1
    const isOver = type !== "closed" && type !== "ReadyForQuery" && name === "ErrorResponse"
    if (left === 0 || isOver) return seen
  }
}

/** What the server said at each step, in order; shorter than the script where it fell silent. */
export function converse(script: Script, side: Side): Promise<string[][]> {
  return new Talk(side, script).run()
}
