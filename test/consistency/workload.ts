import { setTimeout as sleep } from "node:timers/promises"
import type { Client } from "pg"
import { firstRow } from "../differential/compare.ts"
import { encodeExchange } from "../support/query-generator-messages.ts"
import type { Random } from "../support/query-generator-random.ts"
import { RawSession, type SessionOptions } from "../support/query-generator-session.ts"
import type { History } from "./history.ts"
import { type Shape, shapes, type Target, targets } from "./shapes.ts"

export type Invalidate = (items: Target["items"], maxStaleMs: number | undefined) => Promise<void>

/** Times that soft invalidations allow: some end within a run, some are ended by the next hard one. */
const softMs = [100, 400, 60_000] as const

/** Shared by writers and readers: when to end, and the moment of the latest acknowledgement. */
export class Run {
  readonly history: History
  readonly readsMax: number
  readonly #deadline: number
  #reads = 0
  #isEnded = false
  #nextAck = Promise.withResolvers<void>()

  constructor(history: History, readsMax: number, msMax: number) {
    this.history = history
    this.readsMax = readsMax
    this.#deadline = performance.now() + msMax
  }

  get isOver(): boolean {
    return this.#isEnded || this.#reads >= this.readsMax || performance.now() > this.#deadline
  }

  /** Nothing new is begun. */
  end(): void {
    this.#isEnded = true
    this.acknowledged()
  }

  countRead(): void {
    this.#reads += 1
    if (this.isOver) this.acknowledged()
  }

  /** Resolves right after the next acknowledgement, for readers that want to be the first ones after it. */
  get nextAck(): Promise<void> {
    return this.#nextAck.promise
  }

  acknowledged(): void {
    this.#nextAck.resolve()
    this.#nextAck = Promise.withResolvers<void>()
  }
}

const longestPauseMs = 60
/** A run ends by its clock too, when no acknowledgement comes any more. */
const ackWaitMsMax = 500

/** Raises one target's counter, asks for its invalidation, records the acknowledgement; again and again. */
export async function write(options: {
  readonly run: Run
  readonly target: Target
  readonly client: Client
  readonly invalidate: Invalidate
  readonly random: Random
  /** First value written; greater than any that an earlier run left behind. */
  readonly from: number
  readonly pauseMsMax?: number
  /** Share of invalidations that are soft; default 0. */
  readonly softShare?: number
}): Promise<void> {
  const { run, target, client, invalidate, random } = options
  const { history } = run
  for (let counter = options.from; !run.isOver; counter += 1) {
    const commitMs = performance.now()
    const commitOrder = history.tick()
    await client.query(target.write(counter))
    const maxStaleMs = random.chance(options.softShare ?? 0) ? random.pick(softMs) : undefined
    await invalidate([random.pick(target.items)], maxStaleMs)
    history.acks.push({
      relation: target.relation,
      counter,
      commitOrder,
      commitMs,
      maxStaleMs,
      order: history.tick(),
      atMs: performance.now(),
    })
    run.acknowledged()
    // Mostly long enough for hits to happen in between, sometimes back to back.
    if (!random.chance(0.15)) await sleep(random.int(options.pauseMsMax ?? longestPauseMs))
  }
}

const showLast = encodeExchange([{ kind: "query", sql: "SHOW sluice.last" }])

async function readOnce(
  session: RawSession,
  shape: Shape,
  reader: number,
  run: Run,
): Promise<void> {
  const { history } = run
  const startMs = performance.now()
  const startOrder = history.tick()
  const [before, rest] = [
    shape.exchanges.slice(0, shape.answerAt + 1),
    shape.exchanges.slice(shape.answerAt + 1),
  ]
  const answers = await session.run([...before, showLast, ...rest])
  const endMs = performance.now()
  const endOrder = history.tick()
  const answer = answers[shape.answerAt]
  const row = answer === undefined ? undefined : firstRow(answer)
  if (row === undefined)
    throw new Error(`"${shape.name}" gave no row: ${answer?.toString("latin1").slice(0, 400)}`)
  const seen = new Map<string, number>()
  for (const { relation } of targets) {
    const value = row.get(relation)
    if (value !== undefined && value !== null) seen.set(relation, Number(value))
  }
  const last = firstRow(answers[shape.answerAt + 1] ?? Buffer.alloc(0))
  history.reads.push({
    reader,
    shape: shape.name,
    startOrder,
    startMs,
    endOrder,
    endMs,
    seen,
    outcome: last?.get("cache") ?? "unknown",
  })
}

/** One reader on one connection. Every so often it waits for an acknowledgement to be the first one after it. */
export async function read(options: {
  readonly run: Run
  readonly reader: number
  readonly session: SessionOptions
  readonly random: Random
}): Promise<void> {
  const { run, reader, random } = options
  const session = await RawSession.open(options.session)
  const weighted = shapes.map((shape) => [shape.weight, shape] as const)
  try {
    while (!run.isOver) {
      if (random.chance(0.05)) await Promise.race([run.nextAck, sleep(ackWaitMsMax)])
      await readOnce(session, random.weighted(weighted), reader, run)
      run.countRead()
    }
  } finally {
    session.close()
  }
}
