import { setTimeout as sleep } from "node:timers/promises"
import { Client } from "pg"
import { History } from "../consistency/history.ts"
import { freshSeed, targets } from "../consistency/shapes.ts"
import { type Invalidate, Run, read, write } from "../consistency/workload.ts"
import { type RunningGateway, startGateway } from "../support/gateway.ts"
import { startPostgres, type TestPostgres, type TestReplica } from "../support/postgres-server.ts"
import { Random } from "../support/query-generator-random.ts"
import { splitUri } from "../support/query-generator-session.ts"

/** Short, so that a fault can outlast it many times in a minute. */
export const leaseMs = 500
const readersPerGateway = 2
/** Share of invalidations that are soft. */
const softShare = 0.3
const writerPauseMsMax = 400

export type FleetOptions = {
  /** Streaming standbys, which take turns at reads. */
  readonly replicas?: number
  readonly nodeArguments?: readonly string[]
}

/** Gateways in front of one PostgreSQL, each told by itself where Redis is. */
export class Fleet {
  readonly server: TestPostgres
  readonly replicas: readonly TestReplica[]
  readonly #gateways: RunningGateway[]
  readonly #start: (index: number) => Promise<RunningGateway>

  private constructor(
    server: TestPostgres,
    replicas: readonly TestReplica[],
    started: {
      readonly gateways: RunningGateway[]
      readonly start: (index: number) => Promise<RunningGateway>
    },
  ) {
    this.server = server
    this.replicas = replicas
    this.#gateways = started.gateways
    this.#start = started.start
  }

  /** One gateway for each section `redis:`, without the common keys. */
  static async start(redisSections: readonly string[], options: FleetOptions = {}): Promise<Fleet> {
    const server = await startPostgres()
    await server.run(freshSeed)
    const replicas: TestReplica[] = []
    for (let index = 0; index < (options.replicas ?? 0); index += 1)
      replicas.push(await server.startReplica())
    const listed = replicas.map(({ uri }, index) => `{ name: r${index}, uri: "${uri}" }`)
    const start = (index: number): Promise<RunningGateway> =>
      startGateway({
        config: `warehouses:
  warehouse: { engine: postgres, uri: "${server.uri}", replicas: [${listed.join(", ")}], pool: { connectionsMax: 6 } }
redis: { ${redisSections[index]}, leaseMs: ${leaseMs}, commandTimeoutMs: 200, connectTimeoutMs: 500 }
cache: { shared: { warehouseMsMin: 0 } }
log: { level: warn }
`,
        nodeArguments: options.nodeArguments ?? [],
      })
    const gateways = await Promise.all(redisSections.map((_, index) => start(index)))
    return new Fleet(server, replicas, { gateways, start })
  }

  get gateways(): readonly RunningGateway[] {
    return this.#gateways
  }

  /** Without a word to anybody; sessions of the old process are lost. */
  async killAndRestart(index: number): Promise<void> {
    this.#gateways[index]?.signal("SIGKILL")
    await this.#gateways[index]?.stop()
    this.#gateways[index] = await this.#start(index)
  }

  async stop(): Promise<void> {
    await Promise.all(this.gateways.map((gateway) => gateway.stop()))
    await Promise.all(this.replicas.map((replica) => replica.stop()))
    await this.server.stop()
  }
}

/** What the invalidation API did during a run. */
export type Calls = { applied: number; pending: number; refused: number }

const callTimeoutMs = 10_000

function ask(gateway: RunningGateway, path: string, body?: string): Promise<Response> {
  return fetch(new URL(path, gateway.controlUrl), {
    method: body === undefined ? "GET" : "POST",
    headers: {
      authorization: `Bearer ${gateway.token}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(callTimeoutMs),
  })
}

/** Asks after what is pending until it is applied; false when that takes too long. */
async function isAppliedLater(gateway: RunningGateway, response: Response): Promise<boolean> {
  const { id } = (await response.json()) as { readonly id: string }
  for (let attempt = 0; attempt < 200; attempt += 1) {
    await sleep(20)
    const later = await ask(gateway, `/v1/invalidations/${id}`)
    const outcome = (await later.json()) as { readonly status: string }
    if (outcome.status === "applied") return true
  }
  return false
}

/**
 * An orchestrator that does not give up: it repeats what is refused or gets no answer, by another gateway, and asks after
 * what is pending. It returns when the change was acknowledged as applied.
 */
export function persistentInvalidate(
  gateways: () => readonly RunningGateway[],
  random: Random,
  calls: Calls,
): Invalidate {
  return async (items, maxStaleMs) => {
    const mode = maxStaleMs === undefined ? "hard" : "soft"
    const bound = maxStaleMs === undefined ? {} : { max_stale_seconds: maxStaleMs / 1_000 }
    const body = JSON.stringify({ items, mode, ...bound, wait: "cluster", timeout_seconds: 5 })
    for (;;) {
      const gateway = random.pick(gateways())
      try {
        const response = await ask(gateway, "/v1/invalidations", body)
        if (response.status === 200) {
          await response.arrayBuffer()
          calls.applied += 1
          return
        }
        if (response.status === 202) {
          calls.pending += 1
          if (await isAppliedLater(gateway, response)) return
        } else {
          const text = await response.text()
          if (response.status !== 503) throw new Error(`unexpected ${response.status}: ${text}`)
        }
      } catch (error) {
        // A frozen gateway gives no answer; anything else is a bug.
        if (
          !(error instanceof Error) ||
          !/timeout|fetch failed/i.test(`${error.name} ${error.message}`)
        )
          throw error
      }
      calls.refused += 1
      await sleep(random.int(100))
    }
  }
}

/** Reads on one gateway; with `mayLose` also on the one that takes its place. */
async function readOn(options: {
  readonly run: Run
  readonly fleet: Fleet
  readonly at: number
  readonly reader: number
  readonly random: Random
  readonly mayLose: boolean
}): Promise<void> {
  const { run, fleet, at, reader, random, mayLose } = options
  while (!run.isOver) {
    const uri = fleet.gateways[at]?.uri ?? ""
    try {
      await read({ run, reader, session: splitUri(uri), random })
    } catch (error) {
      if (!mayLose) throw error
      await sleep(50)
    }
  }
}

/** Writers, readers on every gateway and the faults, until the faults are over. */
export async function observe(
  fleet: Fleet,
  options: {
    readonly seed: number
    readonly from: number
    readonly faults: (isOver: () => boolean) => Promise<void>
    /** Gateways that can be asked for an invalidation now. */
    readonly awake: () => readonly RunningGateway[]
    readonly minutesMax: number
    /** Gateways end under their sessions, whose readers then log in again. */
    readonly losesSessions: boolean
  },
): Promise<{ readonly history: History; readonly calls: Calls }> {
  const history = new History()
  const calls: Calls = { applied: 0, pending: 0, refused: 0 }
  const run = new Run(history, Number.POSITIVE_INFINITY, options.minutesMax * 60_000)
  const clients = await Promise.all(
    targets.map(async (target) => {
      const client = new Client({ connectionString: fleet.server.superuserUri })
      await client.connect()
      return { target, client }
    }),
  )
  const faults = options.faults(() => run.isOver).finally(() => run.end())
  try {
    await Promise.all([
      faults,
      ...clients.map(({ target, client }, index) => {
        const random = new Random(options.seed + index)
        return write({
          run,
          target,
          client,
          invalidate: persistentInvalidate(options.awake, random, calls),
          random,
          from: options.from,
          pauseMsMax: writerPauseMsMax,
          softShare,
        })
      }),
      ...fleet.gateways.flatMap((_, at) =>
        Array.from({ length: readersPerGateway }, (__, index) => {
          const reader = at * readersPerGateway + index
          const random = new Random(options.seed + 1_000 + reader)
          return readOn({ run, fleet, at, reader, random, mayLose: options.losesSessions })
        }),
      ),
    ])
  } finally {
    await Promise.all(clients.map(({ client }) => client.end()))
  }
  return { history, calls }
}
