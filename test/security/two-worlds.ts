import { deepEqual, equal, ok } from "node:assert/strict"
import { query } from "../support/frontend-encoder.ts"
import { type BackendMessage, textRows, type WireClient } from "../support/wire-client.ts"
import { marker, startTenants, type Tenants } from "./tenants.ts"

const cleanUp = "ROLLBACK; CLOSE ALL; RESET ALL; DEALLOCATE ALL"

export type WorldAnswer = {
  readonly messages: readonly BackendMessage[]
  readonly notices: string
}

/** Every message as text. */
export function shown(messages: readonly BackendMessage[]): string[] {
  return messages.map(({ type, body }) => `${type} ${body.toString("latin1")}`)
}

function isRow(text: string): boolean {
  return text.startsWith("D ")
}

/** Rows that nobody has ordered may come in any order. */
function sorted(messages: readonly BackendMessage[]): string[] {
  const all = shown(messages)
  return [...all.filter((text) => !isRow(text)), ...all.filter(isRow).toSorted()]
}

export type World = {
  readonly hidden: string
  /** SQL behind the tenants' seed. */
  readonly extra: string
}

export type WorldsOptions = {
  readonly engine: "postgres" | "duckdb"
  readonly worlds: readonly [World, World]
  readonly policies: string
}

/** One reader before two databases that differ only in what the reader may not see. */
export class TwoWorlds {
  readonly #tenants: Tenants[] = []
  readonly #clients: WireClient[] = []

  static async start({ engine, worlds, policies }: WorldsOptions): Promise<TwoWorlds> {
    const started = new TwoWorlds()
    for (const { hidden, extra } of worlds) {
      const tenants = await startTenants(engine, { hidden, extra, policies })
      started.#tenants.push(tenants)
      started.#clients.push(await tenants.as("ann"))
    }
    return started
  }

  async stop(): Promise<void> {
    for (const tenants of this.#tenants) await tenants.stop()
  }

  /** What both worlds answered, with the notices that came meanwhile. */
  async both(...parts: readonly Buffer[]): Promise<readonly [WorldAnswer, WorldAnswer]> {
    return [await this.#ask(0, parts), await this.#ask(1, parts)]
  }

  async #ask(index: 0 | 1, parts: readonly Buffer[]): Promise<WorldAnswer> {
    const tenants = this.#tenants[index]
    if (tenants === undefined) throw new Error("the worlds have ended")
    let client = this.#clients[index]
    if (client === undefined || client.socket.destroyed) {
      client = await tenants.as("ann")
      this.#clients[index] = client
    }
    const noticesBefore = client.notices.length
    const messages = await client.query(...parts)
    const notices = JSON.stringify(client.notices.slice(noticesBefore))
    await client.query(query(cleanUp))
    return { messages, notices }
  }

  /** The answer of the first world, proven to be that of the second and to show nothing hidden. */
  async ask(...parts: readonly Buffer[]): Promise<readonly BackendMessage[]> {
    const [first, second] = await this.both(...parts)
    deepEqual(sorted(first.messages), sorted(second.messages))
    equal(first.notices, second.notices)
    for (const value of [marker, "7777"])
      ok(![...shown(first.messages), first.notices].join().includes(value), `${value} is shown`)
    return first.messages
  }

  async userType(name: string): Promise<number> {
    const messages = await this.ask(query(`SELECT oid FROM pg_type WHERE typname = '${name}'`))
    return Number(textRows(messages)[0]?.[0])
  }
}
