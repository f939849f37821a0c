import { deepEqual, equal } from "node:assert/strict"
import { after, before, describe, it } from "node:test"
import { query } from "../../support/frontend-encoder.ts"
import type { SessionOptions } from "../../support/query-generator-session.ts"
import {
  type BackendMessage,
  ConnectionClosed,
  errors,
  tags,
  textRows,
  WireClient,
} from "../../support/wire-client.ts"
import { ask, lastOutcome, until } from "../session/support.ts"
import { type CapturedServers, startCapturedServers } from "./captured-servers.ts"
import { capturedStatements } from "./captured-sessions.ts"

const recording = capturedStatements()
const recorded = (index: number): string => recording[index]?.sql ?? ""

function connect(target: SessionOptions): Promise<WireClient> {
  return WireClient.connect({
    ...target,
    ...(target.startup === undefined ? {} : { parameters: target.startup }),
  })
}

/** An export: the SELECT of the page before, then the same statement as a cursor on another connection. */
type Export = {
  readonly title: string
  readonly select: string
  readonly declare: string
  /** Rows of one FETCH, as SQLAlchemy grows them; the last one repeats until nothing comes. */
  readonly fetches: readonly string[]
  readonly rowCount: number
}

const exports: readonly Export[] = [
  {
    title: "of a chart: pretty-printed SELECT, raw cursor text that ends in a semicolon",
    select: recorded(264),
    declare: recorded(265),
    fetches: [266, 267, 268].map(recorded),
    rowCount: 50_000,
  },
  {
    title: "of SQL Lab: the same text twice",
    select: recorded(295),
    declare: recorded(296),
    fetches: [297, 298, 299].map(recorded),
    rowCount: 2_501,
  },
  {
    title: "of an aggregate, spelt in two ways",
    select: recorded(229),
    declare: `DECLARE "c_1" CURSOR WITHOUT HOLD FOR SELECT region AS region, count(DISTINCT customer_id) AS "COUNT_DISTINCT(customer_id)" -- raw
FROM sales.orders GROUP BY region
 LIMIT 10000;`,
    fetches: ['FETCH FORWARD 1 FROM "c_1"', 'FETCH FORWARD 1023 FROM "c_1"'],
    rowCount: 5,
  },
]

/** Rows of one way to read the statement, and what the gateway said about the cursor. */
async function exported(client: WireClient, flow: Export): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = []
  for (const [at, fetch] of flow.fetches.entries()) {
    const isLast = at === flow.fetches.length - 1
    for (;;) {
      const got = await ask(client, fetch)
      rows.push(...got)
      if (!isLast || got.length === 0) break
    }
  }
  return rows
}

/** Two connections: a statement that does not end, and the one that stops it. */
type Stop = { readonly title: string; readonly endless: string; readonly terminate: string }

const stops: readonly Stop[] = [
  { title: "SQL Lab's stop", endless: recorded(303), terminate: recorded(304) },
  { title: "the stop of an impersonated user", endless: recorded(341), terminate: recorded(304) },
]

type Stopped = {
  readonly stopper: readonly (readonly string[])[]
  readonly refusal: readonly string[]
  readonly end: readonly (readonly string[])[]
}

/** How both connections end, directly and through the gateway. */
const stopped: Stopped = {
  stopper: [["t"]],
  refusal: [],
  end: [["FATAL", "57P01", "terminating connection due to administrator command"]],
}

async function untilClosed(client: WireClient): Promise<readonly BackendMessage[]> {
  const messages: BackendMessage[] = []
  try {
    for (;;) messages.push(await client.read())
  } catch (error) {
    if (!(error instanceof ConnectionClosed)) throw error
  }
  return messages
}

describe("what Superset does over several connections", () => {
  let servers: CapturedServers
  before(async () => {
    servers = await startCapturedServers()
  })
  after(() => servers.stop())

  for (const flow of exports)
    it(`an export ${flow.title} is read from the entry that the SELECT made`, async () => {
      const page = await connect(servers.through.reader)
      const selected = await ask(page, flow.select)
      equal(selected.length, flow.rowCount)
      const [[, , , key] = []] = await ask(page, "SHOW sluice.last")
      page.destroy()

      const client = await connect(servers.through.reader)
      await ask(client, "BEGIN")
      deepEqual(tags(await client.query(query(flow.declare))), ["DECLARE CURSOR"])
      equal(await lastOutcome(client), "hit_l1")
      const rows = await exported(client, flow)
      const [[cache, , , ownKey, , endpoint] = []] = await ask(client, "SHOW sluice.last")
      deepEqual([cache, ownKey, endpoint], ["hit_l1", key, null])
      deepEqual(rows, selected)
      client.destroy()
    })

  async function running(): Promise<number> {
    const [row] = await servers.postgres.run(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query ~ 'e2e_i?stop_RUN' AND state = 'active' AND pid <> pg_backend_pid()",
    )
    return Number(row?.["n"])
  }

  async function stop({ endless, terminate }: Stop, target: SessionOptions): Promise<Stopped> {
    const [runs, stopper] = [await connect(target), await connect(target)]
    await ask(runs, "BEGIN")
    await ask(runs, 'set search_path = "sales"')
    const [[pid] = []] = await ask(runs, "SELECT pg_backend_pid()")
    runs.send(query(endless))
    await until("the statement runs", async () => (await running()) === 1)
    const answer = await stopper.query(query(terminate.replace("12345", pid ?? "")))
    const refusal = errors(answer).map(({ C, M }) => `${C} ${M}`)
    const end = refusal.length > 0 ? [] : errors(await untilClosed(runs))
    await until("the statement ends", async () => (await running()) === 0)
    runs.destroy()
    stopper.destroy()
    return {
      stopper: textRows(answer).map(([value]) => [value ?? ""]),
      refusal,
      end: end.map(({ S, C, M }) => [S ?? "", C ?? "", M ?? ""]),
    }
  }

  for (const flow of stops)
    it(`${flow.title} ends the other connection, and the statement in the warehouse`, async () => {
      deepEqual(await stop(flow, servers.direct.reader), stopped)
      deepEqual(await stop(flow, servers.through.reader), stopped)
    })
})
