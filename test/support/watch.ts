import { deepEqual, ok } from "node:assert/strict"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { get } from "node:http"
import { query } from "./frontend-encoder.ts"
import type { RunningGateway } from "./gateway.ts"
import type { TestPostgres } from "./postgres-server.ts"
import { textRows, WireClient } from "./wire-client.ts"

/** A fresh connection has to be logged in and answered within this. */
const answerMsMax = 1_000
/** What a conversation used has to be given back within this: a linger of one second is part of it. */
const settleMsMax = 5_000
const pollMs = 15

/** What a gateway holds that one conversation could leave behind. */
type Holdings = {
  readonly sessions: number
  readonly logins: number
  readonly closing: number
  readonly leased: number
  readonly waiters: number
  readonly unsentOrKept: number
  /** Sockets beyond those of warehouse connections. */
  readonly sockets: number
}

const nothing: Omit<Holdings, "sockets"> = {
  sessions: 0,
  logins: 0,
  closing: 0,
  leased: 0,
  waiters: 0,
  unsentOrKept: 0,
}

/** Looks after a gateway while it is being mistreated. */
export class Watch {
  readonly #gateway: RunningGateway
  readonly #postgres: TestPostgres | undefined
  readonly #database: string
  #sockets = 0

  constructor(gateway: RunningGateway, database: string, postgres?: TestPostgres) {
    this.#gateway = gateway
    this.#database = database
    this.#postgres = postgres
  }

  /** Call once, before the first conversation, when nobody is connected. */
  async begin(): Promise<void> {
    await this.#answers()
    for (let round = 0; round < 20; round += 1) {
      this.#sockets = (await this.#holdings()).sockets
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  /** A fresh client is served at once, and nothing of any earlier one is left. */
  async isUnharmed(): Promise<void> {
    await this.#answers()
    await this.isEmpty()
  }

  async isEmpty(): Promise<void> {
    const expected = { ...nothing, sockets: this.#sockets }
    const deadlineMs = performance.now() + settleMsMax
    let seen = await this.#holdings()
    while (!isSame(seen, expected) && performance.now() < deadlineMs) {
      await new Promise((resolve) => setTimeout(resolve, pollMs))
      seen = await this.#holdings()
    }
    deepEqual(seen, expected)
    if (this.#postgres === undefined) return
    let running = await busyBackends(this.#postgres)
    while (running > 0 && performance.now() < deadlineMs)
      running = await busyBackends(this.#postgres)
    deepEqual(running, 0, "the warehouse still works for somebody who has gone")
  }

  get residentBytes(): number {
    const status = readFileSync(`/proc/${this.#gateway.pid}/status`, "utf8")
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }

  async #answers(): Promise<void> {
    const startMs = performance.now()
    const { port, user, password } = this.#gateway
    const client = await WireClient.connect({ port, user, password, database: this.#database })
    deepEqual(textRows(await client.query(query("SELECT 40 + 2"))), [["42"]])
    await client.end()
    const durationMs = performance.now() - startMs
    ok(durationMs < answerMsMax, `a fresh client waited ${Math.round(durationMs)} ms`)
  }

  async #holdings(): Promise<Holdings> {
    const text = await this.metrics()
    const of = (pattern: RegExp): number =>
      [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0)
    const clients = (states: string): number =>
      of(new RegExp(`^sluice_client_connections\\{state="(?:${states})"\\} (\\S+)$`, "gm"))
    const warehouse = (states: string): number =>
      of(new RegExp(`^sluice_warehouse_connections\\{.*state="(?:${states})".*\\} (\\S+)$`, "gm"))
    return {
      sessions: clients("idle|active"),
      logins: clients("login"),
      closing: clients("closing"),
      leased: warehouse("leased|opening"),
      waiters: of(/^sluice_pool_waiters\{.*\} (\S+)$/gm),
      unsentOrKept: of(/^sluice_session_bytes (\S+)$/gm),
      sockets: this.#openSockets() - warehouse("idle|leased|opening"),
    }
  }

  #openSockets(): number {
    const folder = `/proc/${this.#gateway.pid}/fd`
    const isSocket = (name: string): boolean => {
      try {
        return readlinkSync(`${folder}/${name}`).startsWith("socket:")
      } catch {
        return false
      }
    }
    return readdirSync(folder).filter(isSocket).length
  }

  /** Over a connection of its own, that has ended when this resolves: a kept one would be a descriptor more. */
  metrics(): Promise<string> {
    const url = new URL("/metrics", this.#gateway.controlUrl)
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${this.#gateway.token}`, connection: "close" }
      const request = get(url, { agent: false, headers }, (response) => {
        let text = ""
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => {
          text += chunk
        })
        response.on("close", () => resolve(text))
      })
      request.on("error", reject)
    })
  }
}

function isSame(left: Holdings, right: Holdings): boolean {
  return Object.entries(left).every(([name, value]) => right[name as keyof Holdings] === value)
}

/** Backends of the gateway's that run a statement or hold a transaction open. */
async function busyBackends(postgres: TestPostgres): Promise<number> {
  const [row] = await postgres.run(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'reader' AND state ~ 'active|transaction'",
  )
  return Number(row?.["n"])
}
