import type { TokenVector } from "../../cache/token-store.ts"
import { dateBucket } from "../date-bucket.ts"
import type { Plan } from "../plan-memo.ts"
import type { Rooms } from "../rooms.ts"
import { runOnWarehouse } from "../run.ts"
import { hasSameRows } from "./compare-rows.ts"
import { isRepeatable } from "./repeatable.ts"
import type { Sampler, ServedHit, VerifyResult } from "./sampler.ts"

export type VerifierLimits = {
  /** Part of all hits, from 0 to 1. */
  readonly share: number
  readonly concurrencyMax: number
  readonly runsPerMinuteMax: number
  readonly rowsMax: number
  readonly bytesMax: number
  readonly timeoutMs: number
  readonly dropMismatches: boolean
}

/** What an operator is told of a stored answer that is not the warehouse's. Never a value. */
export type Mismatch = {
  readonly warehouse: string
  readonly key: string
  readonly relations: readonly string[]
  /** The vector under which it was stored, and which was in force before and after the second run. */
  readonly tokens: string
  readonly ageMs: number
  readonly storedRows: number
  readonly endpoint: string
  readonly isDropped: boolean
}

export type VerifierEvents = {
  mismatched(mismatch: Mismatch): void
  failed(error: unknown): void
}

export type VerifierInit = {
  readonly limits: VerifierLimits
  readonly events: VerifierEvents
  /** Those of the warehouse whose hits these are. */
  readonly rooms: () => Rooms
}

const minuteMs = 60_000
/** So often a run looks whether somebody waits for a connection; it gives way then. */
const giveWayPollMs = 50
/** Connections that must be free on every server before a run begins: its own, and one for whoever comes next. */
const freeConnectionsMin = 2

/**
 * Runs a sample of hits again and compares: the alarm for writes that nobody reported, and for bugs of ours. A hit is sampled
 * after it was served, so nothing waits for it. A run takes the least place of all: it begins only while connections are free,
 * and is cancelled as soon as somebody waits for one. The tokens are the entry's own before and after the run, or it does not
 * count: a difference is then no invalidation's doing.
 */
export class Verifier implements Sampler {
  readonly counts: Record<VerifyResult, number> = { match: 0, mismatch: 0, skipped: 0, failed: 0 }
  readonly #limits: VerifierLimits
  readonly #events: VerifierEvents
  readonly #rooms: () => Rooms
  readonly #closing = new AbortController()
  #runs = 0
  #minute = 0
  #runsInMinute = 0

  constructor({ limits, events, rooms }: VerifierInit) {
    this.#limits = limits
    this.#events = events
    this.#rooms = rooms
  }

  isDue(): boolean {
    return Math.random() < this.#limits.share
  }

  offer(hit: ServedHit): void {
    if (!this.#mayRun(hit)) {
      this.counts.skipped += 1
      return
    }
    this.#runs += 1
    void this.#counted(hit)
  }

  async #counted(hit: ServedHit): Promise<void> {
    let result: VerifyResult
    try {
      result = await this.#verify(hit)
    } catch (thrown) {
      result = this.#closing.signal.aborted ? "skipped" : "failed"
      if (result === "failed") this.#events.failed(thrown)
    }
    this.#runs -= 1
    this.counts[result] += 1
  }

  close(): void {
    this.#closing.abort()
  }

  #mayRun({ entry, plan, vector }: ServedHit): boolean {
    const rooms = this.#rooms()
    const { concurrencyMax, rowsMax, bytesMax } = this.#limits
    const { result } = entry
    if (this.#closing.signal.aborted || this.#runs >= concurrencyMax) return false
    if (result.rowCount > rowsMax || result.byteCount > bytesMax) return false
    if (!isRepeatable(plan.asked.statement, result)) return false
    if (!isUnchanged(vector, plan, rooms) || !hasRoom(rooms)) return false
    return this.#isWithinRate(rooms.nowMs())
  }

  #isWithinRate(nowMs: number): boolean {
    const minute = Math.floor(nowMs / minuteMs)
    if (minute !== this.#minute) {
      this.#minute = minute
      this.#runsInMinute = 0
    }
    this.#runsInMinute += 1
    return this.#runsInMinute <= this.#limits.runsPerMinuteMax
  }

  async #verify(hit: ServedHit): Promise<VerifyResult> {
    const { question, plan, entry, vector } = hit
    const rooms = this.#rooms()
    const { timeoutMs } = this.#limits
    const givesWay = new AbortController()
    const poll = setInterval(() => {
      if (isAwaited(rooms)) givesWay.abort()
    }, giveWayPollMs)
    try {
      const own = question.statementTimeoutMs
      const statementTimeoutMs = own === 0 ? timeoutMs : Math.min(own, timeoutMs)
      const signal = AbortSignal.any([givesWay.signal, this.#closing.signal])
      const again = { ...question, transaction: undefined, statementTimeoutMs }
      const { fences } = vector
      using rows = await runOnWarehouse(again, plan, rooms, { signal, fences, isBackground: true })
      const isSame = await hasSameRows(entry.result, rows)
      if (!isUnchanged(vector, plan, rooms) || !isSameDay(hit, rooms)) return "skipped"
      if (isSame) return "match"
      this.#mismatched(hit, rows.endpoint)
      return "mismatch"
    } catch (thrown) {
      if (givesWay.signal.aborted) return "skipped"
      throw thrown
    } finally {
      clearInterval(poll)
    }
  }

  #mismatched({ entry, vector }: ServedHit, endpoint: string): void {
    const rooms = this.#rooms()
    const isDropped = this.#limits.dropMismatches && rooms.cache.drop(entry)
    this.#events.mismatched({
      warehouse: rooms.warehouse,
      key: entry.key.digest,
      relations: entry.relations,
      tokens: vector.text,
      ageMs: Math.round(rooms.nowMs() - entry.createdAtMs),
      storedRows: entry.result.rowCount,
      endpoint,
      isDropped,
    })
  }
}

function isUnchanged(vector: TokenVector, plan: Plan, rooms: Rooms): boolean {
  return rooms.tokens.isUsable() && rooms.tokens.vector(plan.relations).text === vector.text
}

function isSameDay({ question, date }: ServedHit, rooms: Rooms): boolean {
  if (date === undefined) return true
  return date === dateBucket(question.settings.values.get("timezone") ?? "UTC", rooms.wallMs())
}

function hasRoom({ router }: Rooms): boolean {
  return router.endpoints.every(({ pool }) => {
    const { waiters, free } = pool.stats()
    return waiters === 0 && free >= freeConnectionsMin
  })
}

/** Somebody waits, and no further connection can be opened for them. */
function isAwaited({ router }: Rooms): boolean {
  return router.endpoints.some(({ pool }) => {
    const { waiters, free } = pool.stats()
    return waiters > 0 && free === 0
  })
}
