import { deepEqual } from "node:assert/strict"
import { fileURLToPath } from "node:url"
import { makeVerifier } from "../../../src/wire/scram.ts"
import { query } from "../../support/frontend-encoder.ts"
import { type RunningGateway, startGateway } from "../../support/gateway.ts"
import {
  type PostgresOptions,
  startPostgres,
  type TestPostgres,
} from "../../support/postgres-server.ts"
import {
  type BackendMessage,
  type ConnectOptions,
  readFields,
  textRows,
  WireClient,
} from "../../support/wire-client.ts"

const seedFile = fileURLToPath(new URL("seed.sql", import.meta.url))

/** What is sent in one write: simple queries as text, or the messages of a batch. */
export type Exchange = string | readonly Buffer[]

export type PairOptions = {
  /** `duckdb`: an empty DuckDB stands behind the gateway, and PostgreSQL only says what is right. */
  readonly engine?: "postgres" | "duckdb"
  /** Beside the common one. */
  readonly seedFiles?: readonly string[]
  readonly settings?: PostgresOptions["settings"]
  /** Further sections of the configuration; `listen` and `users` are possible, too. */
  readonly config?: string
  /** Keys inside the warehouse's own entry, as flow YAML. */
  readonly warehouse?: string
  /** Further users: name to role. All share the password. */
  readonly users?: Readonly<Record<string, string>>
}

/** A real PostgreSQL and a gateway in front of it. */
export class Pair {
  readonly postgres: TestPostgres
  readonly gateway: RunningGateway
  readonly #clients = new Set<WireClient>()

  constructor(postgres: TestPostgres, gateway: RunningGateway) {
    this.postgres = postgres
    this.gateway = gateway
  }

  static async start(options: PairOptions = {}): Promise<Pair> {
    const postgres = await startPostgres({
      seedFiles: [seedFile, ...(options.seedFiles ?? [])],
      ...(options.settings === undefined ? {} : { settings: options.settings }),
    })
    try {
      const more = options.warehouse === undefined ? "" : `, ${options.warehouse}`
      const where =
        options.engine === "duckdb"
          ? 'engine: duckdb, path: ":memory:", mode: owned'
          : `engine: postgres, uri: "${postgres.uri}"`
      const config = [
        `warehouses: { warehouse: { ${where}${more} } }`,
        options.config ?? "",
        options.users === undefined ? "" : await usersSection(options.users),
      ].join("\n")
      const gateway = await startGateway({
        config,
        ...(options.users === undefined ? {} : { login: { user: "reader", password } }),
      })
      return new Pair(postgres, gateway)
    } catch (error) {
      await postgres.stop()
      throw error
    }
  }

  async direct(options: Partial<ConnectOptions> = {}): Promise<WireClient> {
    const uri = new URL(this.postgres.uri)
    return this.#keep({
      port: this.postgres.port,
      user: uri.username,
      password: uri.password,
      database: this.postgres.database,
      ...options,
    })
  }

  async through(options: Partial<ConnectOptions> = {}): Promise<WireClient> {
    const { port, user, password: own } = this.gateway
    return this.#keep({ port, user, password: own, database: "warehouse", ...options })
  }

  async #keep(options: ConnectOptions): Promise<WireClient> {
    const client = await WireClient.connect(options)
    this.#clients.add(client)
    return client
  }

  /** The same conversation with PostgreSQL and twice with the gateway: a miss, then a hit where there can be one. */
  async same(
    exchanges: readonly Exchange[],
    options: Partial<ConnectOptions> = {},
  ): Promise<string[][]> {
    const direct = await this.direct(options)
    const expected = await converse(direct, exchanges)
    direct.destroy()
    for (const round of ["first time", "second time"]) {
      const client = await this.through(options)
      const got = await converse(client, exchanges)
      client.destroy()
      deepEqual(
        { round, answers: comparable(got, expected) },
        { round, answers: expected.map(shown) },
      )
    }
    return expected.map(shown)
  }

  /** Reports that the relation was written. */
  async invalidate(relation: string): Promise<void> {
    const response = await fetch(new URL("/v1/invalidations", this.gateway.controlUrl), {
      method: "POST",
      headers: {
        authorization: `Bearer ${this.gateway.token}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ items: [{ relation }], wait: "cluster" }),
    })
    if (!response.ok) throw new Error(`invalidation: ${response.status} ${await response.text()}`)
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    await this.gateway.stop()
    await this.postgres.stop()
  }
}

export const password = "correct horse"

async function usersSection(users: Readonly<Record<string, string>>): Promise<string> {
  const verifier = await makeVerifier(password)
  const entries = Object.entries({ reader: "everything", ...users })
  const lines = entries.map(
    ([name, role]) => `  ${name}: { verifier: "${verifier}", roles: [${role}] }`,
  )
  return `users:\n${lines.join("\n")}\n`
}

/** Answers in order; each exchange is answered by as many ReadyForQuery as it has queries and Syncs. */
export async function converse(
  client: WireClient,
  exchanges: readonly Exchange[],
): Promise<BackendMessage[][]> {
  const answers: BackendMessage[][] = []
  for (const exchange of exchanges) answers.push(await exchanged(client, exchange))
  return answers
}

async function exchanged(client: WireClient, exchange: Exchange): Promise<BackendMessage[]> {
  const parts = typeof exchange === "string" ? [query(exchange)] : exchange
  const readyCount = parts.filter((part) => part[0] === 0x51 || part[0] === 0x53).length
  client.send(...parts)
  const messages: BackendMessage[] = []
  for (let index = 0; index < readyCount; index += 1)
    messages.push(...(await client.readUntilReady()))
  return messages
}

/** Where the server's source raised an error: fields that an error of the gateway's own cannot have. */
const sourcePlace = ["F", "L", "R"]

/** A message as one line; errors and notices by their fields, so that a difference can be read. */
export function line(message: BackendMessage): string {
  if (message.type !== "E" && message.type !== "N")
    return `${message.type} ${JSON.stringify(message.body.toString("latin1"))}`
  const fields = Object.entries(readFields(message.body)).filter(
    ([code]) => !sourcePlace.includes(code),
  )
  return `${message.type} ${fields.map(([code, value]) => `${code}=${value}`).join(" | ")}`
}

/** ParameterStatus may come at any time (PostgreSQL manual, 54.2.7): those of an answer stand behind it, sorted. */
function shown(messages: readonly BackendMessage[]): string[] {
  const reports = messages.filter((message) => message.type === "S").map(line)
  return [...messages.filter((message) => message.type !== "S").map(line), ...reports.toSorted()]
}

function hasSource(message: BackendMessage | undefined): boolean {
  return message !== undefined && "R" in readFields(message.body)
}

/** An error that carries a place in PostgreSQL's source must carry the right one. */
function comparable(
  got: readonly BackendMessage[][],
  expected: readonly BackendMessage[][],
): string[][] {
  for (const [index, answer] of got.entries()) {
    const [own, theirs] = [answer, expected[index] ?? []].map((messages) =>
      messages.find((message) => message.type === "E"),
    )
    if (own === undefined || theirs === undefined || !hasSource(own)) continue
    for (const code of sourcePlace)
      deepEqual(readFields(own.body)[code], readFields(theirs.body)[code])
  }
  return got.map(shown)
}

/** Rows of a simple query as text. */
export async function ask(client: WireClient, sql: string): Promise<(string | null)[][]> {
  const messages = await client.query(query(sql))
  const error = messages.find((message) => message.type === "E")
  if (error !== undefined) throw new Error(`${sql}: ${line(error)}`)
  return textRows(messages)
}

/** `cache` and `reason` of SHOW sluice.last, as `hit_l1` or `bypass volatile_function`. */
export async function lastOutcome(client: WireClient): Promise<string> {
  const [[cache, reason] = []] = await ask(client, "SHOW sluice.last")
  return reason === null ? `${cache}` : `${cache} ${reason}`
}

/** Waits until the condition holds; fails loudly when it never does. */
export async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`it never came true that ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Statements of the gateway's that the warehouse runs now, or transactions that it holds open. */
export async function activity(postgres: TestPostgres, states: string): Promise<number> {
  const [row] = await postgres.run(
    `SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'reader' AND state ~ '${states}'`,
  )
  return Number(row?.["n"])
}
